"""PaDiM beside anomalib's on the same features: raw distances, maps and image AUROC.

Features of 300 magnetic tiles at 224 px (200 free ones taught; 50 free and 50 defective scored) come from sorby in
float32: 100 random channels of three stages on the stride-4 grid, aligned by the corner as the peer does. Both sides
fit their Gaussians on them. What then differs is stated: the peer adds .01001 to the diagonal, inverts the covariance
where sorby solves by Cholesky, and mirrors its blur at the border without repeating the edge pixel.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from anomaly_sets import magnetic_tiles
from common import finish, hermetic
from peer import run_peer
from sorby.anomaly import recipe as recipes
from sorby.anomaly.detector import Detector
from sorby.anomaly.memory import new_memory
from sorby.errors import SorbyError
from sorby.evidence.localisation import image_auroc_estimate

N_TRAIN, N_GOOD, N_BAD, SIGMA_PX = 200, 50, 50, 4
LIMIT = 1e-3


def vectors(detector: Detector, files: list[Path]) -> torch.Tensor:
    """Return the assembled vectors (N, D, h, w) of images, in float32."""
    detector.level_runtime(precision="fp32")
    found = []
    for _, each in detector.vectors(files):
        if isinstance(each, SorbyError):
            raise each
        found.append(each)
    return torch.cat(found)


def main() -> None:
    scratch = hermetic()
    images = magnetic_tiles()
    rng = np.random.default_rng(0)
    good = rng.permutation(np.flatnonzero(~images.bad))[: N_TRAIN + N_GOOD]
    bad = rng.permutation(np.flatnonzero(images.bad))[:N_BAD]
    detector = Detector.blank(
        recipes.load("parts", {"grid.alignment": "corner", "smoothing.kind": "pixels", "smoothing.sigma_px": SIGMA_PX})
    )
    train = vectors(detector, [images.files[k] for k in good[:N_TRAIN]])
    test_set = np.concatenate([good[N_TRAIN:], bad])
    test = vectors(detector, [images.files[k] for k in test_set])
    image = detector.recipe.image
    np.savez(
        scratch / "features.npz", train=train.numpy(), test=test.numpy(), sigma=SIGMA_PX,
        size=np.array([image.height, image.width]),
    )  # fmt: skip
    run_peer("score", str(scratch / "features.npz"), str(scratch / "peer.npz"))
    theirs = np.load(scratch / "peer.npz")

    memory = new_memory(detector.recipe, detector.grid_size)
    for k in range(len(train)):
        memory.add(train[k : k + 1], k)
    memory.finish()
    with torch.inference_mode():
        distances = memory.density(detector.embedding).of_vectors(test).numpy()
    maps = detector.finished(distances)
    scores = maps.reshape(len(maps), -1).max(1)
    defective = images.bad[test_set]
    ours = image_auroc_estimate(scores, defective)
    peers = image_auroc_estimate(theirs["scores"], defective)
    relative = np.abs(distances - theirs["distances"]) / theirs["distances"]
    of_maps = np.abs(maps - theirs["maps"]) / theirs["maps"]
    inner = of_maps[:, 4 * SIGMA_PX : -4 * SIGMA_PX, 4 * SIGMA_PX : -4 * SIGMA_PX]
    finish(
        "padim_parity",
        {
            "n_train": N_TRAIN,
            "n_test": len(test_set),
            "features": f"{train.shape[1]} random channels, {train.shape[2]} x {train.shape[3]} places, fp32",
            "image_auroc": ours.as_dict(),
            "peer_image_auroc": peers.as_dict(),
            "difference": ours.value - peers.value,
            "within": abs(ours.value - peers.value) <= LIMIT,
            "max_relative_difference": {
                "raw_distances": float(relative.max()),
                "maps_away_from_the_border": float(inner.max()),
                "maps": float(of_maps.max()),
            },
            "targets": {"difference": LIMIT},
        },
    )


if __name__ == "__main__":
    main()
