"""Impedance from file to verdict, and ``sorby electro eis`` as a script sees it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from sorby.cli._frame import run
from sorby.cli.electro_eis import eis
from sorby.electrochem.circuit import Circuit
from sorby.errors import InputError
from sorby.workflow.impedance import Settings, analyse_impedance

F = np.geomspace(1e5, 1e-2, 50)
CELL = "R0-p(R1,CPE1)"
VALUES = [20.0, 800.0, 4e-5, 0.88]


def write(path: Path, z: np.ndarray, f: np.ndarray = F, header: str = "freq/Hz;Z'/Ohm;Z''/Ohm") -> Path:
    rows = "\n".join(f"{a:.9g};{b.real:.9g};{b.imag:.9g}" for a, b in zip(f, z, strict=True))
    path.write_text(f"{header}\n{rows}\n", encoding="utf-8")
    return path


def noisy(text: str, values: list[float], seed: int = 1, noise: float = 0.003) -> np.ndarray:
    rng = np.random.default_rng(seed)
    z = Circuit.read(text).impedance(values, F)
    return z + noise * np.abs(z) * (rng.standard_normal(F.size) + 1j * rng.standard_normal(F.size))


def drifting() -> np.ndarray:
    """A cell whose charge transfer resistance halves while the slow frequencies are measured."""
    time = np.cumsum(3 / F) / (3 / F).sum()
    cell = Circuit.read("R0-p(R1,C1)")
    return np.array([cell.impedance([20.0, 800.0 * (1 - 0.6 * t), 2e-4], [f])[0] for f, t in zip(F, time, strict=True)])


@pytest.fixture
def cell(tmp_path: Path) -> Path:
    return write(tmp_path / "cell.txt", noisy(CELL, VALUES))


def ask(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, dict, str]:
    code = run(eis, [*map(str, arguments), "--json"])
    out, err = capsys.readouterr()
    return code, json.loads(out) if out else {}, err


def test_the_contract_is_kept(cell: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, found, _ = ask(capsys, cell, "--circuit", CELL, "--area-mm2", 50)
    assert code == 0
    assert found["circuit"] == CELL
    # 50 mm2 are half a square centimetre: resistances halve, admittances double.
    expected = {"R0": 10.0, "R1": 400.0, "CPE1_0": 8e-5, "CPE1_1": 0.88}
    for name, value in expected.items():
        one = found["parameters"][name]
        assert one["value"] == pytest.approx(value, rel=0.02)
        assert 0 < one["se"] < 0.05 * value
        assert one["identifiable"]
    assert found["parameters"]["R1"]["unit"] == "ohm cm2"
    assert found["chi2"] == pytest.approx(2 * F.size * 0.003**2, rel=0.5)
    assert found["kramers_kronig"]["passed"]
    assert found["warnings"] == []
    assert found["polarisation_resistance"]["value"] == pytest.approx(400, rel=0.02)
    assert {one["formula"] for one in found["capacitance"]} == {"Brug", "Hsu-Mansfeld"}


def test_circuits_are_compared_where_none_is_asked_for(cell: Path) -> None:
    result = analyse_impedance([cell])
    assert result["circuit"] == "Rs-p(Rct,CPEdl)"
    assert len(result["comparison"]) == 4
    assert result["comparison"][0]["delta"] == 0


def test_an_inductive_loop_brings_its_own_circuits(tmp_path: Path) -> None:
    path = write(tmp_path / "loop.txt", noisy("Rs-p(CPEdl,Rct,RL-L)", [8.0, 3e-5, 0.9, 900.0, 600.0, 4000.0]))
    result = analyse_impedance([path])
    assert result["circuit"] == "Rs-p(CPEdl,Rct,RL-L)"
    assert result["features"]["inductive_loop"]
    assert result["kramers_kronig"]["passed"]
    assert result["polarisation_resistance"]["value"] == pytest.approx(360, rel=0.05)
    plain = analyse_impedance([path], Settings(circuits=["Rs-p(Rct,CPEdl)"]))
    assert any("without an inductor" in line for line in plain["warnings"])


def test_a_spectrum_that_fails_is_told_or_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write(tmp_path / "drift.txt", drifting())
    code, found, _ = ask(capsys, path, "--circuit", "R0-p(R1,C1)")
    assert code == 0
    assert not found["kramers_kronig"]["passed"]
    assert any("fails Kramers-Kronig" in line for line in found["warnings"])
    code, _, err = ask(capsys, path, "--circuit", "R0-p(R1,C1)", "--gate")
    assert code == 2
    assert err.startswith("error: ")
    assert "fails Kramers-Kronig" in err


def test_a_syntax_error_points_at_its_character(cell: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, _, err = ask(capsys, cell, "--circuit", "R0-p(R1,,C1)")
    assert code == 2
    assert "character 9" in err
    assert "R0-p(R1,^,C1)" in err


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--area-mm2", 0], "area"),
        (["--area-mm2", -3], "area"),
        (["--bound", "R1"], "not of the form NAME=LOW,HIGH"),
        (["--start", "R1=a"], "not of the form NAME=VALUE"),
        (["--circuit", CELL, "--bound", "R9=1,2"], "has no R9"),
        (["--temperature-k", 300, "--temperature-k", 310], "2 temperatures for 1 spectra"),
        (["--temperature-k", -1], "not above 0 K"),
        (["--low-hz", 1e9], "points lie between"),
    ],
)
def test_impossible_requests_are_refused(
    cell: Path, capsys: pytest.CaptureFixture[str], arguments: list, says: str
) -> None:
    code, _, err = ask(capsys, cell, *arguments)
    assert code == 2
    assert says in err


def test_a_turned_sign_is_suspected_and_can_be_given(tmp_path: Path) -> None:
    path = write(tmp_path / "turned.txt", noisy(CELL, VALUES).conj())
    with pytest.raises(InputError, match="positive imaginary part") as caught:
        analyse_impedance([path])
    assert "--sign minus-imag" in caught.value.hint
    kept = analyse_impedance([path], Settings(circuits=[CELL], keep_inductive_head=True))
    assert any("sign is turned" in line for line in kept["warnings"])
    given = analyse_impedance([path], Settings(circuits=[CELL], sign="minus-imag"))
    assert given["parameters"]["R1"]["value"] == pytest.approx(800, rel=0.02)


def test_temperatures_make_a_trend(tmp_path: Path) -> None:
    kelvin, energy = [303.0, 313.0, 323.0], 40e3
    paths = []
    for k, t in enumerate(kelvin):
        rate = np.exp(-energy / 8.314462618 * (1 / t - 1 / 303.0))
        paths.append(write(tmp_path / f"{k}.txt", noisy("R0-p(R1,C1)", [20.0, 800 / rate, 2e-5 * rate**0.3], seed=k)))
    paths.append(write(tmp_path / "drift.txt", drifting()))
    result = analyse_impedance(
        paths, Settings(circuits=["316L", "Rs-p(Rct,CPEdl)"]), temperatures_k=[*kelvin, 333.0], out=tmp_path / "out"
    )
    trend = result["trend"]
    assert trend["activation_energy_kj_mol"] == pytest.approx(40, rel=0.02)
    assert trend["resistance_falls"]
    assert trend["capacitance_rises"]
    assert trend["left_out"] == [str(paths[-1])]
    assert len({entry["circuit"] for entry in result["spectra"]}) == 1
    page = (tmp_path / "out" / "impedance.html").read_text(encoding="utf-8")
    assert page.count("<svg") == 1 + 3 * 4
    stored = json.loads((tmp_path / "out" / "impedance.json").read_text(encoding="utf-8"))
    assert stored["spectra"][1]["temperature_k"] == 313


def test_bad_files_among_good_ones_are_set_aside(
    cell: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bad = tmp_path / "bad.txt"
    bad.write_text("nothing", encoding="utf-8")
    code, found, err = ask(capsys, cell, bad, "--circuit", CELL)
    assert code == 3
    assert [entry["file"] for entry in found["quarantined"]] == [str(bad)]
    assert len(found["spectra"]) == 1
    assert "quarantined" in err
    with pytest.raises(InputError):
        analyse_impedance([bad])


def test_people_get_text(cell: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(eis, [str(cell)]) == 0
    said = capsys.readouterr().out
    assert "AICc" in said
    assert "obeys Kramers-Kronig" in said
