"""The two protocols of S4: folds drawn by image, as published, and folds that keep specimens whole."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from sorby.classify import Recipe
from sorby.corpus import splits
from sorby.evidence import confusion_matrix, from_confusion
from sorby.evidence.intervals import FoldEstimate, bootstrap_estimate, cluster_bootstrap, specimen_index, t_interval
from sorby.evidence.scorecard import confusion_by_group
from sorby.progress import bar
from sorby.workflow.experiments.arms import RecipeLearner
from sorby.workflow.experiments.bench import Bench, Floats, Rows
from sorby.workflow.fitting import Fit
from sorby.workflow.runs import noting

BY_IMAGE, BY_SPECIMEN = "by image", "by specimen"
_INFLATED = ("macro_f1", "accuracy")
FOLD_METRICS = ("accuracy", "macro_f1", "macro_precision", "macro_recall")


class ProtocolLearner(RecipeLearner):
    """A recipe's trainer that also keeps how it learnt, and the classifier of one fold.

    Parameters
    ----------
    bench : Bench
    recipe : Recipe
    shown : int
        Fold whose classifier is kept, counted in the order of teaching.

    Attributes
    ----------
    kept : Fit or None
        It has not seen fold *shown*.
    histories : list of list of dict
        Epochs of each fold; empty lists where nothing is fine-tuned.
    """

    def __init__(self, bench: Bench, recipe: Recipe, shown: int) -> None:
        super().__init__(bench, recipe)
        self._shown = shown
        self.kept: Fit | None = None
        self.histories: list[list[dict[str, Any]]] = []

    def predict(self, train: Rows, test: Rows, name: str) -> Floats:
        """Teach on *train* and return calibrated probabilities of *test*."""
        with noting(self._warnings):
            taught, validation = self._parts(train)
            fit = self._trainer.fit(taught, validation, name)
            found = np.zeros((len(test), self._n_classes))
            found[:, self._columns] = self._trainer.verdicts(fit, test).probabilities
        if len(self.histories) == self._shown:
            self.kept = fit
        self.histories.append(list(fit.notes.get("history", [])))
        return found


@dataclass(frozen=True, eq=False)
class Protocol:
    """A cross-validation, with what the folds' classifiers say of their own training part.

    Attributes
    ----------
    name : str
        ``by image`` or ``by specimen``.
    fold : ndarray of int, shape (n,)
        Fold in which each image is judged.
    probabilities : ndarray, shape (n, C)
        By the classifier that was not taught the image's fold.
    per_fold : list of dict
        Metrics of each fold, and of its training part (``train_...``), ``gap`` in macro-F1.
    confusions : ndarray of int, shape (folds, C, C)
    shown : int
        The fold that holds specimens of the most classes.
    fit : Fit
        Its classifier has not seen fold *shown*.
    histories : list of list of dict
    """

    name: str
    fold: Rows
    probabilities: Floats
    per_fold: list[dict[str, float]]
    confusions: npt.NDArray[np.int64]
    shown: int
    fit: Fit
    histories: list[list[dict[str, Any]]]

    @property
    def called(self) -> Rows:
        """Verdict on each image."""
        return np.asarray(self.probabilities.argmax(axis=1))

    def over_folds(self, metric: str) -> FoldEstimate:
        """Return the mean over folds with its t interval."""
        return t_interval([row[metric] for row in self.per_fold])


def run_protocol(bench: Bench, name: str, k: int) -> Protocol:
    """Cross-validate the bench's recipe.

    Training metrics are those of the finished classifier on its plain training images: S4 measured augmented,
    balanced batches in passing, which is another thing.

    Parameters
    ----------
    bench : Bench
    name : str
        ``by image`` or ``by specimen``.
    k : int
        Folds.

    Returns
    -------
    Protocol

    Raises
    ------
    InputError
        Specimens are unknown, or too few for so many folds.
    """
    if name == BY_IMAGE:
        with noting(bench.warnings):
            fold = splits.kfold(bench.plan.names, k, seed=bench.recipe.seed)
    else:
        fold = bench.folds(k)
    varied = [len(np.unique(bench.labels[fold == number])) for number in range(int(fold.max()) + 1)]
    shown = int(np.argmax(varied))
    learner = ProtocolLearner(bench, bench.recipe, shown)
    n_classes, every = len(bench.classes), np.arange(bench.n)
    probabilities = np.zeros((bench.n, n_classes))
    per_fold, confusions = [], []
    with bar(f"folds {name}", int(fold.max()) + 1) as advance:
        for number in range(int(fold.max()) + 1):
            judged = fold == number
            said = learner.predict(np.flatnonzero(~judged), every, f"{name.replace(' ', '-')}-{number}")
            probabilities[judged] = said[judged]
            codes = said.argmax(axis=1)
            confusions.append(confusion_matrix(bench.labels[judged], codes[judged], n_classes))
            per_fold.append(
                _metrics(confusions[-1], confusion_matrix(bench.labels[~judged], codes[~judged], n_classes))
            )
            advance(1)
    assert learner.kept is not None, "every fold is taught"
    return Protocol(name, fold, probabilities, per_fold, np.array(confusions), shown, learner.kept, learner.histories)


def inflation(bench: Bench, by_image: Protocol, by_specimen: Protocol) -> dict[str, dict[str, Any]]:
    """Return by how much folds drawn by image flatter the recipe: accuracy and macro-F1, all judged images together.

    Parameters
    ----------
    bench : Bench
        Its specimens are known.
    by_image, by_specimen : Protocol

    Returns
    -------
    dict
        By metric: ``by_image``, ``by_specimen``, ``difference`` (``value``, ``ci95`` by paired bootstrap of
        specimens), ``n``, ``n_specimens``.
    """
    index, n_specimens = specimen_index(bench.specimens, bench.n)
    n_classes, both = len(bench.classes), (by_image, by_specimen)
    tables = np.stack(
        [confusion_by_group(bench.labels, each.called, n_classes, index, n_specimens) for each in both], axis=1
    )

    def levels(summed: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        found = from_confusion(summed)
        return np.stack([np.asarray(getattr(found, name)) for name in _INFLATED], axis=-1)  # ..., protocols, metrics

    def gaps(summed: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        found = levels(summed)
        return found[..., 0, :] - found[..., 1, :]

    whole, samples = levels(tables.sum(axis=0)), cluster_bootstrap(tables, gaps, seed=bench.recipe.seed)
    return {
        name: {
            "by_image": float(whole[0, k]),
            "by_specimen": float(whole[1, k]),
            "difference": bootstrap_estimate(
                float(whole[0, k] - whole[1, k]), samples[:, k], bench.n, n_specimens
            ).as_dict(),
            "n": bench.n,
            "n_specimens": n_specimens,
        }
        for k, name in enumerate(_INFLATED)
    }


def _metrics(judged: npt.NDArray[Any], taught: npt.NDArray[Any]) -> dict[str, float]:
    mine, own = from_confusion(judged), from_confusion(taught)
    found = {name: float(getattr(mine, name)) for name in FOLD_METRICS}
    found |= {f"train_{name}": float(getattr(own, name)) for name in FOLD_METRICS}
    return found | {"gap": found["train_macro_f1"] - found["macro_f1"], "n": float(judged.sum())}
