"""``specimens``: teach the verdict on specimens on the features of a classifier, with its flags and its rare class."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from sorby.backbone.pipeline import stream
from sorby.backbone.runtime import Device
from sorby.bundle import TrainingData
from sorby.classify import Classifier
from sorby.classify.flags import FlagHead, FlagRules, fit_flag_head
from sorby.classify.specimens import DESCRIPTIONS, METHODS, Bags, Method, SpecimenModel, fit_specimens
from sorby.classify.specimens.judge import SpecimenJudge
from sorby.corpus import Corpus
from sorby.corpus.ancestry import originals_of
from sorby.errors import InputError, Quarantined, SorbyError
from sorby.evidence import score, softmax
from sorby.evidence.precision_control import PrecisionControl, precision_control
from sorby.micrograph import read
from sorby.progress import bar
from sorby.workflow.data import open_data
from sorby.workflow.opening import open_classifier
from sorby.workflow.runs import refuse_unwritable

IN_VIEW, RESIDUE = "origin_in_view", "contamination"
"""Columns that teach flags: whether a picture shows the origin; which share of it lies under residue."""

HOLDS_FOR = (
    "cross-fitted probabilities: each calibration specimen is scored by a model that has not seen it. Verdicts come"
    " from the model taught on all specimens, whose probabilities are much like these, but for which nothing is proven"
)
"""What the precision of the rare class holds for."""

_CLEAN, _DIRTY = 0.01, 0.05  # shares of the picture; what lies between teaches neither


@dataclass(frozen=True)
class Teaching:
    """What is taught.

    Attributes
    ----------
    method : str
        See `sorby.classify.specimens.DESCRIPTIONS`.
    alpha : float
        Of the sets.
    rare_class : str or None
        Class under precision control.
    rare_precision : float
        What is wanted of it.
    rare_confidence : float or None
        Have it shown with this confidence; None for what did well on the calibration specimens. Either holds for
        cross-fitted probabilities, see `HOLDS_FOR`.
    expert_classes : tuple of str
        Classes whose verdict from low magnification alone goes to an expert.
    low_magnification : float
    seed : int
    """

    method: Method = "attention"
    alpha: float = 0.1
    rare_class: str | None = None
    rare_precision: float = 0.9
    rare_confidence: float | None = None
    expert_classes: tuple[str, ...] = ()
    low_magnification: float = 250.0
    seed: int = 0


def teach_specimens(
    bundle: Path | str,
    data: Corpus | Path | str,
    out: Path | str,
    teaching: Teaching | None = None,
    *,
    label: str | None = None,
    group: str | None = None,
    image: str | None = None,
    require_signed: bool = False,
    device: Device = "auto",
) -> dict[str, Any]:
    """Teach a specimen judge and write its bundle.

    Parameters
    ----------
    bundle : path
        A classifier. Fine-tuned ones know the images that tuned them too well: those are left out.
    data : Corpus or path
        With specimens; columns ``origin_in_view`` (true, false) and ``contamination`` (share of the picture), where
        there are any, teach the flags ``origin-not-in-view`` and ``contaminated``.
    out : path
        The new bundle, a ``.sorby`` file.
    teaching : Teaching, optional
    label, group, image : str, optional
        Columns of a table.
    require_signed : bool
    device : {"auto", "cpu", "cuda"}

    Returns
    -------
    dict
        ``bundle``, ``sha256``, ``method``, ``n_specimens``, ``n_images``, ``cross_fitted`` (``accuracy``, ``macro_f1``,
        ``set_size``), ``rare_class``, ``taught_flags``, ``warnings``, ``quarantined``.

    Raises
    ------
    InputError
        *out* exists or cannot be written, no specimens, classes other than the classifier's, or a setting that does
        not fit.
    """
    chosen, out = teaching or Teaching(), Path(out)
    if out.exists():
        raise InputError(f"{out}: exists", "choose another --out")
    refuse_unwritable(out)
    classifier, opened = open_classifier(bundle, require_signed=require_signed)
    data_opened = open_data(data, label=label, group=group, image=image)
    warnings = list(data_opened.warnings)
    corpus = _usable(originals_of(data_opened.corpus.usable()), classifier, chosen, warnings)
    features, kept, quarantined = _features(classifier, corpus, device)
    corpus = corpus.take(kept)
    labels = np.array([classifier.classes.index(str(name)) for name in corpus.labels], np.intp)
    bags, _ = Bags.of(features, corpus.groups, labels)
    model = fit_specimens(bags, len(classifier.classes), chosen.method, alpha=chosen.alpha, seed=chosen.seed)
    control = _rare(model, bags, classifier.classes, chosen, warnings)
    heads = _flag_heads(corpus, features, chosen.seed, warnings)
    if model.scarce:
        scarce = ", ".join(classifier.classes[code] for code in model.scarce)
        warnings.append(f"too few specimens of {scarce}: calibrated by models that had not seen the class")
    if message := model.conformal.attainability.message:
        warnings.append(message)
    rules = FlagRules(
        low_magnification=chosen.low_magnification,
        expert_classes=chosen.expert_classes,
        rare_class=chosen.rare_class or "",
        rare_threshold=0.0 if control is None else control.threshold,
    )
    rare = {} if control is None else {"class": chosen.rare_class, **control.as_dict(), "holds_for": HOLDS_FOR}
    judge = SpecimenJudge(model, classifier.classes, opened.sha256, rules, heads, rare)
    metrics = _cross_fitted(model, bags, len(classifier.classes), chosen.seed)
    training = TrainingData(fingerprint=corpus.fingerprint(), n=len(corpus), n_specimens=bags.n)
    sha256 = judge.save(out, training, metrics=metrics, seed=chosen.seed, notes=warnings)
    return {
        "bundle": str(out),
        "sha256": sha256,
        "classifier_sha256": opened.sha256,
        "method": chosen.method,
        "meaning": DESCRIPTIONS[chosen.method],
        "n_specimens": bags.n,
        "n_images": len(corpus),
        "cross_fitted": metrics,
        "rare_class": rare,
        "taught_flags": {code: head.figures() for code, head in heads.items()},
        "warnings": warnings,
        "quarantined": [entry.as_dict() for entry in (*data_opened.quarantined, *quarantined)],
    }


def _usable(corpus: Corpus, classifier: Classifier, chosen: Teaching, warnings: list[str]) -> Corpus:
    if chosen.method not in METHODS:
        raise InputError(f"specimen method {chosen.method!r} is unknown", f"choose one of {', '.join(METHODS)}")
    if corpus.groups is None:
        raise InputError("the data name no specimens", "build the corpus with --group COLUMN")
    for name in (*chosen.expert_classes, *([chosen.rare_class] if chosen.rare_class else [])):
        if name not in classifier.classes:
            raise InputError(f"{name!r} is no class of the classifier", f"classes: {', '.join(classifier.classes)}")
    strange = sorted(set(map(str, corpus.labels)) - set(classifier.classes))
    if strange:
        raise InputError(f"the classifier knows no class {strange[0]!r}", f"classes: {', '.join(classifier.classes)}")
    if classifier.regime == "finetune":
        taught = classifier.was_taught(corpus.table["sha256"])
        # A specimen that tuned the network with one image is known to it by all.
        known = np.isin(corpus.groups.astype(str), np.unique(corpus.groups[taught].astype(str)))
        if known.any():
            warnings.append(f"{int(known.sum())} images of specimens that tuned the network were left out")
            corpus = corpus.take(~known)
    return corpus


def _features(
    classifier: Classifier, corpus: Corpus, device: Device
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.intp], list[Quarantined]]:
    """Return features of the readable images, their rows, and the others."""
    paths = corpus.paths()
    found: list[npt.NDArray[np.float32]] = []
    kept: list[int] = []
    quarantined: list[Quarantined] = []

    with bar("features", len(paths)) as advance:
        for row, outcome in stream(
            range(len(paths)), lambda k: classifier.preprocessing.prepare(read(paths[k])), classifier.runtime(device)
        ):
            if isinstance(outcome, SorbyError):
                quarantined.append(Quarantined.from_error(paths[row], outcome))
            else:
                found.append(outcome[1])
                kept.append(row)
            advance(1)
    if not found:
        raise InputError("no image could be read", quarantined[0].reason if quarantined else "the data are empty")
    return np.stack(found), np.array(kept, np.intp), quarantined


def _rare(
    model: SpecimenModel, bags: Bags, classes: tuple[str, ...], chosen: Teaching, warnings: list[str]
) -> PrecisionControl | None:
    """Choose the rare class's threshold on cross-fitted probabilities of the specimens.

    The model that gives verdicts has seen them all, so its own probabilities of them show nothing.
    """
    if chosen.rare_class is None:
        return None
    code = classes.index(chosen.rare_class)
    p = softmax(model.cross_scores, model.temperature)
    control = precision_control(
        p[:, code],
        bags.labels == code,
        chosen.rare_precision,
        most_probable=p.argmax(axis=1) == code,
        confidence=chosen.rare_confidence,
    )
    if not control.attained:
        warnings.append(
            f"none reaches a precision of {chosen.rare_precision:g} for {chosen.rare_class}: every verdict of it"
            " goes to a person"
        )
    return control


def _flag_heads(
    corpus: Corpus, features: npt.NDArray[np.float32], seed: int, warnings: list[str]
) -> dict[str, FlagHead]:
    """Teach the flags whose pictures the corpus marks, and say of the others what becomes of them."""
    marked = {
        "origin-not-in-view": (_in_view(corpus), f"no column {IN_VIEW}: it is not given"),
        "contaminated": (_clean(corpus), f"no column {RESIDUE}: it goes by stained shares of the surface"),
    }
    groups, heads = corpus.groups, {}
    assert groups is not None
    for code, (in_order, without) in marked.items():
        known = ~np.isnan(in_order)
        if not known.any():
            warnings.append(f"flag {code}: {without}")
            continue
        try:
            heads[code] = fit_flag_head(features[known], in_order[known] > 0, groups[known], seed=seed)
        except InputError as error:
            warnings.append(f"flag {code} was not taught: {error.message}")
    return heads


def _in_view(corpus: Corpus) -> npt.NDArray[np.float64]:
    """Return 1 for pictures that show the origin, 0 for others, NaN where nothing is said."""
    if IN_VIEW not in corpus.table:
        return np.full(len(corpus), np.nan)
    stated = corpus.table[IN_VIEW].astype(str).str.lower()
    shown = {"true": 1.0, "1": 1.0, "1.0": 1.0, "false": 0.0, "0": 0.0, "0.0": 0.0}
    return np.asarray(stated.map(shown), np.float64)


def _clean(corpus: Corpus) -> npt.NDArray[np.float64]:
    """Return 1 for clean pictures, 0 for those under residue, NaN between and where nothing is said."""
    if RESIDUE not in corpus.table:
        return np.full(len(corpus), np.nan)
    share = pd.to_numeric(corpus.table[RESIDUE], errors="coerce").to_numpy(np.float64)
    return np.where(share < _CLEAN, 1.0, np.where(share >= _DIRTY, 0.0, np.nan))


def _cross_fitted(model: SpecimenModel, bags: Bags, n_classes: int, seed: int) -> dict[str, Any]:
    """Return figures of specimens judged by folds that had not seen them."""
    found = score(bags.labels, model.cross_scores.argmax(axis=1), n_classes, None, seed)
    p = softmax(model.cross_scores)
    # Each specimen by the threshold of all: how large sets are. How often they hold the truth cannot be counted on the
    # specimens that set the threshold: it comes out as 1 - alpha whatever the model.
    own = 1.0 - p[np.arange(bags.n), bags.labels]
    rank = min(int(np.ceil((1.0 - model.conformal.alpha) * (bags.n + 1))), bags.n)
    sets = 1.0 - p <= np.sort(own)[rank - 1]
    return {
        "accuracy": found["accuracy"].as_dict(),
        "macro_f1": found["macro_f1"].as_dict(),
        "set_size": float(sets.sum(axis=1).mean()),
    }
