"""Generated and real images in the packaged network's features: how far apart, beside what can be expected.

A distance by itself says nothing. It stands between a *floor*, that of halves of the real images by specimen, and a
*ceiling*, that of what an untaught generator of the same shape draws.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from sorby.backbone import FeatureExtractor, Preprocessing
from sorby.backbone import load as load_backbone
from sorby.backbone.runtime import Device, run
from sorby.evidence.generated_sets import (
    KernelDistance,
    Standard,
    frechet_distance,
    halves_distance,
    kernel_distance,
    precision_recall,
)
from sorby.micrograph import resize

BACKBONE = "efficientnet_lite0"
"""The packaged network; the published distances take Inception's features, so no figure compares with theirs."""

_SIDE = 224
_AT_ONCE = 256

Grey = npt.NDArray[np.uint8]
Features = npt.NDArray[np.float32]


class SurfaceFeatures:
    """The packaged network's stages, means and deviations, of grey images in memory.

    Parameters
    ----------
    device : {"auto", "cpu", "cuda"}
    """

    def __init__(self, device: Device = "auto") -> None:
        rule = Preprocessing(height=_SIDE, width=_SIDE, colour="grey")
        self._runtime = FeatureExtractor(
            load_backbone(BACKBONE, size=(_SIDE, _SIDE)), rule, device=device, cache=False
        ).runtime

    @property
    def name(self) -> str:
        """What the features are, in words."""
        return f"{BACKBONE}, means and deviations of its stages, {_SIDE} px, {self._runtime.precision}"

    def __call__(self, images: Grey) -> Features:
        """Return the features of images (n, H, W), shape (n, D)."""
        parts = []
        for start in range(0, len(images), _AT_ONCE):
            sized = np.stack([resize(image, (_SIDE, _SIDE)) for image in images[start : start + _AT_ONCE]])
            parts.append(run(self._runtime, sized[..., None].astype(np.uint8))[0])
        return np.concatenate(parts)


def distances(
    real: npt.ArrayLike,
    generated: npt.ArrayLike,
    specimens: Sequence[str],
    parents: Sequence[str] | None = None,
    untaught: npt.ArrayLike | None = None,
    *,
    seed: int = 0,
) -> dict[str, Any]:
    """Return every distance of a generated set from a real one, with floor and ceiling.

    Parameters
    ----------
    real, generated : array_like, shapes (n, D) and (m, D)
    specimens : sequence of str
        Of the real images.
    parents : sequence of str, optional
        Of the generated ones, where they have parents.
    untaught : array_like, shape (k, D), optional
        Features of what the generator drew before it was taught.
    seed : int
        Of the halves.

    Returns
    -------
    dict
        ``kid`` and ``ceiling`` (`KernelDistance` as dict, None where not given or too few), ``floor`` (likewise; its
        interval is that of halvings), ``fid``, ``fid_floor`` (halves have half the images, so their bias is larger),
        ``precision``, ``recall``, ``density``, ``coverage`` (None where there are too few), ``n_real``,
        ``n_generated``, ``place`` (0 at the floor, 1 at the ceiling; None without a ceiling), ``warnings``.
    """
    said: list[str] = []
    first, second = _on_one_scale(real, generated)
    kid = _kernel(first, second, specimens, parents, said)
    halves = halves_distance(real, specimens, seed=seed)
    if halves is None:
        said.append(f"{len(set(specimens))} real specimens: no floor, which takes four")
    ceiling = None if untaught is None else _kernel(*_on_one_scale(real, untaught), specimens, None, said)
    floor = 0.0 if halves is None else max(0.0, halves[0].value)
    place = None
    if kid is not None and ceiling is not None and ceiling.value > floor:
        place = (kid.value - floor) / (ceiling.value - floor)
    few = min(len(first), len(second))
    if few < 50:
        said.append(
            f"{few} images on one side: the FID is too large by an unknown amount; compare it with its floor only"
        )
    spread = precision_recall(first, second)
    return {
        "kid": None if kid is None else kid.as_dict(),
        "floor": None if halves is None else halves[0].as_dict(),
        "ceiling": None if ceiling is None else ceiling.as_dict(),
        "place": place,
        "fid": frechet_distance(first, second) if few >= 2 else None,
        "fid_floor": None if halves is None else halves[1],
        **(spread or dict.fromkeys(("precision", "recall", "density", "coverage"))),
        "n_real": len(first),
        "n_generated": len(second),
        "warnings": said,
    }


def _on_one_scale(real: npt.ArrayLike, other: npt.ArrayLike) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Return both sets on the scale between them."""
    scale = Standard.between(real, other)
    return scale(real), scale(other)


def _kernel(
    real: npt.NDArray[np.float64],
    generated: npt.NDArray[np.float64],
    specimens: Sequence[str],
    parents: Sequence[str] | None,
    said: list[str],
) -> KernelDistance | None:
    """Return the kernel distance, None where images of two specimens and two parents are not there."""
    if parents is not None and len(set(parents)) < 2:
        parents = None
    if len(set(specimens)) < 2 or len(generated) < 2:
        said.append(
            f"{len(set(specimens))} real specimens, {len(generated)} generated images: no distance, each takes two"
        )
        return None
    return kernel_distance(real, generated, specimens, parents)
