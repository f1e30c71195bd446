"""Length distributions: of traced segments with the border's share put right, and through estimated quantiles."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import ndtr, ndtri

from sorby.measure.length_model import QUANTILES, Estimate
from sorby.measure.ridge_segments import Segments

Float64 = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class TracedLengths:
    """What was traced, corrected for the border only; hidden parts are missing from every length.

    Attributes
    ----------
    n : int
        Segments traced, cut ones included.
    cut_share : float
        Share of them that reach the border of the region.
    lengths_um : ndarray of float64, shape (m,)
        Lengths of the uncut ones in micrometres.
    weights : ndarray of float64, shape (m,)
        How many needles of the plane each stands for, relative to one that the border never cuts.
    statistics : mapping of str to Estimate
        ``mean``, ``q05`` to ``q95`` and ``largest`` in micrometres, with bootstrap intervals.
    """

    n: int
    cut_share: float
    lengths_um: Float64
    weights: Float64
    statistics: Mapping[str, Estimate]


def border_weights(length_um: Float64, angle: Float64, frame_um: tuple[float, float]) -> Float64:
    """Return Miles-Lantuejoul weights of segments seen whole in a rectangle.

    A segment is seen whole with a chance proportional to the area in which its centre may lie; the weight is the
    inverse of it (Miles 1974; Lantuejoul 1980).

    Parameters
    ----------
    length_um, angle : ndarray of float64, shape (n,)
        Lengths in micrometres and directions in radians.
    frame_um : tuple of float
        Height and width in micrometres.
    """
    height, width = frame_um
    across = np.clip(1 - length_um * np.abs(np.cos(angle)) / width, 0.05, 1)
    down = np.clip(1 - length_um * np.abs(np.sin(angle)) / height, 0.05, 1)
    return np.asarray(1 / (across * down))


def _statistics(lengths: Float64, weights: Float64, largest_share: float) -> Float64:
    """Return mean, quantiles and mean of the longest share of weighted lengths."""
    order = np.argsort(lengths)
    sorted_lengths, mass = lengths[order], weights[order] / weights.sum()
    middle = np.cumsum(mass) - mass / 2
    quantiles = np.interp(QUANTILES, middle, sorted_lengths)
    above = np.cumsum(mass[::-1])[::-1]
    taken = np.clip(largest_share - (above - mass), 0, mass)
    # One segment alone may weigh more than the share: it then stands for the largest.
    largest = float(np.sum(taken * sorted_lengths) / taken.sum())
    return np.array([float(np.sum(mass * sorted_lengths)), *quantiles, largest])


def traced_lengths(
    segments: Segments,
    frame_um: tuple[float, float],
    *,
    largest_share: float,
    resamples: int = 400,
    seed: int = 0,
) -> TracedLengths:
    """Return the statistics of traced segments with bootstrap intervals.

    Parameters
    ----------
    segments : Segments
        From :func:`sorby.measure.ridge_segments.trace`; at least one must be uncut.
    frame_um : tuple of float
        Height and width of the region's bounding rectangle in micrometres.
    largest_share : float
        Share by number whose mean length is the largest.
    resamples : int
        Bootstrap resamples of segments.
    seed : int
        Of the bootstrap.
    """
    whole = ~segments.cut
    lengths = segments.length_um[whole]
    weights = border_weights(lengths, segments.angle[whole], frame_um)
    values = _statistics(lengths, weights, largest_share)
    rng = np.random.default_rng(seed)
    draws = np.array(
        [
            _statistics(lengths[index], weights[index], largest_share)
            for index in (rng.integers(0, len(lengths), len(lengths)) for _ in range(resamples))
        ]
    )
    low, high = np.quantile(draws, (0.025, 0.975), axis=0)
    names = ("mean", *(f"q{round(100 * q):02d}" for q in QUANTILES), "largest")
    statistics = {
        name: Estimate(float(v), (float(a), float(b))) for name, v, a, b in zip(names, values, low, high, strict=True)
    }
    return TracedLengths(len(segments), float(np.mean(segments.cut)), lengths, weights, statistics)


def cumulative(length_um: Float64, quantiles_um: Float64) -> Float64:
    """Return the share of needles shorter than each length, through estimated quantiles.

    Between and beyond the quantiles the logarithm of the length is linear in the normal score: exact for a
    lognormal distribution, and a smooth join for two populations.

    Parameters
    ----------
    length_um : ndarray of float64, shape (m,)
        Lengths in micrometres, above 0.
    quantiles_um : ndarray of float64, shape (5,)
        The 5th, 25th, 50th, 75th and 95th percentile, ascending.
    """
    scores = ndtri(np.asarray(QUANTILES))
    logs = np.maximum.accumulate(np.log(quantiles_um) + 1e-9 * np.arange(len(quantiles_um)))
    wanted = np.log(length_um)
    inner = np.interp(wanted, logs, scores)
    left, right = ((scores[1] - scores[0]) / (logs[1] - logs[0]), (scores[-1] - scores[-2]) / (logs[-1] - logs[-2]))
    inner = np.where(wanted < logs[0], scores[0] + (wanted - logs[0]) * left, inner)
    inner = np.where(wanted > logs[-1], scores[-1] + (wanted - logs[-1]) * right, inner)
    return np.asarray(ndtr(inner))


@dataclass(frozen=True, eq=False)
class Histogram:
    """Shares of needles by length.

    Attributes
    ----------
    edges_um : ndarray of float64, shape (k + 1,)
        Limits in micrometres, in equal ratios.
    estimated : ndarray of float64, shape (k,)
        Shares by number of the estimated distribution of all needles.
    traced : ndarray of float64, shape (k,)
        Shares of the traced ones, corrected for the border only.
    """

    edges_um: Float64
    estimated: Float64
    traced: Float64


def histogram(traced: TracedLengths, quantiles_um: Float64, bins: int = 16) -> Histogram:
    """Return estimated and traced shares on common limits that hold nearly all of both."""
    ends = cumulative_inverse(np.array([0.001, 0.999]), quantiles_um)
    low = min(float(ends[0]), float(traced.lengths_um.min()))
    high = max(float(ends[1]), float(traced.lengths_um.max())) * (1 + 1e-9)
    edges = np.geomspace(low, high, bins + 1)
    estimated = np.diff(cumulative(edges, quantiles_um))
    counts = np.histogram(traced.lengths_um, edges, weights=traced.weights)[0]
    return Histogram(edges, estimated / estimated.sum(), counts / counts.sum())


def cumulative_inverse(share: Float64, quantiles_um: Float64) -> Float64:
    """Return the lengths in micrometres below which the given shares lie; inverts :func:`cumulative`."""
    scores = ndtri(np.asarray(QUANTILES))
    logs = np.maximum.accumulate(np.log(quantiles_um) + 1e-9 * np.arange(len(quantiles_um)))
    wanted = ndtri(share)
    inner = np.interp(wanted, scores, logs)
    left, right = ((logs[1] - logs[0]) / (scores[1] - scores[0]), (logs[-1] - logs[-2]) / (scores[-1] - scores[-2]))
    inner = np.where(wanted < scores[0], logs[0] + (wanted - scores[0]) * left, inner)
    inner = np.where(wanted > scores[-1], logs[-1] + (wanted - scores[-1]) * right, inner)
    return np.asarray(np.exp(inner))
