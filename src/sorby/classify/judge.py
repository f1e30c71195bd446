"""From scores to a verdict: calibrated probabilities, conformal set, novelty, and whether a person must look."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from sorby.classify.heads import FittedHead
from sorby.classify.recipe import VerdictSection
from sorby.evidence import (
    RMDS,
    CrossConformal,
    NearestNeighbours,
    NoveltyCalibration,
    SplitConformal,
    conformal_from_arrays,
    cross_fit_neighbours,
    cross_fit_rmds,
    fit_conformal,
    fit_temperature,
    gen_score,
    softmax,
)

Floats = npt.NDArray[np.float64]
Arrays = dict[str, npt.NDArray[Any]]

#: Reason codes of a referral, in the order in which they are given.
REASONS = {
    "novel": "unlike the images the model was taught on (novelty p-value below the stated rate)",
    "set-several": "the conformal set holds more than one class",
    "set-empty": "no class fits at the stated level",
    "set-other": "the one class in the set is not the most probable one",
    "scale-out-of-range": "the pixel size lies outside what the model was taught on",
    "magnification-unknown": "the model reads the magnification and the image states none",
}
_SCALE_SLACK = 1.25  # pixel sizes up to this factor beyond the taught ones are accepted


@dataclass(frozen=True, eq=False)
class Verdicts:
    """Verdicts of a batch.

    Attributes
    ----------
    probabilities : ndarray, shape (N, C)
        Calibrated.
    sets : ndarray of bool, shape (N, C)
    novelty : ndarray, shape (N,)
        p-value of "like the taught images"; small is strange.
    reasons : list of tuple of str
        Why each image is referred; empty where it is not.
    """

    probabilities: Floats
    sets: npt.NDArray[np.bool_]
    novelty: Floats
    reasons: list[tuple[str, ...]]


@dataclass(frozen=True, eq=False)
class Judge:
    """Everything a verdict needs besides the scores.

    The sets use probabilities without the temperature: it is fitted on the very images that calibrate the sets, and
    their guarantee must not rest on a number that has seen the answers.

    Attributes
    ----------
    temperature : float
    conformal : SplitConformal or CrossConformal
    rmds : RMDS
    novelty : NoveltyCalibration
    novelty_rate : float
        Novelty p-values up to it refer an image.
    pixel_sizes_um : tuple of float or None
        Smallest and largest pixel size of the taught images; None where unknown.
    neighbours : NearestNeighbours or None
        Taught images whose distance counts too; None in bundles from before it did.
    """

    temperature: float
    conformal: SplitConformal | CrossConformal
    rmds: RMDS
    novelty: NoveltyCalibration
    novelty_rate: float
    pixel_sizes_um: tuple[float, float] | None = None
    neighbours: NearestNeighbours | None = None

    def judge(
        self, logits: Floats, fold_logits: Floats | None, features: npt.NDArray[np.float32], pixel_size_um: Floats
    ) -> Verdicts:
        """Return the verdicts of a batch.

        Parameters
        ----------
        logits : ndarray, shape (N, C)
        fold_logits : ndarray, shape (K, N, C), or None
            Of the fold heads, where sets are CV+.
        features : ndarray, shape (N, D)
        pixel_size_um : ndarray, shape (N,)
            NaN where unknown.
        """
        probabilities = softmax(logits, self.temperature)
        if isinstance(self.conformal, CrossConformal):
            assert fold_logits is not None, "CV+ sets need the fold heads"
            sets = self.conformal.sets(softmax(fold_logits))
        else:
            sets = self.conformal.sets(softmax(logits))
        distances = None if self.neighbours is None else self.neighbours.score(features)
        novelty = self.novelty.novelty(self.rmds.score(features), gen_score(probabilities), distances)
        return Verdicts(probabilities, sets, novelty, self._reasons(probabilities, sets, novelty, pixel_size_um))

    def _reasons(
        self, probabilities: Floats, sets: npt.NDArray[np.bool_], novelty: Floats, pixel_size_um: Floats
    ) -> list[tuple[str, ...]]:
        size = sets.sum(axis=1)
        label_inside = np.take_along_axis(sets, probabilities.argmax(axis=1)[:, None], axis=1)[:, 0]
        low, high = self.pixel_sizes_um or (0.0, np.inf)
        flags = {
            "novel": novelty <= self.novelty_rate,  # a p-value of alpha already has level alpha
            "set-several": size > 1,
            "set-empty": size == 0,
            "set-other": (size == 1) & ~label_inside,
            "scale-out-of-range": (pixel_size_um < low / _SCALE_SLACK) | (pixel_size_um > high * _SCALE_SLACK),
        }
        return [tuple(name for name, flag in flags.items() if flag[k]) for k in range(len(sets))]

    def limits(self) -> list[str]:
        """Say what the calibration images do not suffice for."""
        found = []
        attainable = self.conformal.attainability
        if attainable.message:
            found.append(attainable.message)
        if shortage := self.novelty.shortage(self.novelty_rate):
            found.append(shortage)
        return found

    def as_arrays(self) -> Arrays:
        """Return the arrays for a bundle, keys prefixed by their part."""
        parts: dict[str, Any] = {"conformal": self.conformal, "rmds": self.rmds, "novelty": self.novelty}
        if self.neighbours is not None:
            parts["neighbours"] = self.neighbours
        found: Arrays = {}
        for name, part in parts.items():
            found |= {f"{name}.{key}": np.asarray(value) for key, value in part.as_arrays().items()}
        return found

    @classmethod
    def from_arrays(
        cls, arrays: Arrays, temperature: float, novelty_rate: float, pixel_sizes_um: tuple[float, float] | None
    ) -> Judge:
        """Rebuild from what `as_arrays` returned and the scalars of the description."""

        def part(name: str) -> Arrays:
            return {key.removeprefix(f"{name}."): value for key, value in arrays.items() if key.startswith(f"{name}.")}

        return cls(
            temperature,
            conformal_from_arrays(part("conformal")),
            RMDS.from_arrays(part("rmds")),
            NoveltyCalibration.from_arrays(part("novelty")),
            novelty_rate,
            pixel_sizes_um,
            NearestNeighbours.from_arrays(part("neighbours")) if part("neighbours") else None,
        )


def cross_fitted_judge(
    fitted: FittedHead,
    features: npt.NDArray[np.float32],
    labels: npt.NDArray[np.intp],
    groups: npt.NDArray[Any] | None,
    section: VerdictSection,
    pixel_sizes_um: tuple[float, float] | None,
) -> Judge:
    """Calibrate on cross-fitted scores: every image scored by models that had not seen its specimen.

    Parameters
    ----------
    fitted : FittedHead
    features, labels
        The images the head was fitted on.
    groups : ndarray, shape (n,), optional
        Specimens.
    section : VerdictSection
    pixel_sizes_um : tuple of float or None

    Notes
    -----
    A class that lies in one fold only is unknown to that fold's head and detector. Its images stay among the scores
    of the sets, which are held to cover them too; they say nothing of the temperature, nor of how strange an image
    of a known class looks, and are left out of both.
    """
    taught = _class_was_taught(labels, fitted.folds)
    temperature = fit_temperature(fitted.cross_logits[taught], labels[taught])
    probabilities = softmax(fitted.cross_logits, temperature)
    conformal = fit_conformal(
        softmax(fitted.cross_logits),
        labels,
        section.alpha,
        method=section.sets,
        class_conditional=section.class_conditional,
        folds=fitted.folds,
        groups=groups,
    )
    strangeness, _ = cross_fit_rmds(features, labels, fitted.folds)
    distances = cross_fit_neighbours(features, fitted.folds)
    novelty = NoveltyCalibration.fit(
        strangeness[taught], gen_score(probabilities[taught]), cross_fitted=True, neighbours=distances[taught]
    )
    rmds, neighbours = RMDS.fit(features, labels), NearestNeighbours.fit(features)
    return Judge(temperature, conformal, rmds, novelty, section.novelty_rate, pixel_sizes_um, neighbours)


def _class_was_taught(labels: npt.NDArray[np.intp], folds: npt.NDArray[np.intp]) -> npt.NDArray[np.bool_]:
    """Whether the other folds hold images of each image's class, shape (n,); all True where that holds for none."""
    inside = np.zeros((int(folds.max()) + 1, int(labels.max()) + 1), np.intp)
    np.add.at(inside, (folds, labels), 1)
    taught: npt.NDArray[np.bool_] = (inside.sum(axis=0) - inside)[folds, labels] > 0
    return taught if taught.any() else np.ones_like(taught)


