"""How much a split by image flatters: the same model under image-level and specimen-level folds.

Several images of one specimen share its surface, its preparation and often its light. Folds drawn by image test on
specimens that were taught, and what they measure is partly how well a specimen is recognised. The difference between
the two protocols on the same corpus says by how much; it is the answer to whether a leak matters, which a count of
leaking images cannot give.

The model is a linear head on frozen features, so that many folds take seconds; its strength is chosen once, with
specimens whole, and is the same under both protocols. Folds are drawn several times. The interval resamples
specimens, each with its verdicts under both protocols (paired bootstrap).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from sorby.backbone import FeatureExtractor, Preprocessing
from sorby.backbone import load as load_backbone
from sorby.backbone.runtime import Device
from sorby.classify import Recipe
from sorby.classify.heads.logistic import Examples, choose_logistic, image_weights, one_fit_a_core
from sorby.classify.recipe import BalanceSection, HeadSection
from sorby.corpus import splits
from sorby.errors import InputError
from sorby.evidence import confusion_matrix, from_confusion
from sorby.evidence.intervals import Estimate, bootstrap_estimate, cluster_bootstrap, specimen_index
from sorby.evidence.scorecard import confusion_by_group
from sorby.progress import bar
from sorby.workflow.fitting import FinetuneTrainer, FrozenTrainer
from sorby.workflow.planning import Plan
from sorby.workflow.runs import noting

REPEATS = 3
BACKBONE = "efficientnet_lite0"
METRICS = ("macro_f1", "accuracy")
MODEL = "a linear head on frozen features, its strength chosen with specimens whole"

Codes = npt.NDArray[np.intp]
Features = npt.NDArray[np.float32]
Predict = Callable[[Codes], Codes]
"""From the fold of every image to the verdict on it by a model that was not taught that fold."""


@dataclass(frozen=True, eq=False)
class Inflation:
    """Figures of one model under two protocols.

    Attributes
    ----------
    image_level, specimen_level : dict of str to float
        Mean over the repeats, by metric.
    difference : dict of str to Estimate
        Image level minus specimen level, with the interval by specimen.
    sd_over_repeats : dict of str to float
        Of the difference; NaN for one repeat.
    n, n_specimens, folds, repeats : int
    """

    image_level: dict[str, float]
    specimen_level: dict[str, float]
    difference: dict[str, Estimate]
    sd_over_repeats: dict[str, float]
    n: int
    n_specimens: int
    folds: int
    repeats: int

    def as_dict(self) -> dict[str, Any]:
        """Return ``macro_f1`` and ``accuracy``, each with both levels, ``difference`` and ``ci95``, for JSON."""
        metrics = {}
        for name in METRICS:
            told = self.difference[name].as_dict()
            sd = self.sd_over_repeats[name]
            metrics[name] = {
                "image_level": self.image_level[name],
                "specimen_level": self.specimen_level[name],
                "difference": told["value"],
                "ci95": told["ci95"],
                "sd_over_repeats": None if np.isnan(sd) else sd,
                **({"note": told["note"]} if "note" in told else {}),
            }
        return {
            **metrics,
            "model": MODEL,
            "method": f"{self.difference['accuracy'].method}, paired; {self.repeats} x {self.folds} folds each",
            "n": self.n,
            "n_specimens": self.n_specimens,
            "folds": self.folds,
            "repeats": self.repeats,
        }


def measure_inflation(
    names: npt.NDArray[np.str_],
    labels: Codes,
    specimens: npt.NDArray[Any],
    predict: Predict,
    *,
    folds: int = 5,
    repeats: int = REPEATS,
    seed: int = 0,
) -> Inflation | None:
    """Compare image-level with specimen-level folds.

    Parameters
    ----------
    names : ndarray of str, shape (n,)
        Class of each image, which folds are stratified by.
    labels : ndarray of int, shape (n,)
        The same as codes from 0.
    specimens : ndarray, shape (n,)
    predict : callable
        Teaches a model for every fold and returns each image's verdict, shape (n,).
    folds, repeats, seed : int
        Repeat r draws both sets of folds from seed + r.

    Returns
    -------
    Inflation or None
        None where every image is a specimen of its own, so that the protocols are one.

    Raises
    ------
    InputError
        Fewer than two specimens.
    """
    index, n_specimens = specimen_index(specimens, len(labels))
    if n_specimens == len(labels):
        return None
    n_classes = int(labels.max()) + 1
    per_specimen, whole = [], []
    said: list[str] = []
    for repeat in range(repeats):
        with noting(said):  # few specimens, lonely classes: the headline's folds have said so already
            by_image = splits.kfold(names, folds, seed=seed + repeat)
            by_specimen = splits.kfold(names, folds, groups=specimens, seed=seed + repeat)
        verdicts = []
        with bar(f"folds by image and by specimen, {repeat + 1} of {repeats}", 2) as advance:
            for fold in (by_image, by_specimen):
                verdicts.append(predict(fold))
                advance(1)
        whole.append([confusion_matrix(labels, each, n_classes) for each in verdicts])
        per_specimen.append(
            np.stack([confusion_by_group(labels, each, n_classes, index, n_specimens) for each in verdicts], axis=1)
        )
    tables = np.stack(per_specimen, axis=1)  # specimens, repeats, protocols, classes, classes
    found = from_confusion(np.array(whole))
    values = {name: np.asarray(getattr(found, name)) for name in METRICS}  # repeats, protocols

    def gaps(summed: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        resampled = from_confusion(summed)
        each = [np.asarray(getattr(resampled, name)).mean(axis=1) for name in METRICS]
        return np.stack([level[:, 0] - level[:, 1] for level in each], axis=1)

    samples = cluster_bootstrap(tables, gaps, seed=seed)
    gap = {name: value[:, 0] - value[:, 1] for name, value in values.items()}
    return Inflation(
        {name: float(value[:, 0].mean()) for name, value in values.items()},
        {name: float(value[:, 1].mean()) for name, value in values.items()},
        {
            name: bootstrap_estimate(float(gap[name].mean()), samples[:, k], len(labels), n_specimens)
            for k, name in enumerate(METRICS)
        },
        {name: float(gap[name].std(ddof=1)) if repeats > 1 else float("nan") for name in METRICS},
        len(labels),
        n_specimens,
        folds,
        repeats,
    )


def linear_predictor(
    features: Features,
    names: npt.NDArray[np.str_],
    labels: Codes,
    specimens: npt.NDArray[Any],
    *,
    balance: BalanceSection | None = None,
    folds: int = 5,
    seed: int = 0,
) -> Predict:
    """Return what teaches a linear head for every fold.

    Parameters
    ----------
    features : ndarray of float32, shape (n, D)
    names, labels, specimens
        As for `measure_inflation`.
    balance : BalanceSection, optional
        How rare classes are made up for.
    folds, seed : int
        Of the folds by specimen that the strength is chosen in.
    """
    n_classes = int(labels.max()) + 1
    examples = Examples.of(labels)
    weights = image_weights(labels, balance or BalanceSection(), seed)
    if weights is not None:
        examples = Examples(examples.image, examples.label, weights)
    with noting([]):
        inner = splits.kfold(names, folds, groups=specimens, seed=seed)
    with one_fit_a_core() as pool:
        strength = choose_logistic(features, examples, n_classes, inner, HeadSection().c_grid, pool).c

    def predict(fold: Codes) -> Codes:
        with one_fit_a_core() as pool:
            models = choose_logistic(features, examples, n_classes, fold, (strength,), pool).by_fold
        verdicts = np.empty(len(labels), np.intp)
        for k, model in enumerate(models):
            verdicts[fold == k] = model(features[fold == k]).argmax(axis=1)
        return verdicts

    return predict


def inflation_of(
    trainer: FrozenTrainer | FinetuneTrainer, plan: Plan, recipe: Recipe, folds: int, device: Device = "auto"
) -> dict[str, Any] | None:
    """Return the inflation of a cross-validation's corpus for its result, None where there is none to measure.

    Parameters
    ----------
    trainer : FrozenTrainer or FinetuneTrainer
        Holds the features; a network that is fine-tuned is too dear to train twice, and the packaged network's frozen
        features take its place.
    plan : Plan
    recipe : Recipe
    folds : int
    device : {"auto", "cpu", "cuda"}
    """
    specimens = plan.specimens
    if specimens is None or not 2 <= len(np.unique(specimens.astype(str))) < len(plan.labels):
        return None
    if isinstance(trainer, FrozenTrainer):
        features, network = trainer.features, recipe.backbone.name
    else:
        features, network = packaged_features(plan, device), BACKBONE
    predict = linear_predictor(
        features, plan.names, plan.labels, specimens, balance=recipe.balance, folds=folds, seed=recipe.seed
    )
    found = measure_inflation(plan.names, plan.labels, specimens, predict, folds=folds, seed=recipe.seed)
    return (
        None if found is None else {**found.as_dict(), "model": MODEL.replace("features,", f"features of {network},")}
    )


def packaged_features(plan: Plan, device: Device = "auto") -> Features:
    """Return the packaged network's features of every image of a plan, shape (n, D)."""
    rule = Preprocessing(height=224, width=224, colour=plan.preprocessing.colour)
    extractor = FeatureExtractor(load_backbone(BACKBONE, size=(224, 224)), rule, device=device)
    with bar("features", len(plan.labels)) as advance:
        found = extractor.extract(plan.corpus.paths(), list(plan.corpus.table["sha256"].astype(str)), advance)
    if len(found.kept) < len(plan.labels):  # they were read before: a file went meanwhile
        raise InputError(
            f"{found.quarantined[0].file}: {found.quarantined[0].reason}", "run again with all files there"
        )
    return found.features
