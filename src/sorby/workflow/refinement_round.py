"""``refine round``: one change, trained on the training part, judged on the validation part, entered into the log."""

from __future__ import annotations

import csv
import io
import shutil
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from sorby import provenance
from sorby.backbone.runtime import Device
from sorby.classify import Classifier, Recipe, Verdicts
from sorby.classify import recipe as recipes
from sorby.errors import InputError
from sorby.evidence import compare
from sorby.files import atomic_write, sha256_bytes, sha256_file, staged_directory
from sorby.micrograph import read
from sorby.workflow.assessment import assess
from sorby.workflow.bundling import describe, write_bundle
from sorby.workflow.explaining import write_overlays
from sorby.workflow.fitting import FinetuneTrainer
from sorby.workflow.refinement import LOG_FILE, ROUNDS, SHOWN, Refinement, open_refinement
from sorby.workflow.refinement_log import appended
from sorby.workflow.runs import noting
from sorby.workflow.training import Columns, Ready, prepare

_MOST_MAPS = 40  # misclassified images of a round that get a picture
_LOCKED = {
    "split.": "the split is locked when the refinement starts",
    "labels.merge": "rounds are compared on the same classes",
    "labels.min_count": "rounds are compared on the same classes",
}


def train_round(
    folder: Path | str,
    settings: Mapping[str, Any],
    why: str,
    *,
    after: int | None = None,
    device: Device = "auto",
) -> dict[str, Any]:
    """Train with a change on the training part, judge on the validation part alone, and log it.

    Parameters
    ----------
    folder : path
    settings : mapping
        ``{"section.field": value}``, the change; empty for the first round only.
    why : str
        Its reason, kept in the log.
    after : int, optional
        Round whose recipe is changed; the last one where absent.
    device : {"auto", "cpu", "cuda"}

    Returns
    -------
    dict
        ``round``, ``after``, ``validation`` (``accuracy``, ``macro_f1``, each ``value``, ``ci95``, ``n``),
        ``difference`` (the same, of this round less the one before it), ``misclassified`` (``path``, ``label``,
        ``predicted``, ``confidence``, ``map``), ``bundle``, ``log_sha256``, ``warnings``, ``quarantined``.

    Raises
    ------
    InputError
        No reason, nothing changed, a locked setting, no such round, or the refinement is closed.
    """
    began = time.perf_counter()
    refinement = open_refinement(folder)
    before = _before(refinement, settings, why, after)
    earlier = None if before is None else _earlier(refinement, before)
    basis = refinement.start["recipe"] if before is None else before["recipe"]
    recipe = recipes.changed(Recipe.model_validate(basis), dict(settings))
    number = len(refinement.rounds) + 1
    state = refinement.folder / "state" / sha256_bytes(recipe.model_dump_json().encode())[:16]
    # The test images stay closed: what is opened, planned and read holds the other parts only.
    ready = prepare(refinement.part("train", "val"), recipe, state, device, Columns())
    plan, trainer = ready.plan, ready.trainer
    plan.decisions.append(f"round {number} of a refinement: its metrics are of the validation part that chooses rounds")
    parts = plan.corpus.table["split"].to_numpy()
    train, validation = np.flatnonzero(parts == "train"), np.flatnonzero(parts == "val")
    with noting(plan.warnings):
        fit = trainer.fit(train, validation if trainer.needs_validation else validation[:0], "train")
    verdicts = trainer.verdicts(fit, validation)
    groups = None if plan.specimens is None else plan.specimens[validation]
    assessment = assess(plan.labels[validation], verdicts, plan.classes, groups, recipe.seed)
    place = refinement.folder / ROUNDS / f"{number:02d}"
    with staged_directory(place) as staged:
        bundle = write_bundle(staged / "bundle.sorby", fit, describe(fit, plan, recipe, assessment, f"round-{number}"))
        table = _validation_table(ready, validation, verdicts)
        with atomic_write(staged / "validation.csv") as file:
            file.write(table)
        wrong = _misclassified(staged, ready, validation, verdicts, fit.classifier)
        sealed = sha256_file(staged / "validation.csv")
    content = {
        "round": number,
        "after": None if before is None else before["round"],
        "settings": {key: str(value) for key, value in settings.items()},
        "why": why.strip(),
        "recipe": recipe.model_dump(mode="json"),
        "validation": {name: assessment.overall()[name] for name in SHOWN},
        "difference": _difference(earlier, ready, validation, verdicts, recipe.seed),
        "misclassified": [{key: row[key] for key in ("path", "label", "predicted")} for row in wrong],
        "bundle_sha256": bundle["sha256"],
        "validation_sha256": sealed,
        "created": provenance.describe()["created"],
        "seconds": round(time.perf_counter() - began, 1),
    }
    entries = appended(refinement.folder / LOG_FILE, refinement.entries, "round", content)
    if isinstance(trainer, FinetuneTrainer):
        trainer.forget()
    shutil.rmtree(refinement.folder / "state", ignore_errors=True)
    return {
        **{name: content[name] for name in ("round", "after", "settings", "why", "validation", "difference")},
        "misclassified": [{**row, "map": str(place / row["map"]) if row["map"] else None} for row in wrong],
        "bundle": str(place / "bundle.sorby"),
        "log_sha256": entries[-1].hash,
        "seconds": content["seconds"],
        "warnings": ready.warnings,
        "quarantined": [entry.as_dict() for entry in ready.quarantined],
    }


