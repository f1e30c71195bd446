"""``tune``: a search for a recipe's settings that never sees the test part, and that a kill does not change."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import ModuleType
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from sorby import provenance
from sorby.backbone.runtime import Device
from sorby.classify import Recipe
from sorby.classify import recipe as recipes
from sorby.classify.search_space import Choice, Dimension, Real, search_space
from sorby.corpus import Corpus, splits
from sorby.errors import InputError, MissingPartError
from sorby.evidence import confusion_matrix, from_confusion
from sorby.files import sha256_bytes, write_json
from sorby.progress import bar
from sorby.workflow.fitting import FinetuneTrainer, FrozenTrainer, Rows, make_trainer
from sorby.workflow.generated_rows import teachable
from sorby.workflow.runs import noting
from sorby.workflow.training import Columns, Ready, prepare, split_parts
from sorby.workflow.tuning_result import search_result, write_page

STUDY_FILE, RESULT_FILE = "study.db", "tuning.json"
_STUDY = "sorby"
_FOLDS = 3  # inner folds of a frozen trial

#: Successive halving as Schmid et al. set it.
MIN_RESOURCE, REDUCTION = 3, 3


class Objective(Protocol):
    """What a trial is scored by."""

    def __call__(self, recipe: Recipe, name: str, report: Callable[[int, float], None]) -> float:
        """Return the score of a recipe; *report* hears of its steps and may end it by raising."""
        ...


@dataclass(frozen=True, eq=False)
class Finetuning:
    """One training on the inner train part, scored by its macro-F1 on the inner validation part.

    Of the best epoch, or of the last one where the recipe keeps that.

    Attributes
    ----------
    trainer : FinetuneTrainer
    train, validation : ndarray of int
    """

    trainer: FinetuneTrainer
    train: Rows
    validation: Rows

    def __call__(self, recipe: Recipe, name: str, report: Callable[[int, float], None]) -> float:
        """Train; a checkpoint of an interrupted trial is taken up again."""
        best = 0.0

        def on_epoch(entry: Mapping[str, float]) -> None:
            nonlocal best
            score = entry["val_macro_f1"]
            best = score if recipe.finetune.keep == "last" else max(best, score)
            report(int(entry["epoch"]) + 1, entry["val_macro_f1"])

        self.trainer.train_network(recipe, self.train, self.validation, name, on_epoch)
        return best


@dataclass(frozen=True, eq=False)
class CrossFitting:
    """Heads on frozen features, scored by macro-F1 over inner folds of the train and validation parts.

    Attributes
    ----------
    ready : Ready
    recipe : Recipe
    rows : ndarray of int
        What may be looked at.
    device : {"auto", "cpu", "cuda"}
    state : Path
    """

    ready: Ready
    recipe: Recipe
    rows: Rows
    device: Device
    state: Path

    @cached_property
    def trainers(self) -> dict[int, FrozenTrainer]:
        """Trainers by the number of views, whose features differ."""
        assert isinstance(self.ready.trainer, FrozenTrainer)
        return {self.recipe.head.views: self.ready.trainer}

    @cached_property
    def folds(self) -> npt.NDArray[np.intp]:
        """Inner fold of each of the rows, specimens whole; -1 for generated images, which judge nothing."""
        plan, judging = self.ready.plan, ~self.ready.plan.synthetic[self.rows]
        rows = self.rows[judging]
        groups = None if plan.groups is None else plan.groups[rows]
        folds = np.full(len(self.rows), -1, np.intp)
        folds[judging] = splits.kfold(plan.names[rows], _FOLDS, groups=groups, seed=self.recipe.seed)
        return folds

    def __call__(self, recipe: Recipe, name: str, report: Callable[[int, float], None]) -> float:
        """Fit a head without each fold and score it there."""
        plan, trainer = self.ready.plan, self._trainer(recipe)
        predicted = np.zeros(len(self.rows), np.intp)
        for k in range(int(self.folds.max()) + 1):
            outside = self.folds == k
            inside = teachable(plan, self.rows[~outside], self.rows[outside])
            fit = trainer.fit(inside, inside[:0], name)
            predicted[outside] = trainer.verdicts(fit, self.rows[outside]).probabilities.argmax(axis=1)
        judged = self.folds >= 0
        counts = confusion_matrix(plan.labels[self.rows][judged], predicted[judged], len(plan.classes))
        return float(from_confusion(counts).macro_f1)

    def _trainer(self, recipe: Recipe) -> FrozenTrainer:
        views = recipe.head.views
        if views not in self.trainers:
            plan = self.ready.plan
            made = make_trainer(plan, recipe, self.state, self.device)
            assert isinstance(made, FrozenTrainer)
            made.read_images(plan.corpus.paths(), list(plan.corpus.table["sha256"]))
            self.trainers[views] = made
        return self.trainers[views].with_recipe(recipe)


def tune(
    data: Path | str | Corpus,
    out: Path | str,
    recipe: Recipe | None = None,
    *,
    trials: int = 20,
    epochs: int = 20,
    patience: int = 10,
    timeout_h: float | None = None,
    resume: bool = False,
    device: Device = "auto",
    label: str | None = None,
    group: str | None = None,
    image: str | None = None,
    report: bool = True,
) -> dict[str, Any]:
    """Search a recipe's settings on the train and validation parts of its own split.

    Tree-structured Parzen estimation (Bergstra et al. 2011) proposes, successive halving (Li et al. 2020) ends
    fine-tunings that fall behind after 3, 9, ... epochs. Specimens stay whole in every part. The test part, which
    ``train`` with the recipe that comes out will be tested on, takes no part.

    A trial is a function of the seed and of the trials finished before it. The study file holds finished trials
    only, the one that a kill interrupts goes on from its checkpoint: started again with *resume*, the study ends with
    the same trials.

    Parameters
    ----------
    data : Corpus or path
        A corpus, a table, or a folder per class.
    out : path
        Gets ``study.db`` (an Optuna study in SQLite), ``best.yaml``, ``trials.csv``, ``tuning.json``, ``report.html``.
    recipe : Recipe, optional
        What is changed; the frozen default where absent.
    trials : int
        In all, those of a resumed study counted.
    epochs, patience : int
        Of each fine-tuning, in place of the recipe's.
    timeout_h : float, optional
        No trial begins later than this many hours after the start.
    resume : bool
        Go on with the study in *out*.
    device : {"auto", "cpu", "cuda"}
    label, group, image : str, optional
        Columns of a table.
    report : bool
        Whether the page is written.

    Returns
    -------
    dict
        ``best`` (``number``, ``value``, ``settings``, ``recipe``), ``trials`` (one a trial), ``importance``,
        ``inner`` (images of each part), ``study``, ``table``, ``report``, ``seconds``, ``warnings``, ``quarantined``.

    Raises
    ------
    InputError
        The folder holds a study and *resume* is not set, or one of other data or settings; every trial failed; or
        the first one failed and the recipe as it stands fails too: then it is the data, and no study is left.
    MissingPartError
        Optuna is not installed.
    """
    started = time.perf_counter()
    optuna, out, base = _optuna(), Path(out), recipe or Recipe()
    if (out / STUDY_FILE).exists() and not resume:
        raise InputError(f"{out}: holds a study", "go on with it by --resume, or choose another --out")
    if not resume:
        shutil.rmtree(out / "state", ignore_errors=True)  # of a search that ended before its first trial did
    searched = _searched(base, epochs, patience)
    space = search_space(searched)
    ready = prepare(data, searched, out / "state", device, Columns(label, group, image))
    try:
        objective, inner = _objective(ready, searched, device, out / "state")
    except InputError:
        shutil.rmtree(out / "state", ignore_errors=True)
        raise
    identity = _identity(ready, searched, space)
    # A new study is begun with its first finished trial, so that data nothing can be taught on leave none behind.
    stored = _stored(optuna, out, identity) if (out / STUDY_FILE).exists() else None
    study = _in_memory(optuna, searched, [] if stored is None else stored.get_trials(deepcopy=False))
    with noting(ready.plan.warnings), bar("trials", trials) as advance:
        advance(len(study.trials))
        while len(study.trials) < trials:
            if timeout_h is not None and time.perf_counter() - started > 3600 * timeout_h:
                ready.plan.warnings.append(f"stopped after {timeout_h:g} h with {len(study.trials)} of {trials} trials")
                break
            _one_trial(optuna, study, objective, searched, space, out / "state")
            if len(study.trials) == 1 and study.trials[0].state == optuna.trial.TrialState.FAIL:
                _refuse_untrainable(objective, searched, out / "state")
            stored = stored or _stored(optuna, out, identity)
            stored.add_trial(study.trials[-1])
            advance(1)
    result = search_result(optuna, study, base, searched, space, ready, inner, out, out / STUDY_FILE)
    shutil.rmtree(out / "state", ignore_errors=True)
    result["seconds"] = time.perf_counter() - started
    if report:
        result["report"] = write_page(out, result, study, base, space)
    write_json(out / RESULT_FILE, {**result, "provenance": provenance.describe(base.seed)})
    return result


# -- what is searched ---------------------------------------------------------------------------------------------


def _optuna() -> ModuleType:
    """Return Optuna, quiet.

    Raises
    ------
    MissingPartError
    """
    try:
        import optuna
    except ModuleNotFoundError:
        raise MissingPartError("tuning needs Optuna", "pip install 'sorby[tune]'") from None
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna


def _searched(base: Recipe, epochs: int, patience: int) -> Recipe:
    """Return the recipe that trials start from."""
    if base.regime == "frozen":
        return base
    waits = 0 if base.finetune.keep == "last" else patience
    return recipes.changed(base, {"finetune.epochs": epochs, "finetune.patience": waits})


def _objective(ready: Ready, recipe: Recipe, device: Device, state: Path) -> tuple[Objective, dict[str, int]]:
    """Return what trials are scored by, and how many images each part has."""
    plan = ready.plan
    parts, _ = split_parts(plan, recipe)
    rows = {name: np.flatnonzero(parts == name) for name in ("train", "val", "test")}
    inner = {"train": len(rows["train"]), "val": len(rows["val"]), "held_out": len(rows["test"])}
    if isinstance(ready.trainer, FrozenTrainer):
        seen = np.sort(np.concatenate([rows["train"], rows["val"]]))
        return CrossFitting(ready, recipe, seen, device, state), inner
    if not len(rows["val"]):
        asked = recipe.split.fractions[1] > 0
        few = f"too few specimens for one: {inner['train']} images are left to train, {inner['held_out']} to test"
        raise InputError(
            f"tuning needs a validation part{f', {few}' if asked else ''}",
            "add specimens, or take a frozen recipe" if asked else "--set split.fractions='[.7, .15, .15]'",
        )
    return Finetuning(ready.trainer, rows["train"], rows["val"]), inner


def _identity(ready: Ready, recipe: Recipe, space: Mapping[str, Dimension]) -> str:
    """Identify what is searched, so that a study of something else is never continued."""
    plan = ready.plan
    text = f"{recipe.model_dump_json()}{sorted((k, str(v)) for k, v in space.items())}{plan.corpus.fingerprint()}"
    return sha256_bytes(text.encode())


def _stored(optuna: ModuleType, out: Path, identity: str) -> Any:
    """Open or begin the study in SQLite; it holds finished trials only."""
    out.mkdir(parents=True, exist_ok=True)
    storage = f"sqlite:///{(out / STUDY_FILE).resolve()}"
    stored = optuna.create_study(storage=storage, study_name=_STUDY, direction="maximize", load_if_exists=True)
    known = stored.user_attrs.get("identity")
    if known is not None and known != identity:
        raise InputError(f"{out}: holds a study of other data or another recipe", "choose another --out")
    stored.set_user_attr("identity", identity)
    return stored


def _in_memory(optuna: ModuleType, recipe: Recipe, finished: list[Any]) -> Any:
    """Return the study that proposes and prunes, with the trials finished so far."""
    pruner = optuna.pruners.NopPruner()
    if recipe.regime == "finetune":
        pruner = optuna.pruners.SuccessiveHalvingPruner(min_resource=MIN_RESOURCE, reduction_factor=REDUCTION)
    study = optuna.create_study(direction="maximize", pruner=pruner)
    study.add_trials(finished)
    return study


def _one_trial(
    optuna: ModuleType, study: Any, objective: Objective, base: Recipe, space: Mapping[str, Dimension], state: Path
) -> None:
    """Propose, train and record one trial; its proposal follows from the seed and the trials before it."""
    number = len(study.trials)
    seed = int(np.random.SeedSequence([base.seed, number]).generate_state(1)[0])
    study.sampler = optuna.samplers.TPESampler(seed=seed)
    trial = study.ask()
    settings = {name: _suggest(trial, name, dimension) for name, dimension in space.items()}
    name = f"trial-{number}"
    began = time.perf_counter()

    def report(step: int, value: float) -> None:
        trial.report(value, step)
        if trial.should_prune():
            raise optuna.TrialPruned

    done, value = optuna.trial.TrialState.COMPLETE, None
    try:
        value = objective(recipes.changed(base, settings), name, report)
    except optuna.TrialPruned:
        done = optuna.trial.TrialState.PRUNED
    except InputError as error:  # this setting cannot be trained, for instance it diverges; others can
        done = optuna.trial.TrialState.FAIL
        trial.set_user_attr("reason", error.message)
    trial.set_user_attr("seconds", round(time.perf_counter() - began, 2))
    study.tell(trial, value, state=done)
    shutil.rmtree(state / name, ignore_errors=True)


def _refuse_untrainable(objective: Objective, recipe: Recipe, state: Path) -> None:
    """Train the recipe as it stands: what fails without a single setting changed is not worth a search.

    Raises
    ------
    InputError
        Of that training.
    """
    try:
        objective(recipe, "recipe", lambda step, value: None)
    except InputError:
        shutil.rmtree(state, ignore_errors=True)
        raise
    shutil.rmtree(state / "recipe", ignore_errors=True)


def _suggest(trial: Any, name: str, dimension: Dimension) -> Any:
    if isinstance(dimension, Choice):
        return trial.suggest_categorical(name, list(dimension.options))
    if isinstance(dimension, Real):
        return trial.suggest_float(name, dimension.low, dimension.high, log=dimension.log)
    return trial.suggest_int(name, dimension.low, dimension.high)
