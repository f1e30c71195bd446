"""The table of all findings with their names."""

from __future__ import annotations

import csv
import io
from collections.abc import Collection, Sequence
from pathlib import Path

import numpy as np

from sorby.files import atomic_write
from sorby.workflow.detection.located import Located
from sorby.workflow.detection.name_model import UNKNOWN, Naming

COLUMNS = ("number", "image", "x", "y", "w", "h", "label", "score", "unsure", "by", "second", "anomaly_score")


def write_named(path: Path, findings: Sequence[Located], naming: Naming, given: Collection[int]) -> None:
    """Write ``named.csv``.

    Parameters
    ----------
    path : Path
    findings : sequence of Located
    naming : Naming
    given : collection of int
        Positions of those that were named by hand.
    """
    with atomic_write(path) as file:
        text = io.TextIOWrapper(file, encoding="utf-8", errors="backslashreplace", newline="", write_through=True)
        writer = csv.writer(text)
        writer.writerow(COLUMNS)
        order = np.argsort(-naming.probabilities, axis=1)
        for k, each in enumerate(findings):
            by_hand = k in given
            # What comes after the name that is shown: of an unknown one the likeliest name itself.
            rank = 0 if naming.label[k] == UNKNOWN else 1
            second = "" if by_hand or rank >= len(naming.classes) else naming.classes[order[k, rank]]
            writer.writerow(
                [
                    each.number, each.image.as_posix(), *(f"{v:.1f}" for v in (*each.box[:2], *each.size)),
                    naming.label[k], f"{naming.score[k]:.3f}", str(bool(naming.unsure[k])).lower(),
                    "hand" if by_hand else "guess", second, f"{each.score:.6g}",
                ]
            )  # fmt: skip
        text.flush()
        text.detach()