def _before(
    refinement: Refinement, settings: Mapping[str, Any], why: str, after: int | None
) -> Mapping[str, Any] | None:
    """Return the round that is changed, None for the first one; refuse what a round may not be."""
    if refinement.of_kind("open") is not None:
        raise InputError(
            f"{refinement.folder}: the test part has been opened, no further round counts", "start a new refinement"
        )
    if not why.strip():
        raise InputError("a round needs its reason", '--why "what was seen and what it should mend"')
    for key in settings:
        for start_of, reason in _LOCKED.items():
            if key.startswith(start_of) or start_of.startswith(f"{key}."):  # or the section that holds it, whole
                raise InputError(f"--set {key}: {reason}", "start a new refinement for another one")
    rounds = refinement.rounds
    if after is not None and not 1 <= after <= len(rounds):
        raise InputError(f"there is no round {after}", f"rounds so far: {len(rounds)}")
    if rounds and not settings:
        raise InputError("nothing changed: the same training again tells nothing", "--set section.field=value")
    return rounds[(after or len(rounds)) - 1] if rounds else None


def _validation_table(ready: Ready, rows: npt.NDArray[np.intp], verdicts: Verdicts) -> bytes:
    """Return what a round said of every validation image, as CSV."""
    plan, buffer = ready.plan, io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(["sha256", "path", "label", "predicted", "confidence"])
    p = verdicts.probabilities
    for k, row in enumerate(rows):
        entry = plan.corpus.table.iloc[int(row)]
        named = plan.classes[int(plan.labels[row])], plan.classes[int(p[k].argmax())]
        writer.writerow([entry["sha256"], entry["path"], *named, f"{p[k].max():.6f}"])
    return buffer.getvalue().encode()


def _misclassified(
    folder: Path, ready: Ready, rows: npt.NDArray[np.intp], verdicts: Verdicts, classifier: Classifier
) -> list[dict[str, Any]]:
    """Write where the classifier looked on what it got wrong, the surest first, and return what is told of each."""
    plan, p = ready.plan, verdicts.probabilities
    wrong = np.flatnonzero(p.argmax(axis=1) != plan.labels[rows])
    wrong = wrong[np.argsort(-p[wrong].max(axis=1), kind="stable")]
    paths = plan.corpus.paths()
    told, jobs = [], []
    for place, k in enumerate(wrong):
        row, predicted = int(rows[k]), plan.classes[int(p[k].argmax())]
        picture = f"misclassified/{place:02d}-{paths[row].stem}.png" if place < _MOST_MAPS else None
        told.append(
            {
                "path": str(paths[row]),
                "label": plan.classes[int(plan.labels[row])],
                "predicted": predicted,
                "confidence": float(p[k].max()),
                "map": picture,
            }
        )
        if picture is not None:
            jobs.append((read(paths[row]), predicted, folder / picture))
    if jobs:
        write_overlays(classifier, jobs, "inferno")
    return told


def _earlier(refinement: Refinement, before: Mapping[str, Any]) -> dict[str, str]:
    """Return what a round called each validation image, by the image's hash."""
    file = refinement.folder / ROUNDS / f"{int(before['round']):02d}" / "validation.csv"
    if not file.is_file() or sha256_file(file) != before["validation_sha256"]:
        raise InputError(f"{file}: is not what round {before['round']} wrote", "start a new refinement")
    with open(file, encoding="utf-8", newline="") as opened:
        return {row["sha256"]: row["predicted"] for row in csv.DictReader(opened)}


def _difference(
    earlier: Mapping[str, str] | None, ready: Ready, rows: npt.NDArray[np.intp], verdicts: Verdicts, seed: int
) -> dict[str, Any] | None:
    """Return by how much a round differs on the validation images from the one that it changed, paired."""
    if earlier is None:
        return None
    plan = ready.plan
    hashes = plan.corpus.table["sha256"].to_numpy()[rows]
    both = np.array([sha in earlier for sha in hashes])  # an image that could not be read then, or now, is left out
    code = {name: k for k, name in enumerate(plan.classes)}
    before = np.array([code[earlier[sha]] for sha in hashes[both]], np.intp)
    groups = None if plan.specimens is None else plan.specimens[rows][both]
    now = verdicts.probabilities.argmax(axis=1)[both]
    test, gaps = compare(plan.labels[rows][both], now, before, len(plan.classes), groups, seed)
    return {**{name: gaps[name].as_dict() for name in SHOWN}, "mcnemar_p": float(test.p_value)}
