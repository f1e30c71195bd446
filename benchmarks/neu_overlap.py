"""Which images of the NEU set show overlapping fields of one picture, so that a random split tests on what it taught.

The 1,800 images (Song & Yan 2013; 200 x 200 px, six classes) are crops. Many overlap: the same crack or scale stands in
two or more of them, shifted by up to the width of an image, mostly under neighbouring numbers (``crazing_246`` and
``crazing_248``, 86 px apart). Nothing in the set says so. Perceptual hashes do not see it, because a shift by a quarter
of the image is another image to them: within 10 bits of pHash and SSIM .8 they find a single pair, the byte-duplicate.

The rule: two images of one class whose numbers differ by at most ``window`` overlap if, at some shift that leaves them
at least a quarter of their area in common, the normalised correlation of what they share, shading removed, is
``at_least`` or more. Overlapping images are joined to groups (connected components).

How it was checked:

- Chance: of 24,000 pairs of different classes none reaches .69 (99 % stay below .43). The distribution of neighbours'
  values has two humps, with its valley at .7 to .75.
- Geometry: if a, b and c overlap in pairs, the shift a-b plus the shift b-c must be the shift a-c. At .8 this holds to
  within one pixel of the half-size images for 450 of 454 triples of five classes; nothing in the rule asks for it.
- By eye: eight pairs of high correlation at different shifts, all the same field.

What it cannot know: scratches. Their lines run straight down the image, so a shift along them is hardly determined (the
geometry holds for 64 % of 228 triples) and different lines may match (2 of 1,446 far pairs reach .8). Some of their
groups are too large, which is the safe side for a split. Overlaps of less than a quarter, of far numbers (12 of 1,446
pairs of pitted surfaces more than 100 apart) or between classes are not looked for; images of one coil that do not
overlap cannot be told.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import fft, ndimage

from sorby.corpus.near_duplicates import Pairs, groups_of
from sorby.errors import InputError
from sorby.micrograph import read, resize, to_grey

Groups = npt.NDArray[np.intp]
Reals = npt.NDArray[np.float32]

WINDOW = 20
"""Numbers apart up to which images are compared; four fifths of the overlaps found are at most four apart."""

AT_LEAST = 0.8
"""Correlation from which images overlap."""

_SIDE = 100  # pixels at which images are compared
_COMMON = 0.25  # of the area
_NAME = re.compile(r"(.+)_(\d+)")


def overlap_groups(paths: Sequence[Path | str], *, window: int = WINDOW, at_least: float = AT_LEAST) -> Groups:
    """Return the group of overlapping images that every image belongs to.

    Parameters
    ----------
    paths : sequence of path
        Images named ``class_number``.
    window : int
        Numbers apart up to which two images of a class are compared.
    at_least : float
        Correlation from which they overlap.

    Returns
    -------
    ndarray of int, shape (n,)

    Raises
    ------
    InputError
        A name that does not follow the pattern.
    ImageError
        A file that cannot be read.
    """
    files = [Path(path) for path in paths]
    pairs, correlation = compare(files, window)
    return groups_of(pairs[correlation >= at_least], len(files))


def compare(files: Sequence[Path], window: int = WINDOW) -> tuple[Pairs, Reals]:
    """Return the pairs of neighbours, shape (p, 2), and their best correlation, shape (p,)."""
    kind, number = _parse(files)
    pairs: list[Pairs] = []
    values: list[Reals] = []
    for name in np.unique(kind):
        rows = np.flatnonzero(kind == name)
        fields = _Fields([files[row] for row in rows.tolist()])
        for k, row in enumerate(rows):
            apart = number[rows] - number[row]
            others = np.flatnonzero((apart > 0) & (apart <= window))
            if len(others):
                pairs.append(np.stack([np.full(len(others), row), rows[others]], axis=1))
                values.append(fields.correlate(k, others))
    if not pairs:
        return np.empty((0, 2), np.intp), np.empty(0, np.float32)
    return np.concatenate(pairs), np.concatenate(values)


class _Fields:
    """Images without shading, with what is needed to correlate any two at every shift.

    For a shift, the correlation is the sum of products over the common area, divided by the roots of the two sums of
    squares over that same area; all three are correlations of zero-padded images and come from their spectra.
    """

    def __init__(self, files: Sequence[Path]) -> None:
        images = np.stack([_unshaded(file) for file in files])
        self.spectrum = self._transform(images)
        square = self._transform(images**2)
        whole = self._transform(np.ones((1, _SIDE, _SIDE), np.float32))
        self.common = self._back(whole * whole.conj())[0] >= _COMMON * _SIDE**2
        self.energy_as_first = self._back(whole * square.conj())
        self.energy_as_second = self._back(square * whole.conj())

    @staticmethod
    def _transform(images: Reals) -> npt.NDArray[np.complex64]:
        return np.asarray(fft.rfft2(images, s=(2 * _SIDE, 2 * _SIDE)))

    @staticmethod
    def _back(spectra: npt.NDArray[np.complex64]) -> Reals:
        return np.asarray(fft.irfft2(spectra, s=(2 * _SIDE, 2 * _SIDE)))

    def correlate(self, first: int, seconds: Groups) -> Reals:
        """Return the best correlation of one image with others over all shifts allowed, shape (len(seconds),)."""
        product = self._back(self.spectrum[seconds] * self.spectrum[first].conj())[:, self.common]
        energy = self.energy_as_first[first][self.common] * self.energy_as_second[seconds][:, self.common]
        return np.asarray((product / np.sqrt(np.maximum(energy, 1.0))).max(axis=1))


def _unshaded(file: Path) -> Reals:
    """Return an image at half size, shading subtracted and local contrast divided out."""
    grey = resize(to_grey(read(file).pixels), (_SIDE, _SIDE)).astype(np.float32)
    fine = grey - ndimage.gaussian_filter(grey, 8)
    return np.asarray(fine / (np.sqrt(ndimage.gaussian_filter(fine**2, 8)) + 1), dtype=np.float32)


def _parse(files: Sequence[Path]) -> tuple[npt.NDArray[np.str_], Groups]:
    matches = [_NAME.fullmatch(file.stem) for file in files]
    wrong = [file for file, match in zip(files, matches, strict=True) if match is None]
    if wrong:
        raise InputError(f"{wrong[0]}: not named class_number", "give the images of the NEU set")
    found = [match.groups() for match in matches if match]
    return np.array([kind for kind, _ in found]), np.array([int(number) for _, number in found], dtype=np.intp)


def study(folder: Path) -> dict[str, Any]:
    """Return how many images overlap and how the groups depend on the limit."""
    files = sorted(folder.glob("*.jpg"))
    if not files:
        raise InputError(f"{folder}: holds no .jpg", "give the folder of the NEU images")
    kind, _ = _parse(files)
    pairs, correlation = compare(files)
    rows = []
    for limit in (0.7, 0.75, AT_LEAST, 0.85, 0.9, 0.95):
        groups = groups_of(pairs[correlation >= limit], len(files))
        size = np.bincount(groups)
        rows.append(
            {
                "at_least": limit,
                "pairs": int((correlation >= limit).sum()),
                "groups": len(size),
                "largest": int(size.max()),
                "images_that_overlap": int(size[size > 1].sum()),
                "random_5_folds_leak": _leaking(groups),
                "groups_by_class": {name: len(np.unique(groups[kind == name])) for name in np.unique(kind).tolist()},
            }
        )
    counts = np.histogram(correlation, bins=np.linspace(0, 1, 21))[0]
    return {
        "images": len(files),
        "pairs_compared": len(pairs),
        "histogram_of_twentieths": counts.tolist(),
        "by_limit": rows,
    }


def _leaking(groups: Groups, folds: int = 5, seeds: int = 20) -> float:
    """Return the mean share of images whose group also lies in another fold, for random folds."""
    shares = []
    for seed in range(seeds):
        fold = np.random.default_rng(seed).permutation(len(groups)) % folds
        inside = Counter(zip(groups.tolist(), fold.tolist(), strict=True))
        size = np.bincount(groups)
        shares.append(np.mean([inside[group, f] < size[group] for group, f in zip(groups.tolist(), fold, strict=True)]))
    return float(np.mean(shares))


def main() -> None:
    """Print the figures as one JSON object."""
    parser = argparse.ArgumentParser(description="Find overlapping images in the NEU set.")
    parser.add_argument("folder", type=Path, help="the folder of its images")
    sys.stdout.write(json.dumps(study(parser.parse_args().folder), indent=2) + "\n")


if __name__ == "__main__":
    main()
