"""``sorby anomaly`` as scripts see it: contract keys, exit codes 0, 2 and 3, refusals of one line and a hint."""

from __future__ import annotations

import csv
import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from sorby.cli import cli as root
from sorby.cli._frame import run

SIZE = 64
SMALL = ("--set", f"image.height={SIZE}", "--set", f"image.width={SIZE}", "--set", "features.count=12",
         "--set", "grid.stride=8")  # fmt: skip

Grey = npt.NDArray[np.uint8]


class Cli:
    """Runs command lines in this process."""

    def __init__(self, capture: pytest.CaptureFixture[str]) -> None:
        self._capture = capture
        self.err = ""

    def __call__(self, *arguments: object, code: int = 0) -> str:
        self._capture.readouterr()
        found = run(root, ["anomaly", *(str(each) for each in arguments)])
        out, self.err = self._capture.readouterr()
        assert found == code, f"exit code {found}\n{out}\n{self.err}"
        return out

    def json(self, *arguments: object, code: int = 0) -> dict[str, Any]:
        value: dict[str, Any] = json.loads(self(*arguments, "--json", code=code))
        return value

    def refused(self, *arguments: object) -> str:
        """Return the message of a refusal: nothing on stdout, an error line, a hint line, no traceback."""
        assert self(*arguments, code=2) == ""
        lines = self.err.strip().splitlines()
        assert [part.partition(":")[0] for part in lines[-2:]] == ["error", "hint"], self.err
        assert "Traceback" not in self.err
        return lines[-2]


def grain(rng: np.random.Generator) -> Grey:
    return np.clip(rng.normal(128, 8, (SIZE, SIZE)), 0, 255).astype(np.uint8)


def write_good(folder: Path, n: int, seed: int) -> Path:
    """Write noise in names of four specimens: s0-00.png, s1-01.png ..."""
    rng = np.random.default_rng(seed)
    folder.mkdir(parents=True)
    for k in range(n):
        Image.fromarray(grain(rng)).save(folder / f"s{k % 4}-{seed}{k:02d}.png")
    return folder


def write_bad(folder: Path, masks: Path, n: int) -> None:
    """Write noise with a bright square each, and the square as mask."""
    rng = np.random.default_rng(9)
    folder.mkdir()
    masks.mkdir()
    for k in range(n):
        pixels, mask = grain(rng), np.zeros((SIZE, SIZE), np.uint8)
        y, x = rng.integers(12, 40, 2)
        pixels[y : y + 12, x : x + 12] = 250
        mask[y : y + 12, x : x + 12] = 255
        Image.fromarray(pixels).save(folder / f"bad{k}.png")
        Image.fromarray(mask).save(masks / f"bad{k}.png")


@dataclass(frozen=True)
class Place:
    """Folders and a bundle that all tests share; nobody may change them."""

    good: Path
    fresh: Path
    bad: Path
    masks: Path
    bundle: Path
    fitted: dict[str, Any]


@pytest.fixture
def cli(capsys: pytest.CaptureFixture[str]) -> Cli:
    return Cli(capsys)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    folder = tmp_path_factory.mktemp("anomaly")
    good = write_good(folder / "good", 28, seed=0)
    fresh = write_good(folder / "fresh", 8, seed=1)
    write_bad(folder / "bad", folder / "masks", 4)
    bundle = folder / "fitted.sorby"
    with pytest.MonkeyPatch.context() as patch:
        out: list[str] = []
        patch.setattr("click.echo", lambda text="", **_: out.append(str(text)))
        code = run(root, ["anomaly", "fit", str(good), "--out", str(bundle), "--json", "--seed", "3",
                          "--false-alarm-rate", "0.2", "--specimen-pattern", r"(s\d)-", *SMALL])  # fmt: skip
    assert code == 0, out
    fitted = next(json.loads(text) for text in out if text.startswith("{"))
    return Place(good, fresh, folder / "bad", folder / "masks", bundle, fitted)


def table(file: Path) -> list[dict[str, str]]:
    with file.open(encoding="utf-8", newline="") as rows:
        return list(csv.DictReader(rows))


def test_a_fit_tells_its_threshold_and_holds_whole_specimens_out(place: Place):
    result = place.fitted
    assert {"bundle", "threshold", "tiles_per_s", "n_images", "n_calibration", "calibration", "warnings"} <= set(result)
    assert (result["n_images"], result["n_calibration"]) == (21, 7)  # one specimen of four
    assert result["calibration"]["rule"] == "split"
    assert result["calibration"]["false_alarm_rate"] == 0.2
    assert place.bundle.is_file()


def test_scores_and_findings_have_the_columns_that_scripts_read(cli: Cli, place: Place, tmp_path: Path):
    out = tmp_path / "scores"
    result = cli.json("score", place.bundle, place.bad, place.fresh, "--out", out, "--pixel-size-um", 34, "--maps")
    assert {"scores", "findings", "threshold", "tiles_per_s", "anomalous", "n", "meaning"} <= set(result)
    rows = table(out / "scores.csv")
    assert list(rows[0])[:4] == ["image", "score", "threshold", "anomalous"]
    assert len(rows) == result["n"] == 12
    assert all(row["anomalous"] == "true" for row in rows if "bad" in Path(row["image"]).name)
    assert all((float(row["score"]) >= float(row["threshold"])) == (row["anomalous"] == "true") for row in rows)
    findings = table(out / "findings.csv")
    assert list(findings[0])[:8] == ["image", "x", "y", "w", "h", "label", "score", "area_um2"]
    assert all(float(row["area_um2"]) > 0 for row in findings)
    assert len(list((out / "maps").iterdir())) == 12
    assert cli.refused("score", place.bundle, place.bad, "--out", out).endswith("scores.csv: exists")


