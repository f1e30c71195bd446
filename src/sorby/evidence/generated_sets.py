"""How far a set of generated images lies from a set of real ones, from the features of both.

Three families of figures, all of them about sets and none about single images:

- the *Fréchet distance* (Heusel et al. 2017, the FID where the features are Inception's) compares means and
  covariances. Taken from few images it is too large, since a covariance of few vectors is too small in most directions:
  two halves of one set have a distance far from zero. It is never read without such a pair beside it;
- the *kernel distance* (Bińkowski et al. 2018, KID) compares all moments up to the third. Its estimate is unbiased, so
  two sets of one kind have zero in the mean, however few they are, and single estimates may be negative. That holds
  on a scale that treats both sets alike, `Standard.between`: images that a scale was not taken from lie further out on
  it, and on the scale of a dozen real ones new images of the same kind would seem far off;
- *precision and recall* (Kynkäänniemi et al. 2019) with *density and coverage* (Naeem et al. 2020) say what is wrong:
  images that are like no real one, or real ones that nothing was generated for.

Images of one specimen are not independent. Pairs within a specimen are left out of the kernel distance's means, and its
interval leaves out whole specimens (and, of generated images, whole parents) in turn.

References
----------
Heusel, M. et al. (2017), GANs trained by a two time-scale update rule converge to a local Nash equilibrium, NeurIPS 30.
Bińkowski, M. et al. (2018), Demystifying MMD GANs, ICLR.
Kynkäänniemi, T. et al. (2019), Improved precision and recall metric for assessing generative models, NeurIPS 32.
Naeem, M. F. et al. (2020), Reliable fidelity and diversity metrics for generative models, ICML.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import stats
from scipy.spatial.distance import cdist

Floats = npt.NDArray[np.float64]
Groups = npt.NDArray[np.intp]

_LEAST_GROUPS = 3  # fewer give a jackknife of one degree of freedom


@dataclass(frozen=True)
class KernelDistance:
    """A kernel distance and how sure it is.

    Attributes
    ----------
    value : float
        Unbiased estimate of the squared maximum mean discrepancy; below zero by chance where the sets are alike.
    ci95 : tuple of float or None
        By jackknife over specimens and parents; None where either side has fewer than three of them.
    n_real, n_generated : int
    n_specimens, n_parents : int
        What was left out in turn.
    """

    value: float
    ci95: tuple[float, float] | None
    n_real: int
    n_generated: int
    n_specimens: int
    n_parents: int

    def as_dict(self) -> dict[str, Any]:
        """Return the estimate for JSON."""
        return {
            "value": self.value,
            "ci95": None if self.ci95 is None else list(self.ci95),
            "n_real": self.n_real,
            "n_generated": self.n_generated,
            "n_specimens": self.n_specimens,
            "n_parents": self.n_parents,
        }


@dataclass(frozen=True)
class Standard:
    """The scale on which features are compared; without it the channels that vary most would decide alone.

    Attributes
    ----------
    mean, spread : ndarray, shape (D,)
    """

    mean: Floats
    spread: Floats

    @classmethod
    def of(cls, real: npt.ArrayLike) -> Standard:
        """Return the scale of real features (n, D); a feature that hardly varies is not blown up."""
        values = np.asarray(real, np.float64)
        return cls(values.mean(axis=0), _held(values.std(axis=0)))

    @classmethod
    def between(cls, first: npt.ArrayLike, second: npt.ArrayLike) -> Standard:
        """Return the scale of two sets, (n, D) and (m, D), that weigh alike however many each has.

        Sets far apart then have the same distance whatever their numbers, and it stays finite: each lies one spread
        from the middle at most.
        """
        sets = [np.asarray(each, np.float64) for each in (first, second)]
        mean = (sets[0].mean(axis=0) + sets[1].mean(axis=0)) / 2
        variance = sum(((each - mean) ** 2).mean(axis=0) for each in sets) / 2
        return cls(mean, _held(np.sqrt(variance)))

    def __call__(self, features: npt.ArrayLike) -> Floats:
        """Return features (n, D) on this scale."""
        scaled: Floats = (np.asarray(features, np.float64) - self.mean) / self.spread
        return scaled


def _held(spread: Floats) -> Floats:
    """Return spreads of which none is so small that noise in it would count as much as anything."""
    typical = float(np.median(spread[spread > 0])) if (spread > 0).any() else 1.0
    return np.maximum(spread, 0.1 * typical)


def frechet_distance(real: npt.ArrayLike, generated: npt.ArrayLike) -> float:
    """Return the squared Fréchet distance of two Gaussians fitted to features (Heusel et al. 2017).

    Parameters
    ----------
    real, generated : array_like, shapes (n, D) and (m, D)
        Two vectors at least on either side.

    Returns
    -------
    float
        ``|mu - nu|^2 + tr(S + T - 2 (S T)^(1/2))`` with unbiased covariances. The trace of the root is the sum of the
        singular values of one set's deviations times the other's, so no D x D matrix is built. Biased upwards, the more
        the fewer images.

    Raises
    ------
    ValueError
        Fewer than two vectors.
    """
    first, second = _checked(real, generated)
    deviations = [_factor(each) for each in (first, second)]
    shift = float(((first.mean(axis=0) - second.mean(axis=0)) ** 2).sum())
    root = float(np.linalg.svd(deviations[0] @ deviations[1].T, compute_uv=False).sum())
    return max(0.0, shift + float((deviations[0] ** 2).sum() + (deviations[1] ** 2).sum()) - 2 * root)


def kernel_distance(
    real: npt.ArrayLike,
    generated: npt.ArrayLike,
    specimens: Sequence[object] | npt.NDArray[Any] | None = None,
    parents: Sequence[object] | npt.NDArray[Any] | None = None,
) -> KernelDistance:
    """Return the unbiased kernel distance with the kernel ``(x . y / D + 1)^3`` (Bińkowski et al. 2018).

    Parameters
    ----------
    real, generated : array_like, shapes (n, D) and (m, D)
        Features on one scale, see `Standard.between`.
    specimens, parents : sequence, optional
        What real and generated images stem from. Pairs of one specimen or parent say nothing of the distribution and
        are left out of the means; every image is its own where absent.

    Returns
    -------
    KernelDistance

    Raises
    ------
    ValueError
        Fewer than two images, or all of one specimen or parent.
    """
    first, second = _checked(real, generated)
    sums = _Sums.of(_kernel(first, first), _kernel(first, second), _kernel(second, second),
                    _codes(specimens, len(first)), _codes(parents, len(second)))  # fmt: skip
    if min(len(sums.n_first), len(sums.n_second)) < 2:
        raise ValueError("images of two specimens and of two parents are needed")
    ci95 = None
    if min(len(sums.n_first), len(sums.n_second)) >= _LEAST_GROUPS:
        variance = _jackknife(sums.without_first()) + _jackknife(sums.without_second())
        degrees = min(len(sums.n_first), len(sums.n_second)) - 1
        reach = float(stats.t.ppf(0.975, degrees) * np.sqrt(variance))
        ci95 = (sums.value() - reach, sums.value() + reach)
    return KernelDistance(sums.value(), ci95, len(first), len(second), len(sums.n_first), len(sums.n_second))


def halves_distance(
    real: npt.ArrayLike,
    specimens: Sequence[object] | npt.NDArray[Any] | None = None,
    *,
    repeats: int = 50,
    seed: int = 0,
) -> tuple[KernelDistance, float] | None:
    """Return the distances of disjoint halves of a real set: the floor under anything generated.

    Parameters
    ----------
    real : array_like, shape (n, D)
        Features as they are: each halving takes its scale from both halves, as generated images are measured on that
        of the real ones and of themselves.
    specimens : sequence, optional
        A specimen is in one half only.
    repeats : int
        Random halvings.
    seed : int

    Returns
    -------
    kernel : KernelDistance
        Mean over the halvings, and as its interval the range that 95 of 100 halvings lie in.
    frechet : float
        Mean Fréchet distance of the halves: how far from zero its bias alone brings it.
        None in place of both where there are fewer than four specimens.
    """
    features, codes = np.asarray(real, np.float64), _codes(specimens, len(np.asarray(real)))
    n_groups = int(codes.max()) + 1 if len(codes) else 0
    if n_groups < 4:
        return None
    rng = np.random.default_rng(seed)
    kernels, frechets = [], []
    for _ in range(repeats):
        first = np.isin(codes, rng.permutation(n_groups)[: n_groups // 2])
        scale = Standard.between(features[first], features[~first])
        halves, groups = (scale(features[first]), scale(features[~first])), (codes[first], codes[~first])
        kernels.append(kernel_distance(*halves, *groups).value)
        frechets.append(frechet_distance(*halves))
    low, high = np.quantile(kernels, (0.025, 0.975))
    half = len(features) // 2
    kernel = KernelDistance(
        float(np.mean(kernels)), (float(low), float(high)), half, len(features) - half, n_groups // 2, -(-n_groups // 2)
    )
    return kernel, float(np.mean(frechets))


def precision_recall(real: npt.ArrayLike, generated: npt.ArrayLike, neighbours: int = 3) -> dict[str, float] | None:
    """Return precision, recall, density and coverage from nearest neighbours.

    Parameters
    ----------
    real, generated : array_like, shapes (n, D) and (m, D)
    neighbours : int
        k: a set reaches as far as each of its members' k-th nearest neighbour in the set.

    Returns
    -------
    dict or None
        ``precision``: share of generated images within the reach of a real one; ``recall``: share of real images
        within the reach of a generated one (Kynkäänniemi et al. 2019); ``density``: how many real images reach a
        generated one, over k; ``coverage``: share of real images within whose own reach one was generated (Naeem et
        al. 2020). None where a set holds no more than k images.
    """
    first, second = np.asarray(real, np.float64), np.asarray(generated, np.float64)
    if min(len(first), len(second)) <= neighbours:
        return None
    reach_real, reach_generated = _reach(first, neighbours), _reach(second, neighbours)
    between = cdist(first, second)
    inside_real = between <= reach_real[:, None]
    return {
        "precision": float(inside_real.any(axis=0).mean()),
        "recall": float((between <= reach_generated[None]).any(axis=1).mean()),
        "density": float(inside_real.sum(axis=0).mean() / neighbours),
        "coverage": float(inside_real.any(axis=1).mean()),
    }


def _reach(features: Floats, neighbours: int) -> Floats:
    """Return each vector's distance to its k-th nearest other one."""
    distances = cdist(features, features)
    np.fill_diagonal(distances, np.inf)
    reach: Floats = np.partition(distances, neighbours - 1, axis=1)[:, neighbours - 1]
    return reach


