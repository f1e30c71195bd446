"""Files in, graph outputs out: decoding, preparation and inference overlapped, in order, in constant memory."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import Generic, TypeVar

import numpy as np

from sorby.backbone.preprocessing import Uint8Image
from sorby.backbone.runtime import Array, Runtime
from sorby.errors import SorbyError

Item = TypeVar("Item")
Decoded = TypeVar("Decoded")
Outcome = tuple[Array, ...] | SorbyError
_LOOK_AHEAD = 4  # batches that may wait decoded; enough to keep every slot busy


def decoding_threads() -> int:
    """Return how many threads decode images; decoding releases the interpreter lock."""
    return max(2, min(8, os.cpu_count() or 2))


class _Batches(Generic[Item]):
    """The batches under way, oldest first."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._under_way: deque[tuple[int, list[tuple[Item, SorbyError | None]]]] = deque()
        self._next = 0

    @property
    def full(self) -> bool:
        return len(self._under_way) >= self._runtime.slots

    def start(self, members: list[tuple[Item, SorbyError | None]], images: list[Uint8Image]) -> None:
        slot = self._next % self._runtime.slots
        self._next += 1
        if images:
            self._runtime.start(slot, np.stack(images))
            self._under_way.append((slot, members))
        else:
            self._under_way.append((-1, members))

    def finish(self) -> Iterator[tuple[Item, Outcome]]:
        slot, members = self._under_way.popleft()
        outputs = self._runtime.finish(slot) if slot >= 0 else ()
        row = 0
        for item, error in members:
            if error is not None:
                yield item, error
            else:
                yield item, tuple(output[row] for output in outputs)
                row += 1

    def drop(self) -> None:
        """Wait for the batches under way and forget them, so that the runtime is free for the next stream."""
        while self._under_way:
            slot, _ = self._under_way.popleft()
            if slot >= 0:
                self._runtime.finish(slot)

    def __bool__(self) -> bool:
        return bool(self._under_way)


def prepared(
    items: Iterable[Item], prepare: Callable[[Item], Decoded], look_ahead: int = 32
) -> Iterator[tuple[Item, Decoded | SorbyError]]:
    """Prepare images in threads, a bounded number ahead, yielding in the order given.

    Parameters
    ----------
    items : iterable
        Anything *prepare* understands, usually paths; consumed lazily.
    prepare : callable
        Item to what is wanted of it, usually uint8 pixels (H, W, C). A `SorbyError` it raises becomes that item's
        outcome.
    look_ahead : int
        Images that may wait.
    """
    source = iter(items)
    waiting: deque[tuple[Item, Future[Decoded]]] = deque()
    with ThreadPoolExecutor(decoding_threads(), thread_name_prefix="decode") as pool:
        try:
            while True:
                room = look_ahead - len(waiting)
                waiting.extend((item, pool.submit(prepare, item)) for item in islice(source, room))
                if not waiting:
                    return
                item, future = waiting.popleft()
                try:
                    image: Decoded | SorbyError = future.result()
                except SorbyError as error:
                    image = error
                yield item, image
        finally:
            for _, future in waiting:
                future.cancel()


def stream(
    items: Iterable[Item], prepare: Callable[[Item], Uint8Image], runtime: Runtime
) -> Iterator[tuple[Item, Outcome]]:
    """Run a graph over items of any number, yielding in the order given.

    Parameters
    ----------
    items : iterable
    prepare : callable
        As for `prepared`.
    runtime : Runtime

    Yields
    ------
    (item, outcome)
        The graph's outputs for one image (without batch axis), or the error that stopped it.
    """
    batches: _Batches[Item] = _Batches(runtime)
    members: list[tuple[Item, SorbyError | None]] = []
    images: list[Uint8Image] = []
    look_ahead = _LOOK_AHEAD * runtime.batch_size
    try:
        for item, image in prepared(items, prepare, look_ahead):
            if isinstance(image, SorbyError):
                members.append((item, image))
            else:
                members.append((item, None))
                images.append(image)
            if len(images) == runtime.batch_size or len(members) == look_ahead:  # bad files do not pile up either
                if batches.full:
                    yield from batches.finish()
                batches.start(members, images)
                members, images = [], []
        if members:
            if batches.full:
                yield from batches.finish()
            batches.start(members, images)
        while batches:
            yield from batches.finish()
    finally:  # whoever takes only the first outcomes leaves batches under way
        batches.drop()
