"""Arms: settings of a recipe (or another way of learning) that are taught and tested on the same folds."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from sorby.classify import Recipe
from sorby.classify import recipe as recipes
from sorby.corpus import splits
from sorby.errors import InputError
from sorby.progress import bar
from sorby.workflow.experiments.bench import Bench, Floats, Rows
from sorby.workflow.fitting import make_trainer
from sorby.workflow.planning import make_plan
from sorby.workflow.runs import noting


class Learner(Protocol):
    """Whatever can be taught on some rows of a bench and asked about others."""

    def predict(self, train: Rows, test: Rows, name: str) -> Floats:
        """Return class probabilities (len(test), C) after learning from *train* only."""
        ...


@dataclass(frozen=True)
class Arm:
    """One thing that is compared.

    Attributes
    ----------
    name : str
    meaning : str
        One line for the report.
    settings : dict
        Recipe fields (``head.views``) that differ from the base recipe.
    make : callable, optional
        Bench and recipe to a `Learner`; the recipe's own trainer where absent.
    """

    name: str
    meaning: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    make: Callable[[Bench, Recipe], Learner] | None = None

    def recipe(self, base: Recipe) -> Recipe:
        """Return the arm's recipe.

        Raises
        ------
        InputError
            A setting does not exist or does not go with the base recipe.
        """
        content = base.model_dump(mode="json")
        flat = {f"{section}.{key}": value for section, fields in content.items() if isinstance(fields, dict)
                for key, value in fields.items()}  # fmt: skip
        flat |= {key: value for key, value in content.items() if not isinstance(value, dict)}
        return recipes.load(None, {**flat, **self.settings})

    def learner(self, bench: Bench) -> Learner:
        """Return the arm's learner on a bench."""
        recipe = self.recipe(bench.recipe)
        return (self.make or RecipeLearner)(bench, recipe)


class RecipeLearner:
    """A recipe's trainer on the rows of a bench; features are computed once and found again in the cache.

    Parameters
    ----------
    bench : Bench
    recipe : Recipe

    Raises
    ------
    InputError
        An image that other arms could read cannot be read.
    """

    def __init__(self, bench: Bench, recipe: Recipe) -> None:
        plan = make_plan(bench.corpus, recipe)
        bench.warnings.extend([line for line in plan.warnings if line not in bench.warnings])
        if len(plan.labels) != bench.n or not set(plan.classes) <= set(bench.classes):
            raise InputError("the recipe's section labels takes other images or classes than the arms share",
                             "set labels.min_count and labels.merge aside, or use --min-count")  # fmt: skip
        # A class without images here is no class of the trainer's; its probability is none.
        self._columns = np.array([bench.classes.index(name) for name in plan.classes], np.intp)
        self._n_classes = len(bench.classes)
        self._recipe, self._warnings = recipe, bench.warnings
        state = bench.state / f"arm-{len(bench.learners)}"
        bench.learners[str(state)] = self
        with noting(bench.warnings):
            self._trainer = make_trainer(plan, recipe, state, bench.device)
            kept, quarantined = self._trainer.read_images(plan.corpus.paths(), list(plan.corpus.table["sha256"]))
        if len(kept) < bench.n:
            raise InputError(
                f"{quarantined[0].file}: {quarantined[0].reason}", "arms need the same images; take it out of the data"
            )
        self._trainer.keep(plan, kept)

    def predict(self, train: Rows, test: Rows, name: str) -> Floats:
        """Teach on *train* and return calibrated probabilities of *test*."""
        with noting(self._warnings):
            taught, validation = self._parts(train)
            fit = self._trainer.fit(taught, validation, name)
            found = np.zeros((len(test), self._n_classes))
            found[:, self._columns] = self._trainer.verdicts(fit, test).probabilities
        return found

    def _parts(self, train: Rows) -> tuple[Rows, Rows]:
        """Take a validation part off where the regime needs one for early stopping."""
        if not self._trainer.needs_validation:
            return train, train[:0]
        plan = self._trainer.plan
        share, validation, _ = self._recipe.split.fractions
        groups = None if plan.groups is None else plan.groups[train]
        fractions = (share / (share + validation), validation / (share + validation))
        parts = splits.holdout(
            plan.names[train], fractions, groups=groups, seed=self._recipe.seed, names=("train", "val")
        )
        return train[parts == "train"], train[parts == "val"]


def cross_predict(bench: Bench, arm: Arm, folds: Rows) -> Floats:
    """Return the probabilities of every row by a learner that has not seen its fold, shape (n, C)."""
    learner = arm.learner(bench)
    return out_of_fold(bench, learner, folds, arm.name)


def out_of_fold(bench: Bench, learner: Learner, folds: Rows, name: str) -> Floats:
    """Return what a learner says of each fold after learning from the others, shape (n, C)."""
    found = np.zeros((bench.n, len(bench.classes)))
    n_folds = int(folds.max()) + 1
    with bar(name, n_folds) as advance:
        for k in range(n_folds):
            test, rest = np.flatnonzero(folds == k), np.flatnonzero(folds != k)
            found[test] = learner.predict(rest, test, f"{name}-{k}")
            advance(1)
    return found
