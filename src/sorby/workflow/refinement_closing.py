"""``refine close``: the test part opened once, for the first and the chosen round together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from sorby import provenance
from sorby.backbone.runtime import Device
from sorby.bundle import open_bundle
from sorby.classify import Verdict
from sorby.errors import BundleError, InputError, Quarantined
from sorby.evidence import compare, score
from sorby.workflow.data import open_data
from sorby.workflow.opening import open_classifier
from sorby.workflow.planning import magnifications
from sorby.workflow.refinement import LOG_FILE, ROUNDS, SHOWN, Refinement, open_refinement
from sorby.workflow.refinement_log import appended


def close(folder: Path | str, chosen: int | None = None, *, device: Device = "auto") -> dict[str, Any]:
    """Open the test part once, for the first and the chosen round, and end the refinement.

    Parameters
    ----------
    folder : path
    chosen : int, optional
        Round that goes to the test; the best on the validation part by macro-F1 where absent, the earlier of equals.
    device : {"auto", "cpu", "cuda"}

    Returns
    -------
    dict
        ``chosen``, ``first`` and ``chosen_test`` (``accuracy``, ``macro_f1``, each ``value``, ``ci95``, ``n``),
        ``difference`` (chosen less first, paired; None where they are the same round), ``validation_difference``,
        ``rounds_on_validation``, ``sentence``, ``log_sha256``, ``warnings``, ``quarantined``.

    Raises
    ------
    InputError
        No round yet, closed before, or opened for another round.
    """
    refinement = open_refinement(folder)
    if refinement.of_kind("close") is not None:
        raise InputError(f"{folder}: is closed, the test part is opened once", "sorby refine show DIR tells the result")
    rounds = refinement.rounds
    if not rounds:
        raise InputError(f"{folder}: there is no round to test", 'sorby refine round DIR --why "as it stands"')
    if chosen is not None and not 1 <= chosen <= len(rounds):
        raise InputError(f"there is no round {chosen}", f"rounds so far: {len(rounds)}")
    scores = [float(each["validation"]["macro_f1"]["value"] or 0.0) for each in rounds]
    best = chosen or int(np.argmax(scores)) + 1
    entries = refinement.entries
    if (opened := refinement.of_kind("open")) is None:
        entries = appended(refinement.folder / LOG_FILE, entries, "open", {"chosen": best, "rounds": len(rounds)})
    elif chosen is not None and chosen != opened["chosen"]:
        raise InputError(f"the test part was opened for round {opened['chosen']}", "close without --round")
    else:
        best = int(opened["chosen"])
    judged = _tested(refinement, sorted({1, best}), device)
    content = _closing(refinement, judged, best, scores)
    entries = appended(refinement.folder / LOG_FILE, entries, "close", content)
    quarantined = [entry.as_dict() for entry in judged.quarantined]
    return {**content, "log_sha256": entries[-1].hash, "warnings": [], "quarantined": quarantined}


@dataclass(frozen=True, eq=False)
class _Tested:
    """What some rounds say of the test images that can be read."""

    classes: tuple[str, ...]
    labels: npt.NDArray[np.intp]
    groups: npt.NDArray[Any] | None
    probabilities: dict[int, npt.NDArray[np.float64]]
    quarantined: list[Quarantined]


def _tested(refinement: Refinement, numbers: list[int], device: Device) -> _Tested:
    """Judge the test images by some rounds, whose bundles must be those of the log."""
    opened = open_data(refinement.part("test"))
    corpus, quarantined = opened.corpus, list(opened.quarantined)
    said: dict[int, list[Verdict | Quarantined]] = {}
    classes: tuple[str, ...] = ()
    for number in numbers:
        place = refinement.folder / ROUNDS / f"{number:02d}" / "bundle.sorby"
        try:
            with open_bundle(place) as bundle:
                same = bundle.sha256 == refinement.rounds[number - 1]["bundle_sha256"]
        except BundleError:
            same = False
        if not same:
            raise InputError(f"{place}: is not the bundle that round {number} wrote", "start a new refinement")
        classifier, _ = open_classifier(place)
        powers = [None if np.isnan(value) else float(value) for value in magnifications(corpus)]
        said[number] = list(classifier.inspect(corpus.paths(), device=device, magnification=powers))
        classes = classifier.classes
    good = [k for k in range(len(corpus)) if all(isinstance(each[k], Verdict) for each in said.values())]
    quarantined += [each for each in next(iter(said.values())) if isinstance(each, Quarantined)]
    if not good:
        raise InputError("no test image can be read", "put the images back where they lay at the start")
    probabilities = {
        number: np.array([[each[k].probabilities[name] for name in classes] for k in good])  # type: ignore[union-attr]
        for number, each in said.items()
    }
    kept = corpus.take(good)
    labels = np.array([classes.index(str(name)) for name in kept.labels], np.intp)
    return _Tested(classes, labels, kept.groups, probabilities, quarantined)


def _closing(refinement: Refinement, judged: _Tested, best: int, scores: list[float]) -> dict[str, Any]:
    """Return what the last entry of the log says."""
    seed, n_classes = int(refinement.start["recipe"]["seed"]), len(judged.classes)
    told = {}
    for number, p in judged.probabilities.items():
        found = score(judged.labels, p, n_classes, judged.groups, seed)
        told[number] = {name: found[name].as_dict() for name in SHOWN}  # type: ignore[literal-required]
    difference = None
    if best != 1:
        predicted = {number: p.argmax(axis=1) for number, p in judged.probabilities.items()}
        test, gaps = compare(judged.labels, predicted[best], predicted[1], n_classes, judged.groups, seed)
        difference = {**{name: gaps[name].as_dict() for name in SHOWN}, "mcnemar_p": float(test.p_value)}
    gained = scores[best - 1] - scores[0]
    return {
        "chosen": best,
        "first": told[1],
        "chosen_test": told[best],
        "difference": difference,
        "validation_difference": gained,
        "rounds_on_validation": len(scores),
        "sentence": _sentence(best, scores, difference),
        "created": provenance.describe()["created"],
    }


def _sentence(best: int, scores: Sequence[float], difference: Mapping[str, Any] | None) -> str:
    """Say what the rounds were worth."""
    rounds, gained = len(scores), scores[best - 1] - scores[0]
    chose = f"{rounds} round{'s' if rounds > 1 else ''} chose on the validation part"
    if difference is None:
        if max(scores) > scores[0]:
            return (
                f"{chose}; the first was taken, though another one gained {100 * (max(scores) - scores[0]):+.1f} points"
            )
        return f"{chose}; none beat the first, which stands as it was"
    gap = difference["macro_f1"]
    bounds = gap["ci95"]
    sure = "no interval" if bounds is None else f"95 % CI {100 * bounds[0]:+.1f} to {100 * bounds[1]:+.1f}"
    tested = f"{100 * gap['value']:+.1f} points on the test part ({sure})"
    beyond = bounds is not None and (bounds[0] > 0 or bounds[1] < 0)
    end = "" if beyond else ", which chance alone may explain"
    return f"{chose}; round {best} gained {100 * gained:+.1f} points of macro-F1 there and {tested}{end}"
