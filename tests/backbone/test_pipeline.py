"""Files in, outputs out: in order, a bad one does not stop the others, memory bounded."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import pytest

from sorby.backbone.pipeline import prepared, stream
from sorby.errors import ImageError, SorbyError

BATCH = 4


class Doubling:
    """A runtime that doubles its pixels and records what it was given."""

    name, precision, batch_size = "doubling", "fp32", BATCH

    def __init__(self, slots: int = 2) -> None:
        self.slots = slots
        self.sizes: list[int] = []
        self._slots: dict[int, npt.NDArray[np.float32]] = {}

    def start(self, slot: int, images: npt.NDArray[np.uint8]) -> None:
        assert slot not in self._slots, "a slot was given work before its last was fetched"
        self.sizes.append(len(images))
        self._slots[slot] = images[:, 0, 0, 0].astype(np.float32) * 2

    def finish(self, slot: int) -> tuple[npt.NDArray[np.float32], ...]:
        return (self._slots.pop(slot),)


def _pixels(k: int) -> npt.NDArray[np.uint8]:
    if k % 7 == 3:
        raise ImageError(f"{k}: bad")
    return np.full((2, 2, 1), k, np.uint8)


@pytest.mark.parametrize("n", [0, 1, BATCH - 1, BATCH, BATCH + 1, 5 * BATCH + 3])
@pytest.mark.parametrize("slots", [1, 3])
def test_every_item_comes_out_once_in_order(n: int, slots: int) -> None:
    outcomes = list(stream(range(n), _pixels, Doubling(slots)))
    assert [item for item, _ in outcomes] == list(range(n))
    for item, outcome in outcomes:
        if item % 7 == 3:
            assert isinstance(outcome, SorbyError)
        else:
            assert not isinstance(outcome, SorbyError)
            assert outcome[0] == 2 * item


def test_bad_files_do_not_shrink_the_batches() -> None:
    runtime = Doubling()
    list(stream(range(28), _pixels, runtime))  # 4 of them bad
    assert runtime.sizes == [BATCH] * 6


@pytest.mark.parametrize("bad", [False, True])
def test_only_a_bounded_number_of_items_is_under_way(bad: bool) -> None:
    taken = 0

    def source() -> Iterator[int]:
        nonlocal taken
        for k in range(1000):
            taken += 1
            yield k

    def prepare(k: int) -> npt.NDArray[np.uint8]:
        if bad:
            raise ImageError(f"{k}: bad")
        return np.zeros((2, 2, 1), np.uint8)

    for done, _ in enumerate(stream(source(), prepare, Doubling()), start=1):
        # four batches decoded ahead; with bad files among them, as many again being gathered and in each slot
        assert taken - done <= 16 * BATCH


def test_stopping_early_leaves_no_thread_behind() -> None:
    before = threading.active_count()
    flow = prepared(range(100), _pixels, look_ahead=8)
    next(flow)
    flow.close()
    assert threading.active_count() == before


def test_a_fault_of_our_own_is_not_taken_for_a_bad_file() -> None:
    def broken(k: int) -> npt.NDArray[np.uint8]:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        list(stream(range(3), broken, Doubling()))


def test_a_stream_left_early_leaves_the_runtime_free_for_the_next() -> None:
    runtime = Doubling(slots=3)
    stopped = stream(range(40), _pixels, runtime)
    assert next(stopped)[0] == 0
    stopped.close()
    assert [item for item, _ in stream(range(9), _pixels, runtime)] == list(range(9))
