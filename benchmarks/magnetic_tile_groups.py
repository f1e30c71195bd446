"""Which images of the magnetic-tile set show the same tile: a rule from names, sizes and surfaces, and its checks.

The set (Huang et al. 2018, *The Visual Computer*; 952 free tiles, 392 with a defect) names its images
``expK_num_N.jpg`` and gives no tile. Its random splits leak: the same tile stands on both sides. Sorted by N the
exposures run 1, 2, 3, 4, 5, 6, 1, 2, ... , over the class folders: N counts the frames of the recording, and each
tile was shot at six exposures before the next was put down. Hence the rule, in two steps:

1. **Runs.** Two images belong to one run if their exposures differ, their N differ by at most ``gap`` frames and
   their sizes agree roughly. Pairs are joined in order of |dN| / 100 + 10 x size difference (in natural logarithms,
   height counted twice), never so that a run would hold an exposure twice. So two tiles whose recordings interleave
   come apart by their exposures and sizes. Classes play no part: an edge chip is in the picture at one exposure and
   cropped away at the next, and the folders differ (``num_797`` Fray, ``num_824`` Free, ``num_853`` Blowhole are one
   tile).
2. **Returns.** Some tiles were recorded twice, thousands of frames apart. Each run is reduced to one signature:
   fine surface texture without shading (below), averaged over its exposures. Two runs whose signatures correlate by
   at least ``same_surface`` under small shifts are one tile.

Generic near-duplicate hashing (`sorby.corpus.near_duplicates`) does not do it. Within 4 bits of pHash the pairs are
right (99.8 %), but half of the pairs of one tile are missed; within 8 bits 147 images of different tiles chain into
one group. pHash sees the light on the tile, which follows the fixture, and the crop, which changes.

How it was checked, on all 1,344 images:

- Numbering: 202 of the 217 tiles have exactly one image at each exposure from 1 to 6; the rule forbids an exposure
  twice in a run but asks for none. The largest group has 15 images, a crack recorded in five part runs.
- Surface, which step 1 does not use: two images of one run correlate by .75 in the median (5th percentile .36), two
  images of different runs and like size by .09 (99th percentile .17).
- Tolerances: gaps from 200 to 600 frames and limits from .35 to .5 all give 216 to 218 tiles; a gap of 100 cuts 245
  runs, and the surfaces, knowing no names, bring them back to 219 tiles. Between the runs that are joined (.61 and
  more) and those that are not (.35 and less) lies a gap. With 600 frames one image (``num_320895``) goes to the wrong
  tile, which is why the default is 400.
- By eye, contrast evened, on montages as ``--montage`` draws them: 20 random tiles; every join of step 2; the 16 runs
  with the least alike members; the 11 pairs of runs next below the limit. No wrong join and no missed one was seen
  (``num_98080``, cropped unlike its neighbours, shows the same chip at its edge).

What it cannot know: a tile that came back turned over, turned round or cropped otherwise shares too little surface
to be joined, so there may be fewer tiles than groups; neither can it know tiles cut from one block or one batch. No
list of the tiles exists to compare with.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image
from scipy import fft, ndimage

from sorby.corpus.near_duplicates import Hashes, groups_of, hash_images, pairs_within
from sorby.errors import InputError
from sorby.micrograph import identify, read, resize, to_grey, to_uint8

Groups = npt.NDArray[np.intp]
Reals = npt.NDArray[np.float64]
Surfaces = npt.NDArray[np.float32]

GAP = 400
"""Frames between two images of one run at most; with 600 a first image without partners is caught."""

SAME_SURFACE = 0.4
"""Correlation of two runs' surfaces from which they are one tile; the checks find nothing near it on either side."""

_NAME = re.compile(r"exp(\d+)_num_(\d+)", re.IGNORECASE)
_SIDE = 128  # pixels of a signature
_SHIFT = 8  # pixels of it that crops of one tile may be apart
_SIZES = 0.8  # most that sizes may differ, see step 1


