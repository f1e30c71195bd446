"""Near-duplicates by the features of the packaged network, with a threshold that the corpus itself gives.

How alike must two images be to count as the same picture? As alike as an image is to itself after what happens to
pictures: saved again as JPEG, a little brighter, shifted or enlarged by a few per cent, slightly out of focus. And more
alike than images that cannot be the same picture, because they are of two classes. The threshold is the larger of two
cosines: the one that 95 of 100 altered copies reach, and the one that a pair of two classes exceeds once in a million.
"""

from __future__ import annotations

import io

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageFilter

from sorby.backbone import FeatureExtractor, Preprocessing
from sorby.backbone import load as load_backbone
from sorby.backbone.runtime import Device, run
from sorby.corpus import Corpus
from sorby.corpus.embedding_neighbours import EmbeddingNeighbours, Whitening, chance_level, cosine_pairs
from sorby.errors import InputError, Quarantined
from sorby.micrograph import read, to_grey, to_uint8
from sorby.progress import bar

BACKBONE = "efficientnet_lite0"
_SIDE = 224
_SAMPLE = 150  # images whose altered copies set the threshold
_REACHED_BY, _BY_CHANCE = 0.95, 1e-6

LEAST_IMAGES = 64
"""Fewer images have too few axes to tell a copy from a stranger."""

UInt8 = npt.NDArray[np.uint8]


def embedding_neighbours(
    corpus: Corpus, *, threshold: float | None = None, seed: int = 0, device: Device = "auto"
) -> tuple[EmbeddingNeighbours, list[Quarantined]]:
    """Find the near-duplicates among all images of a corpus.

    Parameters
    ----------
    corpus : Corpus
        Usable rows.
    threshold : float, optional
        Cosine from which two images are near-duplicates; derived from altered copies where absent.
    seed : int
        Of the sample and its alterations.
    device : {"auto", "cpu", "cuda"}

    Returns
    -------
    EmbeddingNeighbours
        Rows of *corpus*.
    list of Quarantined
        Files that could not be read, which have no neighbours.

    Raises
    ------
    InputError
        Fewer than 64 images could be read.
    """
    rule = Preprocessing(height=_SIDE, width=_SIDE, colour="grey")
    extractor = FeatureExtractor(load_backbone(BACKBONE, size=(_SIDE, _SIDE)), rule, device=device)
    paths = corpus.paths()
    with bar("features", len(paths)) as advance:
        found = extractor.extract(paths, list(corpus.table["sha256"].astype(str)), advance)
    if len(found.kept) < LEAST_IMAGES:
        raise InputError(
            f"{len(found.kept)} images could be read; a network's near-duplicates need {LEAST_IMAGES}",
            "check the files, or audit with --no-embedding",
        )
    whitening = Whitening.of(found.features)
    unit = whitening.unit(found.features)
    how = f"{BACKBONE}, stages' means and deviations, whitened to {unit.shape[1]} axes; cosine >= "
    if threshold is None:
        rng = np.random.default_rng(seed)
        sample = rng.permutation(len(found.kept))[:_SAMPLE]
        copies = np.stack([rule.prepare(altered(read(paths[found.kept[k]]).pixels, rng)) for k in sample])
        seen = np.concatenate([run(extractor.runtime, copies[k : k + 256])[0] for k in range(0, len(copies), 256)])
        cosines = (whitening.unit(seen) * unit[sample]).sum(axis=1)
        chance = chance_level(unit, corpus.labels[found.kept], _BY_CHANCE, seed)
        threshold = float(np.quantile(cosines, 1 - _REACHED_BY))
        threshold = threshold if chance is None else max(threshold, chance)
        how += (
            f"{threshold:.3f}, which {np.mean(cosines >= threshold):.0%} of {len(sample)} slightly altered copies reach"
        )
    else:
        how += f"{threshold:g}, as asked"
    pairs, cosine = cosine_pairs(unit, threshold)
    return EmbeddingNeighbours(found.kept[pairs], cosine, threshold, how), found.quarantined


def altered(pixels: npt.NDArray[np.generic], rng: np.random.Generator) -> UInt8:
    """Return the same picture as another program or another second would have stored it.

    Shifted and enlarged by up to 3 %, blurred by up to .8 px, brightness and contrast changed by up to 10 %, saved as
    JPEG of quality 60 to 95.

    Parameters
    ----------
    pixels : ndarray, shape (H, W) or (H, W, 3)
    rng : numpy.random.Generator

    Returns
    -------
    ndarray of uint8, shape (H, W)
    """
    image = Image.fromarray(to_uint8(to_grey(pixels)))
    left, top, right, bottom = rng.uniform(0, 0.03, 4)
    width, height = image.size
    box = (left * width, top * height, (1 - right) * width, (1 - bottom) * height)
    image = image.resize(image.size, Image.Resampling.BICUBIC, box=box)
    image = image.filter(ImageFilter.GaussianBlur(float(rng.uniform(0, 0.8))))
    gain, offset = rng.uniform(0.9, 1.1), rng.uniform(-12, 12)
    changed = np.clip(gain * (np.asarray(image, np.float32) - 128) + 128 + offset, 0, 255)
    buffer = io.BytesIO()
    Image.fromarray(changed.astype(np.uint8)).save(buffer, "JPEG", quality=int(rng.integers(60, 96)))
    return np.asarray(Image.open(buffer))
