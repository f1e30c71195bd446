"""A model as one more appraiser: the same pictures, the same question, no more context than people had."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from sorby.evidence.crossed import crossed_difference
from sorby.evidence.intervals import proportion
from sorby.study.panel import Level, Names, Panel


@dataclass(frozen=True, eq=False)
class ModelRatings:
    """What a model says of the images of a study.

    Attributes
    ----------
    name : str
    verdicts : mapping of str to str
        Item to code or reduced code; items without a verdict are absent.
    bundle_sha256 : str
    chose_the_images : bool
        Whether its errors decided which images are shown.
    """

    name: str
    verdicts: Mapping[str, str]
    bundle_sha256: str = ""
    chose_the_images: bool = False

    def said(self, panel: Panel, level: Level) -> Names:
        """Return its verdicts at a level, shape (n,); None where it has none."""
        found = np.full(len(panel.design.items), None, dtype=object)
        for k, item in enumerate(panel.design.items):
            verdict = self.verdicts.get(item.name)
            if verdict is not None:
                found[k] = _at_level(panel, level, verdict)
        return found


def _at_level(panel: Panel, level: Level, verdict: str) -> str | None:
    scheme = panel.scheme
    if level == "class":
        return scheme.class_of(verdict)
    if level == "merged":
        return scheme.merge(verdict)
    if level == "reduced":
        return scheme.reduce(verdict)
    if level == "size":
        return scheme.size_of(verdict)
    if level == "verdict":
        fails = scheme.rejects(verdict)
        return None if fails is None else "reject" if fails else "accept"
    return verdict


def model_report(panel: Panel, model: ModelRatings, seed: int = 0) -> dict[str, Any]:
    """Hold a model beside the people, image by image.

    Parameters
    ----------
    panel : Panel
    model : ModelRatings
    seed : int
        Of the bootstraps.

    Returns
    -------
    dict
        For each level at which labels and verdicts exist: ``accuracy`` (Wilson), ``over_panel`` (its accuracy less the
        panel's on the same images, over images and raters), ``better_than`` and ``worse_than`` (numbers of raters).
        ``verdicts``, ``warnings``.
    """
    found: dict[str, Any] = {"name": model.name, "bundle_sha256": model.bundle_sha256}
    warnings = []
    if model.chose_the_images:
        warnings.append(
            "this model's errors decided which images are shown: its accuracy here is not one on a fair sample"
        )
    levels: list[Level] = [level for level in panel.levels if level in ("class", "reduced", "verdict")]
    for level in [panel.finest, *levels]:
        mine, labels = model.said(panel, level), panel.labels(level)
        known = np.array([a is not None and b is not None for a, b in zip(mine, labels, strict=True)])
        if not known.any():
            continue
        right = np.array([a == b for a, b in zip(mine, labels, strict=True)]) & known
        hits, judged = panel.right(level)
        alone = np.where(known, right.astype(np.float64), np.nan)
        both = judged & known[:, None]
        with np.errstate(invalid="ignore"):
            of_rater = (hits & both).sum(axis=0) / both.sum(axis=0)
            own = (right[:, None] & both).sum(axis=0) / both.sum(axis=0)
        found[level] = {
            "accuracy": {**proportion(int(right.sum()), int(known.sum())).as_dict(), "hits": int(right.sum())},
            "over_panel": crossed_difference(hits, judged, alone, seed=seed).as_dict(),
            "better_than": int((own > of_rater).sum()),
            "worse_than": int((own < of_rater).sum()),
            "raters": int(np.isfinite(of_rater).sum()),
        }
    found["verdicts"] = dict(model.verdicts)
    found["warnings"] = warnings
    return found
