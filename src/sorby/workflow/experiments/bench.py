"""The bench that all arms of an experiment share: the same images, the same labels, the same folds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from sorby.backbone.runtime import Device
from sorby.classify import Recipe
from sorby.corpus import Corpus, splits
from sorby.corpus.ancestry import originals_of, synthetic_rows
from sorby.errors import InputError
from sorby.workflow.data import open_data
from sorby.workflow.experiments.registry import Request
from sorby.workflow.planning import Plan, make_plan
from sorby.workflow.runs import noting

Rows = npt.NDArray[np.intp]
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Bench:
    """What is compared on.

    Attributes
    ----------
    plan : Plan
        Of the base recipe: the rows that take part, their classes and specimens.
    recipe : Recipe
        What every arm starts from.
    device : {"auto", "cpu", "cuda"}
    state : Path
        Where a fine-tuned arm keeps its state.
    warnings : list of str
    quarantined : list of dict
    learners : dict
        Learners made so far; those that differ in nothing but the head share their features.
    """

    plan: Plan
    recipe: Recipe
    device: Device
    state: Path
    warnings: list[str]
    quarantined: list[dict[str, Any]]
    learners: dict[str, Any] = field(default_factory=dict)

    @property
    def corpus(self) -> Corpus:
        """The rows that take part."""
        return self.plan.corpus

    @property
    def labels(self) -> Rows:
        """Class of each row."""
        return self.plan.labels

    @property
    def classes(self) -> tuple[str, ...]:
        """Class names."""
        return self.plan.classes

    @property
    def specimens(self) -> npt.NDArray[Any] | None:
        """Specimen of each row, None where the corpus names none."""
        return self.plan.specimens

    @property
    def n(self) -> int:
        """Images."""
        return len(self.plan.labels)

    def folds(self, k: int | None = None, seed: int | None = None) -> Rows:
        """Return the test fold of each row, specimens whole; the same for every arm."""
        with noting(self.warnings):
            return splits.kfold(
                self.plan.names,
                k or self.recipe.split.folds,
                groups=self.plan.groups,
                seed=self.recipe.seed if seed is None else seed,
            )

    def column(self, name: str) -> npt.NDArray[np.str_]:
        """Return a column as text, empty where there is no value."""
        values = self.corpus.table[name]
        text = values.astype(object).where(values.notna(), "")
        return np.array([str(value) for value in text], np.str_)

    def described(self) -> list[str]:
        """Say what the bench holds, one sentence each."""
        counts = Counter(self.plan.names.tolist())
        classes = ", ".join(f"{name} {counts[name]}" for name in self.classes)
        specimens = self.specimens
        grouped = (
            f"{len(np.unique(specimens))} specimens, each whole on one side of every split"
            if self.plan.grouped and specimens is not None
            else "specimens are not kept whole"
        )
        return [f"{self.n} images of {len(self.classes)} classes: {classes}", grouped, *self.plan.decisions]


def open_bench(
    request: Request,
    needs: Sequence[str] = (),
    *,
    label: str | None = None,
    where: Callable[[pd.DataFrame], pd.Series[bool]] | None = None,
) -> Bench:
    """Open the data, keep classes with enough images, and plan once for all arms.

    Parameters
    ----------
    request : Request
        Its option ``min_count`` is the fewest images of a class that takes part (S1's rule for scarce classes).
    needs : sequence of str
        Columns that must be there and not empty.
    label : str, optional
        Column that takes the place of the label (``size_class``, ``subtype``).
    where : callable, optional
        Table to the rows that take part.

    Raises
    ------
    InputError
        A column is missing (it is named), or fewer than two classes are left.
    """
    named = request.columns
    opened = open_data(request.data, label=named["label"], group=named["group"], image=named["image"])
    warnings = list(opened.warnings)
    corpus, made = originals_of(opened.corpus.usable()), int(synthetic_rows(opened.corpus.usable()).sum())
    if made:
        warnings.append(f"{made} generated images are left out: arms learn from and are judged by originals")
    require(corpus, [*needs, *([label] if label else [])])
    if where is not None:
        corpus = corpus.take(where(corpus.table).to_numpy(dtype=bool))
    if label is not None:
        stated = corpus.table[label].notna().to_numpy(bool)
        if not stated.all():
            warnings.append(f"{int((~stated).sum())} images have no {label} and take no part")
            corpus = corpus.take(stated)
        corpus = replace(corpus, table=corpus.table.assign(label=corpus.table[label].astype(str)))
    corpus = _enough(corpus, int(request.options.get("min_count", 2)), warnings)
    with noting(warnings):
        plan = make_plan(corpus, request.recipe)
    warnings.extend([line for line in plan.warnings if line not in warnings])
    quarantined = [entry.as_dict() for entry in opened.quarantined]
    return Bench(plan, request.recipe, request.device, request.out / "state", warnings, quarantined)


def require(corpus: Corpus, columns: Sequence[str]) -> None:
    """Check that columns are there.

    Raises
    ------
    InputError
        The first one missing or empty, by name.
    """
    for name in columns:
        if name not in corpus.table:
            there = ", ".join(sorted(map(str, corpus.table.columns)))
            raise InputError(f"the corpus has no column {name!r}, which this experiment needs", f"columns: {there}")
        if corpus.table[name].isna().all():
            raise InputError(f"column {name!r} is empty", "fill it in the table and build the corpus again")


def _enough(corpus: Corpus, least: int, warnings: list[str]) -> Corpus:
    """Leave out classes with fewer than *least* images and say so (S1-03)."""
    counts = corpus.table["label"].value_counts()
    scarce = sorted(str(name) for name, n in counts.items() if n < least)
    if not scarce:
        return corpus
    listed = ", ".join(f"{name} ({counts[name]})" for name in scarce)
    warnings.append(f"classes with fewer than {least} images left out: {listed}")
    if len(counts) - len(scarce) < 2:
        raise InputError(f"fewer than two classes have {least} images or more: {listed} left out", "lower --min-count")
    return corpus.take((~corpus.table["label"].isin(scarce)).to_numpy())