def held_out_judge(
    taught: tuple[npt.NDArray[np.float32], npt.NDArray[np.intp]],
    held_out: tuple[npt.NDArray[np.float32], npt.NDArray[np.intp], Floats],
    groups: npt.NDArray[Any] | None,
    section: VerdictSection,
    pixel_sizes_um: tuple[float, float] | None,
) -> Judge:
    """Calibrate on images that neither training nor early stopping has seen.

    Parameters
    ----------
    taught : tuple
        Features (n, D) and labels (n,) of the training images.
    held_out : tuple
        Features, labels and logits of the calibration images.
    groups : ndarray, optional
        Specimens of the calibration images.
    section : VerdictSection
    pixel_sizes_um : tuple of float or None
    """
    features, labels, logits = held_out
    temperature = fit_temperature(logits, labels)
    probabilities = softmax(logits, temperature)
    conformal = fit_conformal(
        softmax(logits),
        labels,
        section.alpha,
        method=section.sets,
        class_conditional=section.class_conditional,
        groups=groups,
    )
    rmds = RMDS.fit(*taught)
    neighbours = NearestNeighbours.fit(taught[0])
    novelty = NoveltyCalibration.fit(
        rmds.score(features), gen_score(probabilities), neighbours=neighbours.score(features)
    )
    return Judge(temperature, conformal, rmds, novelty, section.novelty_rate, pixel_sizes_um, neighbours)
