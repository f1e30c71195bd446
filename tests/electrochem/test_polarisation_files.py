"""Polarisation files of several makers: what they hold, in which units, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest

from polarisation_sweeps import synthetic_sweep, write_columns
from sorby.electrochem.polarisation_files import read_polarisation
from sorby.electrochem.polarisation_tables import unit_of
from sorby.errors import InputError

SWEEP = synthetic_sweep(low_v=-0.6, high_v=-0.4)
ANODIC = "anodic-positive"


def _agrees(curve):
    np.testing.assert_allclose(curve.potential_v, SWEEP.potential_v, atol=1e-6)
    np.testing.assert_allclose(curve.current, SWEEP.density_a_cm2, rtol=1e-5)


def _rows(template):
    pairs = zip(SWEEP.potential_v, SWEEP.density_a_cm2, strict=True)
    return "".join(template.format(k=k, v=volt, a=amp, ma=1e3 * amp) for k, (volt, amp) in enumerate(pairs))


GAMRY = (
    "EXPLAIN\nTAG\tPOTENTIODYNAMIC\nAREA\tQUANT\t5.00000E-001\tSample &Area (cm^2)\n"
    "DENSITY\tQUANT\t7.87000E+000\tDensity\nEQUIV\tQUANT\t2.79200E+001\tEquiv. Wt\n"
    "CONVENTION\tIQUANT\t{convention}\tCurrent Convention\n{aborted}CURVE\tTABLE\t200\n"
    "\tPt\tT\tVf\tIm\tVu\tSig\tAch\tIERange\n\t#\ts\tV vs. Ref.\tA\tV\tV\tV\t#\n"
)
GAMRY_ROW = "\t{k}\t{k}.5\t{v:.6E}\t{a:.8E}\t0\t0\t0\t5\n"


def test_gamry(tmp_path):
    file = tmp_path / "curve.DTA"
    file.write_text(GAMRY.format(convention=1, aborted="") + _rows(GAMRY_ROW))
    curve = read_polarisation(file)
    _agrees(curve)
    assert (curve.format, curve.area_mm2) == ("Gamry DTA", 50.0)
    assert (curve.equivalent_weight, curve.density_g_cm3) == (27.92, 7.87)
    assert curve.current_unit.source == curve.sign.source == "file"


def test_an_aborted_gamry_file_says_so(tmp_path):
    file = tmp_path / "curve.DTA"
    aborted = "EXPERIMENTABORTED\tTOGGLE\tT\tExperiment Aborted\n"
    file.write_text(GAMRY.format(convention=1, aborted=aborted) + _rows(GAMRY_ROW))
    assert any("aborted" in note for note in read_polarisation(file).notes)


@pytest.mark.parametrize("lines", range(4, 9))
def test_a_gamry_file_cut_off_above_its_currents_says_so(tmp_path, lines):
    file = tmp_path / "curve.DTA"
    whole = GAMRY.format(convention=1, aborted="EXPERIMENTABORTED\tTOGGLE\tT\tExperiment Aborted\n")
    file.write_text("".join(whole.splitlines(keepends=True)[:lines]))
    with pytest.raises(InputError) as caught:
        read_polarisation(file)
    assert caught.value.hint


def test_a_gamry_impedance_file_is_sent_elsewhere(tmp_path):
    file = tmp_path / "eis.DTA"
    file.write_text("EXPLAIN\nTAG\tEISPOT\nZCURVE\tTABLE\n")
    with pytest.raises(InputError, match="CURVE") as caught:
        read_polarisation(file)
    assert "electro eis" in caught.value.hint


def test_biologic_milliamperes_with_decimal_commas(tmp_path):
    header = "EC-Lab ASCII FILE\nNb header lines : 4\nElectrode surface area : 0,500 cm2\n"
    rows = _rows("{k}\t{v:.6f}\t{ma:.8e}\n").replace(".", ",")
    file = tmp_path / "curve.mpt"
    file.write_bytes((header + "mode\tEwe/V\t<I>/mA\n" + rows).encode("cp1252"))
    curve = read_polarisation(file)
    _agrees(curve)
    assert (curve.area_mm2, curve.sign.source, curve.current_unit.value) == (50.0, "format", "mA")
    assert "decimal commas" in curve.notes


def test_chi_does_not_state_its_sign(tmp_path):
    header = "Feb. 20, 2020   15:55:08\nTafel Plot\nInstrument Model:  CHI604D\nScan Rate (V/s) = 0.001\n\n"
    file = tmp_path / "curve.txt"
    file.write_text(header + "Potential/V, Current/A\n\n" + _rows("{v:.6f}, {a:.8e}\n"))
    with pytest.raises(InputError, match="anodic or cathodic"):
        read_polarisation(file)
    curve = read_polarisation(file, sign=ANODIC)
    _agrees(curve)
    assert (curve.format, curve.sign.source) == ("CH Instruments", "option")
    np.testing.assert_array_equal(read_polarisation(file, sign="cathodic-positive").current, -curve.current)


def test_versastudio(tmp_path):
    head = "<Application>\nName=VersaStudio\n</Application>\nWorking Electrode Area (cm2)=0.5\n<Segment1>\n"
    names = "Definition=Segment #, Point #, E(V), I(A), Elapsed Time(s), Current Range, E Applied(V)\n"
    file = tmp_path / "curve.par"
    file.write_text(head + names + _rows("0,{k},{v:.6f},{a:.8E},1.0,5,0\n") + "</Segment1>\n")
    curve = read_polarisation(file, sign=ANODIC)
    _agrees(curve)
    assert (curve.columns, curve.area_mm2) == (("E(V)", "I(A)"), 50.0)


def test_corrware_sets_titles_apart_by_two_tabs_and_numbers_by_one(tmp_path):
    head = "CORRW ASCII\n  CorrWare for Windows\n      Surface Area:           0.5\nE(V)\t\ti(A/cm^2)\t\tT(s)\n"
    file = tmp_path / "curve.cor"
    file.write_text(head + "End Comments\n" + _rows("{v:.5E}\t{a:.8E}\t{k}.0\n"))
    curve = read_polarisation(file, sign=ANODIC)
    _agrees(curve)
    assert (curve.format, curve.per_area, curve.area_mm2) == ("CorrWare", True, 50.0)
    file.write_text(head)
    with pytest.raises(InputError, match="ends within its comments"):
        read_polarisation(file, sign=ANODIC)


def test_doubled_tabs_between_titles_do_not_shift_columns(tmp_path):
    file = tmp_path / "doubled.txt"
    file.write_text("E (V)\t\tI (A)\t\tt (s)\n" + _rows("{v:.6f}\t{a:.8E}\t{k}\n"))
    _agrees(read_polarisation(file, sign=ANODIC))


def test_powersuite_and_parstat_tables_are_read_by_their_titles(tmp_path):
    for names in ("Potential (V)\tCurrent (A)\tElapsed Time (s)", "Vf (V vs. Ref.)\tIm (A)\tT (s)"):
        file = tmp_path / "export.txt"
        file.write_text(names + "\r\r\n" + _rows("{v:.6f}\t{a:.8E}\t{k}\r\r\n"))
        _agrees(read_polarisation(file, sign=ANODIC))


def test_measured_potentials_are_taken_before_applied_ones(tmp_path):
    file = tmp_path / "autolab.txt"
    names = "Potential applied (V);Time (s);WE(1).Current (A);WE(1).Potential (V)\n"
    file.write_text(names + _rows("9.0;{k};{a:.8E};{v:.6f}\n"))
    curve = read_polarisation(file, sign=ANODIC)
    _agrees(curve)
    assert curve.columns == ("WE(1).Potential (V)", "WE(1).Current (A)")


@pytest.mark.parametrize("comma", [False, True])
def test_plain_columns(tmp_path, comma):
    file = write_columns(tmp_path / "plain.txt", SWEEP, header="", comma=comma)
    curve = read_polarisation(file, potential_unit="V", current_unit="A", sign=ANODIC)
    _agrees(curve)
    assert ("decimal commas" in curve.notes) == comma


def test_comments_blank_lines_and_words_among_the_numbers(tmp_path):
    file = write_columns(tmp_path / "plain.txt", SWEEP, header="")
    lines = file.read_text().splitlines()
    file.write_text("\n".join(["# 1 M H2SO4", *lines[:50], "", "% range changed", "overload", *lines[50:]]))
    curve = read_polarisation(file, potential_unit="V", current_unit="A", sign=ANODIC)
    _agrees(curve)
    assert any("1 lines" in note for note in curve.notes)


def test_a_missing_first_cell_does_not_shift_its_row(tmp_path):
    file = tmp_path / "gap.txt"
    lines = ["Time (s)\tPotential (V)\tCurrent (A)"]
    lines += [f"{second}\t{volt}\t1e-5" for second, volt in enumerate((0.1, 0.2, 0.3))]
    file.write_text("\n".join([*lines, "\t0.4\t1e-5"]))
    np.testing.assert_allclose(read_polarisation(file, sign=ANODIC).potential_v, [0.1, 0.2, 0.3, 0.4])
    file.write_text("\n".join([*lines, "0.4\t1e-5"]))  # nobody can tell which cell is gone
    curve = read_polarisation(file, sign=ANODIC)
    np.testing.assert_allclose(curve.potential_v, [0.1, 0.2, 0.3])
    assert any("left out" in note for note in curve.notes)


def test_silence_about_units_is_an_error_without_a_fallback(tmp_path):
    file = write_columns(tmp_path / "plain.txt", SWEEP, header="")
    with pytest.raises(InputError, match="does not state its unit"):
        read_polarisation(file)
    curve = read_polarisation(file, fallback=("V", "A", ANODIC))
    assert {curve.potential_unit.source, curve.current_unit.source, curve.sign.source} == {"default"}


def test_a_column_name_without_its_unit_is_an_error_even_with_a_fallback(tmp_path):
    file = write_columns(tmp_path / "named.txt", SWEEP, header="Potential (V)\tCurrent")
    with pytest.raises(InputError, match="unit of current") as caught:
        read_polarisation(file, fallback=("V", "A", ANODIC))
    assert "--current-unit" in caught.value.hint


def test_a_person_overrules_a_wrong_label(tmp_path):
    """Milliamperes under a label of amperes cannot be told from the file; who knows can say so."""
    file = write_columns(tmp_path / "mislabelled.txt", SWEEP, area_cm2=1e3)
    curve = read_polarisation(file, current_unit="mA", sign=ANODIC)
    _agrees(curve)
    assert any("file says A" in note for note in curve.notes)


def test_current_densities_need_no_area(tmp_path):
    file = write_columns(tmp_path / "density.txt", SWEEP, header="E (V vs SCE)\tj (mA/cm2)", area_cm2=1e3)
    curve = read_polarisation(file, sign=ANODIC)
    assert curve.per_area
    _agrees(curve)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "empty"),
        ("no numbers here\nat all\n", "no table"),
        ("-0.5\n-0.4\n", "no table"),
        ("Potential (V)\tlog(i/A)\n-0.5\t-5\n-0.4\t-6\n", "lost its sign"),
        ("-0,5,1,2\n-0,4,1,3\n", "commas separate both"),
        ("E (V),i (A)\n-0,5,1,2e-5\n-0,4,1,3e-5\n", "commas separate both"),
        ("t (s),E (V),i (A)\n0,-0,5,1,2e-5\n1,-0,4,1,3e-5\n", "commas separate both"),
        ("E (V)\ti (A)\n-0,5\t1.2e-5\n-0,4\t1.3e-5\n", "side by side"),
        ("Frequency\tZre\tZimg\n0.1\t42\t-4\n0.2\t40\t-4\n", "no column of potential"),
        ("1 2 3 4 5\n1 2 3 4 5\n", "without names"),
    ],
)
def test_what_cannot_be_read_is_told_in_one_line(tmp_path, text, message):
    file = tmp_path / "bad.txt"
    file.write_text(text)
    with pytest.raises(InputError, match=message) as caught:
        read_polarisation(file, fallback=("V", "A", ANODIC))
    assert str(file) in caught.value.message
    assert "\n" not in caught.value.message
    assert caught.value.hint


def test_a_binary_file_is_refused(tmp_path):
    file = tmp_path / "curve.bin"
    file.write_bytes(b"\x00\x01\x02" * 100)
    with pytest.raises(InputError, match="binary"):
        read_polarisation(file)


@pytest.mark.parametrize(
    ("name", "unit"),
    [
        ("Current density (\u00b5A cm-2)", ("uA", "cm2")),
        ("i (A.cm-2)", ("A", "cm2")),
        ("E / V vs. SCE", ("V", "")),
        ("E vs SCE (mV)", ("mV", "")),
        ("<I>/mA", ("mA", "")),
        ("j (A/m2)", ("A", "m2")),
        ("E(Volts)", ("V", "")),
        ("I(Amps)", ("A", "")),
        ("Current", ("", "")),
    ],
)
def test_units_in_column_names(name, unit):
    assert unit_of(name) == unit


@pytest.mark.realdata
def test_every_real_file_is_read(real_data):
    rows = {}
    for file in sorted((real_data / "pdp").glob("*.txt")):
        curve = read_polarisation(file, fallback=("V", "A", ANODIC))
        rows[file.stem] = len(curve.potential_v)
        assert np.all(np.isfinite(curve.potential_v))
        assert np.all(np.isfinite(curve.current))
    assert len(rows) == 7
    assert rows["1018MS_1M_H2SO4_Cathodic_Anodic"] == 523
    assert rows["304SS_1M_H2SO4_Anodic"] == 3155
