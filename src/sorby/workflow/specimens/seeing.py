"""A closer look at images that have a verdict: features, stains, magnification; and the flags that follow."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from sorby.backbone.pipeline import stream
from sorby.backbone.preprocessing import Uint8Image
from sorby.backbone.runtime import Device
from sorby.classify import Classifier, Verdict
from sorby.classify.flags import image_flags
from sorby.classify.specimens.judge import SpecimenJudge
from sorby.errors import Quarantined, SorbyError
from sorby.measure.contamination import find_stains
from sorby.micrograph import read
from sorby.micrograph.info_bar import crop_info_bar, find_info_bar

Floats = npt.NDArray[np.float64]

_AT_ONCE = 64
#: A magnification in a file name: 250x, 4kx, 10000X, 2.5kx.
_NAMED = re.compile(r"(?<![0-9A-Za-z.])(\d+(?:\.\d+)?)(k?)x(?![0-9A-Za-z])", re.IGNORECASE)


def magnification_in_name(path: Path) -> float | None:
    """Return the magnification that a file name states, None where it states none or several.

    Parameters
    ----------
    path : Path
    """
    stated = {float(number) * (1000.0 if kilo else 1.0) for number, kilo in _NAMED.findall(path.stem)}
    return stated.pop() if len(stated) == 1 else None


@dataclass(eq=False)
class Seen:
    """What a closer look at verdicts' images found, in their order.

    Attributes
    ----------
    verdicts : list of Verdict
        With the reasons of the flags.
    features : list of ndarray
        Empty without a specimen judge.
    magnification : list of float
        NaN where unknown.
    flags : list of tuple of str
    """

    verdicts: list[Verdict] = field(default_factory=list)
    features: list[npt.NDArray[np.float32]] = field(default_factory=list)
    magnification: list[float] = field(default_factory=list)
    flags: list[tuple[str, ...]] = field(default_factory=list)


@dataclass(eq=False)
class _Look:
    path: Path
    magnification: float = np.nan
    dark: float = 0.0
    bright: float = 0.0


def looked_at(
    classifier: Classifier,
    judge: SpecimenJudge | None,
    outcomes: Iterable[Verdict | Quarantined],
    seen: Seen,
    *,
    magnifications: Mapping[Path, float] | None = None,
    device: Device = "auto",
) -> Iterator[Verdict | Quarantined]:
    """Pass verdicts on with the reasons of their flags, and keep what the specimens' verdicts need.

    Each image is read a second time where there is a judge, after all verdicts: while they come, the network is busy
    with images ahead of them. Memory holds verdicts and features only.

    Parameters
    ----------
    classifier : Classifier
    judge : SpecimenJudge or None
        Without one nothing is flagged; magnifications are taken from file names.
    outcomes : iterable of Verdict or Quarantined
    seen : Seen
        Filled.
    magnifications : mapping of Path to float, optional
        Stated by a table; before tags and file names.
    device : {"auto", "cpu", "cuda"}
    """
    known = magnifications or {}
    waiting: list[Verdict | Quarantined] = []
    for outcome in outcomes if judge is None else list(outcomes):
        waiting.append(outcome)
        if len(waiting) >= _AT_ONCE:
            yield from _flagged(classifier, judge, waiting, seen, known, device)
            waiting = []
    yield from _flagged(classifier, judge, waiting, seen, known, device)


def _flagged(
    classifier: Classifier,
    judge: SpecimenJudge | None,
    outcomes: Sequence[Verdict | Quarantined],
    seen: Seen,
    known: Mapping[Path, float],
    device: Device,
) -> Iterator[Verdict | Quarantined]:
    verdicts = [outcome for outcome in outcomes if isinstance(outcome, Verdict)]
    looks = [_Look(verdict.image, _stated(verdict.image, known)) for verdict in verdicts]
    flags: list[tuple[str, ...]] = [()] * len(verdicts)
    if judge is not None and verdicts:
        stains = "contaminated" not in judge.heads
        features = _look_closer(classifier, looks, known, device, stains=stains)
        seen.features += list(features)
        flags = image_flags(
            [verdict.label for verdict in verdicts],
            judge.rules,
            dark_share=np.array([look.dark for look in looks]),
            bright_share=np.array([look.bright for look in looks]),
            magnification=np.array([look.magnification for look in looks]),
            taught={code: head.flagged(features) for code, head in judge.heads.items()},
        )
    named = iter(
        [replace(verdict, reasons=(*verdict.reasons, *own)) for verdict, own in zip(verdicts, flags, strict=True)]
    )
    for outcome in outcomes:
        if isinstance(outcome, Quarantined):
            yield outcome
            continue
        verdict = next(named)
        seen.verdicts.append(verdict)
        yield verdict
    seen.flags += flags
    seen.magnification += [look.magnification for look in looks]


def _stated(path: Path, known: Mapping[Path, float]) -> float:
    if path in known:
        return known[path]
    named = magnification_in_name(path)
    return np.nan if named is None else named


def _look_closer(
    classifier: Classifier, looks: Sequence[_Look], known: Mapping[Path, float], device: Device, *, stains: bool
) -> npt.NDArray[np.float32]:
    """Return the features of images that could be read before, and fill in what else a look shows."""

    def prepare(look: _Look) -> Uint8Image:
        micrograph = read(look.path)
        if look.path not in known and micrograph.scale.magnification is not None:
            look.magnification = float(micrograph.scale.magnification)
        if stains:  # nobody marked residue when the judge was taught
            found = find_stains(crop_info_bar(micrograph.pixels, find_info_bar(micrograph.pixels)))
            look.dark, look.bright = found.dark_share, found.bright_share
        return classifier.preprocessing.prepare(micrograph)

    features = []
    for _, outcome in stream(looks, prepare, classifier.runtime(device)):
        if isinstance(outcome, SorbyError):  # it was read a moment ago: the file changed under our hands
            raise outcome
        features.append(outcome[1])
    return np.stack(features)
