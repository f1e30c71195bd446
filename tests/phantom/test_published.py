"""The published set drawn again: S1's counts to the image, labels that obey the area rule, and near misses."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from sorby.errors import InputError
from sorby.files import sha256_file
from sorby.phantom import (
    ALL_KINDS,
    FAR_OOD,
    HOUSE_SCALE,
    NEAR_OOD,
    PUBLISHED_COUNTS,
    draw_specimen,
    published_plan,
    render_novel,
    render_steel,
    write_published_steel,
)
from sorby.phantom.alloys import with_alloy, with_coarse_patches
from sorby.phantom.published import expected_truth


def _images(plan: list, of: str) -> Counter:
    counts: Counter = Counter()
    for specimen in plan:
        counts[getattr(specimen, of)] += specimen.images
    return counts


@pytest.mark.parametrize("seed", [0, 1, 17])
def test_classes_alloys_and_magnifications_have_the_published_numbers(seed: int) -> None:
    plan = published_plan(seed)
    assert _images(plan, "code") == Counter(PUBLISHED_COUNTS)
    alloys = _images(plan, "alloy")
    assert sum(alloys.values()) == 1641
    assert alloys["100Cr6"] / 1641 == pytest.approx(0.687, abs=5e-4)
    assert alloys["100CrMnSi6-4"] / 1641 == pytest.approx(0.153, abs=5e-4)
    assert alloys["C56E2"] == 71
    assert len(alloys) == 15  # these three and twelve variants of 100Cr6
    assert sum(count < 10 for count in alloys.values()) == 6
    assert _images(plan, "magnification")[500] / 1641 == pytest.approx(0.824, abs=5e-4)
    assert {s.images for s in plan} == {1, 2, 3, 4}


def test_tempered_martensite_is_c56e2_and_1000x_is_mostly_the_finest_class() -> None:
    plan = published_plan(0)
    assert {s.alloy for s in plan if s.code[0] == "M"} == {"C56E2"}
    assert {s.code[0] for s in plan if s.alloy == "100CrMnSi6-4"} == {"G"}
    closer = [s for s in plan if s.magnification == 1000]
    finest = sum(s.images for s in closer if s.code.endswith("9-10"))
    assert finest / sum(s.images for s in closer) == pytest.approx(0.9, abs=0.005)


def _digests(folder: Path) -> dict[str, str]:
    return {str(p.relative_to(folder)): sha256_file(p) for p in sorted(folder.rglob("*")) if p.is_file()}


@pytest.fixture(scope="module")
def some(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, pd.DataFrame]:
    """The first specimens of the set, small."""
    folder = tmp_path_factory.mktemp("published") / "one"
    return folder, write_published_steel(folder, 2, size_px=256, first=9, jobs=1)


def test_the_set_is_the_same_whatever_the_number_of_processes(some: tuple[Path, pd.DataFrame]) -> None:
    folder, _ = some
    write_published_steel(folder.parent / "two", 2, size_px=256, first=9, jobs=2)
    assert _digests(folder) == _digests(folder.parent / "two")


def test_labels_and_criteria_obey_the_area_rule(some: tuple[Path, pd.DataFrame]) -> None:
    folder, table = some
    for row in table.itertuples():
        assert row.criterion == HOUSE_SCALE.criterion_for(row.coarse_area_fraction)
        with np.load(folder / "needles" / f"{Path(row.path).stem}.npz") as needles:
            lengths = needles["length_um"][needles["graded"]].astype(np.float64)
        assert HOUSE_SCALE.grade(lengths, row.subtype, row.criterion) == row.label == row.truth
        assert np.quantile(lengths, 0.95) == pytest.approx(row.needle_length_q95_um, rel=1e-5)  # stored as float32
        assert row.needle_length_q05_um < row.needle_length_q50_um < row.needle_length_q95_um


def test_every_image_has_a_day_to_day_label_and_fourteen_ratings(some: tuple[Path, pd.DataFrame]) -> None:
    _, table = some
    ratings = table[[f"rating_R{number:02d}" for number in range(1, 15)]]
    assert ratings.map(lambda code: code[0] in "BGM" and 5 <= int(code[1:]) <= 10).all(axis=None)
    assert set(table["daily_rater"]) <= {f"R{number:02d}" for number in range(1, 6)}
    assert (table["daily_label"].str[0] == table["subtype"]).all()
    assert {"date", "etchant", "etching_s", "heat_treatment", "alloy", "storage_days"} <= set(table)


def test_the_day_to_day_label_can_be_the_label_and_the_truth_stays(tmp_path: Path) -> None:
    daily = write_published_steel(tmp_path / "d", 2, size_px=128, first=2, jobs=1, label="daily", truth_files=False)
    assert (daily["label"] == daily["daily_label"]).all()
    assert (daily["rater"] == daily["daily_rater"]).all()
    assert "truth" in daily
    with pytest.raises(InputError, match="label 'guess'"):
        write_published_steel(tmp_path / "x", 2, size_px=128, first=1, jobs=1, label="guess")  # type: ignore[arg-type]
    assert not (tmp_path / "x").exists()


def test_patches_below_the_area_rule_leave_the_mean_criterion_in_force() -> None:
    specimen = draw_specimen("B9-10", 4, images=1, size_px=(384, 384), bimodal=False, magnification=500)
    patched = render_steel(with_coarse_patches(specimen, 0.03).specs[0], 1)
    assert 0 < patched.coarse_area_fraction < HOUSE_SCALE.coarse_area
    assert patched.criterion == "mean"
    assert patched.label == patched.code_by_mean
    bimodal = draw_specimen("B7", 1, images=1, size_px=(384, 384), bimodal=True)
    assert render_steel(bimodal.specs[0], 1).criterion == "maximum"
    with pytest.raises(InputError, match="coarse regions"):
        with_coarse_patches(specimen, 0.05)


def test_an_alloy_changes_the_look_but_no_needle() -> None:
    specimen = draw_specimen("G8", 3, images=1, size_px=(256, 256))
    usual, other = (render_steel(with_alloy(specimen, name).specs[0], 1) for name in ("100Cr6", "100CrMnSi6-4"))
    assert not np.array_equal(usual.pixels, other.pixels)
    assert abs(float(usual.pixels.mean()) - float(other.pixels.mean())) < 25
    assert usual.spec.lengths == other.spec.lengths
    with pytest.raises(InputError, match="unknown"):
        with_alloy(specimen, "42CrMo4")


def test_expected_truth_grades_as_the_plan_asks() -> None:
    truth = expected_truth(1)
    assert len(truth["label"]) == 1641
    for label, subtype, mean, largest, coarse in zip(
        *(truth[n] for n in ("label", "subtype", "mean_needle_length_um", "largest_needle_length_um")),
        truth["coarse_area_fraction"],
        strict=True,
    ):
        criterion = HOUSE_SCALE.criterion_for(float(coarse))
        value = mean if criterion == "mean" else largest
        assert subtype + HOUSE_SCALE.size_class(float(value), subtype, criterion) == label


@pytest.mark.parametrize("kind", [kind for kind in ALL_KINDS if kind not in NEAR_OOD[:5]])
def test_every_near_and_far_kind_renders_and_repeats(kind: str) -> None:
    first, again = (render_novel(kind, 4, size_px=(200, 240)) for _ in range(2))
    assert first.pixels.shape == (200, 240, 3)
    assert np.array_equal(first.pixels, again.pixels)
    assert not np.array_equal(first.pixels, render_novel(kind, 5, size_px=(200, 240)).pixels)


def test_near_kinds_are_spoiled_as_they_say() -> None:
    def mean(kind: str) -> float:
        return float(np.mean([render_novel(kind, s, size_px=(160, 160), micron_bar=False).pixels for s in range(4)]))

    taught = [draw_specimen("G9-10", s, images=1, size_px=(160, 160), micron_bar=False) for s in range(4)]
    usual = np.mean([render_steel(t.specs[0], 1).pixels for t in taught])
    assert mean("overetched") < 0.7 * usual
    assert abs(mean("out-of-focus") - usual) < 45
    for seed in range(6):
        claimed = render_novel("wrong-magnification", seed, size_px=(96, 96))
        assert claimed.magnification == 500
        assert 0.18 < claimed.pixel_size_um < 0.22
    assert set(NEAR_OOD).isdisjoint(FAR_OOD)
