"""NEU-CLS: 1,800 hot-rolled strip images, six defect classes, 5-fold, frozen default, near-duplicates in one fold.

Protocol: near-duplicates (pHash within 4 bits, confirmed by SSIM) are treated as one specimen; the byte duplicate is
left out; five-fold cross-validation is repeated with five seeds. The time is that of one whole run in a fresh
process with an empty cache: decoding, near-duplicate search apart, features, heads, evaluation.
Published: AECLBP + SVM 98.93 % (Song & Yan 2013), half of the images for training, split by image.
"""

from __future__ import annotations

import time

import pandas as pd
from common import data_folder, finish, hermetic, over_seeds, write_listing

from sorby.classify import Recipe
from sorby.corpus.near_duplicates import near_duplicate_groups
from sorby.workflow.training import crossval

SEEDS = range(5)


def main() -> None:
    scratch = hermetic()
    files = sorted((data_folder("neu-det") / "images").glob("*.jpg"))
    table = pd.DataFrame({"path": [str(file) for file in files], "label": [file.stem.rsplit("_", 1)[0] for file in files]})
    began = time.perf_counter()
    table["specimen"] = near_duplicate_groups(files)
    grouping_seconds = time.perf_counter() - began
    listing = write_listing(scratch, table)
    accuracies, macro_f1s, seconds, coverages, referred = [], [], [], [], []
    for seed in SEEDS:
        began = time.perf_counter()
        found = crossval(listing, scratch / f"run-{seed}", Recipe(seed=seed), report=False)
        seconds.append(time.perf_counter() - began)
        accuracies.append(found["pooled"]["accuracy"]["value"])
        macro_f1s.append(found["pooled"]["macro_f1"]["value"])
        coverages.append(found["coverage"]["value"])
        referred.append(found["referred"]["value"])
    finish(
        "neu_classification",
        {
            "n": found["n"],
            "groups": int(table["specimen"].nunique()),
            "grouped": found["grouped"],
            "accuracy": over_seeds(accuracies),
            "macro_f1": over_seeds(macro_f1s),
            "accuracy_seed_0": found["pooled"]["accuracy"],
            "set_coverage": over_seeds(coverages),
            "referred": over_seeds(referred),
            "seconds_cold": seconds[0],
            "seconds_features_known": seconds[-1],
            "seconds_near_duplicates": grouping_seconds,
            "published": {"accuracy": 0.9893, "method": "AECLBP + SVM, Song & Yan 2013", "same_protocol": False},
            "targets": {"accuracy": 0.997, "seconds_cold": 20},
        },
    )


if __name__ == "__main__":
    main()