def _factor(features: Floats) -> Floats:
    """Return a matrix with the covariance of features (n, D) as its product, of no more than D rows."""
    deviations: Floats = (features - features.mean(axis=0)) / np.sqrt(len(features) - 1)
    if len(deviations) <= deviations.shape[1]:
        return deviations
    factor: Floats = np.asarray(np.linalg.qr(deviations, mode="r"))
    return factor


def _checked(real: npt.ArrayLike, generated: npt.ArrayLike) -> tuple[Floats, Floats]:
    first, second = np.asarray(real, np.float64), np.asarray(generated, np.float64)
    if min(len(first), len(second)) < 2:
        raise ValueError("two images at least are needed on either side")
    return first, second


def _kernel(first: Floats, second: Floats) -> Floats:
    cubic: Floats = (first @ second.T / first.shape[1] + 1) ** 3
    return cubic


def _codes(groups: Sequence[object] | npt.NDArray[Any] | None, n: int) -> Groups:
    if groups is None:
        return np.arange(n, dtype=np.intp)
    return np.unique([str(group) for group in groups], return_inverse=True)[1].astype(np.intp)


@dataclass(frozen=True, eq=False)
class _Sums:
    """Kernel sums by pair of groups, from which a group can be taken out without another pass over images."""

    within_first: Floats
    across: Floats
    within_second: Floats
    n_first: Floats
    n_second: Floats

    @classmethod
    def of(cls, first: Floats, across: Floats, second: Floats, a: Groups, b: Groups) -> _Sums:
        return cls(
            _pooled(first, a, a), _pooled(across, a, b), _pooled(second, b, b),
            np.bincount(a).astype(np.float64), np.bincount(b).astype(np.float64),
        )  # fmt: skip

    def value(self) -> float:
        return float(
            _mean_apart(self.within_first, self.n_first)
            + _mean_apart(self.within_second, self.n_second)
            - 2 * self.across.sum() / (self.n_first.sum() * self.n_second.sum())
        )

    def without_first(self) -> Floats:
        """Return the distance without each specimen in turn."""
        n, counts = self.n_first.sum(), self.n_first
        apart = self.within_first.sum() - np.trace(self.within_first)
        own = self.within_first.sum(axis=1) - np.diag(self.within_first)
        pairs = (n - counts) ** 2 - ((counts**2).sum() - counts**2)
        across = (self.across.sum() - self.across.sum(axis=1)) / ((n - counts) * self.n_second.sum())
        left: Floats = (apart - 2 * own) / pairs + _mean_apart(self.within_second, self.n_second) - 2 * across
        return left

    def without_second(self) -> Floats:
        """Return the distance without each parent in turn."""
        return _Sums(self.within_second, self.across.T, self.within_first, self.n_second, self.n_first).without_first()


def _pooled(kernel: Floats, rows: Groups, columns: Groups) -> Floats:
    """Return the sums over pairs of groups."""
    if len(rows) == rows.max() + 1 and len(columns) == columns.max() + 1:  # every image its own group
        return kernel[np.ix_(np.argsort(rows), np.argsort(columns))]
    one, two = np.eye(int(rows.max()) + 1)[rows], np.eye(int(columns.max()) + 1)[columns]
    sums: Floats = one.T @ kernel @ two
    return sums


def _mean_apart(sums: Floats, counts: Floats) -> float:
    """Return the mean over pairs of two groups."""
    pairs = counts.sum() ** 2 - (counts**2).sum()
    return float((sums.sum() - np.trace(sums)) / pairs)


def _jackknife(left_out: Floats) -> float:
    """Return the jackknife variance from the estimates with one group left out each."""
    n = len(left_out)
    return float((n - 1) / n * ((left_out - left_out.mean()) ** 2).sum())
