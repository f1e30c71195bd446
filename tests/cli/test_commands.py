"""The command line as scripts see it: one JSON object, two-line errors, fixed exit codes."""

from __future__ import annotations

import json
import math
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import click
import numpy as np
import pandas as pd
import pytest
from PIL import Image

from sorby.cli import cli
from sorby.cli._frame import finite, overrides, run
from sorby.cli.corpus import _show_audit
from sorby.cli.train import _over_folds, _show_train
from sorby.errors import InputError
from textures import CLASSES, Trained, texture, write_folder

SMALL = ("--set", "image.height=64", "--set", "image.width=64")
COLUMNS = ("--image", "picture", "--label", "structure", "--group", "piece")


class Cli:
    """Runs command lines in this process."""

    def __init__(self, capture: pytest.CaptureFixture[str]) -> None:
        self._capture = capture
        self.err = ""

    def __call__(self, *arguments: object, code: int = 0) -> str:
        self._capture.readouterr()
        found = run(cli, [str(each) for each in arguments])
        out, self.err = self._capture.readouterr()
        assert found == code, f"exit code {found}\n{out}\n{self.err}"
        return out

    def json(self, *arguments: object, code: int = 0) -> dict[str, Any]:
        """Return the one object on stdout."""
        out = self(*arguments, "--json", code=code)
        value: dict[str, Any] = json.loads(out, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))
        assert isinstance(value, dict)
        return value

    def refused(self, *arguments: object) -> str:
        """Return the message of a refusal: exit code 2, an error line, a hint line, nothing on stdout."""
        assert self(*arguments, code=2) == ""
        lines = self.err.strip().splitlines()
        assert [line.partition(":")[0] for line in lines[-2:]] == ["error", "hint"], self.err
        assert "Traceback" not in self.err
        assert lines[-1] != "hint: "
        return lines[-2]


@pytest.fixture
def sorby(capsys: pytest.CaptureFixture[str]) -> Cli:
    return Cli(capsys)


# -- the frame --------------------------------------------------------------------------------------------


