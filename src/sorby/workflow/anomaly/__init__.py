"""``anomaly``: fit a detector on good images, score others, measure how good it is, change what it knows."""

from sorby.workflow.anomaly.evaluating import evaluate
from sorby.workflow.anomaly.fitting import fit
from sorby.workflow.anomaly.opening import map_of_image, open_detector
from sorby.workflow.anomaly.scoring import score
from sorby.workflow.anomaly.updating import update

__all__ = ["evaluate", "fit", "map_of_image", "open_detector", "score", "update"]
