"""Structural similarity of small grey images, for many pairs at once (Wang et al. 2004).

The setting is that of the fracture study's leakage audit: grey, longer side at most 128 px, data range 255, a uniform
window of 7 x 7 px, mean over all windows that lie within the image. It agrees with scikit-image's
``structural_similarity`` to seven digits. Sums over windows are integers and kept as such, so that no digits cancel
in flat images, and two equal images have exactly 1.

References
----------
Wang, Z., Bovik, A. C., Sheikh, H. R. & Simoncelli, E. P. (2004), Image quality assessment: from error visibility to
structural similarity, IEEE Trans. Image Process. 13, 600-612.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import numpy.typing as npt
from PIL import Image

from sorby.corpus.perceptual_hash import grey8
from sorby.micrograph import Pixels

UInt8 = npt.NDArray[np.uint8]
Int32 = npt.NDArray[np.int32]
Pairs = npt.NDArray[np.intp]
Values = npt.NDArray[np.float64]

SSIM_SIDE = 128
"""Longer side in pixels at which images are compared."""

_WINDOW = 7
_NP = _WINDOW**2
_C1, _C2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
_CELLS = 1 << 15  # pixels of a batch: larger ones leave a core's cache and take two to three times as long


def thumbnail(pixels: Pixels) -> UInt8:
    """Return the image in grey, 8 bit, its longer side at most 128 px."""
    return reduced_to_thumbnail(grey8(pixels))


def reduced_to_thumbnail(grey: UInt8) -> UInt8:
    """Return an 8-bit grey image with its longer side at most 128 px; nothing is enlarged."""
    image = Image.fromarray(grey)
    image.thumbnail((SSIM_SIDE, SSIM_SIDE), Image.Resampling.BOX)
    return np.asarray(image)


def similarity(first: UInt8, second: UInt8) -> float:
    """Return the mean structural similarity of two thumbnails; the second is brought to the first's size.

    Parameters
    ----------
    first, second : ndarray of uint8, shape (h, w)

    Returns
    -------
    float
        1 for equal images. Images less than 7 px wide or high are compared for equality.
    """
    return float(similarities([first, second], np.array([[0, 1]]), workers=1)[0])


def similarities(thumbnails: Sequence[UInt8], pairs: Pairs, workers: int | None = None) -> Values:
    """Return the mean structural similarity of each pair, shape (p,).

    Parameters
    ----------
    thumbnails : sequence of ndarray of uint8, shape (h, w)
        Or anything that gives one by its index.
    pairs : ndarray of int, shape (p, 2)
        Where shapes differ, the second image is brought to the first's.
    workers : int, optional
        Threads; one a core where absent.
    """
    values = np.empty(len(pairs))
    shapes: dict[tuple[int, ...], list[int]] = {}
    for k, first in enumerate(pairs[:, 0].tolist()):
        shapes.setdefault(thumbnails[first].shape, []).append(k)
    jobs = []
    for shape, members in shapes.items():
        step = max(1, _CELLS // (shape[0] * shape[1]))
        jobs += [(shape, np.array(members[k : k + step])) for k in range(0, len(members), step)]

    def compare(job: tuple[tuple[int, ...], npt.NDArray[np.intp]]) -> None:
        shape, rows = job
        first = np.stack([thumbnails[k] for k in pairs[rows, 0].tolist()])
        second = np.stack([_at_size(thumbnails[k], shape) for k in pairs[rows, 1].tolist()])
        values[rows] = mean_ssim(first, second)

    _in_threads(compare, jobs, workers)
    return values


def mean_ssim(first: UInt8, second: UInt8) -> Values:
    """Return the mean structural similarity of images in two stacks, one to one.

    Parameters
    ----------
    first, second : ndarray of uint8, shape (b, h, w)

    Returns
    -------
    ndarray of float64, shape (b,)
    """
    if min(first.shape[1:]) < _WINDOW:
        return np.asarray((first == second).all(axis=(1, 2)), np.float64)
    x, y = first.astype(np.int32), second.astype(np.int32)
    sum_x, sum_y = _windows(x), _windows(y)
    # NP sum(xx) - sum(x)^2 is at most 49 * 49 * 255^2 = 1.6e8, an exact integer; so are the products of sums.
    square_x, square_y = sum_x * sum_x, sum_y * sum_y
    squares = square_x + square_y
    spread = _windows(x * x + y * y) * _NP - squares
    product = sum_x * sum_y
    covariance = _windows(x * y) * _NP - product
    # Sums in place of means, and sample (co)variances as of scikit-image: the factors go into the constants.
    c1, c2 = np.float32(_C1 * _NP**2), np.float32(_C2 * _NP * (_NP - 1))
    above = _plus(2 * product, c1) * _plus(2 * covariance, c2)
    above /= _plus(squares, c1) * _plus(spread, c2)
    return np.asarray(above.mean(axis=(1, 2), dtype=np.float64))


def _plus(exact: Int32, constant: np.float32) -> npt.NDArray[np.float32]:
    """Go over to single precision, once all that could cancel has been subtracted."""
    rounded: npt.NDArray[np.float32] = exact.astype(np.float32)
    rounded += constant
    return rounded


def _windows(values: Int32) -> Int32:
    """Return the sums over all 7 x 7 windows that lie within, shape (b, h - 6, w - 6): 1 + 2 + 4 = 7 at each step."""
    two = values[:, :-1] + values[:, 1:]
    rows = two[:, :-5] + two[:, 2:-3] + two[:, 4:-1] + values[:, 6:]
    two = rows[:, :, :-1] + rows[:, :, 1:]
    return np.asarray(two[:, :, :-5] + two[:, :, 2:-3] + two[:, :, 4:-1] + rows[:, :, 6:])


def _at_size(image: UInt8, shape: tuple[int, ...]) -> UInt8:
    if image.shape == shape:
        return image
    return np.asarray(Image.fromarray(image).resize((shape[1], shape[0]), Image.Resampling.BOX))


def _in_threads(work: Callable[..., None], jobs: Sequence[object], workers: int | None) -> None:
    if len(jobs) == 1 or workers == 1:
        for job in jobs:
            work(job)
        return
    with ThreadPoolExecutor(workers or os.cpu_count() or 2) as pool:
        for _ in pool.map(work, jobs):
            pass
