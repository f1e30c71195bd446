"""Impedance files of nine makers, as their programs write them, and files that go wrong."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from sorby.electrochem.circuit import Circuit
from sorby.electrochem.spectrum import make_spectrum
from sorby.electrochem.spectrum_files import read_spectrum
from sorby.errors import InputError

F = np.geomspace(1e4, 1.0, 9)
Z = Circuit.read("R0-p(R1,C1)").impedance([20.0, 100.0, 1e-5], F)
POINTS = list(zip(F, Z.real, Z.imag, strict=True))


def table(form: str, points=POINTS, separator: str = "\n") -> str:
    return separator.join(form.format(k=k, f=f, re=re, im=im, minus=-im) for k, (f, re, im) in enumerate(points))


GAMRY = (
    "EXPLAIN\nTAG\tEISPOT\nFREQFINAL\tQUANT\t1.00000E-003\tFinal Fre&q. (Hz)\nAREA\tQUANT\t1.0\t&Area (cm^2)\n"
    "OCVCURVE\tTABLE\t2\n\tPt\tT\tVf\n\t#\ts\tV\n\t0\t0.25\t-3.4E-001\n\t1\t0.51\t-3.4E-001\n"
    "ZCURVE\tTABLE\n\tPt\tTime\tFreq\tZreal\tZimag\tZsig\n\t#\ts\tHz\tohm\tohm\tV\n"
    + table("\t{k}\t3\t{f:.9g}\t{re:.9g}\t{im:.9g}\t1")
)
FILES = {
    "Gamry DTA": GAMRY,
    "BioLogic EC-Lab": "EC-Lab ASCII FILE\nNb header lines : 4\n\nfreq/Hz\tRe(Z)/Ohm\t-Im(Z)/Ohm\t|Z|/Ohm\t\n"
    + table("{f:.9g}\t{re:.9g}\t{minus:.9g}\t1"),
    "ZPlot": "ZPLOT2 ASCII\n  Begin Experiment: 0\n  Freq(Hz)\tAmpl\tBias\tTime(Sec)\tZ'(a)\tZ''(b)\tGD\tErr\tRange\n"
    "End Comments\n" + table("{f:.9g}\t.01\t0\t1\t{re:.9g}\t{im:.9g}\t0\t0\t4"),
    "Autolab (ZView export)": '"Z60W Data File: Version 1.1"\n""\n0,2,0,1,0.1,10000\n9\n'
    "\"  Freq (Hz)    Ampl     Bias   Time(Sec)   Z'(a)    Z''(b)    GD   Err   Range\"\n"
    + table("{f:.9g},0,0,0,{re:.9g},{im:.9g},0,0,0"),
    "VersaStudio": "<Application>\nName=VersaStudio\n</Application>\n<Segment1>\nType=2\n"
    "Definition=Segment #, Point #, E(V), Frequency(Hz), Z Real, Z Imag, 0\n"
    + table("0,{k},0.1,{f:.9g},{re:.9g},{im:.9g},0")
    + "\n</Segment1>\n<Docking>\n1,2,3,4,5,6,7\n</Docking>",
    "CH Instruments": "Feb. 20, 2020   15:55:08\nA.C. Impedance\nInstrument Model:  CHI660E\n\n"
    "Freq/Hz, Z'/ohm, Z\"/ohm, Z/ohm, Phase/deg\n\n" + table("{f:.9g}, {re:.9g}, {im:.9g}, 1, 1"),
    "Parstat": "Potential (V)\tCurrent (A)\tElapsed Time (s)\tFrequency (Hz)\tZre (ohms)\tZim (ohms)\t|Vac| (V)\n"
    "3.49\t-0.1\t10\t0\t0\t0\t0\n" + table("3.5\t0.02\t70\t{f:.9g}\t{re:.9g}\t{im:.9g}\t.005"),
    "PowerSuite": "Frequency\t Zre\t Zimg\r\r\n" + table("{f:.9g}\t {re:.9g}\t {im:.9g}", POINTS[::-1], "\r\r\n"),
    "text": "freq/Hz;Z'/Ohm;Z''/Ohm\n" + table("{f:.9g};{re:.9g};{im:.9g}"),
}


def written(folder: Path, text: str, encoding: str = "utf-8") -> Path:
    path = folder / "measurement"
    path.write_bytes(text.encode(encoding))
    return path


@pytest.mark.parametrize("vendor", FILES)
def test_makers_are_told_apart_by_content(vendor: str, tmp_path: Path) -> None:
    spectrum = read_spectrum(written(tmp_path, FILES[vendor]))
    assert spectrum.vendor == vendor
    np.testing.assert_allclose(spectrum.frequency_hz, F, rtol=1e-8)
    np.testing.assert_allclose(spectrum.impedance, Z, rtol=1e-8)
    assert len(spectrum.conventions) >= 3


@pytest.mark.parametrize(
    "text",
    [
        "# made by hand\n# f/kHz, Z'/kOhm, -Z''/kOhm\n" + table("{f:.9g}, {re:.9g}, {minus:.9g}"),
        "Frequency (kHz)\tRe(Z) (kΩ)\t-Im(Z) (kΩ)\n" + table("{f:.9g}\t{re:.9g}\t{minus:.9g}"),
    ],
)
def test_units_and_signs_of_a_header_are_kept(text: str, tmp_path: Path) -> None:
    spectrum = read_spectrum(written(tmp_path, text))
    np.testing.assert_allclose(spectrum.frequency_hz, 1e3 * F, rtol=1e-8)
    np.testing.assert_allclose(spectrum.impedance, 1e3 * Z, rtol=1e-8)
    assert any("sign turned" in line for line in spectrum.conventions)


def test_milliohm_and_megohm_are_a_billion_apart(tmp_path: Path) -> None:
    small, large = (
        read_spectrum(written(tmp_path, f"f/Hz;Z'/{unit};Z''/{unit}\n" + table("{f:.9g};{re:.9g};{im:.9g}")))
        for unit in ("mOhm", "MOhm")
    )
    np.testing.assert_allclose(large.impedance / small.impedance, 1e9)


def test_modulus_and_phase_make_an_impedance(tmp_path: Path) -> None:
    polar = [(f, abs(z), np.rad2deg(np.angle(z))) for f, z in zip(F, Z, strict=True)]
    text = "freq/Hz,|Z|/ohm,Phase/deg\n" + "\n".join(f"{f:.12g},{r:.12g},{p:.12g}" for f, r, p in polar)
    np.testing.assert_allclose(read_spectrum(written(tmp_path, text)).impedance, Z, rtol=1e-9)
    turned = text.replace("Phase", "-Phase")
    np.testing.assert_allclose(read_spectrum(written(tmp_path, turned)).impedance, Z.conj(), rtol=1e-9)


def test_decimal_commas_behind_semicolons_tabs_and_blanks(tmp_path: Path) -> None:
    for separator in (";", "\t", "  "):
        text = table(f"{{f:.9g}}{separator}{{re:.9g}}{separator}{{im:.9g}}").replace(".", ",")
        np.testing.assert_allclose(read_spectrum(written(tmp_path, text)).impedance, Z, rtol=1e-8)
    gamry = GAMRY.replace(".", ",")
    np.testing.assert_allclose(read_spectrum(written(tmp_path, gamry)).impedance, Z, rtol=1e-8)


def test_commas_that_may_be_both_are_refused(tmp_path: Path) -> None:
    text = table("{f:.4f},{re:.4f},{im:.4f}").replace(".", ",")
    with pytest.raises(InputError, match="commas separate"):
        read_spectrum(written(tmp_path, text))


def test_bare_columns_are_read_as_documented_and_said_so(tmp_path: Path) -> None:
    path = written(tmp_path, table("{f:.9g},{re:.9g},{im:.9g}"))
    spectrum = read_spectrum(path)
    np.testing.assert_allclose(spectrum.impedance, Z, rtol=1e-8)
    assert any("no titles" in line for line in spectrum.warnings)
    assert any("ohm is taken" in line for line in spectrum.warnings)
    stated = read_spectrum(path, sign="minus-imag", unit="kohm")
    np.testing.assert_allclose(stated.impedance, 1e3 * Z.conj(), rtol=1e-8)
    assert any("sign is turned" in line for line in stated.warnings)


def test_an_aborted_run_is_read_and_told(tmp_path: Path) -> None:
    text = GAMRY + "\nEXPERIMENTABORTED\tTOGGLE\tT\tExperiment Aborted\nFRACURVE\tTABLE\t2\n\tPt\tT\n\t#\ts\n\t0\t1\n"
    spectrum = read_spectrum(written(tmp_path, text))
    assert spectrum.n_points == F.size
    assert any("aborted: it ends at 1 Hz of 0.001 Hz planned" in line for line in spectrum.warnings)


def series_capacitance(f: float, im: float) -> float:
    return -1e6 / (2 * np.pi * f * im)


def biologic_without_frequency(wrong: float = 1.0) -> str:
    rows = (f"{f:.9g}\t{re:.9g}\t{-im:.9g}\t{wrong * series_capacitance(f, im):.9g}" for f, re, im in POINTS)
    return "EC-Lab ASCII FILE\nNb header lines : 3\nRe(Z)/Ohm\t-Im(Z)/Ohm\tCs/µF\t\n" + "\n".join(rows)


def test_a_frequency_without_title_is_found_by_the_series_capacitance(tmp_path: Path) -> None:
    spectrum = read_spectrum(written(tmp_path, biologic_without_frequency(), "latin-1"))
    np.testing.assert_allclose(spectrum.impedance, Z, rtol=1e-8)
    np.testing.assert_allclose(spectrum.frequency_hz, F, rtol=1e-8)
    assert any("untitled first one is" in line for line in spectrum.warnings)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (biologic_without_frequency(wrong=1.1), "none of them frequency"),
        ("EC-Lab ASCII FILE\nRe(Z)/Ohm\t-Im(Z)/Ohm\n" + table("{re:.9g}\t{im:.9g}"), "no frequency column"),
        ("Z'/ohm;Z''/ohm\n" + table("{re:.9g};{im:.9g}"), "no column of frequencies"),
        (GAMRY.split("ZCURVE")[0], "without an impedance table"),
        (GAMRY.split("\t0\t3\t")[0], "no points below it"),
        (table("{f:.9g},{re:.9g},{im:.9g},0,0"), "columns without titles"),
        ("nothing to see here", "no impedance table"),
        ("1,2,3\n4,5,6\n", "usable points"),
        ("f/Hz,Z'/ohm,Z''/ohm\n" + table("-{f:.9g},{re:.9g},{im:.9g}"), "is none"),
    ],
)
def test_what_cannot_be_read_is_said_in_one_line(text: str, says: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=says) as caught:
        read_spectrum(written(tmp_path, text, "latin-1"))
    assert "\n" not in caught.value.message
    assert caught.value.hint


def test_files_that_are_none(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        read_spectrum(tmp_path / "absent")
    with pytest.raises(InputError, match="empty"):
        read_spectrum(written(tmp_path, " \n"))
    with pytest.raises(InputError, match="binary"):
        read_spectrum(written(tmp_path, "a\0b" * 50))
    with pytest.raises(InputError, match="sign"):
        read_spectrum(tmp_path / "absent", sign="up")


def test_missing_cells_leave_their_points_out(tmp_path: Path) -> None:
    rows = table("{f:.9g};{re:.9g};{im:.9g}").split("\n")
    rows[3] = rows[3].rsplit(";", 1)[0] + ";"
    rows[5] = ";" + rows[5].split(";", 1)[1]
    rows.insert(7, "overload")
    spectrum = read_spectrum(written(tmp_path, "freq/Hz;Z'/Ohm;Z''/Ohm\n" + "\n".join(rows)))
    assert spectrum.n_points == F.size - 2
    assert any("2 points left out" in line for line in spectrum.warnings)
    assert any("1 lines inside the table" in line for line in spectrum.warnings)


def test_equal_frequencies_become_one() -> None:
    twice = make_spectrum(np.tile(F, 2), np.tile(Z, 2))
    np.testing.assert_allclose(twice.impedance, Z)
    assert "equal impedance" in twice.warnings[0]
    apart = make_spectrum(np.tile(F, 2), np.concatenate([0.99 * Z, 1.01 * Z]))
    np.testing.assert_allclose(apart.impedance, Z)
    assert "averaged, up to 1 % from" in apart.warnings[0]


def test_order_does_not_matter() -> None:
    order = np.random.default_rng(2).permutation(F.size)
    shuffled = make_spectrum(F[order], Z[order])
    np.testing.assert_array_equal(shuffled.impedance, make_spectrum(F, Z).impedance)


def test_inductive_ends_are_counted_and_the_head_is_left_out() -> None:
    z = Z.copy()
    z.imag[:2], z.imag[-1] = 1.0, 0.5
    spectrum = make_spectrum(F, z)
    assert (spectrum.inductive_head, spectrum.inductive_tail) == (2, 1)
    without = spectrum.without_inductive_head()
    assert without.n_points == F.size - 2
    assert without.inductive_tail == 1
    assert "2 points above" in without.warnings[0]


def test_areas_and_bands_are_checked() -> None:
    spectrum = make_spectrum(F, Z)
    for area in (0.0, -1.0, float("nan")):
        with pytest.raises(InputError, match="area"):
            spectrum.per_area(area)
    normalised = spectrum.per_area(2.0)
    np.testing.assert_allclose(normalised.impedance, 2 * Z)
    assert normalised.unit == "ohm cm2"
    with pytest.raises(InputError, match="already"):
        normalised.per_area(2.0)
    assert spectrum.between(2.0, None).n_points == F.size - 1
    with pytest.raises(InputError, match="lie between"):
        spectrum.between(1e5, None)


def test_impedance_per_area_in_the_header_is_not_multiplied_again(tmp_path: Path) -> None:
    text = "f/Hz;Z'/Ohm.cm²;Z''/Ohm.cm²\n" + table("{f:.9g};{re:.9g};{im:.9g}")
    assert read_spectrum(written(tmp_path, text)).normalised
