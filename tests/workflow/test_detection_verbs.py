"""Teaching and judging a box detector: who may judge whom, and what is told of data that are not as they should be."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from annotated_sets import write_voc
from bright_marks import CLASSES, pictures, tiny_recipe, write_coco
from sorby.cli import cli
from sorby.cli._frame import run as run_command
from sorby.corpus import Corpus, build
from sorby.errors import InputError
from sorby.evidence.boxes import FoundBoxes, TrueBoxes
from sorby.evidence.detection_metrics import detection_scores
from sorby.phantom.defects import KINDS
from sorby.workflow import inspect
from sorby.workflow.detection import bases
from sorby.workflow.detection.cross_fitting import folds_of
from sorby.workflow.detection.dividing import divide
from sorby.workflow.detection.evaluating import evaluate_detector
from sorby.workflow.detection.labelled import labelled_images
from sorby.workflow.detection.opening import open_box_detector
from sorby.workflow.detection.teaching import train_detector

FEW = tiny_recipe(frozen=True)


@pytest.fixture(scope="module")
def marks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten labelled pictures."""
    return write_coco(tmp_path_factory.mktemp("marks"), pictures(10, 5))


@pytest.fixture(scope="module")
def run(marks: Path, marks_base: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """A detector taught on these ten, without any split."""
    out = tmp_path_factory.mktemp("run")
    return out, train_detector(marks, out, FEW, base=marks_base, device="cpu")


def _with(corpus: Corpus, **columns: Any) -> Corpus:
    return Corpus(corpus.table.assign(**columns), corpus.root)


# -- who judges --------------------------------------------------------------------------------------------------------


def test_ten_images_without_a_split_are_judged_by_predictors_that_have_not_seen_them(
    run: tuple[Path, dict[str, Any]], marks: Path
) -> None:
    out, result = run
    assert result["protocol"] == "cross-fitted: 5 folds over 10 images"
    assert result["n_images"] == 10
    assert result["ap50"] > 0.5  # the base finds nearly all of them; a predictor of eight images must not lose them
    assert result["ci95"]["ap"][0] <= result["ap"] <= result["ci95"]["ap"][1]
    assert {path.name for path in out.iterdir()} >= {
        "detector.sorby", "run.json", "findings.csv", "report.html", "recipe.yaml", "corpus.parquet"
    }  # fmt: skip
    folds = pd.read_parquet(out / "corpus.parquet")["fold"]
    assert sorted(folds.unique()) == [0, 1, 2, 3, 4]
    found = pd.read_csv(out / "findings.csv")
    by = found.groupby("image")["judged_by"].unique()
    assert all(len(each) == 1 for each in by)
    truth = labelled_images(marks)
    written = {name: rows for name, rows in found.groupby("image")}
    boxes = [_read_back(written.get(name)) for name in truth.names]
    again = detection_scores(truth.truth, boxes, CLASSES, resamples=0)
    assert again.ap50 == pytest.approx(result["ap50"], abs=0.01)  # scores are written with four digits


def _read_back(rows: pd.DataFrame | None) -> FoundBoxes:
    if rows is None:
        return FoundBoxes()
    corners = rows[["x", "y", "w", "h"]].to_numpy(np.float32)
    corners[:, 2:] += corners[:, :2]
    labels = np.array([CLASSES.index(name) for name in rows["label"]], np.intp)
    return FoundBoxes(corners, labels, rows["score"].to_numpy(np.float32))


def test_specimens_stay_whole_in_folds_and_when_shots_are_drawn(marks: Path) -> None:
    corpus = build([marks], min_classes=0).corpus
    images = labelled_images(_with(corpus, specimen=[f"sheet{k // 2}" for k in range(len(corpus))]))
    folds = folds_of(images, seed=0)
    assert folds is not None
    assert all(len(set(folds[images.specimens == name])) == 1 for name in images.specimens)
    division = divide(images, FEW, shots=1)
    assert division.testing is not None
    assert not set(division.teaching.specimens) & set(division.testing.specimens)
    drawn = sum(int((~each.flags).sum()) for each in division.teaching.truth)
    assert drawn == 2  # one a class; what else lies on these images is ignored


def test_a_class_with_fewer_than_k_is_refused_by_name(marks: Path, marks_base: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"class (bright|dark) has \d+ boxes, fewer than 50"):
        train_detector(marks, tmp_path / "run", FEW, base=marks_base, shots=50, device="cpu")
    assert not (tmp_path / "run" / "run.json").exists()


def test_a_specimen_on_both_sides_is_told_by_name(marks: Path, marks_base: Path, tmp_path: Path) -> None:
    corpus = build([marks], min_classes=0).corpus
    sheets = _with(corpus, specimen=[f"sheet{k // 2}" for k in range(len(corpus))])
    result = train_detector(
        sheets.take(np.arange(7)), tmp_path / "run", FEW, base=marks_base, test=sheets.take(np.arange(7, 10)),
        device="cpu", report=False,
    )  # fmt: skip
    assert any("1 specimens both teach and judge, such as sheet3" in line for line in result["warnings"])


def test_the_threshold_does_not_know_the_test_part(marks: Path, marks_base: Path, tmp_path: Path) -> None:
    corpus = build([marks], min_classes=0).corpus
    split = ["test" if k >= 7 else "train" for k in range(len(corpus))]
    honest, emptied = _with(corpus, split=split), _with(corpus, split=split)
    emptied.table.loc[7:, "boxes"] = "[]"
    one = train_detector(honest, tmp_path / "one", FEW, base=marks_base, device="cpu", report=False)
    other = train_detector(emptied, tmp_path / "other", FEW, base=marks_base, device="cpu", report=False)
    assert (one["protocol"], one["n_images"]) == ("test split", 3)
    assert one["threshold"] == other["threshold"]
    assert one["taught"]["images"] == 7
    assert any("no box" in line for line in other["warnings"])


def test_one_image_makes_a_detector_and_no_claim(marks_base: Path, tmp_path: Path) -> None:
    data = write_coco(tmp_path / "one", pictures(1, 8, least=3))
    result = train_detector(data, tmp_path / "run", FEW, base=marks_base, device="cpu")
    assert result["ap"] is None
    assert result["report"] is None
    assert any("nothing could be judged" in line for line in result["warnings"])
    assert open_box_detector(result["bundle"]).detector.threshold == result["threshold"] <= 0.5


def test_gradients_hold_a_share_out_and_say_what_it_was_used_for(marks_base: Path, tmp_path: Path) -> None:
    data = write_coco(tmp_path / "set", pictures(10, 9, least=1))
    recipe = tiny_recipe(frozen=False, steps=3)
    result = train_detector(data, tmp_path / "run", recipe, base=marks_base, device="cpu", report=False)
    assert result["protocol"] == "held-out images, on which the threshold was chosen too"
    assert result["n_images"] + result["taught"]["images"] == 10
    assert not (tmp_path / "run" / "state").exists()


def test_images_without_any_boxes_are_refused_and_say_what_is_missing(tmp_path: Path) -> None:
    Image.fromarray(np.zeros((32, 32), np.uint8)).save(tmp_path / "plain.png")
    with pytest.raises(InputError, match="nothing that says where boxes are") as raised:
        train_detector(tmp_path, tmp_path / "run", FEW, device="cpu")
    assert "COCO" in raised.value.hint


def test_frozen_stages_without_a_base_are_refused(marks: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no base detector") as raised:
        train_detector(marks, tmp_path / "run", FEW, base="none", device="cpu")
    assert "--base phantom" in raised.value.hint


# -- judging -----------------------------------------------------------------------------------------------------------


def test_evaluation_tells_images_that_taught_from_new_ones(
    run: tuple[Path, dict[str, Any]], marks: Path, tmp_path: Path
) -> None:
    bundle = run[1]["bundle"]
    known = evaluate_detector(bundle, marks, device="cpu", resamples=50)
    assert any("10 of 10 images taught this detector" in line for line in known["warnings"])
    new = write_coco(tmp_path / "new", pictures(8, 21))
    found = evaluate_detector(bundle, new, tmp_path / "judged", device="cpu", resamples=50)
    assert not any("taught this detector" in line for line in found["warnings"])
    assert found["ap50"]["value"] > 0.5
    assert found["ap50"]["n"] == 8
    assert found["operating"]["score"] == pytest.approx(run[1]["threshold"])
    assert (tmp_path / "judged" / "report.html").is_file()
    assert set(found["per_class"]) == set(CLASSES)


def test_only_good_images_judge_false_alarms_and_no_precision(run: tuple[Path, dict[str, Any]], tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    plain = [(rng.integers(100, 120, (64, 64)).astype(np.uint8), TrueBoxes()) for _ in range(3)]
    found = evaluate_detector(run[1]["bundle"], write_coco(tmp_path, plain), device="cpu", resamples=20)
    assert found["ap"]["value"] is None
    assert found["n_good"] == 3


def test_classes_that_the_detector_does_not_know_are_left_out_and_counted(
    run: tuple[Path, dict[str, Any]], tmp_path: Path
) -> None:
    data = write_coco(tmp_path, pictures(4, 30, least=2))
    content = json.loads(data.read_text())
    content["categories"].append({"id": 3, "name": "scar"})
    content["annotations"][0]["category_id"] = 3
    data.write_text(json.dumps(content))
    found = evaluate_detector(run[1]["bundle"], data, device="cpu", resamples=20)
    assert any("does not know" in line and "1 of 'scar'" in line for line in found["warnings"])
    assert found["n_boxes"] == len(content["annotations"]) - 1


# -- data that are not as they should be -------------------------------------------------------------------------------


def test_bad_boxes_mixed_depth_and_turned_images_go_through_and_are_told(marks_base: Path, tmp_path: Path) -> None:
    drawn = pictures(8, 40, least=1)
    data = write_coco(tmp_path / "set", drawn)
    content = json.loads(data.read_text())
    folder = data.parent
    n = len(content["annotations"])
    content["annotations"] += [
        {"id": 901, "image_id": 1, "category_id": 1, "bbox": [70, 70, 5, 5], "iscrowd": 0},  # beyond the image
        {"id": 902, "image_id": 1, "category_id": 1, "bbox": [5, 5, 0, 9], "iscrowd": 0},  # no area
        {"id": 903, "image_id": 2, "category_id": 77, "bbox": [5, 5, 4, 4], "iscrowd": 0},  # of no class
    ]
    data.write_text(json.dumps(content))
    sixteen = drawn[2][0].astype(np.uint16) * 257
    Image.fromarray(sixteen).save(folder / "boxes-003.png")
    # Stored mirrored with the tag that says so: viewers, and the boxes, see the upright image.
    tag = Image.Exif()
    tag[0x0112] = 2
    Image.fromarray(drawn[3][0][:, ::-1].copy()).save(folder / "boxes-004.png", exif=tag)
    (folder / "boxes-005.png").write_bytes(b"no image")
    result = train_detector(data, tmp_path / "run", FEW, base=marks_base, device="cpu", report=False)
    told = " ".join(result["warnings"])
    assert "no area" in told or "without" in told or "zero" in told
    assert "outside" in told
    assert len(result["quarantined"]) == 1
    assert "boxes-005" in result["quarantined"][0]["file"]
    lost = sum(entry["image_id"] == 5 for entry in content["annotations"])
    assert result["n_boxes"] == n - lost
    # Of a mirrored or deep image as much is found as of any other.
    assert result["ap50"] > 0.5


def test_an_image_nobody_annotated_is_left_out_and_one_without_boxes_stays(marks: Path) -> None:
    corpus = build([marks], min_classes=0).corpus
    texts = list(corpus.table["boxes"])
    texts[0], texts[1] = None, "[]"
    images = labelled_images(_with(corpus, boxes=texts))
    assert len(images) == len(corpus) - 1
    assert any(line.startswith("1 images take no part") for line in images.warnings)


def test_merged_classes_are_one(marks: Path) -> None:
    images = labelled_images(marks, merge={"bright": "mark", "dark": "mark", "scar": "mark"})
    assert images.classes == ("mark",)
    assert any("'scar'" in line for line in images.warnings)


def test_a_class_that_no_box_has_is_refused(marks: Path) -> None:
    with pytest.raises(InputError, match="no box is of class 'scar'"):
        labelled_images(marks, classes=("bright", "scar"))


# -- the base ----------------------------------------------------------------------------------------------------------


def test_the_phantom_base_is_made_once_and_named_after_what_made_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SORBY_HOME", str(tmp_path))
    monkeypatch.setattr(bases, "_UNSEEN", 3)
    recipe, said = tiny_recipe(frozen=False, steps=1, batch=1), list[str]()
    path = bases.phantom_base(recipe, pictures=2, device="cpu", say=said.append)
    opened = open_box_detector(path)
    assert opened.detector.classes == KINDS
    assert len(said) == 1
    before = path.stat().st_mtime_ns
    assert bases.phantom_base(recipe, pictures=2, device="cpu", say=said.append) == path
    assert path.stat().st_mtime_ns == before
    assert len(said) == 1
    other = bases.phantom_base(recipe.model_copy(update={"seed": 1}), pictures=2, device="cpu")
    assert other != path


@pytest.mark.parametrize("name", ["none", "dark|bright"])
def test_a_class_that_verdicts_could_not_tell_from_their_own_marks_is_refused(
    name: str, marks: Path, marks_base: Path, tmp_path: Path
) -> None:
    recipe = FEW.model_copy(update={"box": FEW.box.model_copy(update={"merge": {CLASSES[0]: name}})})
    with pytest.raises(InputError, match="a class cannot be called"):
        train_detector(marks, tmp_path / "run", recipe, base=marks_base, device="cpu")


def test_a_base_may_be_kept_from_kinds_and_surfaces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bases, "_UNSEEN", 3)
    drawn: list[Any] = []
    render = bases._rendered

    def watched(*arguments: Any) -> list[Any]:
        drawn.extend(render(*arguments))
        return drawn

    monkeypatch.setattr(bases, "_rendered", watched)
    recipe = tiny_recipe(frozen=False, steps=1, batch=1)
    out = tmp_path / "base.sorby"
    bases.teach_base(out, recipe, pictures=20, left_out=("web", "pinhole", "scratch"), device="cpu")
    assert open_box_detector(out).detector.classes == tuple(k for k in KINDS if k not in ("pinhole", "scratch"))
    assert len(drawn) == 23
    assert "web" not in {each.family for each in drawn}
    assert not {"pinhole", "scratch"} & {name for each in drawn for name in each.labels}
    assert any("web, pinhole, scratch" in note for note in open_box_detector(out).description.notes)


@pytest.mark.parametrize(
    ("left_out", "message"),
    [(("rust",), "rust is neither a kind of defect nor a family"), (KINDS, "nothing is left to render")],
)
def test_what_cannot_be_left_out_is_refused(left_out: tuple[str, ...], message: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=message):
        bases.teach_base(tmp_path / "base.sorby", left_out=left_out)


def test_a_base_of_another_shape_is_refused_with_both_named(marks: Path, marks_base: Path, tmp_path: Path) -> None:
    wider = FEW.model_copy(update={"pyramid": FEW.pyramid.model_copy(update={"channels": 24})})
    with pytest.raises(InputError, match="pyramid 16, the recipe 24"):
        train_detector(marks, tmp_path / "run", wider, base=marks_base, device="cpu")


# -- the command line --------------------------------------------------------------------------------------------------


def test_detect_train_prints_one_object_with_what_the_contract_names(
    marks: Path, marks_base: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recipe = tmp_path / "tiny.yaml"
    recipe.write_text(json.dumps(FEW.model_dump(mode="json")))
    command = ["detect", "train", str(marks), "--out", str(tmp_path / "run"), "--base", str(marks_base), "--recipe",
               str(recipe), "--device", "cpu", "--json"]  # fmt: skip
    assert run_command(cli, command) == 0
    result = json.loads(capsys.readouterr().out)
    assert {"bundle", "ap", "ap50", "ap75", "per_class", "ci95", "n_images", "n_boxes", "seconds"} <= set(result)
    assert run_command(cli, command) == 2
    assert "holds a finished run" in capsys.readouterr().err


def test_data_without_boxes_end_with_a_hint(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("a", "b"):
        (tmp_path / "set" / name).mkdir(parents=True)
        Image.fromarray(np.full((64, 64), 9, np.uint8)).save(tmp_path / "set" / name / f"{name}.png")
    assert run_command(cli, ["detect", "train", str(tmp_path / "set"), "--out", str(tmp_path / "run")]) == 2
    assert "nothing that says where boxes are" in capsys.readouterr().err


def test_a_threshold_chosen_on_what_it_judges_is_said_to_be(run: tuple[Path, dict[str, Any]]) -> None:
    """Cross-fitted findings both set the threshold and are judged at it; average precision owes it nothing."""
    out, _ = run
    point = json.loads((out / "run.json").read_text())["evaluation"]["operating"]
    assert "on these very images" in point["chosen"]
    assert "chosen on the images it is judged on" in (out / "report.html").read_text("utf-8")


@pytest.mark.parametrize("parts", [None, "val"])
def test_a_detector_that_keeps_the_classes_of_its_base_gets_its_threshold_on_the_new_ones(
    marks: Path, marks_base: Path, tmp_path: Path, parts: str | None
) -> None:
    corpus = build([marks], min_classes=0).corpus
    names = {"bright": "raised", "dark": "hollow"}
    text = [row.replace('"bright"', '"raised"').replace('"dark"', '"hollow"') for row in corpus.table["boxes"]]
    corpus = _with(corpus, boxes=text)
    if parts is None:  # too few to cross-fit: the threshold is chosen on what taught
        corpus = corpus.take([k for k, row in enumerate(text) if "raised" in row and "hollow" in row][:2])
    else:
        corpus = _with(corpus, split=[parts if k >= 7 else "train" for k in range(len(corpus))])
    both = FEW.model_copy(update={"few_shot": FEW.few_shot.model_copy(update={"classes": "all"})})
    base = tmp_path / "base.sorby"
    first = train_detector(marks, tmp_path / "first", FEW, base=marks_base, device="cpu", report=False)
    Path(first["bundle"]).rename(base)
    result = train_detector(corpus, tmp_path / "run", both, base=base, device="cpu", report=False)
    assert set(result["classes"]) == set(names) | set(names.values())
    assert 0 < result["threshold"] < 1


def test_annotations_of_test_data_that_cannot_be_read_are_told(marks: Path, marks_base: Path, tmp_path: Path) -> None:
    folder = write_voc(tmp_path / "voc", {"a": [("bright", 3, 3, 20, 18)], "b": "<annotation><object>"})
    result = train_detector(marks, tmp_path / "run", FEW, base=marks_base, test=folder, device="cpu", report=False)
    assert [Path(entry["file"]).name for entry in result["quarantined"]] == ["b.xml"]


def test_a_box_detector_is_told_no_magnification(run: tuple[Path, dict[str, Any]], marks: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="--magnification is for classifiers"):
        inspect(run[1]["bundle"], [marks.parent], tmp_path / "seen", magnification=500, device="cpu")
