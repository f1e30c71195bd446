"""Every novelty detector at hand, taught and asked in the same way; larger scores are stranger."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.utils.extmath import randomized_svd

from sorby.classify import Recipe
from sorby.evidence import (
    RMDS,
    NearestNeighbours,
    NoveltyCalibration,
    cross_fit_neighbours,
    cross_fit_rmds,
    energy,
    fit_temperature,
    gen_score,
    msp_score,
    softmax,
)
from sorby.workflow.experiments.linear import fit_flat

Features = npt.NDArray[np.float32]
Floats = npt.NDArray[np.float64]
Rows = npt.NDArray[np.intp]

_COMPONENTS = 64  # of the reconstruction

DETECTORS = {
    "combination": "smallest conformal p-value of RMDS, kNN and GEN, Bonferroni-corrected with shares .45, .45, .1",
    "RMDS + GEN": "smaller conformal p-value of RMDS and GEN, Bonferroni-corrected",
    "RMDS": "relative Mahalanobis distance",
    "GEN": "generalised entropy of the probabilities",
    "energy": "free energy of the logits",
    "MSP": "one minus the largest probability",
    "kNN": "distance to the tenth nearest taught image on the unit sphere",
    "reconstruction": f"residual of the features outside {_COMPONENTS} principal components of the taught images",
}


@dataclass(frozen=True, eq=False)
class Detectors:
    """All detectors after one teaching.

    Attributes
    ----------
    scorers : dict
        Detector name to a function from features (N, D) to scores (N,).
    """

    scorers: dict[str, Callable[[Features], Floats]]

    def scores(self, features: Features) -> dict[str, Floats]:
        """Return the scores of some images by every detector."""
        return {name: scorer(features) for name, scorer in self.scorers.items()}


def teach(
    features: Features, labels: Rows, n_classes: int, groups: npt.NDArray[Any] | None, recipe: Recipe
) -> Detectors:
    """Teach every detector on the same images.

    Parameters
    ----------
    features : ndarray, shape (n, D)
    labels : ndarray of int, shape (n,)
    n_classes : int
    groups : ndarray, shape (n,), optional
    recipe : Recipe
    """
    flat = fit_flat(features, labels, n_classes, groups, recipe)
    temperature = fit_temperature(flat.cross_logits, labels)
    rmds = RMDS.fit(features, labels)
    strangeness, _ = cross_fit_rmds(features, labels, flat.folds)
    far = cross_fit_neighbours(features, flat.folds, seed=recipe.seed)
    doubt = gen_score(softmax(flat.cross_logits, temperature))
    three = NoveltyCalibration.fit(strangeness, doubt, cross_fitted=True, neighbours=far)
    two = NoveltyCalibration.fit(strangeness, doubt, cross_fitted=True)
    neighbours = NearestNeighbours.fit(features, seed=recipe.seed)
    residual = _reconstruction(features, recipe.seed)

    def probabilities(x: Features) -> Floats:
        return softmax(flat.model(x), temperature)

    return Detectors(
        {
            # Strange is a small p-value; its negative grows with strangeness as all others do.
            "combination": lambda x: -three.novelty(rmds.score(x), gen_score(probabilities(x)), neighbours.score(x)),
            "RMDS + GEN": lambda x: -two.novelty(rmds.score(x), gen_score(probabilities(x))),
            "RMDS": rmds.score,
            "GEN": lambda x: gen_score(probabilities(x)),
            "energy": lambda x: energy(flat.model(x)),
            "MSP": lambda x: msp_score(probabilities(x)),
            "kNN": neighbours.score,
            "reconstruction": residual,
        }
    )


def _reconstruction(features: Features, seed: int) -> Callable[[Features], Floats]:
    """Return the squared residual after projection on the leading components of the taught features."""
    mean, spread = features.mean(axis=0), features.std(axis=0)
    spread = np.maximum(spread, 0.01 * np.median(spread[spread > 0]))
    y = (features - mean) / spread
    _, _, axes = randomized_svd(y, min(_COMPONENTS, *y.shape), random_state=seed % 2**31)

    def score(x: Features) -> Floats:
        z = (x - mean) / spread
        inside = z @ axes.T
        return np.asarray((z * z).sum(axis=1) - (inside * inside).sum(axis=1), dtype=np.float64)

    return score
