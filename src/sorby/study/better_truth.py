"""A better ground truth from many raters: a posterior over the labels, and labels that it doubts.

Dawid and Skene's model weighs each rater by how consistent the ratings are with everybody's. It takes ratings as
independent given the truth; what misleads all raters alike looks like truth to it.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from sorby.evidence.raters import rater_model
from sorby.study.panel import Level, Panel

#: A label less probable than this, given the ratings, is worth a second look.
DOUBTFUL = 0.2
#: Images a class below which a confusion matrix of every rater is mostly prior.
_FEW = 5


def label_posteriors(panel: Panel, level: Level | None = None) -> dict[str, Any]:
    """Return what the ratings alone say of each image's true class.

    Parameters
    ----------
    panel : Panel
    level : {"merged", "code", "class"}, optional
        Codes where absent, merged as labels merge them.

    Returns
    -------
    dict
        ``level``, ``classes``, ``items`` (``item``, ``label``, ``p_label``, ``best``, ``p_best``, ``posterior``,
        ``ratings``, ``doubtful``), ``raters`` (expected accuracy each), ``doubtful`` (how many), ``converged``,
        ``notes``. The label takes no part in it.
    """
    level = level or panel.finest
    said, classes, labels = panel.said(level), panel.order(level), panel.labels(level)
    place = {name: k for k, name in enumerate(classes)}
    codes = np.array([[-1 if value is None else place[value] for value in row] for row in said], dtype=np.int64)
    names = list(panel.scheme.class_names)
    scale = [names.index(str(panel.scheme.class_of(name))) if level != "class" else k for k, name in enumerate(classes)]
    fitted = rater_model(codes, len(classes), ordered=scale if panel.scheme.ordered else None)
    given = (codes >= 0).sum(axis=1)
    items = []
    for k, item in enumerate(panel.design.items):
        p, best = fitted.posterior[k], int(fitted.posterior[k].argmax())
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
                "doubtful": p_label is not None and p_label < DOUBTFUL and bool(given[k] >= 3),
            }
        )
    notes = ["ratings are taken as independent given the truth; what misleads all raters alike looks like truth"]
    if len(items) < _FEW * len(classes):
        notes.append(
            f"{len(items)} images for {len(classes)} classes: how a rater errs is mostly assumed, not measured"
        )
    return {
        "level": level,
        "classes": list(classes),
        "items": items,
        "raters": dict(zip(panel.raters, fitted.accuracy.tolist(), strict=True)),
        "doubtful": sum(entry["doubtful"] for entry in items),
        "converged": fitted.converged,
        "notes": notes,
    }