def tile_groups(
    paths: Sequence[Path | str], *, gap: int = GAP, sizes: float = _SIZES, same_surface: float | None = SAME_SURFACE
) -> Groups:
    """Return the tile of every image.

    Parameters
    ----------
    paths : sequence of path
        Images named ``expK_num_N``. Best all 1,344 at once, also where only the free ones are used afterwards: runs
        are found more surely when they are complete.
    gap : int
        Frames that two images of a run may be apart.
    sizes : float
        Size difference allowed within a run, as defined above.
    same_surface : float, optional
        Correlation that joins two runs; None leaves out step 2.

    Returns
    -------
    ndarray of int, shape (n,)
        Group ids from 0, in order of first appearance.

    Raises
    ------
    InputError
        A name that does not follow the pattern.
    ImageError
        A file that cannot be read.
    """
    files = [Path(path) for path in paths]
    exposure, number = _parse(files)
    runs = runs_by_name(exposure, number, _heights_and_widths(files), gap, sizes)
    if same_surface is None:
        return runs
    return join_returns(runs, run_similarity(signatures(files), runs), same_surface)


def runs_by_name(exposure: Groups, number: Groups, size: Reals, gap: int = GAP, sizes: float = _SIZES) -> Groups:
    """Step 1: group images of different exposure, near in frame number and alike in size.

    Parameters
    ----------
    exposure, number : ndarray of int, shape (n,)
    size : ndarray, shape (n, 2)
        Height and width in pixels.
    gap : int
    sizes : float

    Returns
    -------
    ndarray of int, shape (n,)
    """
    first, second = np.triu_indices(len(number), 1)
    apart = np.abs(number[first] - number[second])
    close = (apart <= gap) & (exposure[first] != exposure[second])
    first, second, apart = first[close], second[close], apart[close]
    unlike = np.abs(np.log(size[first]) - np.log(size[second])) @ np.array([2.0, 1.0])
    alike = unlike <= sizes
    first, second, cost = first[alike], second[alike], (apart / 100 + 10 * unlike)[alike]
    run = np.arange(len(number))
    members = {k: {k} for k in range(len(number))}
    for k in np.argsort(cost, kind="stable"):
        a, b = run[first[k]], run[second[k]]
        if a == b or {exposure[i] for i in members[a]} & {exposure[i] for i in members[b]}:
            continue
        members[a] |= members.pop(b)
        run[list(members[a])] = a
    return _renumber(run)


def signature(path: Path) -> Reals:
    """Return the surface of a tile without its shading, shape (128, 128), of unit norm.

    Fine texture only: a Gaussian (sigma 4 px) is subtracted, then each column's mean, because the grinding lines and
    reflections run down the columns and stand in the same place for tile after tile; then local contrast is divided
    out (sigma 8 px), which makes exposures comparable, and a Hann window lets edges and crops fade.
    """
    grey = resize(to_uint8(to_grey(read(path).pixels), "full-range"), (_SIDE, _SIDE)).astype(np.float64)
    fine = grey - ndimage.gaussian_filter(grey, 4)
    fine -= fine.mean(axis=0, keepdims=True)
    fine /= np.sqrt(ndimage.gaussian_filter(fine**2, 8)) + 0.5
    window = np.hanning(_SIDE + 2)[1:-1]
    fine = (fine - fine.mean()) * np.outer(window, window)
    norm = np.linalg.norm(fine)
    return np.asarray(fine / norm if norm else fine)


def signatures(files: Sequence[Path]) -> Surfaces:
    """Return the signature of every file, shape (n, 128, 128)."""
    with ThreadPoolExecutor() as pool:
        return np.stack([surface.astype(np.float32) for surface in pool.map(signature, files)])


def run_similarity(surfaces: Surfaces, runs: Groups) -> Reals:
    """Return the correlation of the runs' mean signatures, the best over small shifts, shape (runs, runs).

    Parameters
    ----------
    surfaces : ndarray of float32, shape (n, 128, 128)
    runs : ndarray of int, shape (n,)
    """
    spectra = [_mean_spectrum(surfaces[runs == k]) for k in range(runs.max() + 1)]
    stack = np.stack(spectra)
    similarity = np.eye(len(stack))
    for k in range(len(stack)):
        similarity[k, k:] = similarity[k:, k] = _best_shift(stack[k:], stack[k])[0]
    return similarity


