"""``train`` and ``crossval``: from images to a bundle or to an honest estimate, and a run folder that explains both."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from sorby.backbone.runtime import Device
from sorby.classify import Recipe, Verdicts
from sorby.corpus import Corpus, splits
from sorby.errors import InputError, Quarantined
from sorby.evidence import FoldEstimate, confusion_matrix, from_confusion, t_interval
from sorby.workflow.assessment import Assessment, assess, verdict_table
from sorby.workflow.bundling import describe, write_bundle
from sorby.workflow.data import open_data
from sorby.workflow.fitting import FinetuneTrainer, Fit, FrozenTrainer, Rows, make_trainer
from sorby.workflow.generated_rows import UNUSED, checked_parts, drawn_parts, originals
from sorby.workflow.leakage.inflation import inflation_of
from sorby.workflow.match_sensitivity import without_fuzzy
from sorby.workflow.planning import Plan, make_plan
from sorby.workflow.runs import noting, refuse_finished, write_run

FOLD_METRICS = ("accuracy", "balanced_accuracy", "macro_f1", "weighted_f1", "macro_precision", "macro_recall")


@dataclass(frozen=True)
class Columns:
    """Which columns of a table hold class, specimen and image path; the usual names where None."""

    label: str | None = None
    group: str | None = None
    image: str | None = None


@dataclass(frozen=True, eq=False)
class Ready:
    """A plan whose images have been read.

    Attributes
    ----------
    plan : Plan
        Only the rows whose images could be read.
    trainer : FrozenTrainer or FinetuneTrainer
        Holds features or pixels of the same rows.
    quarantined : list of Quarantined
    heard : list of str
        What opening and reading the data warned of.
    """

    plan: Plan
    trainer: FrozenTrainer | FinetuneTrainer
    quarantined: list[Quarantined]
    heard: list[str]

    @property
    def warnings(self) -> list[str]:
        """What the reader of the result must know, so far."""
        return [*self.heard, *self.plan.warnings]


def prepare(data: Path | str | Corpus, recipe: Recipe, state: Path, device: Device, columns: Columns) -> Ready:
    """Open the data, plan, and read every image once.

    Files that cannot be read are set aside before anything is split.
    """
    opened = open_data(data, label=columns.label, group=columns.group, image=columns.image)
    plan = make_plan(opened.corpus, recipe)
    heard = list(opened.warnings)
    with noting(heard):
        trainer = make_trainer(plan, recipe, state, device)
        kept, quarantined = trainer.read_images(plan.corpus.paths(), list(plan.corpus.table["sha256"]))
    if not len(kept):
        raise InputError(
            f"none of {len(plan.labels)} images could be read ({quarantined[0].reason})", "check the files"
        )
    if len(kept) < len(plan.labels):
        plan = make_plan(plan.corpus.take(kept), recipe, plan.preprocessing)
        trainer.keep(plan, kept)
    return Ready(plan, trainer, [*opened.quarantined, *quarantined], heard)


def train(
    data: Path | str | Corpus,
    out: Path | str,
    recipe: Recipe | None = None,
    *,
    device: Device = "auto",
    label: str | None = None,
    group: str | None = None,
    image: str | None = None,
    report: bool = True,
) -> dict[str, Any]:
    """Train a classifier, test it on specimens it has not seen, and leave a run folder with a bundle.

    Parameters
    ----------
    data : Corpus or path
        A corpus, a table, or a folder per class.
    out : path
        Run folder; an interrupted fine-tuning there is resumed.
    recipe : Recipe, optional
        The frozen default where absent.
    device : {"auto", "cpu", "cuda"}
    label, group, image : str, optional
        Columns of a table.
    report : bool
        Whether ``report.html`` is written.

    Returns
    -------
    dict
        ``bundle``, ``test`` (``accuracy``, ``macro_f1``, ``n``, ``ci95`` ...), ``seconds``, ``quarantined``,
        ``warnings``, ``report``.
    """
    started = time.perf_counter()
    recipe, out = recipe or Recipe(), Path(out)
    refuse_finished(out)
    ready = prepare(data, recipe, out / "state", device, Columns(label, group, image))
    plan, trainer = ready.plan, ready.trainer
    parts, how = split_parts(plan, recipe)
    rows = {part: np.flatnonzero(parts == part) for part in ("train", "val", "test")}
    if not len(rows["test"]):
        raise InputError("the test part is empty: too few specimens", "add specimens, or use sorby crossval")
    with noting(plan.warnings):
        fit = trainer.fit(rows["train"], rows["val"], "train")
    verdicts = trainer.verdicts(fit, rows["test"])
    assessment = assess(
        plan.labels[rows["test"]], verdicts, plan.classes, _of(plan.specimens, rows["test"]), recipe.seed
    )
    bundle = write_bundle(out / "bundle.sorby", fit, describe(fit, plan, recipe, assessment, recipe.name))
    plan = replace(plan, corpus=plan.corpus.with_split(parts, describe=how))
    table = verdict_table(plan.corpus.table.iloc[rows["test"]], verdicts, plan.classes, "test")
    facts = {
        "kind": "train",
        "split": {part: len(members) for part, members in rows.items()},
        "test": assessment.as_dict(),
        "fit": fit.notes,
        "networks": fit.networks,
        "preprocessing": plan.preprocessing.model_dump(mode="json"),
        "bundle": bundle,
        "limits": fit.classifier.judge.limits(),
        "warnings": ready.warnings,
        "quarantined": [entry.as_dict() for entry in ready.quarantined],
        "seconds": time.perf_counter() - started,
    }
    write_run(out, recipe, plan, table, facts)
    if isinstance(trainer, FinetuneTrainer):
        trainer.forget()
    path = _report(out, fit) if report else None
    return {
        "bundle": bundle["file"],
        "test": headline(assessment),
        "seconds": time.perf_counter() - started,
        "report": path,
        "split": facts["split"],
        "grouped": plan.grouped,
        "quarantined": facts["quarantined"],
        "warnings": [*ready.warnings, *fit.classifier.judge.limits()],
    }


def headline(assessment: Assessment) -> dict[str, Any]:
    """Return the contract's ``test`` object: plain floats with their intervals beside them."""
    overall = assessment.overall()
    return {
        **{name: entry["value"] for name, entry in overall.items()},
        "n": assessment.scores["n"],
        "n_specimens": assessment.scores["n_specimens"],
        "ci95": {name: entry["ci95"] for name, entry in overall.items()},
    }


