"""Do raters agree: with one another, with themselves, with the standard, and as what."""

from __future__ import annotations

from typing import Any

import numpy as np

from sorby.errors import InputError
from sorby.evidence.agreement import agreement, gwet_ac2, krippendorff_alpha
from sorby.evidence.appraisers import attribute_agreement
from sorby.evidence.rating_table import kendall_w, repeatability
from sorby.study.model_appraiser import ModelRatings
from sorby.study.panel import Level, Names, Panel

#: Below this many images per rater's repeat nothing is said of one rater alone.
_FEW_REPEATS = 10


def agreements(panel: Panel) -> dict[str, Any]:
    """Return the coefficients at every level, first showings only.

    Returns
    -------
    dict
        Level to coefficients (see `sorby.evidence.agreement.agreement`). Where the categories of a level are ordered,
        Gwet's AC2, the ordinal alpha and Kendall's W are among them. ``not_defined`` says why there are none.
    """
    found: dict[str, Any] = {}
    for level in panel.levels:
        said, order = panel.said(level)[panel.kept(level)], panel.order(level)
        try:
            estimates = {name: each.as_dict() for name, each in agreement(said).items()}
            if _ordered(panel, level):
                estimates["gwet_ac2"] = gwet_ac2(said, order=order).as_dict()
                estimates["krippendorff_alpha_ordinal"] = krippendorff_alpha(
                    said, order=order, level="ordinal"
                ).as_dict()
                estimates["kendall_w"] = kendall_w(said, order).as_dict()
        except InputError as error:  # one rater, or nothing rated twice: said where the figures would stand
            estimates = {"not_defined": {"value": None, "ci95": None, "n": 0, "note": error.message}}
        found[level] = {
            **estimates,
            "items": len(said),
            "ratings": int(np.sum([[v is not None for v in r] for r in said])),
        }
    return found


def _ordered(panel: Panel, level: Level) -> bool:
    return level == "size" or (level == "code" and panel.scheme.ordered and not panel.scheme.two_steps)


def by_group(panel: Panel, column: str = "frequency") -> dict[str, Any]:
    """Return the agreement among raters whose profiles say the same, groups of two and more.

    Returns
    -------
    dict
        Group to ``raters`` and the levels of :func:`agreements`.
    """
    found = {}
    for name, members in panel.ratings.groups(column).items():
        present = [rater for rater in panel.raters if rater in members]
        if len(present) >= 2:
            part = Panel(panel.design, panel.ratings, tuple(present))
            found[name] = {"raters": present, **agreements(part)}
    return found


def within_raters(panel: Panel) -> dict[str, Any] | None:
    """Return how well raters agree with themselves on the images shown twice; None where none was.

    Returns
    -------
    dict or None
        Level to ``pooled``, ``kappa`` and ``raters`` (an estimate each); ``items``.
    """
    rows = [panel.design.place[item] for item in panel.design.repeated]
    if not rows:
        return None
    found: dict[str, Any] = {"items": len(rows)}
    for level in panel.levels:
        first, second = panel.said(level, 1)[rows], panel.said(level, 2)[rows]
        try:
            each = repeatability(first, second)
        except InputError:  # no second showing has been rated
            continue
        found[level] = {
            "pooled": each.pooled.as_dict(),
            "kappa": each.kappa if np.isfinite(each.kappa) else None,
            "raters": {name: e.as_dict() for name, e in zip(panel.raters, each.per_rater, strict=True)},
        }
    if len(rows) < _FEW_REPEATS:
        found["note"] = f"{len(rows)} images were shown twice: the figure of one rater says little"
    return found


def attribute_reports(panel: Panel, model: ModelRatings | None = None) -> dict[str, Any]:
    """Return the study in the terms of measurement systems analysis, the labels as the standard.

    Parameters
    ----------
    panel : Panel
    model : ModelRatings, optional
        One more appraiser.

    Returns
    -------
    dict
        Level to ``once`` (all images, first showings) and, where images were repeated, ``twice`` (both showings of
        these). Codes are merged as labels merge them; nothing is left out, since a rating beyond the taught classes is
        a wrong one.
    """
    found: dict[str, Any] = {}
    others: list[Level] = [level for level in panel.levels if level in ("class", "verdict")]
    for level in [panel.finest, *others]:
        standard = panel.labels(level)
        kept = np.array([label is not None for label in standard])
        if not kept.any():
            continue
        bad = _bad(panel, level)
        first, second = panel.said(level, 1), panel.said(level, 2)
        once = _with_model(panel, level, first, model)
        names = [*panel.raters, *([model.name] if model is not None else [])]
        study = attribute_agreement(once[kept][:, :, None], standard[kept], appraisers=names, bad=bad)
        found[level] = {"once": study.as_dict()}
        rows = np.array([panel.design.place[item] for item in panel.design.repeated], dtype=np.int64)
        rows = rows[kept[rows]]
        if rows.size and any(value is not None for value in second[rows].ravel()):
            both = np.stack([first[rows], second[rows]], axis=2)
            again = attribute_agreement(both, panel.labels(level)[rows], appraisers=list(panel.raters), bad=bad)
            found[level]["twice"] = again.as_dict()
    return found


def _bad(panel: Panel, level: Level) -> tuple[str, ...]:
    if level == "verdict":
        return ("reject",)
    if len(panel.order(level)) != 2:
        return ()
    return tuple(name for name in panel.order(level) if panel.scheme.rejects(name))


def _with_model(panel: Panel, level: Level, said: Names, model: ModelRatings | None) -> Names:
    return said if model is None else np.column_stack([said, model.said(panel, level)])