def join_returns(runs: Groups, similarity: Reals, same_surface: float = SAME_SURFACE) -> Groups:
    """Step 2: join the runs whose surfaces agree; returns the tile of every image."""
    pairs = np.argwhere(np.triu(similarity >= same_surface, 1))
    return _renumber(groups_of(pairs, len(similarity))[runs])


def _parse(files: Sequence[Path]) -> tuple[Groups, Groups]:
    matches = [_NAME.fullmatch(file.stem) for file in files]
    wrong = [file for file, match in zip(files, matches, strict=True) if match is None]
    if wrong:
        raise InputError(f"{wrong[0]}: not named expK_num_N", "give the images of the magnetic-tile set")
    found = np.array([match.groups() for match in matches if match], dtype=np.intp).reshape(-1, 2)
    return found[:, 0], found[:, 1]


def _heights_and_widths(files: Sequence[Path]) -> Reals:
    headers = [identify(file) for file in files]
    return np.array([(header.height, header.width) for header in headers], dtype=np.float64).reshape(-1, 2)


def _mean_spectrum(surfaces: Surfaces) -> npt.NDArray[np.complex64]:
    """Average the signatures of one run, each shifted onto the first; return the spectrum, unit norm."""
    first = fft.rfft2(surfaces[0])
    total = np.array(surfaces[0])
    for surface in surfaces[1:]:
        _, (down, right) = _best_shift(fft.rfft2(surface)[None], first)
        total += np.roll(surface, (-int(down[0]), -int(right[0])), axis=(0, 1))
    return np.asarray(fft.rfft2(total / (np.linalg.norm(total) or 1.0)))


def _best_shift(spectra: npt.NDArray[Any], other: npt.NDArray[Any]) -> tuple[Reals, tuple[Groups, Groups]]:
    """Return the largest correlation within the allowed shifts, and how far each lies down and right of *other*."""
    correlation = fft.irfft2(spectra * other.conj(), s=(_SIDE, _SIDE))
    shifts = np.r_[0 : _SHIFT + 1, -_SHIFT:0]
    near = correlation[:, shifts][:, :, shifts].reshape(len(spectra), -1)
    down, right = np.unravel_index(near.argmax(axis=1), (len(shifts), len(shifts)))
    return near.max(axis=1).astype(np.float64), (shifts[down], shifts[right])


def _renumber(groups: npt.NDArray[Any]) -> Groups:
    """Count groups from 0 in order of first appearance."""
    _, first, index = np.unique(groups, return_index=True, return_inverse=True)
    return np.argsort(np.argsort(first))[index].astype(np.intp)


def _distribution(groups: Groups) -> dict[str, int]:
    return {str(size): n for size, n in sorted(Counter(np.bincount(groups).tolist()).items())}


def _leaking(groups: Groups, seeds: int = 100) -> float:
    """Return the mean share of a random 20 % of the images whose group also lies in the other 80 %."""
    shares = []
    for seed in range(seeds):
        order = np.random.default_rng(seed).permutation(len(groups))
        test, train = np.split(groups[order], [round(0.2 * len(groups))])
        shares.append(np.isin(test, train).mean())
    return float(np.mean(shares))


def study(folder: Path) -> dict[str, Any]:
    """Derive the groups of the whole set; return their figures and how they depend on the tolerances."""
    files = sorted(folder.glob("MT_*/*.jpg"))
    if not files:
        raise InputError(f"{folder}: holds no MT_*/*.jpg", "give the folder of the magnetic-tile set")
    exposure, number = _parse(files)
    size = _heights_and_widths(files)
    surfaces = signatures(files)
    sensitivity = []
    for gap in (100, 200, 300, GAP, 600):
        runs = runs_by_name(exposure, number, size, gap)
        similarity = run_similarity(surfaces, runs)
        for limit in (0.3, 0.35, SAME_SURFACE, 0.5):
            tiles = int(join_returns(runs, similarity, limit).max() + 1)
            sensitivity.append({"gap": gap, "same_surface": limit, "runs": len(similarity), "tiles": tiles})
        if gap == GAP:
            found = _figures(files, runs, similarity)
    return {**found, "sensitivity": sensitivity}


