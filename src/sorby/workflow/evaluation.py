"""``evaluate``: a bundle's verdicts against labelled images."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from sorby.backbone.runtime import Device
from sorby.classify import Classifier, Verdict, Verdicts
from sorby.corpus import Corpus
from sorby.corpus.ancestry import originals_of, synthetic_rows
from sorby.errors import InputError, Quarantined
from sorby.evidence import grades_of, score_grades, share
from sorby.files import atomic_write, write_json
from sorby.progress import bar
from sorby.workflow.assessment import OVERALL, assess, verdict_table
from sorby.workflow.data import open_data
from sorby.workflow.opening import open_classifier
from sorby.workflow.planning import magnifications

__all__ = ["OVERALL", "evaluate"]

_GROUP_COLUMNS = ("magnification", "plant", "instrument", "alloy", "rater")
_MOST_GROUPS = 30


def evaluate(
    bundle: Path | str,
    data: Path | str | Corpus,
    out: Path | str | None = None,
    *,
    seed: int = 0,
    label: str | None = None,
    group: str | None = None,
    image: str | None = None,
    require_signed: bool = False,
    device: Device = "auto",
) -> dict[str, Any]:
    """Score a bundle on labelled images.

    Parameters
    ----------
    bundle, data : path
    out : path, optional
        Folder for ``assessed.csv`` (truth beside verdict) and ``evaluation.json``.
    seed : int
        Of the bootstrap.
    label, group, image : str, optional
        Columns of a table.

    Returns
    -------
    dict
        ``accuracy``, ``macro_f1`` ... (each ``value``, ``ci95``, ``n``), ``calibration``, ``sets``, ``per_class``,
        ``per_group``, ``referred``, ``warnings``, ``quarantined``.

    Raises
    ------
    InputError
        No image has a label that the bundle knows.
    """
    classifier, opened = open_classifier(bundle, require_signed=require_signed)
    source = open_data(data, label=label, group=group, image=image, min_classes=1)
    corpus, made = originals_of(source.corpus.usable()), int(synthetic_rows(source.corpus.usable()).sum())
    corpus = _merged(corpus, opened.description.model.get("merged_labels"))
    known = np.isin(corpus.labels.astype(str), classifier.classes)
    warnings = list(source.warnings)
    if made:
        warnings.append(f"{made} generated images are left out: they never judge")
    if not known.all():
        strange = sorted(set(corpus.labels[~known].astype(str)))
        left_out = int((~known).sum())
        warnings.append(f"{left_out} images of classes the bundle does not know are left out: {', '.join(strange[:5])}")
    corpus = corpus.take(known)
    if not len(corpus):
        raise InputError(
            f"{data}: no image has a label of this bundle", f"its classes: {', '.join(classifier.classes)}"
        )
    if taught := int(classifier.was_taught(corpus.table["sha256"]).sum()):
        warnings.append(
            f"{taught} of {len(corpus)} images are ones the bundle was trained on: the figures are too good"
        )
    kept, verdicts, quarantined = _judge(classifier, corpus, device)
    corpus = corpus.take(kept)
    labels = np.array([classifier.classes.index(str(name)) for name in corpus.labels], np.intp)
    groups = corpus.groups
    if groups is None:
        warnings.append("specimens are unknown: intervals count every image as independent")
    assessment = assess(labels, verdicts, classifier.classes, groups, seed)
    result = {
        **assessment.as_dict(),
        "per_group": _per_group(corpus, labels, verdicts, classifier.classes, seed),
        "bundle_sha256": opened.sha256,
        "warnings": warnings,
        "quarantined": [entry.as_dict() for entry in [*source.quarantined, *quarantined]],
    }
    if out is not None:
        table = verdict_table(corpus.table, verdicts, classifier.classes, "evaluate")
        for column in ("correct", "referred"):
            table[column] = np.where(table[column], "true", "false")  # as inspect writes it
        with atomic_write(Path(out) / "assessed.csv") as file:
            file.write(table.to_csv(index=False).encode("utf-8"))
        write_json(Path(out) / "evaluation.json", result)
    return result


def _merged(corpus: Corpus, merge: object) -> Corpus:
    """Return the corpus with the labels that the bundle was taught to count as others."""
    if not isinstance(merge, dict):
        return corpus
    return replace(corpus, table=corpus.table.assign(label=corpus.table["label"].replace(merge)))


def _sizes_um(corpus: Corpus) -> list[float | None]:
    """Return the pixel size that the corpus states for each image, as training took it."""
    stated = corpus.table.get("pixel_size_um", pd.Series(np.nan, corpus.table.index)).to_numpy(np.float64)
    return [float(size) if np.isfinite(size) and size > 0 else None for size in stated]


def _judge(classifier: Classifier, corpus: Corpus, device: Device) -> tuple[list[int], Verdicts, list[Quarantined]]:
    """Return the rows with a verdict, the verdicts, and the files set aside."""
    kept: list[int] = []
    found: list[Verdict] = []
    quarantined: list[Quarantined] = []
    with bar("evaluating", len(corpus)) as advance:
        powers = [float(power) if np.isfinite(power) else None for power in magnifications(corpus)]
        outcomes = classifier.inspect(
            corpus.paths(),
            device=device,
            pixel_size_um=_sizes_um(corpus),
            magnification=powers,
            progress=advance,
        )
        for k, outcome in enumerate(outcomes):
            if isinstance(outcome, Quarantined):
                quarantined.append(outcome)
            else:
                kept.append(k)
                found.append(outcome)
    if not found:
        raise InputError(f"no image could be read ({quarantined[0].reason})", "check the files")
    probabilities = np.array([[verdict.probabilities[name] for name in classifier.classes] for verdict in found])
    sets = np.array([[name in verdict.labels for name in classifier.classes] for verdict in found])
    novelty = np.array([verdict.novelty for verdict in found])
    return kept, Verdicts(probabilities, sets, novelty, [verdict.reasons for verdict in found]), quarantined


def _per_group(
    corpus: Corpus, labels: npt.NDArray[np.intp], verdicts: Verdicts, classes: tuple[str, ...], seed: int
) -> dict[str, Any]:
    """Return the accuracy for each value of each recorded condition, with its interval by specimen.

    Where the classes are grades, ``ordinal`` beside it holds the figures that their order allows.
    """
    groups = corpus.groups
    called = verdicts.probabilities.argmax(axis=1)
    correct, grades = called == labels, grades_of(classes)

    def scored(rows: npt.NDArray[np.intp]) -> dict[str, Any]:
        of = None if groups is None else groups[rows]
        entry = share(correct[rows], of, seed).as_dict()
        if grades is None:
            return entry
        figures = score_grades(labels[rows], called[rows], grades, of, seed)
        return entry | {"ordinal": {name: figure.as_dict() for name, figure in figures.items()}}

    found: dict[str, Any] = {}
    for column in _GROUP_COLUMNS:
        if column not in corpus.table or corpus.table[column].isna().all():
            continue
        values = pd.Series(corpus.table[column].astype(str).to_numpy())
        if values.nunique() > _MOST_GROUPS:
            continue
        found[column] = {
            value: scored(np.flatnonzero((values == value).to_numpy()))
            for value in sorted(values.dropna().unique().tolist())
        }
    return found
