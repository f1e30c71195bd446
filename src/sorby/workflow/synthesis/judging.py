"""A generated set beside the originals: distances, likeness, copies and the gate, for each class and for all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

from sorby.backbone.runtime import Device
from sorby.evidence.generated_sets import Standard
from sorby.micrograph import resize
from sorby.progress import bar
from sorby.synthesize import windows
from sorby.synthesize.feature_distances import Features, SurfaceFeatures, distances
from sorby.synthesize.gate import Gated, gate, nearest_of_others
from sorby.synthesize.likeness import nearest_likeness, spectral_difference
from sorby.workflow.synthesis.originals import Originals

Grey = npt.NDArray[np.uint8]

_WINDOWS_EACH = 4  # of an original that is larger than the generated images
_POOLED = (
    "floor", "ceiling", "place", "fid", "fid_floor", "precision", "recall", "density", "coverage", "n_real",
    "n_generated",
)  # fmt: skip
_SUSPICIOUS = 0.9  # correlation of pieces of originals from which they are hardly different surfaces
_LEAST_UNSEEN = 4  # specimens that no image descends from, for a distance of their own


@dataclass
class Made:
    """Generated images of one class.

    Attributes
    ----------
    pixels : ndarray of uint8, shape (n, H, W)
    ancestors : list of frozenset of str
        Empty sets where unknown.
    parents : list of str or None
        Specimen of the original each was made from; None where there are none.
    untaught : ndarray of uint8, shape (k, H, W), optional
        What the generator drew before it was taught.
    """

    pixels: Grey
    ancestors: list[frozenset[str]]
    parents: list[str] | None = None
    untaught: Grey | None = None


@dataclass(frozen=True, eq=False)
class ClassJudgement:
    """What is said of one class.

    Attributes
    ----------
    gated : Gated
    real : ndarray of uint8, shape (m, H, W)
        Originals or windows of them, of the generated size.
    real_names : list of str
    facts : dict
    ancestors : list of frozenset of str
    parents : list of str or None
        Of the generated images.
    """

    gated: Gated
    real: Grey
    real_names: list[str]
    facts: dict[str, Any]
    ancestors: list[frozenset[str]]
    parents: list[str] | None


@dataclass(frozen=True, eq=False)
class Judgement:
    """What is said of a generated set.

    Attributes
    ----------
    classes : dict of str to ClassJudgement
    pooled : dict
        Distances over all classes together.
    features : str
        What was compared, in words.
    """

    classes: dict[str, ClassJudgement]
    pooled: dict[str, Any]
    features: str
    warnings: list[str] = field(default_factory=list)

    def headline(self) -> dict[str, Any]:
        """Return what the commands' JSON begins with: the pooled distances, and the gate's counts."""
        kid = self.pooled["kid"]
        gates = [each.gated for each in self.classes.values()]
        accepted = sum(int(each.accepted.sum()) for each in gates)
        codes = gates[0].counts() if gates else {}
        return {
            "kid": None if kid is None else kid["value"],
            "ci95": {"kid": None if kid is None else kid["ci95"]},
            **{name: self.pooled[name] for name in _POOLED},
            "accepted": accepted,
            "rejected": sum(len(each.reasons) for each in gates) - accepted,
            "copies": sum(int(each.memory.copies.sum()) for each in gates),
            "reasons": {code: sum(each.counts()[code] for each in gates) for code in codes},
            "classes": {label: each.facts for label, each in self.classes.items()},
            "features": self.features,
        }


def judge(
    originals: Mapping[str, Originals], made: Mapping[str, Made], *, device: Device = "auto", seed: int = 0
) -> Judgement:
    """Judge generated images of every class.

    Parameters
    ----------
    originals : mapping of str to Originals
        Of every class that was generated; at the scale of the generated images.
    made : mapping of str to Made
    device : {"auto", "cpu", "cuda"}
    seed : int
        Of windows and halves.
    """
    features = _features(device)
    judged: dict[str, ClassJudgement] = {}
    vectors: dict[str, list[Features]] = {"real": [], "made": [], "untaught": []}
    names: list[str] = []
    parents: list[str] = []
    warnings: list[str] = []
    with bar("judging", len(made)) as advance:
        for label, own in made.items():
            real, shown, specimens = _real(originals[label], own.pixels.shape[1:], seed)
            found = {"real": features(real), "made": features(own.pixels)}
            if own.untaught is not None:
                found["untaught"] = features(own.untaught)
            judged[label] = _judged(originals[label], own, real, shown, specimens, found, seed)
            for name, each in found.items():
                vectors[name].append(each)
            names += specimens
            parents += _parents(label, own)
            warnings += [f"{label}: {line}" for line in judged[label].facts.pop("warnings")]
            advance(1)
    everywhere = len(vectors["untaught"]) == len(made)
    pooled = distances(
        np.concatenate(vectors["real"]), np.concatenate(vectors["made"]), names, parents,
        np.concatenate(vectors["untaught"]) if everywhere else None, seed=seed,
    )  # fmt: skip
    if len(made) == 1:
        pooled.pop("warnings")
    return Judgement(judged, pooled, features.name, [*warnings, *pooled.pop("warnings", [])])


@cache
def _features(device: Device) -> SurfaceFeatures:
    """Return the network, compiled once a process."""
    return SurfaceFeatures(device)


def _parents(label: str, own: Made) -> list[str]:
    """Return what stands for the parent of each image: itself where it has none."""
    if own.parents is not None:
        return [f"{label}:{name}" for name in own.parents]
    return [f"{label}:{k}" for k in range(len(own.pixels))]


def _real(originals: Originals, shape: Sequence[int], seed: int) -> tuple[Grey, npt.NDArray[np.intp], list[str]]:
    """Return real images of the generated size, which original each shows, and its name."""
    stills, names = originals.stills, originals.still_names
    height, width = int(shape[0]), int(shape[1])
    if height == width and all(min(each.shape) >= height for each in stills):
        each_so_often = _WINDOWS_EACH if any(max(each.shape) > height for each in stills) else 1
        pixels, source = windows(stills, height, each_so_often * len(stills), seed=seed)
    else:
        pixels, source = np.stack([resize(each, (height, width)) for each in stills]), np.arange(len(stills))
    return pixels, source, [names[k] for k in source.tolist()]


def _judged(
    originals: Originals,
    own: Made,
    real: Grey,
    shown: npt.NDArray[np.intp],
    specimens: list[str],
    vectors: Mapping[str, Features],
    seed: int,
) -> ClassJudgement:
    scale = Standard.of(vectors["real"])
    ours, theirs = scale(vectors["made"]), scale(vectors["real"])
    gated = gate(own.pixels, ours, real, theirs, originals.stills, originals.still_names, shown)
    found = distances(vectors["real"], vectors["made"], specimens, own.parents, vectors.get("untaught"), seed=seed)
    facts = {
        **found,
        "memorisation": gated.memory.as_dict(),
        "reasons": gated.counts(),
        "likeness": nearest_likeness(real, own.pixels, gated.nearest, nearest_of_others(theirs, specimens)),
        "spectrum": spectral_difference(real, own.pixels, specimens),
        "nearest_distance": float(np.median(gated.distance)),
        "unseen": _unseen(own, vectors, specimens, seed),
    }
    if gated.memory.among_originals >= _SUSPICIOUS:
        facts["warnings"] = [
            *found["warnings"],
            f"originals of different specimens are alike to {gated.memory.among_originals:.2f}: perhaps pictures of one"
            f" place under several names; nothing below {gated.memory.threshold:.2f} is then called a copy",
        ]
    return ClassJudgement(gated, real, specimens, facts, own.ancestors, own.parents)


def _unseen(own: Made, vectors: Mapping[str, Features], specimens: list[str], seed: int) -> dict[str, Any] | None:
    """Return the distance from originals that no generated image descends from; None where that cannot be said.

    Copies of what was taught are nearest of all to what was taught. To originals that were not they are no nearer than
    those are to each other.
    """
    seen: frozenset[str] = frozenset().union(*own.ancestors)
    rows = np.array([name not in seen for name in specimens], bool)
    if not seen or len({name for name, row in zip(specimens, rows, strict=True) if row}) < _LEAST_UNSEEN:
        return None
    names = [name for name, row in zip(specimens, rows, strict=True) if row]
    found = distances(vectors["real"][rows], vectors["made"], names, own.parents, vectors.get("untaught"), seed=seed)
    return {name: found[name] for name in ("kid", "floor", "ceiling", "place", "n_real", "n_generated")}
