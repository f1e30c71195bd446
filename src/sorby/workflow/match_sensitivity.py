"""Do doubtful labels carry the result? The metrics again, without images whose report was not matched exactly.

An archive's images get their labels from reports, and where a name did not match any report exactly, the most similar
one was taken. Such labels may be wrong. The classifiers are the same, taught with all images; only the images they are
judged on are fewer.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from sorby.classify import Verdicts
from sorby.evidence import score
from sorby.workflow.fitting import Rows
from sorby.workflow.planning import Plan

EXACT = "exact"
_METRICS = ("accuracy", "balanced_accuracy", "macro_f1", "weighted_f1")


def without_fuzzy(parts: Sequence[tuple[Rows, Verdicts]], plan: Plan, seed: int) -> dict[str, Any] | None:
    """Return the metrics of the images whose report was matched exactly.

    Parameters
    ----------
    parts : sequence of (rows, Verdicts)
        Judged rows of each fold.
    plan : Plan
        Whose corpus may have a column ``match``: exact, fuzzy, tie.
    seed : int
        Of the intervals.

    Returns
    -------
    dict or None
        ``n``, ``left_out`` (match -> images), ``how``, and metrics each ``{value, ci95, n, method}``; None where the
        corpus does not say how its images were matched, and metrics are missing where no image was matched exactly.
    """
    if "match" not in plan.corpus.table or plan.corpus.table["match"].isna().all():
        return None
    rows = np.concatenate([judged for judged, _ in parts])
    probabilities = np.concatenate([verdicts.probabilities for _, verdicts in parts])
    match = plan.corpus.table["match"].fillna("unknown").astype(str).to_numpy()[rows]
    kept = match == EXACT
    found: dict[str, Any] = {
        "n": int(kept.sum()),
        "left_out": dict(sorted(Counter(match[~kept].tolist()).items())),
        "how": "taught with all images, judged on those whose report was matched exactly",
    }
    if not kept.any():
        return found
    specimens = plan.specimens
    scores = score(
        plan.labels[rows[kept]],
        probabilities[kept],
        len(plan.classes),
        None if specimens is None else specimens[rows[kept]],
        seed,
    )
    return found | {name: scores[name].as_dict() for name in _METRICS}  # type: ignore[literal-required]
