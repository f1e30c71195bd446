"""K examples of each class, drawn by a seed as in few-shot benchmarks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np

from sorby.errors import InputError
from sorby.evidence.boxes import TrueBoxes


def k_shot(
    truth: Sequence[TrueBoxes],
    classes: Sequence[str],
    shots: int,
    *,
    seed: int,
    by: Literal["boxes", "images"] = "boxes",
) -> dict[int, TrueBoxes]:
    """Draw *shots* examples of each class.

    Parameters
    ----------
    truth : sequence of TrueBoxes
        Of every image that may be drawn.
    classes : sequence of str
    shots : int
        K.
    seed : int
        Another seed, another draw.
    by : {"boxes", "images"}
        ``boxes``: K labelled boxes a class, as in Wang et al. (2020); further boxes on the drawn images are ignored, as
        if nobody had labelled them. ``images``: K images that show the class, all their boxes labelled, as in Yan et
        al. (2023), where an image may count for several classes.

    Returns
    -------
    dict of int to TrueBoxes
        The drawn images, and what is labelled on them.

    Raises
    ------
    InputError
        A class has fewer than K.

    Examples
    --------
    >>> one = TrueBoxes(np.array([[0, 0, 4, 4], [8, 8, 9, 9]], np.float32), np.array([0, 1]))
    >>> drawn = k_shot([one, one, one], ["scratch", "scuff"], 2, seed=0)
    >>> sum(int((~each.flags & (each.labels == 0)).sum()) for each in drawn.values())
    2
    """
    if shots < 1:
        raise InputError(f"{shots} shots", "at least 1")
    chosen: dict[int, set[int]] = {}
    for number, name in enumerate(classes):
        rng = np.random.default_rng([seed, number])
        usable = [np.flatnonzero((each.labels == number) & ~each.flags) for each in truth]
        there = [image for image, boxes in enumerate(usable) if len(boxes)]
        count = len(there) if by == "images" else sum(len(boxes) for boxes in usable)
        if count < shots:
            raise InputError(
                f"class {name} has {count} {by}, fewer than {shots}", f"label more of it, or --shots {max(count, 1)}"
            )
        left = shots
        for image in rng.permutation(there):
            if not left:
                break
            boxes = usable[image]
            if by == "boxes" and len(boxes) > left:
                boxes = rng.choice(boxes, left, replace=False)
            chosen.setdefault(int(image), set()).update(int(k) for k in boxes)
            left -= len(boxes) if by == "boxes" else 1
    if by == "images":
        return {image: truth[image] for image in sorted(chosen)}
    return {image: _labelled(truth[image], chosen[image]) for image in sorted(chosen)}


def _labelled(truth: TrueBoxes, kept: set[int]) -> TrueBoxes:
    """Return the boxes of an image with all but some ignored."""
    ignored = np.ones(len(truth), bool)
    ignored[sorted(kept)] = False
    return TrueBoxes(truth.boxes, truth.labels, ignored)
