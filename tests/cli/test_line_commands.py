"""``sorby line run`` and ``sorby line budget`` as scripts see them."""

from __future__ import annotations

import io
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from PIL import Image

from sorby.cli._frame import run
from sorby.cli.line import line
from webs import Brightest, Pixels, dot, web


class Cli:
    """Runs the command group and checks exit codes."""

    def __init__(self, capture: pytest.CaptureFixture[str]) -> None:
        self._capture = capture
        self.err = ""

    def __call__(self, *arguments: object, code: int = 0) -> str:
        self._capture.readouterr()
        found = run(line, [str(each) for each in arguments])
        out, self.err = self._capture.readouterr()
        assert found == code, f"exit code {found}\n{out}\n{self.err}"
        return out

    def json(self, *arguments: object, code: int = 0) -> dict[str, Any]:
        value: dict[str, Any] = json.loads(self(*arguments, "--json", code=code))
        return value

    def refused(self, *arguments: object) -> str:
        assert self(*arguments, code=2) == ""
        lines = self.err.strip().splitlines()
        assert [part.partition(":")[0] for part in lines[-2:]] == ["error", "hint"]
        assert "Traceback" not in self.err
        return lines[-2]


@pytest.fixture
def cli(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Cli:
    """The commands with a detector that needs no bundle."""

    def opened(_bundle: object, width: int, request: Any, **_: object) -> tuple[Brightest, dict[str, Any]]:
        return Brightest(width=-(-width // 32) * 32, rows=request.rows), {"bundle_sha256": "none"}

    monkeypatch.setattr("sorby.workflow.line.open_scorer", opened)
    monkeypatch.setattr("sorby.workflow.line_budget.open_scorer", opened)
    return Cli(capsys)


def _web() -> Pixels:
    pixels = web(600, 256)
    dot(pixels, 200, 96, 16)
    dot(pixels, 400, 160, 16)
    return pixels


def _folder(place: Path) -> list[Path]:
    place.mkdir()
    files = [place / f"strip_{k:03d}.png" for k in range(12)]
    for k, file in enumerate(files):
        Image.fromarray(_web()[50 * k : 50 * k + 50]).save(file)
    return files


def test_a_folder_gives_what_the_contract_says(cli: Cli, tmp_path: Path) -> None:
    _folder(tmp_path / "web")
    result = cli.json(
        "run", "web.sorby", tmp_path / "web", "--pixel-size-um", 50, "--out", tmp_path / "roll", "--rows", 96
    )
    assert result["defects"] == 2
    assert result["dropped"] == 0
    assert result["m_per_min"] > 0
    assert result["mpix_per_s"] > 0
    written = {path.name for path in (tmp_path / "roll").iterdir()}
    assert {"roll_map.csv", "roll_map.geojson", "roll_map.html", "alarms.csv", "line.json", "crops"} <= written


def test_a_bad_strip_is_set_aside_with_exit_code_3(cli: Cli, tmp_path: Path) -> None:
    files = _folder(tmp_path / "web")
    files[10].write_bytes(b"torn")
    result = cli.json(
        "run", "b", tmp_path / "web", "--pixel-size-um", 50, "--out", tmp_path / "roll", "--rows", 96, code=3
    )
    assert result["defects"] == 2
    assert [Path(entry["file"]).name for entry in result["quarantined"]] == ["strip_010.png"]
    assert result["gaps"][0]["length_mm"] == 2.5
    assert "quarantined" in cli.err


def test_a_stream_on_standard_input(cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def feed(data: bytes) -> None:
        monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=io.BytesIO(data)))

    common = ("--pixel-size-um", 50, "--rows", 96, "--dtype", "uint8")
    feed(_web().tobytes())
    assert cli.json("run", "b", "-", "--width", 256, *common, "--out", tmp_path / "a")["defects"] == 2
    feed(_web().tobytes()[: 256 * 410 + 100])  # cut off within the second defect, and within a line
    result = cli.json("run", "b", "-", "--width", 256, *common, "--out", tmp_path / "b")
    assert result["defects"] == 2
    assert result["metres"] == pytest.approx(410 * 50e-6)
    assert any("cut off, or --width is wrong" in text for text in result["warnings"])
    feed(b"")
    assert "before the first line" in cli.refused("run", "b", "-", "--width", 256, *common, "--out", tmp_path / "c")
    assert "how wide" in cli.refused("run", "b", "-", *common, "--out", tmp_path / "d")


def test_people_read_what_was_found(cli: Cli, tmp_path: Path) -> None:
    _folder(tmp_path / "web")
    out = cli("run", "b", tmp_path / "web", "--pixel-size-um", 50, "--out", tmp_path / "roll", "--rows", 96)
    assert "2 defects (0 severe) on 0.03 m of 0.03 m" in out
    assert "0 strips dropped" in out


def test_requests_that_cannot_be_met(cli: Cli, tmp_path: Path) -> None:
    common = ("--pixel-size-um", 50, "--out", tmp_path / "roll")
    assert "no such file" in cli.refused("run", "b", tmp_path / "absent", *common)
    (tmp_path / "empty").mkdir()
    assert "holds no images" in cli.refused("run", "b", tmp_path / "empty", *common)
    assert "multiple of 32" in cli.refused("run", "b", tmp_path / "empty", *common, "--rows", 100)
    assert "--min-period-mm" in cli.refused("run", "b", tmp_path / "empty", *common, "--min-period-mm", 5000)
    raw = tmp_path / "web.raw"
    _web().tofile(raw)
    assert "no whole number of lines" in cli.refused("run", "b", raw, *common, "--width", 250)
    assert "Missing option" in cli.refused("run", "b", raw, "--out", tmp_path / "roll")


def test_the_budget_of_the_paper(cli: Cli) -> None:
    arguments = ("budget", "--sheet", "8x11in", "--sheets", 4, "--tiles", 4181, "--pixel-size-um", 34)
    result = cli.json(
        *arguments, "--speed", "10 ft/min", "--measured-n", "72,324,900", "--measured-s", "1.09,3.99,10.78"
    )
    assert result["need"]["seconds"] == pytest.approx(22.0)
    assert result["need"]["ms_per_tile"] == pytest.approx(5.26, abs=0.005)
    assert result["model"]["seconds"] == pytest.approx(49, abs=1)
    assert "5.26 ms a tile = 190 tiles/s" in cli(*arguments, "--m-per-min", 3.048)


def test_the_budget_measures_this_machine(cli: Cli) -> None:
    result = cli.json(
        "budget", "--width-mm", 12.8, "--height-mm", 20, "--pixel-size-um", 50, "--m-per-min", 1, "--bundle", "b",
        "--rows", 96,
    )  # fmt: skip
    assert result["machine"]["mpix_per_s"] > 0
    assert result["holds"] in (True, False)


def test_a_budget_needs_one_size_and_one_speed(cli: Cli) -> None:
    assert "wanted once" in cli.refused("budget", "--pixel-size-um", 34, "--speed", "10 ft/min")
    assert "one side" in cli.refused("budget", "--pixel-size-um", 34, "--speed", "10 ft/min", "--width-mm", 5)
    sheet = ("budget", "--pixel-size-um", 34, "--sheet", "8x11in")
    assert "wanted once" in cli.refused(*sheet)
    assert "no speed" in cli.refused(*sheet, "--speed", "fast")
    assert "commas" in cli.refused(*sheet, "--m-per-min", 3, "--measured-n", "1;2")
    assert "values of --measured-n" in cli.refused(*sheet, "--m-per-min", 3, "--measured-n", "1,2")
