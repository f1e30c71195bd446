"""Pictures and curves of coupons together: bad curves among good ones, and arms whose answer is known."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from sorby.errors import InputError
from sorby.phantom.corrosion import CorrosionSpecimen, corrosion_curves, write_curves
from sorby.workflow.experiments.curve_reading import CURVE_VALUES, filled, read_curves
from sorby.workflow.experiments.fusion import ARMS, Coupons, fused_out_of_fold, of_another


@pytest.fixture(scope="module")
def curves(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[CorrosionSpecimen]]:
    folder = tmp_path_factory.mktemp("curves")
    coupons = [CorrosionSpecimen.draw(7, "316L", severity=3), CorrosionSpecimen.draw(8, "AZ31B", severity=1)]
    write_curves(folder, coupons)
    return folder / "curves", coupons


def test_numbers_are_those_that_the_curves_were_made_from(curves: tuple[Path, list[CorrosionSpecimen]]) -> None:
    folder, coupons = curves
    found = read_curves(folder, [coupon.name for coupon in coupons])
    assert not found.quarantined
    for row, coupon in zip(found.values, coupons, strict=True):
        true = corrosion_curves(coupon)
        value = dict(zip(CURVE_VALUES, row, strict=True))
        assert value["ecorr_v"] == pytest.approx(true.model.ecorr_v, abs=2e-3)  # the sweep drifts by as much
        assert value["log_icorr_a_cm2"] == pytest.approx(np.log10(true.model.icorr_a_cm2), abs=0.05)
        assert value["log_rp_spectrum_ohm_cm2"] == pytest.approx(np.log10(true.rp_ohm_cm2), abs=0.03)
        assert value["log_cdl_f_cm2"] == pytest.approx(np.log10(true.values["Cdl"]), abs=0.03)


def test_an_aborted_file_is_set_aside_and_a_coupon_without_curves_is_named(
    curves: tuple[Path, list[CorrosionSpecimen]], tmp_path: Path
) -> None:
    folder, coupons = curves
    good = coupons[0].name
    for part in ("-pdp.txt", "-eis.csv"):
        (tmp_path / f"{good}{part}").write_bytes((folder / f"{good}{part}").read_bytes())
    (tmp_path / "broken-pdp.txt").write_text("Potential (V vs SCE)\tCurrent density (A/cm2)\n-0.65\t")
    found = read_curves(tmp_path, [good, "broken", "absent"])
    assert found.has_curve.tolist() == [True, False, False]
    assert [Path(entry.file).name for entry in found.quarantined] == ["broken-pdp.txt"]
    assert found.missing == ["absent"]
    assert np.isnan(found.values[1:]).all()


def test_requests_that_cannot_be_met_are_refused(curves: tuple[Path, list[CorrosionSpecimen]], tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such folder of curves"):
        read_curves(tmp_path / "nowhere", ["a"])
    with pytest.raises(InputError, match="holds no curve of any of 1 coupons"):
        read_curves(curves[0], ["somebody-else"])
    for area in (-1.0, 0.0, float("inf")):
        with pytest.raises(InputError, match="carries no current"):
            read_curves(curves[0], [curves[1][0].name], area_mm2=area)


def test_missing_numbers_are_filled_from_taught_coupons_and_flagged() -> None:
    values = np.array([[1.0, 5.0, np.nan], [3.0, np.nan, np.nan], [np.nan, 100.0, np.nan]])
    found = filled(values, np.array([0, 1]))
    assert found[:, 0].tolist() == [1, 3, 2]  # the median of the taught, not of the third
    assert found[:, 1].tolist() == [5, 5, 100]
    assert found[:, 2].tolist() == [0, 0, 0]  # nobody has it, so it says nothing
    assert found[:, 3:].tolist() == [[0], [1], [0]]  # only the second number is missing among the taught


def _made(picture_noise: float, curve_noise: float) -> tuple[Coupons, np.ndarray]:
    rng = np.random.default_rng(4)
    labels = np.arange(60) % 3
    coupon = np.repeat(np.arange(60), 2)
    features = (labels[coupon][:, None] + picture_noise * rng.normal(size=(120, 4))).astype(np.float32)
    numbers = labels[:, None] + curve_noise * rng.normal(size=(60, 2))
    data = Coupons(features, labels[coupon], coupon, labels, numbers, "ordinal", ("0", "1", "2"), 0)
    return data, rng.permutation(60) % 2


def test_curves_that_know_the_answer_help_and_shuffled_ones_do_not() -> None:
    data, folds = _made(picture_noise=2.5, curve_noise=0.25)
    found = fused_out_of_fold(data, folds, "made")
    right = {name: float((p.argmax(axis=1) == data.labels).mean()) for name, p in found.items()}
    assert set(found) == set(ARMS)
    assert all(np.allclose(p.sum(axis=1), 1, atol=1e-5) for p in found.values())
    for name in ("curves", "early fusion", "late fusion, product", "late fusion, stacked"):
        assert right[name] > right["image"] + 0.1
    for name in ("early fusion, curves shuffled", "late fusion, stacked, curves shuffled"):
        assert right[name] < right["image"] + 0.12  # two deviations of a share of 60 coupons


def test_curves_that_know_nothing_do_little_harm() -> None:
    data, folds = _made(picture_noise=0.5, curve_noise=50.0)
    found = fused_out_of_fold(data, folds, "made")
    right = {name: float((p.argmax(axis=1) == data.labels).mean()) for name, p in found.items()}
    assert right["image"] > 0.8
    assert right["late fusion, stacked"] > right["image"] - 0.1


@pytest.mark.parametrize("n", [2, 3, 20, 61])
def test_in_the_control_no_coupon_keeps_its_own_curves(n: int) -> None:
    for seed in range(20):
        others = of_another(n, seed)
        assert sorted(others.tolist()) == list(range(n))
        assert (others != np.arange(n)).all()
