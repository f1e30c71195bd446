"""A box detector at work: what inspect, export and the line make of it, and that they agree."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from bright_marks import CLASSES, pictures
from sorby import bundle as bundles
from sorby import load
from sorby.detect.described import TorchRunner, describe_images
from sorby.detect.detector import Detector
from sorby.detect.pictures import fit
from sorby.errors import InputError
from sorby.evidence.boxes import FoundBoxes, box_iou
from sorby.line import ArraySource
from sorby.workflow.detection.inspecting import near_threshold, verdict_on
from sorby.workflow.detection.strip_scoring import painted
from sorby.workflow.inspection import inspect
from sorby.workflow.line import LineRequest, run_line


@pytest.fixture(scope="module")
def detector(marks_base: Path) -> Detector:
    """The detector of the bundle."""
    opened = load(marks_base, device="cpu")
    assert isinstance(opened, Detector)
    return opened


def _boxes(rows: pd.DataFrame) -> np.ndarray[Any, Any]:
    corners = rows[["x", "y", "w", "h"]].to_numpy(np.float32)
    corners[:, 2:] += corners[:, :2]
    return corners


# -- inspect -----------------------------------------------------------------------------------------------------------


def test_inspect_writes_what_is_found_and_a_verdict_and_sets_bad_files_aside(marks_base: Path, tmp_path: Path) -> None:
    folder = tmp_path / "new"
    folder.mkdir()
    (drawn, truth), *_ = pictures(1, 60, least=2)
    Image.fromarray(drawn).save(folder / "a-marks.png")
    Image.fromarray(drawn.astype(np.uint16) * 257).save(folder / "b-deep.png")
    tag = Image.Exif()
    tag[0x0112] = 2
    Image.fromarray(drawn[:, ::-1].copy()).save(folder / "c-mirrored.png", exif=tag)
    rng = np.random.default_rng(1)
    Image.fromarray(rng.integers(104, 117, (64, 64)).astype(np.uint8)).save(folder / "d-plain.png")
    (folder / "e-broken.png").write_bytes(b"no image")
    result = inspect(marks_base, [folder], tmp_path / "out", explain=True, pixel_size_um=2.0, device="cpu")
    assert [entry["file"].rsplit("/", 1)[-1] for entry in result["quarantined"]] == ["e-broken.png"]
    found = pd.read_csv(tmp_path / "out" / "findings.csv")
    assert list(found.columns) == ["image", "x", "y", "w", "h", "label", "score", "area_um2"]
    assert found["area_um2"].to_numpy() == pytest.approx((found.w * found.h * 4).to_numpy(), rel=0.01)
    by = {Path(name).stem: rows for name, rows in found.groupby("image")}
    best = box_iou(truth.boxes, _boxes(by["a-marks"])).max(axis=1)
    assert best.max() > 0.5
    # The tag says how the image lies; boxes are those of the upright image, whichever way it is stored.
    assert np.array_equal(_boxes(by["a-marks"]), _boxes(by["c-mirrored"]))
    # Sixteen bits are stretched between percentiles, so that scores differ a little and boxes hardly.
    assert (box_iou(_boxes(by["a-marks"])[:1], _boxes(by["b-deep"])).max(axis=1) > 0.7).all()
    verdicts = pd.read_csv(tmp_path / "out" / "verdicts.csv").set_index("image")
    assert list(verdicts.columns[:6]) == ["label", "confidence", "set", "novelty", "referred", "reason"]
    verdicts.index = [Path(name).stem for name in verdicts.index]
    assert verdicts.loc["d-plain", "label"] == "none"
    strongest = by["a-marks"].sort_values("score").iloc[-1]
    assert verdicts.loc["a-marks", "label"] == strongest["label"]
    assert verdicts.loc["a-marks", "confidence"] == pytest.approx(strongest["score"])
    assert len(list((tmp_path / "out" / "overlays").glob("*.png"))) == 4


def test_what_only_a_classifier_can_be_asked_is_refused(marks_base: Path, tmp_path: Path) -> None:
    Image.fromarray(pictures(1, 1)[0][0]).save(tmp_path / "a.png")
    with pytest.raises(InputError, match="--by-specimen is for classifiers"):
        inspect(marks_base, [tmp_path / "a.png"], tmp_path / "out", by_specimen="folder", device="cpu")


def test_a_verdict_is_referred_where_a_little_more_or_less_would_make_another(detector: Detector) -> None:
    t = detector.threshold
    box = np.array([[4, 4, 20, 20]], np.float32)

    def said(*scores: float, labels: tuple[int, ...] = (0,)) -> Any:
        found = FoundBoxes(np.repeat(box, len(scores), axis=0), np.array(labels), np.array(scores, np.float32))
        return verdict_on(detector, found, None)

    low, high = near_threshold(t)
    below, above = (low + t) / 2, (high + t) / 2
    assert said(below).reasons == ("near-threshold",)
    assert said(below).label == "none"
    assert said(below).confidence == pytest.approx(1 - below, abs=1e-6)
    assert said(above).reasons == ("near-threshold",)
    assert said(0.9 * low).reasons == ()
    sure = (1 + high) / 2
    assert said(sure).reasons == ()
    both = said(sure, 0.99 * sure, labels=(1, 0))
    assert both.reasons == ("classes-compete",)
    assert (both.label, both.labels) == ("dark", ("dark", "bright"))


# -- export ------------------------------------------------------------------------------------------------------------


def test_the_exported_graph_finds_what_the_detector_finds(detector: Detector, marks_base: Path, tmp_path: Path) -> None:
    import onnxruntime
    import openvino

    done = bundles.export(marks_base, tmp_path / "model.onnx")
    assert done.format == "onnx"
    bundles.export(marks_base, tmp_path / "model.xml")
    session = onnxruntime.InferenceSession(str(tmp_path / "model.onnx"))
    compiled = openvino.Core().compile_model(tmp_path / "model.xml", "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    runner = TorchRunner(detector.stages)
    for drawn, _ in pictures(4, 70):
        fitted = fit(drawn, detector.recipe.image)
        (described,) = describe_images(runner, [fitted.pixels])
        found = detector.found(described, fitted)
        outputs = compiled(fitted.pixels[None])
        # The detector keeps descriptions in half precision: boxes agree to a hundredth of a pixel, scores to 1e-3.
        for boxes, labels, scores in (
            session.run(None, {"images": fitted.pixels[None]}), [outputs[k] for k in range(3)],
        ):  # fmt: skip
            sure = scores > 0.05
            kept = found.above(0.05)
            assert abs(int(sure.sum()) - len(kept)) <= 1  # one may lie on either side of the border
            strong = scores > 0.2
            assert strong.sum() == (found.scores > 0.2).sum()
            expected = found.of(found.scores > 0.2)
            assert boxes[strong] == pytest.approx(expected.boxes, abs=0.02)
            assert labels[strong].tolist() == expected.labels.tolist()
            assert scores[strong] == pytest.approx(expected.scores, abs=3e-3)


# -- the line ----------------------------------------------------------------------------------------------------------


def test_the_strongest_box_names_a_cell_and_small_ones_keep_one() -> None:
    boxes = np.array([[0, 0, 16, 16], [8, 8, 24, 24], [29, 1, 30, 2]], np.float32)
    found = painted(FoundBoxes(boxes, np.array([0, 1, 0]), np.array([0.5, 0.9, 0.3], np.float32)), 32, 32, 4)
    assert found.scores[0, 0] == np.float32(0.5)
    assert found.names[3, 3] == 1
    assert (found.names == 1).sum() == 16
    assert found.names[0, 7] == 0
    assert found.names[7, 0] == -1


def test_the_line_finds_names_and_places_what_lies_on_a_web(marks_base: Path, tmp_path: Path) -> None:
    rng = np.random.default_rng(4)
    web = np.clip(110 + rng.normal(0, 6, (512, 192)), 0, 255).astype(np.uint8)
    # Far from one another; the third lies across the seam of two strips.
    marks = [(60, 40, 80), (150, 120, -80), (252, 70, 80), (400, 130, -80)]
    for row, column, step in marks:
        web[row : row + 14, column : column + 14] = np.clip(
            web[row : row + 14, column : column + 14].astype(int) + step, 0, 255
        )
    source = ArraySource(lambda: (web[k : k + 64] for k in range(0, 512, 64)), rows_total=512)
    request = LineRequest(pixel_size_um=100.0, rows=192, precision="fp32")
    result = run_line(marks_base, [source], tmp_path / "roll", request)
    table = pd.read_csv(tmp_path / "roll" / "roll_map.csv")
    named = {(row, column): CLASSES[0 if step > 0 else 1] for row, column, step in marks}
    for (row, column), label in named.items():
        away = np.hypot(table.along_mm - (row + 7) / 10, table.across_mm - (column + 7) / 10)
        nearest = table.loc[away.idxmin()]
        assert away.min() < 0.6  # half a cell and the slack of a box
        assert nearest["label"] == label
    assert sum(result["defects_by_class"].values()) == result["defects"] == len(table)
    page = (tmp_path / "roll" / "roll_map.html").read_text("utf-8")
    assert "bright" in page
    assert "dark" in page
    assert result["m_per_min"] > 0