def test_an_evaluation_gives_the_figures_of_images_pixels_and_regions(cli: Cli, place: Place, tmp_path: Path):
    result = cli.json("evaluate", place.bundle, "--good", place.fresh, "--bad", place.bad, "--masks", place.masks,
                      "--fpr-limit", 0.3, "--specimen-pattern", r"(s\d|bad\d)", "--out", tmp_path)  # fmt: skip
    assert {"image_auroc", "pixel_auroc", "pro_auc", "threshold", "tiles_per_s", "at_threshold"} <= set(result)
    for name in ("image_auroc", "pixel_auroc", "pro_auc"):
        assert {"value", "ci95", "n"} <= set(result[name])
        assert 0.9 < result[name]["value"] <= 1  # a square of 12 px at 15 deviations of the noise
    assert (tmp_path / "evaluation.json").is_file()
    without = cli.json("evaluate", place.bundle, "--good", place.fresh, "--bad", place.bad)
    assert without["pixel_auroc"] is None
    assert any("no masks" in line for line in without["warnings"])


def test_an_update_tells_what_came_and_what_went(cli: Cli, place: Place, tmp_path: Path):
    out = tmp_path / "more.sorby"
    added = cli.json("update", place.bundle, "--add", place.fresh, "--out", out)
    assert (added["n_images"], added["added"], added["removed"]) == (29, 8, 0)
    removed = cli.json("update", out, "--remove", place.fresh)
    assert (removed["n_images"], removed["removed"]) == (21, 8)
    assert removed["threshold"] == pytest.approx(place.fitted["threshold"], rel=0.02)  # sums in another order, bf16


def test_people_read_the_promise_and_what_a_score_is(cli: Cli, place: Place, tmp_path: Path):
    text = cli("score", place.bundle, place.fresh, "--out", tmp_path)
    assert "promise" in text
    assert "standard deviations of the good ones" in text
    assert "exchangeable" in text


def test_a_damaged_image_among_good_ones_is_set_aside_with_exit_code_3(cli: Cli, place: Place, tmp_path: Path):
    images = tmp_path / "images"
    shutil.copytree(place.fresh, images)
    (images / "broken.png").write_bytes(next(place.fresh.iterdir()).read_bytes()[:60])
    result = cli.json("score", place.bundle, images, "--out", tmp_path / "scores", code=3)
    assert [Path(entry["file"]).name for entry in result["quarantined"]] == ["broken.png"]
    assert result["n"] == 8
    assert "broken.png" in cli.err


def test_a_mask_of_another_size_sets_its_image_aside(cli: Cli, place: Place, tmp_path: Path):
    masks = tmp_path / "masks"
    shutil.copytree(place.masks, masks)
    Image.new("L", (SIZE, SIZE + 4), 255).save(masks / "bad0.png")
    result = cli.json("evaluate", place.bundle, "--good", place.fresh, "--bad", place.bad, "--masks", masks, code=3)
    assert "64 x 68 px" in result["quarantined"][0]["reason"]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["fit", "{empty}"], "holds no good images"),
        (["fit", "{absent}"], "absent"),
        (["fit", "{good}", "--false-alarm-rate", "0.01", *SMALL], "99 are needed"),
        (["fit", "{good}", "--false-alarm-rate", "0.7"], "0.7"),
        (["fit", "{good}", "--set", "density.kind=median"], "density.kind"),
        (["fit", "{good}", "--recipe", "no-such-recipe"], "no-such-recipe"),
        (["fit", "{good}", "--bad", "{bad}"], "belong together"),
        (["fit", "{good}", "--specimen-pattern", r"s\d"], "no group"),
        (["score", "{absent}", "{good}"], "absent"),
        (["score", "{bundle}", "{absent}"], "absent"),
        (["update", "{bundle}"], "nothing to add"),
        (["update", "{bundle}", "--remove", "{bad}"], "does not know"),
    ],
)
def test_what_cannot_be_done_is_refused_in_one_line(
    cli: Cli, place: Place, tmp_path: Path, given: list[str], said: str
):
    (tmp_path / "empty").mkdir()
    known = {"empty": tmp_path / "empty", "absent": tmp_path / "absent", "good": place.good, "bad": place.bad,
             "bundle": place.bundle}  # fmt: skip
    arguments = [known[text[1:-1]] if text.startswith("{") else text for text in given]
    assert said in cli.refused(*arguments, "--out", tmp_path / "out")


def test_what_stands_already_is_not_overwritten(cli: Cli, place: Place):
    assert "exists" in cli.refused("fit", place.good, "--out", place.bundle, *SMALL)
