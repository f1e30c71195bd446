"""Generated images beside the real ones they are most like: structure, intensity, gradients and texture (S2-22).

The paper names three checks of a generated image, structural similarity, intensity and gradients, and no limits. A
limit cannot be had without the same figures between real images of different specimens, so they stand beside each.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import fft

from sorby.corpus.structural_similarity import mean_ssim

Grey = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float64]
Rows = npt.NDArray[np.intp]


def pair_likeness(first: Grey, second: Grey) -> dict[str, Floats]:
    """Compare two stacks of images one to one.

    Parameters
    ----------
    first, second : ndarray of uint8, shape (n, H, W)

    Returns
    -------
    dict of str to ndarray, shape (n,)
        ``ssim``: mean structural similarity; ``intensity``: root mean square difference of grey values on 0 to 1;
        ``gradient``: mean difference of the gradients' amounts, along rows and columns together, on the same scale.
    """
    x, y = first.astype(np.float32) / 255, second.astype(np.float32) / 255
    gradients = [
        np.abs(np.abs(np.diff(x, axis=axis)) - np.abs(np.diff(y, axis=axis))).mean(axis=(1, 2)) for axis in (1, 2)
    ]
    return {
        "ssim": mean_ssim(first, second),
        "intensity": np.sqrt(((x - y) ** 2).mean(axis=(1, 2))).astype(np.float64),
        "gradient": (gradients[0] + gradients[1]).astype(np.float64),
    }


def radial_spectrum(images: Grey, bins: int = 24) -> Floats:
    """Return the power of images over spatial frequency, in log10, shape (n, bins).

    Parameters
    ----------
    images : ndarray of uint8, shape (n, H, W)
    bins : int
        Equal rings from 0 to half a cycle a pixel. A Hann window keeps the picture's edges out of the spectrum.
    """
    height, width = images.shape[1:]
    taper = np.hanning(height)[:, None] * np.hanning(width)[None]
    values = images.astype(np.float64) - images.mean(axis=(1, 2), keepdims=True)
    power = np.abs(fft.rfft2(values * taper)) ** 2 / (taper**2).sum()
    frequency = np.hypot(fft.fftfreq(height)[:, None], fft.rfftfreq(width)[None])
    ring = np.minimum((frequency / 0.5 * bins).astype(np.intp), bins)  # corners beyond half a cycle are left out
    rings = np.eye(bins + 1)[ring.ravel()][:, :bins]
    mean = power.reshape(len(images), -1) @ rings / np.maximum(rings.sum(axis=0), 1)
    logarithm: Floats = np.log10(mean + 1e-6)
    return logarithm


def spectral_difference(real: Grey, generated: Grey, specimens: Sequence[str]) -> dict[str, Any]:
    """Compare the textures of two sets by their mean spectra.

    Returns
    -------
    dict
        ``difference``: root mean square difference of the sets' mean log10 power over the rings; ``between_real``: the
        same of each specimen's mean against the other specimens' mean, its median and largest; ``real``,
        ``generated``: the two mean spectra.
    """
    first, second = radial_spectrum(real), radial_spectrum(generated)
    names = np.array(specimens)
    apart = [
        float(np.sqrt(((first[names == name].mean(axis=0) - first[names != name].mean(axis=0)) ** 2).mean()))
        for name in sorted(set(specimens))
        if (names != name).any()
    ]
    mean_first, mean_second = first.mean(axis=0), second.mean(axis=0)
    return {
        "difference": float(np.sqrt(((mean_first - mean_second) ** 2).mean())),
        "between_real": {"median": float(np.median(apart)), "largest": max(apart)} if apart else None,
        "real": mean_first.tolist(),
        "generated": mean_second.tolist(),
    }


def nearest_likeness(
    real: Grey, generated: Grey, nearest: Rows, real_nearest: Rows | None
) -> dict[str, dict[str, float | None]]:
    """Compare each generated image with the real one it is nearest to, and reals with theirs.

    Parameters
    ----------
    real, generated : ndarray of uint8, shapes (n, H, W) and (m, H, W)
    nearest : ndarray of int, shape (m,)
        Real image nearest to each generated one.
    real_nearest : ndarray of int, shape (n,), optional
        Real image of another specimen nearest to each real one.

    Returns
    -------
    dict
        For ``ssim``, ``intensity`` and ``gradient``: ``generated`` and ``real`` medians, the latter None where there is
        no other specimen.
    """
    ours = pair_likeness(generated, real[nearest])
    theirs = None if real_nearest is None else pair_likeness(real, real[real_nearest])
    return {
        name: {
            "generated": float(np.median(values)),
            "real": None if theirs is None else float(np.median(theirs[name])),
        }
        for name, values in ours.items()
    }
