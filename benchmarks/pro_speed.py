"""PRO-AUC of 1,000 masks of 512 x 512: seconds and memory, beside the plain sweep over 200 thresholds.

The plain sweep is what most implementations do: 200 evenly spaced thresholds between the lowest and the highest score,
for each the called pixels of every image, the overlap of every region of `skimage.measure.label` and the false
positive rate, then a trapezoid up to .3. It is timed on a subset, whose time grows with the number of images.
"""

from __future__ import annotations

import argparse
import statistics
import time
from pathlib import Path

import numpy as np
import numpy.typing as npt
from scipy.ndimage import gaussian_filter
from skimage.measure import label, regionprops

from sorby.evidence import pro_auc

SIDE, N_MASKS, N_PLAIN, N_THRESHOLDS, LIMIT, REPEATS = 512, 1000, 20, 200, 0.3, 3

Maps = npt.NDArray[np.float32]
Masks = npt.NDArray[np.bool_]


def own_peak_mb() -> float:
    """Return the most memory this process has held."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    raise RuntimeError("/proc/self/status states no VmHWM")


def scene(n: int, seed: int = 0) -> tuple[Maps, Masks]:
    """Smoothed noise; two thirds of the images have one to five bright blobs, which the masks outline."""
    rng = np.random.default_rng(seed)
    noise = gaussian_filter(rng.normal(size=(16, SIDE, SIDE)), (0, 4, 4)).astype(np.float32)
    noise /= noise.std()
    rows, columns = np.mgrid[:SIDE, :SIDE]
    maps, masks = np.empty((n, SIDE, SIDE), np.float32), np.zeros((n, SIDE, SIDE), bool)
    for k in range(n):
        for _ in range(rng.integers(1, 6) if k % 3 else 0):
            y, x, radius = rng.uniform(0, SIDE), rng.uniform(0, SIDE), rng.uniform(5, 50)
            masks[k] |= (rows - y) ** 2 + (columns - x) ** 2 <= radius**2
        turned = np.roll(noise[rng.integers(16)], rng.integers(0, SIDE, 2), (0, 1))
        maps[k] = turned + 2 * masks[k] * rng.random(dtype=np.float32)
        maps[k] += rng.random((SIDE, SIDE), dtype=np.float32) * np.float32(1e-3)  # rolled noise alone would tie
    return maps, masks


def plain_sweep(maps: Maps, masks: Masks) -> float:
    """Return PRO-AUC as commonly computed."""
    thresholds = np.linspace(maps.max(), maps.min(), N_THRESHOLDS)
    good = ~masks
    fpr, overlap = [], []
    for threshold in thresholds:
        called = maps >= threshold
        shares = []
        for mask, of_image in zip(masks, called, strict=True):
            for region in regionprops(label(mask, connectivity=2)):
                shares.append(of_image[region.coords[:, 0], region.coords[:, 1]].mean())
        fpr.append((called & good).sum() / good.sum())
        overlap.append(np.mean(shares))
    rates = np.linspace(0, LIMIT, 1001)
    return float(np.trapezoid(np.interp(rates, fpr, overlap), rates) / LIMIT)


def main() -> None:
    parser = argparse.ArgumentParser(description="PRO-AUC speed and memory")
    parser.add_argument("--masks", type=int, default=N_MASKS, help="how many masks of 512 x 512")
    arguments = parser.parse_args()
    maps, masks = scene(arguments.masks)
    given_mb, before = (maps.nbytes + masks.nbytes) / 2**20, own_peak_mb()
    seconds, area = [], float("nan")
    for _ in range(REPEATS):
        began = time.perf_counter()
        area = pro_auc(maps, masks, fpr_limit=LIMIT)
        seconds.append(time.perf_counter() - began)
    peak = own_peak_mb()
    few = min(N_PLAIN, arguments.masks)
    ours = []
    for _ in range(REPEATS):
        began = time.perf_counter()
        exact = pro_auc(maps[:few], masks[:few], fpr_limit=LIMIT)
        ours.append(time.perf_counter() - began)
    began = time.perf_counter()
    swept = plain_sweep(maps[:few], masks[:few])
    plain_s = time.perf_counter() - began
    from common import finish  # loads the networks' libraries, whose memory is not what is measured

    finish(
        "pro_speed",
        {
            "masks": f"{arguments.masks} of {SIDE} x {SIDE}, {100 * masks.mean():.1f} % defect pixels",
            "pro_auc": area,
            "seconds": statistics.median(seconds),
            "peak_mb": peak,
            "before_mb": before,
            "maps_and_masks_mb": given_mb,
            "plain": {
                "what": f"{N_THRESHOLDS} thresholds with skimage.measure.label, {few} masks",
                "seconds": plain_s,
                "ours_seconds": statistics.median(ours),
                "ratio": plain_s / statistics.median(ours),
                "off_by": swept - exact,
            },
            "targets": {"seconds": 15, "peak_mb": 4096},
        },
    )


if __name__ == "__main__":
    main()