def _all_commands(group: click.Command, path: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    if not isinstance(group, click.Group):
        return [path]
    context = click.Context(group)
    found = [] if not path else [path]
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        found += _all_commands(command, (*path, name))
    return found


@pytest.mark.parametrize("path", _all_commands(cli), ids=" ".join)
def test_every_command_helps_with_an_example(sorby: Cli, path: tuple[str, ...]) -> None:
    out = sorby(*path, "--help")
    assert f"Example: sorby {path[0]}" in " ".join(out.split())
    if "COMMAND" not in out:
        assert "--json" in out
        assert "--debug" in out


def test_the_contracts_commands_are_there() -> None:
    names = set(cli.list_commands(click.Context(cli)))
    contract = "doctor demo phantom corpus train crossval weights evaluate inspect bundle key"
    assert names >= set(contract.split())


@pytest.mark.parametrize(
    "arguments",
    [
        ("trian",),
        ("train",),
        ("train", "x"),
        ("train", "x", "--out", "y", "--device", "tpu"),
        ("inspect", "--nonsense"),
    ],
)
def test_wrong_usage_is_two_lines_and_exit_2(sorby: Cli, arguments: tuple[str, ...]) -> None:
    assert sorby.refused(*arguments).startswith("error: ")


def test_no_command_at_all_shows_the_help(sorby: Cli) -> None:
    assert sorby(code=2) == ""
    assert "Commands:" in sorby.err
    assert sorby.err.splitlines()[-2] == "error: no command given"


def test_doctor_says_what_is_here(sorby: Cli) -> None:
    found = sorby.json("doctor")
    assert isinstance(found["version"], str)
    assert found["devices"][0]["device"] == "cpu"
    assert "efficientnet_lite0" in {row["name"] for row in found["weights"]}
    assert "devices" in sorby("doctor")


def test_numbers_that_json_has_not_become_null() -> None:
    value = {"a": np.float32("nan"), "b": [np.int64(3), math.inf], "c": Path("x"), 4: (np.bool_(True),)}
    assert finite(value) == {"a": None, "b": [3, None], "c": "x", "4": [True]}
    json.dumps(finite({"name": "Schliff_\udcfc.png"}), ensure_ascii=False).encode("utf-8")


def test_settings_are_field_and_value() -> None:
    assert overrides(["a.b=c=d", "e= f"]) == {"a.b": "c=d", "e": " f"}
    with pytest.raises(InputError, match=r"section\.field=value"):
        overrides(["a.b"])


class _Broken(click.Command):
    def __init__(self, error: BaseException) -> None:
        super().__init__("broken", params=[])
        self.error = error

    def invoke(self, ctx: click.Context) -> Any:
        raise self.error


def test_a_fault_of_ours_is_exit_1_and_an_interruption_130(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(_Broken(ZeroDivisionError("division by zero")), []) == 1
    err = capsys.readouterr().err
    assert "a fault of sorby itself: ZeroDivisionError" in err
    assert "hint: repeat with --debug" in err
    assert "Traceback" not in err
    assert run(_Broken(KeyboardInterrupt()), []) == 130
    assert "resumes with the same command" in capsys.readouterr().err


def test_debug_shows_the_traceback(sorby: Cli, tmp_path: Path) -> None:
    command = ("evaluate", tmp_path / "no.sorby", tmp_path)
    sorby(*command, code=2)
    assert "Traceback" not in sorby.err
    sorby(*command, "--debug", code=2)
    assert "Traceback" in sorby.err
    assert sorby.err.strip().splitlines()[-1].startswith("hint: ")
    sorby(*command, code=2)
    assert "Traceback" not in sorby.err, "one command's --debug is not the next one's"


# -- train, crossval --------------------------------------------------------------------------------------


def _without_report(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sorby.workflow.training._report", lambda *_: None)
    monkeypatch.setattr("sorby.workflow.training._crossval_report", lambda *_: None)


@pytest.fixture
def reportless(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reports have tests of their own and take a while."""
    _without_report(monkeypatch)


@pytest.mark.usefixtures("reportless")
def test_train_on_a_folder_per_class(sorby: Cli, class_folders: Path, tmp_path: Path) -> None:
    found = sorby.json("train", class_folders, "--out", tmp_path / "run", *SMALL, "--seed", 5)
    assert Path(found["bundle"]).is_file()
    assert isinstance(found["seconds"], float)
    test = found["test"]
    assert all(isinstance(test[name], float) for name in ("accuracy", "macro_f1"))
    assert isinstance(test["n"], int)
    assert len(test["ci95"]["accuracy"]) == 2
    assert json.loads((tmp_path / "run" / "run.json").read_text())["recipe"]["seed"] == 5
    assert "holds a finished run" in sorby.refused("train", class_folders, "--out", tmp_path / "run")


@pytest.mark.usefixtures("reportless")
def test_crossval_on_a_table_with_specimens(sorby: Cli, trained: Trained, tmp_path: Path) -> None:
    found = sorby.json("crossval", trained.data, "--out", tmp_path / "cv", "--folds", 3, *COLUMNS, *SMALL)
    assert (found["folds"], found["grouped"]) == (3, True)
    for name in ("accuracy", "macro_f1"):
        entry = found[name]
        assert isinstance(entry["mean"], float)
        assert isinstance(entry["sd"], float)
        assert len(entry["ci95"]) == 2
    assert "fold 2: accuracy" in sorby.err


def test_people_see_figures_with_intervals(trained: Trained) -> None:
    shown = _show_train({**trained.result, "warnings": ["specimens are unknown"]})
    assert f"accuracy  {100 * trained.result['test']['accuracy']:.2f} %" in shown
    assert "95 % CI" in shown
    assert "note      specimens are unknown" in shown


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--recipe", "nothing"), "no recipe nothing"),
        (("--set", "head.fold=3"), "head.fold"),
        (("--set", "head.folds"), "section.field=value"),
        (("--set", "backbone.name=efficientnet_lite"), "no backbone named"),
        (("--set", "backbone.name=resnet18.a1_in1k"), "no pretrained weights"),
        (("--set", "regime=finetune", "--set", "backbone.name=vit_tiny_patch16_224", "--set", "image.height=65"), ""),
    ],
)
def test_impossible_recipes_are_refused(
    sorby: Cli, class_folders: Path, tmp_path: Path, arguments: tuple[str, ...], said: str
) -> None:
    assert said in sorby.refused("train", class_folders, "--out", tmp_path / "run", *arguments)
    assert not (tmp_path / "run" / "run.json").exists()


# -- evaluate ---------------------------------------------------------------------------------------------


def test_evaluate_gives_every_metric_with_its_interval(sorby: Cli, trained: Trained, tmp_path: Path) -> None:
    fresh = write_folder(tmp_path / "fresh", per_class=6, seed=99)
    found = sorby.json("evaluate", trained.bundle, fresh, "--out", tmp_path / "out")
    for name in ("accuracy", "macro_f1", "cohen_kappa"):
        assert isinstance(found[name]["value"], float)
        assert len(found[name]["ci95"]) == 2
        assert found[name]["n"] == 18
    assert set(found["per_class"]) == set(CLASSES)
    assert {"ece", "brier"} <= set(found["calibration"])
    assert isinstance(found["per_group"], dict)
    assert json.loads((tmp_path / "out" / "evaluation.json").read_text())["bundle_sha256"] == found["bundle_sha256"]
    table = pd.read_csv(tmp_path / "out" / "assessed.csv", dtype=str, keep_default_na=False)
    assert set(table["referred"]) <= {"true", "false"}
    assert "ECE" in sorby("evaluate", trained.bundle, fresh)


def test_evaluate_on_one_class_only_leaves_undefined_figures_null(sorby: Cli, trained: Trained, tmp_path: Path) -> None:
    fresh = write_folder(tmp_path / "fresh", per_class=4, kinds=["checks"], seed=98)
    found = sorby.json("evaluate", trained.bundle, fresh, "--out", tmp_path / "out")
    assert found["accuracy"]["n"] == 4
    assert found["per_class"]["blobs"]["support"] == 0
    sorby("evaluate", trained.bundle, fresh)


def test_evaluate_says_when_it_sees_the_training_images_and_unknown_classes(
    sorby: Cli, trained: Trained, tmp_path: Path
) -> None:
    found = sorby.json("evaluate", trained.bundle, trained.run / "corpus.parquet")
    assert any("trained on" in line for line in found["warnings"])
    fresh = write_folder(tmp_path / "fresh", per_class=3, kinds=["blobs", "rings"], seed=97)
    found = sorby.json("evaluate", trained.bundle, fresh)
    assert found["n"] == 3
    assert any("does not know" in line and "rings" in line for line in found["warnings"])
    shutil.rmtree(fresh / "blobs")
    assert "no image has a label of this bundle" in sorby.refused("evaluate", trained.bundle, fresh)


# -- inspect ----------------------------------------------------------------------------------------------


def _verdicts(folder: Path) -> pd.DataFrame:
    return pd.read_csv(folder / "verdicts.csv", dtype=str, keep_default_na=False)


def test_verdicts_have_the_contracts_columns_in_order(sorby: Cli, trained: Trained, tmp_path: Path) -> None:
    images = write_folder(tmp_path / "images", per_class=3, seed=50)
    found = sorby.json("inspect", trained.bundle, images, "--out", tmp_path / "out")
    assert found["verdicts"] == str(tmp_path / "out" / "verdicts.csv")
    assert isinstance(found["referred"], int)
    assert found["images_per_s"] > 0
    table = _verdicts(tmp_path / "out")
    assert list(table.columns[:7]) == ["image", "label", "confidence", "set", "novelty", "referred", "reason"]
    assert list(table.columns[7:10]) == [f"p_{name}" for name in CLASSES]
    assert list(table["image"]) == [path.as_posix() for path in sorted(images.rglob("*.png"))]
    assert set(table["referred"]) <= {"true", "false"}
    assert ((table["reason"] != "") == (table["referred"] == "true")).all()
    sums = table[[f"p_{name}" for name in CLASSES]].astype(float).sum(axis=1)
    np.testing.assert_allclose(sums, 1, atol=2e-4)  # four digits each
    for row in table.itertuples():
        assert set(str(row.set).split("|")) - {""} <= set(CLASSES)
        assert float(row.confidence) == pytest.approx(float(getattr(row, f"p_{row.label}")))
    assert (table["label"] == [Path(image).parent.name for image in table["image"]]).all()
    assert "exists" in sorby.refused("inspect", trained.bundle, images, "--out", tmp_path / "out")


def test_structures_never_taught_are_referred(sorby: Cli, trained: Trained, tmp_path: Path) -> None:
    strange = write_folder(tmp_path / "strange", per_class=8, kinds=["rings"], seed=1)
    known = write_folder(tmp_path / "known", per_class=8, seed=60)
    sorby("inspect", trained.bundle, strange, known, "--out", tmp_path / "out")
    table = _verdicts(tmp_path / "out")
    novel = table["reason"].str.contains("novel")
    is_strange = table["image"].str.contains("/strange/")
    assert novel[is_strange].mean() >= 0.75
    assert novel[~is_strange].mean() <= 0.15  # 2 % were asked for, of 24 images


def test_bad_files_are_quarantined_and_the_good_ones_judged(sorby: Cli, trained: Trained, tmp_path: Path) -> None:
    folder = tmp_path / "mixed"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for k in range(10):
        Image.fromarray(texture("checks", rng)).save(folder / f"{k}-good.png")
    whole = (folder / "0-good.png").read_bytes()
    (folder / "3-truncated.png").write_bytes(whole[: len(whole) // 2])
    (folder / "4-empty.tif").touch()
    (folder / "5-text.jpg").write_text("not an image")
    (folder / "6-misnamed.jpg").write_bytes(whole)  # a PNG: readable, and said
    huge = tmp_path / "mixed" / "7-huge.png"
    huge.write_bytes(_png_header(40_000, 40_000))
    found = sorby.json("inspect", trained.bundle, folder, "--out", tmp_path / "out", code=3)
    assert found["n"] == 11
    assert {Path(entry["file"]).name for entry in found["quarantined"]} == {
        "3-truncated.png", "4-empty.tif", "5-text.jpg", "7-huge.png",
    }  # fmt: skip
    assert all(entry["reason"] and "\n" not in entry["reason"] for entry in found["quarantined"])
    assert sorby.err.count("quarantined: ") == 4
    table = _verdicts(tmp_path / "out")
    assert len(table) == 11
    assert not table["image"].str.contains("truncated").any()


def _png_header(width: int, height: int) -> bytes:
    """A PNG that claims a size and holds no pixels."""
    import struct
    import zlib

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0")) + chunk(b"IEND", b"")


def test_nothing_but_bad_files_is_still_no_crash(sorby: Cli, trained: Trained, tmp_path: Path) -> None:
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "a.png").write_bytes(b"")
    found = sorby.json("inspect", trained.bundle, tmp_path / "bad", "--out", tmp_path / "out", code=3)
    assert (found["n"], found["referred"]) == (0, 0)


def test_explanations_keep_the_images_aspect(sorby: Cli, trained: Trained, tmp_path: Path) -> None:
    folder = tmp_path / "wide"
    folder.mkdir()
    rng = np.random.default_rng(0)
    sizes = [(50, 120), (120, 50)]
    for k, (height, width) in enumerate(sizes):
        Image.fromarray(texture("stripes", rng, 128)[:height, :width]).save(folder / f"{k}.png")
    sorby("inspect", trained.bundle, folder, "--out", tmp_path / "out", "--explain")
    overlays = sorted((tmp_path / "out" / "overlays").iterdir())
    assert [Image.open(file).size for file in overlays] == [(width, height) for height, width in sizes]
    assert all(Image.open(file).mode == "RGB" for file in overlays)


@pytest.mark.usefixtures("reportless")
def test_mirror_sizing_explains_within_the_micrograph(sorby: Cli, class_folders: Path, tmp_path: Path) -> None:
    sorby("train", class_folders, "--out", tmp_path / "run", "--set", "image.sizing=mirror", *SMALL)
    folder = tmp_path / "images"
    folder.mkdir()
    rng = np.random.default_rng(0)
    Image.fromarray(texture("stripes", rng, 200)[:40]).save(folder / "flat.png")  # padded in one axis, cropped in one
    sorby("inspect", tmp_path / "run" / "bundle.sorby", folder, "--out", tmp_path / "out", "--explain")
    (overlay,) = (tmp_path / "out" / "overlays").iterdir()
    assert Image.open(overlay).size == (200, 40)


def test_a_scale_that_was_never_taught_is_referred(
    sorby: Cli, class_folders: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _without_report(monkeypatch)
    rows = [
        {"path": str(path), "label": path.parent.name, "pixel_size_um": 0.1 + 0.002 * k}
        for k, path in enumerate(sorted(class_folders.rglob("*.png")))
    ]
    pd.DataFrame(rows).to_csv(tmp_path / "scaled.csv", index=False)
    sorby("train", tmp_path / "scaled.csv", "--out", tmp_path / "run", *SMALL)
    for size, referred in ((0.12, False), (0.5, True), (0.01, True)):
        out = tmp_path / f"out-{size}"
        command = ("inspect", tmp_path / "run" / "bundle.sorby", class_folders, "--out", out, "--pixel-size-um", size)
        sorby(*command)
        table = _verdicts(out)
        assert (table["reason"].str.contains("scale-out-of-range") == referred).all()
        assert (table["pixel_size_um"].astype(float) == size).all()
        assert (table["scale_source"] == "user").all()


@pytest.mark.parametrize("paths", [("absent.png",), (), ("empty",)])
def test_nothing_to_inspect_is_refused(sorby: Cli, trained: Trained, tmp_path: Path, paths: tuple[str, ...]) -> None:
    (tmp_path / "empty").mkdir()
    sorby.refused("inspect", trained.bundle, *(tmp_path / path for path in paths), "--out", tmp_path / "out")
    assert not (tmp_path / "out").exists()


# -- signatures -------------------------------------------------------------------------------------------


def test_only_a_trusted_signature_is_accepted_where_one_is_demanded(
    sorby: Cli, trained: Trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SORBY_HOME", str(tmp_path / "home"))
    images = write_folder(tmp_path / "images", per_class=1)
    signed = tmp_path / "signed.sorby"
    sorby("key", "new", "--name", "Jane Doe", "--out", tmp_path / "jane.pem")
    sorby("bundle", "export", trained.bundle, "--sign", tmp_path / "jane.pem", "--out", signed)

    def verbs(bundle: Path, out: str) -> list[tuple[object, ...]]:
        return [
            ("inspect", bundle, images, "--out", tmp_path / out, "--require-signed"),
            ("evaluate", bundle, images, "--require-signed"),
        ]

    for bundle in (trained.bundle, signed):  # unsigned; signed by somebody unknown
        for command in verbs(bundle, "never"):
            assert "sign" in sorby.refused(*command) or "trust" in sorby.refused(*command)
    assert not (tmp_path / "never").exists()
    sorby("key", "trust", tmp_path / "jane.pem.pub", "--as", "Jane Doe")
    for command in verbs(signed, "out"):
        sorby(*command)
    found = json.loads((tmp_path / "out" / "inspection.json").read_text())
    assert "Jane Doe" in str(found["signature"])


# -- weights and phantoms ---------------------------------------------------------------------------------


def test_weights_are_listed_and_bad_files_refused(sorby: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SORBY_WEIGHTS", str(tmp_path / "weights"))
    assert "efficientnet_lite0" in {row["name"] for row in sorby.json("weights", "list")["weights"]}
    (tmp_path / "bad.pth").write_bytes(b"bad")
    sorby.refused("weights", "add", tmp_path / "bad.pth", "--as", "resnet18.a1_in1k")
    sorby.refused("weights", "add", tmp_path / "bad.pth", "--as", "../escape")
    assert not (tmp_path / "weights").exists()


def test_phantoms_come_as_a_corpus(sorby: Cli, tmp_path: Path) -> None:
    found = sorby.json("phantom", "steel", "--n", 16, "--out", tmp_path / "p", "--size-px", 96, "--novel", 1)
    assert Path(found["corpus"]).is_file()
    assert found["rows"] == 16
    assert sum(found["classes"].values()) == 16


# -- as a program -----------------------------------------------------------------------------------------


def _program(*arguments: object, cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "sorby", *map(str, arguments)]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=240, check=False)


def test_the_program_itself_prints_json_and_leaves_with_its_code(trained: Trained, tmp_path: Path) -> None:
    images = write_folder(tmp_path / "images", per_class=1)
    (images / "blobs" / "bad.png").write_bytes(b"")
    if sys.platform == "linux":  # other systems have no names that are no UTF-8
        (images / "blobs" / "blobs-000.png").rename(images / "blobs" / "Schliff_\udcfc.png")
    done = _program("inspect", trained.bundle, images, "--out", "out", "--json", "--explain", cwd=tmp_path)
    assert done.returncode == 3, done.stderr
    assert json.loads(done.stdout)["n"] == 3
    assert len(_verdicts(tmp_path / "out")) == 3
    refused = _program("inspekt", "absent.sorby", cwd=tmp_path)
    assert refused.returncode == 2
    assert refused.stdout == ""
    assert refused.stderr.startswith("error: No such command 'inspekt'")


def test_an_interval_over_folds_ends_where_shares_end() -> None:
    assert _over_folds([0.9466, 0.9972]) == "95 % CI 94.66 to 99.72 %"
    assert _over_folds([0.9580, 1.0124]) == "95 % CI 95.80 to 100.00 %, cut at 100 %,"
    assert _over_folds([-0.02, 1.01]) == "95 % CI 0.00 to 100.00 %, cut at 0 % and 100 %,"
    assert _over_folds(None) == "no interval"


def test_an_audit_says_a_leak_once() -> None:
    how = "3 of 9 images show one of 2 specimens that stand on both sides"
    result = {
        "n": 9, "method": "pHash", "duplicates": [], "near_duplicates": {"pairs": 0}, "embedding": None, "table1": None,
        "table1_by_specimen": None, "leakage": {"fold 1": {"leaking": 3, "n": 9, "how": how}}, "shortcuts": [],
        "synthetic": None, "warnings": [f"fold 1: {how}", "specimens are unknown"], "report": None,
    }  # fmt: skip
    said = _show_audit(result)
    assert said.count(how) == 1
    assert "warning: specimens are unknown" in said
