"""A better ground truth from many raters: a posterior over the labels, and labels that it doubts.

Dawid and Skene's model weighs each rater by how consistent the ratings are with everybody's. It takes ratings as
independent given the truth, which they are not: what misleads all raters alike looks like truth to it, and fourteen
people misled by one image make it all but certain. Its probabilities are therefore tempered by one number, so that they
are calibrated against the labels on record; it may soften them and never sharpens them.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from sorby.evidence._types import FloatArray, IntArray
from sorby.evidence.calibration import fit_temperature, softmax
from sorby.evidence.raters import rater_model
from sorby.study.panel import Level, Panel

#: A label less probable than this, given the ratings, is worth a second look.
DOUBTFUL = 0.2
#: Images a class that the model needs; with fewer, EM confirms its first guess and calls it certain.
LEAST_IMAGES = 5
#: Labels that a temperature needs.
_LEAST_LABELS = 10
#: Ratings an image needs before its label is doubted.
_LEAST_RATINGS = 3


def label_posteriors(panel: Panel, level: Level | None = None) -> dict[str, Any]:
    """Return what the ratings alone say of each image's true class.

    Parameters
    ----------
    panel : Panel
    level : {"merged", "code", "class"}, optional
        Where None, the finest level with at least `LEAST_IMAGES` images a class: codes as labels merge them, else
        classes. Where not even these have so many, there is no posterior.

    Returns
    -------
    dict
        ``level`` (None without a posterior), ``classes``, ``items`` (``item``, ``label`` at that level, ``p_label``,
        ``best``, ``p_best``, ``posterior``, ``ratings``, ``doubtful``), ``raters`` (expected accuracy each),
        ``doubtful`` (how many), ``converged``, ``temperature`` (None where there are too few labels to fit one),
        ``notes``. The labels take part by that one number only.
    """
    level = level or _affordable(panel)
    if level is None:
        return _none(panel)
    said, classes, labels = panel.said(level), panel.order(level), panel.labels(level)
    place = {name: k for k, name in enumerate(classes)}
    codes = np.array([[-1 if value is None else place[value] for value in row] for row in said], dtype=np.int64)
    names = list(panel.scheme.class_names)
    scale = [names.index(str(panel.scheme.class_of(name))) for name in classes]
    graded = panel.scheme.ordered and level != "class"
    fitted = rater_model(codes, len(classes), ordered=scale if graded else None)
    given = (codes >= 0).sum(axis=1)
    targets = np.array([place.get(str(label), -1) for label in labels], dtype=np.int64)
    posterior, temperature = _tempered(fitted.posterior, np.where(given > 0, targets, -1))
    items = []
    for k, item in enumerate(panel.design.items):
        p, best = posterior[k], int(posterior[k].argmax())
        p_label = float(p[place[str(labels[k])]]) if labels[k] in place else None
        items.append(
            {
                "item": item.name,
                "label": labels[k],
                "p_label": p_label,
                "best": classes[best] if given[k] else None,
                "p_best": float(p[best]) if given[k] else None,
                "posterior": {name: float(value) for name, value in zip(classes, p, strict=True)},
                "ratings": int(given[k]),
                "doubtful": p_label is not None and p_label < DOUBTFUL and bool(given[k] >= _LEAST_RATINGS),
            }
        )
    return {
        "level": level,
        "classes": list(classes),
        "items": items,
        "raters": dict(zip(panel.raters, fitted.accuracy.tolist(), strict=True)),
        "doubtful": sum(entry["doubtful"] for entry in items),
        "converged": fitted.converged,
        "temperature": temperature,
        "notes": _notes(temperature),
    }


def _tempered(posterior: FloatArray, targets: IntArray) -> tuple[FloatArray, float | None]:
    """Return the posterior softened until it fits the labels, codes of shape (n,) with -1 for none."""
    known = targets >= 0
    if known.sum() < _LEAST_LABELS:
        return posterior, None
    logits = np.log(np.maximum(posterior, 1e-300))
    temperature = max(1.0, fit_temperature(logits[known], targets[known]))
    return softmax(logits, temperature), temperature


def _notes(temperature: float | None) -> list[str]:
    shared = "what misleads all raters alike looks like truth"
    if temperature is None:
        return [f"ratings are taken as independent given the truth: probabilities are too sure, and {shared}"]
    return [f"probabilities are tempered by {temperature:.3g} to fit the labels on record; {shared}"]


def _affordable(panel: Panel) -> Level | None:
    """Return the finest level with enough images a class."""
    levels: list[Level] = [panel.finest, *(["class"] if panel.scheme.two_steps else [])]  # type: ignore[list-item]
    images = len(panel.design.items)
    return next((level for level in levels if images >= LEAST_IMAGES * len(panel.order(level))), None)


def _none(panel: Panel) -> dict[str, Any]:
    """Return the answer where the images are too few to ask."""
    absent = dict.fromkeys(("p_label", "best", "p_best", "posterior"))
    items = [{"item": item.name, "label": item.label or None, **absent, "ratings": 0, "doubtful": False}
             for item in panel.design.items]  # fmt: skip
    least = LEAST_IMAGES * len(panel.order("class" if panel.scheme.two_steps else panel.finest))
    note = f"{len(items)} images are too few to weigh raters by; {least} would do"
    return {"level": None, "classes": [], "items": items, "raters": {}, "doubtful": 0, "converged": False,
            "temperature": None, "notes": [note]}  # fmt: skip