def _figures(files: Sequence[Path], runs: Groups, similarity: Reals) -> dict[str, Any]:
    tiles = join_returns(runs, similarity)
    classes = np.array([file.parent.name for file in files])
    free = classes == "MT_Free"
    between = np.sort(similarity[np.triu_indices(len(similarity), 1)])[::-1]
    return {
        "images": len(files),
        "runs": len(similarity),
        "tiles": int(tiles.max() + 1),
        "tile_sizes": _distribution(tiles),
        "free": {"images": int(free.sum()), "tiles": len(np.unique(tiles[free]))},
        "tiles_of_several_classes": sum(len(set(classes[tiles == k])) > 1 for k in range(tiles.max() + 1)),
        "tiles_free_and_defective": int(np.isin(np.unique(tiles[free]), tiles[~free]).sum()),
        "random_80_20_of_free_leaks": _leaking(tiles[free]),
        "surface_correlation_between_runs": {
            "largest": [round(float(value), 3) for value in between[:25]],
            "median": round(float(np.median(between)), 3),
        },
        "phash": [_phash_against(tiles, hash_images(files), radius) for radius in (2, 4, 8)],
    }


def _phash_against(tiles: Groups, hashes: Hashes, radius: int) -> dict[str, Any]:
    """Return how pairs within a Hamming radius and their groups agree with the tiles."""
    pairs = pairs_within(hashes, radius)
    groups = groups_of(pairs, len(tiles))
    return {
        "radius": radius,
        "pairs_of_one_tile": float((tiles[pairs[:, 0]] == tiles[pairs[:, 1]]).mean()),
        "tile_pairs_found": _recall(tiles, groups),
        "largest_group": int(np.bincount(groups).max()),
    }


def _recall(truth: Groups, groups: Groups) -> float:
    """Return the share of pairs within a group of *truth* that *groups* keeps together."""

    def pairs(values: npt.NDArray[Any]) -> int:
        count = np.unique(values, return_counts=True, axis=0)[1]
        return int((count * (count - 1) // 2).sum())

    return pairs(np.stack([truth, groups], axis=1)) / pairs(truth[:, None])


def main() -> None:
    """Print the groups' figures as one JSON object, or a montage of given frame numbers to look at."""
    parser = argparse.ArgumentParser(description="Derive which images of the magnetic-tile set show one tile.")
    parser.add_argument("folder", type=Path, help="the folder that holds MT_Free, MT_Blowhole ...")
    parser.add_argument("--montage", type=Path, metavar="PNG", help="also draw a random sample of groups, one a row")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    result = study(options.folder)
    if options.montage:
        files = sorted(options.folder.glob("MT_*/*.jpg"))
        draw_sample(files, tile_groups(files), options.montage, options.seed)
    sys.stdout.write(json.dumps(result, indent=2) + "\n")


def draw_sample(files: Sequence[Path], groups: Groups, out: Path, seed: int = 0, rows: int = 20) -> None:
    """Draw the members of randomly chosen groups, one group a row, contrast evened, to judge them by eye."""
    chosen = np.random.default_rng(seed).choice(groups.max() + 1, rows, replace=False)
    columns = max(int((groups == k).sum()) for k in chosen)
    sheet = Image.new("L", (columns * 170, rows * 130), 255)
    for row, group in enumerate(chosen):
        for column, member in enumerate(np.flatnonzero(groups == group).tolist()):
            picture = Image.fromarray(to_uint8(to_grey(read(files[member]).pixels), "full-range"))
            picture.thumbnail((165, 125))
            values = np.asarray(picture, dtype=np.float64)
            values = (values - values.mean()) / (values.std() + 1) * 45 + 128
            sheet.paste(Image.fromarray(values.clip(0, 255).astype(np.uint8)), (column * 170, row * 130))
    sheet.save(out)


if __name__ == "__main__":
    main()
