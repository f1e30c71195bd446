"""Inclusion content on the tint-etched micrographs of the MLography set, against masks drawn by hand.

``t_N_thresh`` is the thresholded scan of a drawing over micrograph N: dark is inclusion. The drawings are shifted by up
to nine pixels and many are a few pixels larger than the micrograph, so Dice is given after a shift that aligns the
drawing with darkness (no threshold enters it), and within 3 px; the area fraction needs no alignment.

The darkness limit of each micrograph is the one that suits the 31 others best (nested, leave-one-out).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from common import data_folder, finish
from sorby.evidence import bootstrap_estimate, cluster_bootstrap
from sorby.measure.boundary_scores import overlap
from sorby.measure.grain_size import field_statistics
from sorby.measure.inclusion_segmentation import DARKNESS, find_inclusions, relative_darkness
from sorby.micrograph import Pixels, read, to_grey

LIMITS = (0.35, 0.4, 0.45, 0.5, 0.55, 0.6, 0.65)

Mask = npt.NDArray[np.bool_]


def aligned(drawn: Mask, pixels: Pixels) -> Mask:
    """Shift a drawing to where it covers most darkness, and cut it to the picture."""
    lost = relative_darkness(pixels)
    shape = [2 * max(a, b) for a, b in zip(lost.shape, drawn.shape, strict=True)]
    spectrum = np.fft.rfft2(lost - lost.mean(), shape) * np.fft.rfft2(drawn - drawn.mean(), shape).conj()
    place = np.unravel_index(np.fft.irfft2(spectrum, shape).argmax(), shape)
    shift = [int(k) - (n if k > n // 2 else 0) for k, n in zip(place, shape, strict=True)]
    rows, cols = (np.arange(n) - s for n, s in zip(lost.shape, shift, strict=True))
    inside = ((rows >= 0) & (rows < drawn.shape[0]))[:, None] & ((cols >= 0) & (cols < drawn.shape[1]))
    moved = drawn[np.clip(rows, 0, drawn.shape[0] - 1)[:, None], np.clip(cols, 0, drawn.shape[1] - 1)]
    found: Mask = moved & inside
    return found


def main() -> None:
    folder = data_folder("mlography") / "inclusions"
    paths = sorted(folder.joinpath("images").glob("*.jpg"), key=lambda path: int(path.stem))
    true, fraction, tables = [], [], []
    for path in paths:
        fraction_row, tables_row, drawn = score(path, folder / "labels" / f"t_{path.stem}_thresh.jpg")
        true.append(drawn)
        fraction.append(fraction_row)
        tables.append(tables_row)
    truth, found, counts = np.array(true), np.array(fraction), np.array(tables, float)
    error = np.abs(found - truth[:, None])
    n = len(paths)
    chosen = np.array([np.delete(error, k, axis=0).mean(axis=0).argmin() for k in range(n)])
    each = np.arange(n)
    default = LIMITS.index(DARKNESS)
    finish(
        "inclusions",
        {
            "n": n,
            "nested_limits": {str(LIMITS[k]): int((chosen == k).sum()) for k in np.unique(chosen)},
            "true_area_fraction_mean": float(truth.mean()),
            "found_area_fraction_mean": float(found[each, chosen].mean()),
            "area_fraction_error": field_statistics((found[each, chosen] - truth).tolist()).as_dict(),
            "area_fraction_absolute_error": field_statistics(error[each, chosen].tolist()).as_dict(),
            "rank_correlation": float(np.corrcoef(_ranks(found[each, chosen]), _ranks(truth))[0, 1]),
            "dice": _dice(counts[each, chosen, 0]),
            "dice_3px": _dice(counts[each, chosen, 1]),
            "with_default": {
                "darkness": DARKNESS,
                "chosen_on": "all 32 micrographs, so not an estimate of its error on others",
                "area_fraction_absolute_error": float(error[:, default].mean()),
            },
        },
    )


def score(path: Path, label: Path) -> tuple[list[float], list[list[list[int]]], float]:
    """Return area fraction and overlap tables for each limit, and the drawn area fraction."""
    pixels = read(path).pixels
    drawing = to_grey(read(label).pixels) < 128
    drawn = aligned(drawing, pixels)
    fractions, tables = [], []
    for limit in LIMITS:
        mask = find_inclusions(pixels, darkness=limit).mask
        fractions.append(float(mask.mean()))
        tables.append([_table(mask, drawn, tolerance) for tolerance in (0.0, 3.0)])
    return fractions, tables, float(drawing.mean())


def _table(found: Mask, drawn: Mask, tolerance: float) -> list[int]:
    each = overlap(found, drawn, tolerance)
    return [each.found_right + each.true_met, each.found + each.true]


def _dice(table: npt.NDArray[np.float64]) -> dict[str, Any]:
    samples = cluster_bootstrap(table, lambda sums: sums[:, 0] / sums[:, 1])
    total = table.sum(axis=0)
    return bootstrap_estimate(float(total[0] / total[1]), samples, len(table), len(table)).as_dict()


def _ranks(values: npt.NDArray[np.float64]) -> npt.NDArray[np.intp]:
    return np.argsort(np.argsort(values))


if __name__ == "__main__":
    main()