def split_parts(plan: Plan, recipe: Recipe) -> tuple[npt.NDArray[np.str_], str]:
    """Return the part of every image, and how it came about: as the data state it, or drawn."""
    stored = plan.corpus.table["split"] if "split" in plan.corpus.table else pd.Series(dtype=object)
    if stored.notna().any() and recipe.split.stored == "use":
        parts = np.array([str(part) for part in stored.fillna("")], np.str_)
        of_originals = set(parts[~plan.synthetic])
        if of_originals <= {"train", "val", "test"} and {"train", "test"} <= of_originals:
            plan.decisions.append("split: the train, val and test parts that the data state")
            parts = checked_parts(plan, parts)
            if straddling := _straddling(plan.specimens, parts):
                plan.warnings.append(f"{straddling} specimens lie in several parts of the split that the data state")
            return parts, "the split that the data state"
        plan.warnings.append(
            "the split that the data state is not used: it does not give every image train, val or test"
        )
    elif stored.notna().any():
        plan.warnings.append("the split that the data state is ignored, as the recipe asks; a new one is drawn")
    with noting(plan.warnings):
        drawn = drawn_parts(
            plan,
            np.arange(len(plan.labels)),
            lambda names, groups: splits.holdout(names, recipe.split.fractions, groups=groups, seed=recipe.seed),
            "train",
        )
    return checked_parts(plan, drawn), f"holdout {recipe.split.fractions}"


def _straddling(specimens: npt.NDArray[Any] | None, parts: npt.NDArray[np.str_]) -> int:
    """Count the specimens with images in several parts."""
    if specimens is None:
        return 0
    used = parts != UNUSED
    return int((pd.Series(parts[used]).groupby(pd.Series(specimens[used])).nunique() > 1).sum())


def _of(values: npt.NDArray[Any] | None, rows: Rows) -> npt.NDArray[Any] | None:
    return None if values is None else values[rows]


def _report(out: Path, fit: Fit) -> str:
    """Write the run's report; imported here because pages and figures are slow to load."""
    from sorby.workflow.reporting import write_train_report

    return str(write_train_report(out, fit.classifier))


