"""A fitted classifier as a bundle: weights, graph, calibration, and what it says of itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from sorby import provenance
from sorby.bundle import Description, TrainingData, write
from sorby.classify import KIND, Classifier, Recipe
from sorby.evidence import CrossConformal
from sorby.workflow.assessment import Assessment
from sorby.workflow.fitting import Fit
from sorby.workflow.planning import Plan

_STANDING_LIMITS = (
    "Verdicts hold for images of the kind it was taught on: same material, preparation, instrument class and scale.",
    "An image that resembles nothing taught is referred, but not every unfamiliar defect looks unfamiliar.",
)


def describe(fit: Fit, plan: Plan, recipe: Recipe, assessment: Assessment, name: str) -> Description:
    """Return the description of a classifier bundle."""
    classifier = fit.classifier
    judge = classifier.judge
    conformal = judge.conformal
    return Description(
        kind=KIND,
        name=name,
        classes=list(classifier.classes),
        preprocessing=classifier.preprocessing.model_dump(mode="json"),
        model={
            "regime": classifier.regime,
            "networks": fit.networks,
            **({"merged_labels": recipe.labels.merge} if recipe.labels.merge else {}),
            **classifier.backbone_section,
        },
        calibration={
            "temperature": judge.temperature,
            "calibrated_on": fit.notes["calibrated_on"],
            "runtime": fit.notes["runtime"],
            "confusion": {
                "counts": assessment.scores["confusion"].tolist(),
                "n_specimens": int(assessment.scores["n_specimens"]),
                "of": "the images that the metrics are of; rows true, columns called",
            },
        },
        conformal={
            "form": "CV+" if isinstance(conformal, CrossConformal) else "split",
            "method": conformal.method,
            "alpha": conformal.alpha,
            "class_conditional": conformal.class_conditional,
            "guarantee": conformal.guarantee,
            "n": conformal.n,
        },
        novelty={
            "rate": judge.novelty_rate,
            "scores": "RMDS, distance to neighbours and GEN, smallest conformal p-value, Bonferroni-corrected",
            "n": judge.novelty.n,
            "pixel_sizes_um": list(judge.pixel_sizes_um) if judge.pixel_sizes_um else None,
        },
        training_data=TrainingData(
            fingerprint=plan.corpus.fingerprint(),
            n=len(plan.labels),
            n_specimens=None if plan.specimens is None else len(np.unique(plan.specimens)),
            **_fields(plan),
        ),
        metrics=assessment.overall(),
        licence="as the training images allow; state it with the bundle",
        provenance={**provenance.describe(recipe.seed), "recipe": recipe.model_dump(mode="json")},
        limits=[*_STANDING_LIMITS, *_doubts(recipe), *_needs(classifier), *judge.limits()],
        notes=[*plan.decisions, *plan.warnings],
    )


def _fields(plan: Plan) -> dict[str, Any]:
    """Return how large a part of the surface the images showed, in micrometres: whoever cuts tiles cuts them so."""
    table = plan.corpus.table
    if not {"height", "width", "pixel_size_um"} <= set(table):
        return {}
    size = pd.to_numeric(table["pixel_size_um"], errors="coerce").to_numpy(np.float64)
    known = np.isfinite(size) & (size > 0)
    if not known.any():
        return {}
    sides = {side: table[side].to_numpy(np.float64)[known] * size[known] for side in ("height", "width")}
    return {
        "fields_um": {
            side: {"least": float(um.min()), "median": float(np.median(um)), "most": float(um.max())}
            for side, um in sides.items()
        }
    }


def _doubts(recipe: Recipe) -> list[str]:
    """Say what doubted labels leave of the promises."""
    if recipe.labels.noise == "none":
        return []
    return [
        "Labels were doubted in training only: probabilities, sets and novelty are calibrated on the labels as given,"
        " so a set covers the label that people like these would give, not the truth.",
        "Which labels were doubted follows from all folds together; the promise of the sets does not count that.",
    ]


def _needs(classifier: Classifier) -> list[str]:
    """Say what verdicts need besides the image."""
    if not classifier.reads_magnification:
        return []
    return [
        "The head reads the magnification: images that state none are referred, and the bare graph gives features"
        " but no scores (NaN).",
    ]


def write_bundle(path: Path, fit: Fit, description: Description) -> dict[str, Any]:
    """Write the bundle and return ``{"file", "sha256"}``."""
    classifier = fit.classifier
    graph = {"model.onnx": classifier.onnx()}
    sha256 = write(path, description, tensors=classifier.tensors(), files=graph, overwrite=True)
    return {"file": str(path), "sha256": sha256}
