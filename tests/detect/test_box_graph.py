"""The exported graph looks at as many mirrored views as the detector does."""

import numpy as np
import pytest

from sorby.detect.detector import Detector, build
from sorby.detect.graph import detector_onnx
from sorby.detect.recipe import DetectRecipe
from sorby.evidence.boxes import box_iou

onnxruntime = pytest.importorskip("onnxruntime")


def _detector(views: int) -> Detector:
    recipe = DetectRecipe(
        image={"short_side": 64, "long_side": 64},
        backbone={"weights": "random"},
        pyramid={"channels": 8},
        anchors={"sizes": [8, 16, 32, 48, 64]},
        proposals={"train": 20, "test": 20, "before": 30},
        box={"width": 16},
        output={"views": views, "score": 0.0},
    )
    return build(recipe, ["a", "b"])


@pytest.mark.parametrize("views", [1, 4])
def test_graph_and_detector_agree(views):
    detector = _detector(views)
    session = onnxruntime.InferenceSession(detector_onnx(detector))
    image = np.random.default_rng(0).integers(0, 256, (64, 64), np.uint8)
    boxes, labels, scores = session.run(None, {"images": image[None, :, :, None]})
    found = next(detector.detect([image], score=0.0, device="cpu", precision="fp32"))
    assert len(boxes) == pytest.approx(len(found), abs=2)  # equal scores may be suppressed in either order
    best = found.of(np.arange(min(10, len(found))))
    iou = box_iou(best.boxes, boxes) * (best.labels[:, None] == labels[None])
    assert (iou.max(axis=1) > 0.98).mean() >= 0.9
    # Descriptions pass half precision in the detector.
    np.testing.assert_allclose(np.sort(scores)[-10:], np.sort(found.scores)[-10:], atol=5e-3)
