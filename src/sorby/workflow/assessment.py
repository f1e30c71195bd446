"""How good, how sure: every figure of a set of verdicts against the truth, each with its interval."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from sorby.classify import Verdicts
from sorby.evidence import (
    Estimate,
    Scores,
    calibration_report,
    describe_sets,
    grades_of,
    mean_by_specimen,
    ranked_probability,
    risk_coverage,
    score,
    score_grades,
    share,
)

OVERALL = ("accuracy", "balanced_accuracy", "macro_f1", "weighted_f1", "cohen_kappa", "auroc", "average_precision")


@dataclass(frozen=True, eq=False)
class Assessment:
    """Figures of one set of verdicts.

    Attributes
    ----------
    classes : tuple of str
    scores : Scores
    calibration : dict
        ``ece``, ``brier``, ``log_loss`` as estimates, and the reliability curve.
    sets : dict
        Coverage and size of the conformal sets.
    selective : dict
        Risk-coverage curve and its area.
    referred : dict
        Share of images referred, with its interval by specimen.
    ordinal : dict
        Where the classes are grades (whole numbers): mean absolute error in grades, share within one grade,
        quadratic weighted kappa, mean error, ranked probability score; empty otherwise.
    """

    classes: tuple[str, ...]
    scores: Scores
    calibration: dict[str, Any]
    sets: dict[str, Any]
    selective: dict[str, Any]
    referred: dict[str, Any]
    ordinal: dict[str, Estimate] = field(default_factory=dict)

    def overall(self) -> dict[str, Any]:
        """Return the overall metrics, each ``{value, ci95, n, method}``."""
        found = {name: self.scores[name].as_dict() for name in OVERALL if name in self.scores}  # type: ignore[literal-required]
        return found | {name: entry.as_dict() for name, entry in self.ordinal.items()}

    def as_dict(self) -> dict[str, Any]:
        """Return everything, ready for JSON."""
        per_class = {}
        for name, row in zip(self.classes, self.scores["per_class"], strict=True):
            estimates = {key: row[key].as_dict() for key in ("precision", "recall", "f1")}
            per_class[name] = {**estimates, "support": int(row["support"])}
        return {
            **self.overall(),
            "n": self.scores["n"],
            "n_specimens": self.scores["n_specimens"],
            "per_class": per_class,
            "confusion": self.scores["confusion"].tolist(),
            "calibration": self.calibration,
            "sets": self.sets,
            "selective": self.selective,
            "referred": self.referred,
        }


def assess(
    labels: npt.NDArray[np.intp],
    verdicts: Verdicts,
    classes: tuple[str, ...],
    groups: npt.NDArray[Any] | None,
    seed: int,
) -> Assessment:
    """Hold verdicts against the truth.

    Parameters
    ----------
    labels : ndarray of int, shape (n,)
    verdicts : Verdicts
    classes : tuple of str
    groups : ndarray, shape (n,), optional
        Specimens, which the intervals resample.
    seed : int
        Of the bootstrap.
    """
    p = verdicts.probabilities
    confidence, correct = p.max(axis=1), p.argmax(axis=1) == labels
    report = calibration_report(p, labels, groups, seed=seed)
    curve = report.pop("reliability")
    selective = risk_coverage(confidence, correct)
    referred = np.array([bool(reasons) for reasons in verdicts.reasons])
    return Assessment(
        classes,
        score(labels, p, len(classes), groups, seed),
        {**plain(report), "reliability": curve.as_dict()},
        plain(describe_sets(verdicts.sets, labels, groups, seed)),
        selective.as_dict(),
        share(referred, groups, seed).as_dict(),
        ordinal_figures(labels, p, classes, groups, seed),
    )


def ordinal_figures(
    labels: npt.NDArray[np.intp],
    probabilities: npt.NDArray[np.float64],
    classes: tuple[str, ...],
    groups: npt.NDArray[Any] | None,
    seed: int,
) -> dict[str, Estimate]:
    """Return the figures that an order of the classes allows; empty where their names are no grades.

    Parameters
    ----------
    labels : ndarray of int, shape (n,)
    probabilities : ndarray, shape (n, C)
    classes : tuple of str
    groups : ndarray, shape (n,), optional
    seed : int
    """
    grades = grades_of(classes)
    if grades is None:
        return {}
    forecast = ranked_probability(probabilities, labels, grades)
    return {
        **score_grades(labels, probabilities.argmax(axis=1), grades, groups, seed),
        "ranked_probability_score": mean_by_specimen(forecast, groups, seed),
    }


def plain(value: Any) -> Any:
    """Return *value* with every `Estimate` in it as a dict."""
    if isinstance(value, Estimate):
        return value.as_dict()
    if isinstance(value, dict):
        return {key: plain(entry) for key, entry in value.items()}
    return [plain(entry) for entry in value] if isinstance(value, list) else value


def verdict_table(
    corpus_rows: pd.DataFrame, verdicts: Verdicts, classes: tuple[str, ...], part: npt.NDArray[Any] | str
) -> pd.DataFrame:
    """Return one row an image: path, truth, verdict and probabilities.

    Parameters
    ----------
    corpus_rows : DataFrame
        ``path``, ``label`` and, where known, ``specimen`` of the images.
    verdicts : Verdicts
    classes : tuple of str
    part : str or ndarray
        Part of the split or fold number of each image.
    """
    p = verdicts.probabilities
    table = corpus_rows[[name for name in ("path", "label", "specimen") if name in corpus_rows]].reset_index(drop=True)
    table["part"] = part
    table["predicted"] = [classes[k] for k in p.argmax(axis=1)]
    table["confidence"] = p.max(axis=1)
    table["correct"] = table["predicted"] == table["label"].astype(str)
    named = np.array(classes, dtype=object)
    table["set"] = ["|".join(named[row]) for row in verdicts.sets]
    table["novelty"] = verdicts.novelty
    table["referred"] = [bool(reasons) for reasons in verdicts.reasons]
    table["reason"] = ["|".join(reasons) for reasons in verdicts.reasons]
    for k, name in enumerate(classes):
        table[f"p_{name}"] = p[:, k]
    return table
