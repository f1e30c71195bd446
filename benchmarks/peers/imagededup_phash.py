"""imagededup on a folder: hashes of every file and all pairs within so many bits. Runs in an environment of its own."""

from __future__ import annotations

import json
import sys
import time
from importlib.metadata import version


def main() -> None:
    from imagededup.methods import PHash

    folder, radius = sys.argv[1], int(sys.argv[2])
    hasher = PHash(verbose=False)
    started = time.perf_counter()
    encodings = hasher.encode_images(image_dir=folder)
    encoded = time.perf_counter()
    found = hasher.find_duplicates(encoding_map=encodings, max_distance_threshold=radius, scores=True)
    done = time.perf_counter()
    result = {
        "version": version("imagededup"),
        "images": len(encodings),
        "seconds": done - started,
        "encode_seconds": encoded - started,
        "search_seconds": done - encoded,
        "pairs": sum(len(each) for each in found.values()) // 2,
        "does": "hashes and pairs; no SSIM, no folds",
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