def crossval(
    data: Path | str | Corpus,
    out: Path | str,
    recipe: Recipe | None = None,
    *,
    folds: int | None = None,
    device: Device = "auto",
    label: str | None = None,
    group: str | None = None,
    image: str | None = None,
    report: bool = True,
    inflation: bool = True,
    on_fold: Callable[[int, float], None] | None = None,
) -> dict[str, Any]:
    """Cross-validate: every image is tested once by a classifier that has not seen its specimen.

    Parameters
    ----------
    data, out, recipe, device, label, group, image, report
        As for `train`.
    folds : int, optional
        Overrides ``split.folds``.
    inflation : bool
        Whether, where specimens are known, image-level and specimen-level folds are compared, see
        `sorby.workflow.leakage.inflation`.
    on_fold : callable, optional
        Called with fold number and accuracy as each fold ends.

    Returns
    -------
    dict
        ``accuracy``, ``macro_f1`` ... (``mean``, ``sd``, ``ci95`` over folds by t), ``pooled`` metrics with
        intervals by specimen, ``folds``, ``grouped``; ``inflation`` (``macro_f1``, ``accuracy``: ``image_level``,
        ``specimen_level``, ``difference``, ``ci95``; None where specimens are unknown or have one image each);
        ``without_fuzzy`` (metrics of the images whose report was matched exactly; None where the corpus does not say).
    """
    started = time.perf_counter()
    recipe, out = recipe or Recipe(), Path(out)
    refuse_finished(out)
    n_folds = folds or recipe.split.folds
    ready = prepare(data, recipe, out / "state", device, Columns(label, group, image))
    plan, trainer = ready.plan, ready.trainer
    if "fold" in plan.corpus.table and plan.corpus.table["fold"].notna().any():
        plan.warnings.append("the folds that the data state are not used; new ones are drawn from the recipe's seed")
    with noting(plan.warnings):
        fold = drawn_parts(
            plan,
            np.arange(len(plan.labels)),
            lambda names, groups: splits.kfold(names, n_folds, groups=groups, seed=recipe.seed),
            -1,
        )
    n_folds = int(fold.max()) + 1
    tables, histories, per_fold = [], [], []
    parts: list[tuple[Rows, Verdicts]] = []
    for k in range(n_folds):
        test, rest = originals(plan, np.flatnonzero(fold == k)), np.flatnonzero(fold != k)
        with noting(plan.warnings):
            train_rows, validation = _validation(trainer, plan, rest, recipe)
            fit = trainer.fit(train_rows, validation, f"fold-{k}")
        verdicts = trainer.verdicts(fit, test)
        parts.append((test, verdicts))
        tables.append(verdict_table(plan.corpus.table.iloc[test], verdicts, plan.classes, f"fold-{k}"))
        predicted = verdicts.probabilities.argmax(axis=1)
        scores = from_confusion(confusion_matrix(plan.labels[test], predicted, len(plan.classes)))
        per_fold.append({name: float(getattr(scores, name)) for name in FOLD_METRICS} | {"n": len(test)})
        histories.append(fit.notes)
        if on_fold is not None:
            on_fold(k, per_fold[-1]["accuracy"])
    pooled = _pooled(parts, plan, recipe)
    over_folds = {name: t_interval([row[name] for row in per_fold]) for name in FOLD_METRICS}
    made = bool(plan.synthetic.any())
    told = inflation_of(trainer, plan, recipe, n_folds, device) if inflation and not made else None
    exactly = without_fuzzy(parts, plan, recipe.seed)
    plan = replace(plan, corpus=plan.corpus.with_folds(fold, describe=f"{n_folds}-fold"))
    facts = {
        "kind": "crossval",
        "folds": per_fold,
        "over_folds": {name: entry.as_dict() for name, entry in over_folds.items()},
        "test": pooled.as_dict(),
        "fits": histories,
        "inflation": told,
        "without_fuzzy": exactly,
        "preprocessing": plan.preprocessing.model_dump(mode="json"),
        "warnings": ready.warnings,
        "quarantined": [entry.as_dict() for entry in ready.quarantined],
        "seconds": time.perf_counter() - started,
    }
    write_run(out, recipe, plan, pd.concat(tables, ignore_index=True), facts)
    if isinstance(trainer, FinetuneTrainer):
        trainer.forget()
    path = _crossval_report(out) if report else None
    return {
        **_contract(over_folds),
        "pooled": pooled.overall(),
        "coverage": pooled.sets["coverage"],
        "referred": pooled.referred,
        "folds": n_folds,
        "grouped": plan.grouped,
        "inflation": told,
        "without_fuzzy": exactly,
        "n": int((~plan.synthetic).sum()),
        "seconds": time.perf_counter() - started,
        "report": path,
        "quarantined": facts["quarantined"],
        "warnings": ready.warnings,
    }


def _contract(over_folds: dict[str, FoldEstimate]) -> dict[str, Any]:
    return {name: entry.as_dict() for name, entry in over_folds.items()}


def _crossval_report(out: Path) -> str:
    from sorby.workflow.reporting import write_crossval_report

    return str(write_crossval_report(out))


def _validation(trainer: FrozenTrainer | FinetuneTrainer, plan: Plan, rest: Rows, recipe: Recipe) -> tuple[Rows, Rows]:
    """Take a validation part off a fold's training rows where the regime needs one for early stopping."""
    if not trainer.needs_validation:
        return rest, rest[:0]
    train_share, validation_share, _ = recipe.split.fractions
    share = validation_share / (train_share + validation_share)
    if share == 0 and recipe.finetune.keep == "last":
        return rest, rest[:0]
    if share == 0:
        raise InputError("fine-tuning needs a validation part", "--set split.fractions='[.64,.16,.2]'")
    parts = drawn_parts(
        plan,
        rest,
        lambda names, groups: splits.holdout(
            names, (1 - share, share), groups=groups, seed=recipe.seed, names=("train", "val")
        ),
        "train",
    )
    return rest[parts == "train"], originals(plan, rest[parts == "val"])


def _pooled(parts: list[tuple[Rows, Verdicts]], plan: Plan, recipe: Recipe) -> Assessment:
    """Assess all folds' verdicts together, in fold order."""
    rows = np.concatenate([test for test, _ in parts])
    together = Verdicts(
        np.concatenate([verdicts.probabilities for _, verdicts in parts]),
        np.concatenate([verdicts.sets for _, verdicts in parts]),
        np.concatenate([verdicts.novelty for _, verdicts in parts]),
        [reasons for _, verdicts in parts for reasons in verdicts.reasons],
    )
    return assess(plan.labels[rows], together, plan.classes, _of(plan.specimens, rows), recipe.seed)
