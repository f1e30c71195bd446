"""A camera's frames become lines; a frame number that jumps is a gap. The acquirer is simulated, same surface."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

from sorby.errors import InputError, MissingPartError
from sorby.line.camera import GenICamSource, is_camera, open_camera
from sorby.line.lines import Levels, LineBlock, LostLines
from webs import web


class TimeoutException(Exception):
    """No frame came."""


@dataclass
class _Component:
    data: Any
    width: int
    height: int
    data_format: str


@dataclass
class _Payload:
    components: list[_Component]


@dataclass
class _Buffer:
    payload: _Payload
    frame_id: int


@dataclass
class SimulatedAcquirer:
    """Gives numbered frames, then falls silent; overwrites its buffer once it is given back, as drivers do."""

    frames: list[tuple[int, np.ndarray[Any, Any]]]
    form: str = "Mono8"
    calls: list[str] = field(default_factory=list)

    def start(self) -> None:
        self.calls.append("start")

    @contextmanager
    def fetch(self, *, timeout: float = 0) -> Iterator[_Buffer]:
        if not self.frames:
            raise TimeoutException(timeout)
        number, pixels = self.frames.pop(0)
        memory = pixels.ravel().copy()
        yield _Buffer(_Payload([_Component(memory, pixels.shape[1], pixels.shape[0], self.form)]), number)
        memory[:] = 0

    def stop(self) -> None:
        self.calls.append("stop")

    def destroy(self) -> None:
        self.calls.append("destroy")


def test_frames_come_through_and_the_camera_is_let_go() -> None:
    whole = web(90, 48)
    acquirer = SimulatedAcquirer([(k, whole[30 * k : 30 * k + 30]) for k in range(3)])
    source = GenICamSource(acquirer, timeout_s=0.01)
    assert source.width == 48
    items = list(source.items())
    blocks = [item for item in items if isinstance(item, LineBlock)]
    assert np.array_equal(np.concatenate([block.pixels for block in blocks]), whole)
    assert [each.kind for block in blocks for each in block.incidents] == ["truncated"]  # it fell silent
    assert acquirer.calls == ["start", "stop", "destroy"]


def test_lost_frames_are_a_gap_of_their_length() -> None:
    acquirer = SimulatedAcquirer([(7, web(30, 48, 1)), (8, web(30, 48, 2)), (11, web(30, 48, 3))])
    items = list(GenICamSource(acquirer, frames=3).items())
    assert [item.rows for item in items if isinstance(item, LostLines)] == [60]
    assert isinstance(items[2], LostLines)


def test_twelve_bits_come_by_stated_levels() -> None:
    frame = np.array([[0, 2048, 4095]], np.uint16)
    source = GenICamSource(SimulatedAcquirer([(0, frame)], "Mono12"), Levels(0, 4095), frames=1)
    (block,) = [item for item in source.items() if isinstance(item, LineBlock)]
    assert block.pixels.tolist() == [[0, 128, 255]]


def test_colour_frames_and_silence_are_refused_and_the_camera_let_go() -> None:
    acquirer = SimulatedAcquirer([(0, web(4, 8))], "BayerRG8")
    with pytest.raises(InputError, match="BayerRG8"):
        GenICamSource(acquirer)
    assert acquirer.calls == ["start", "stop", "destroy"]
    with pytest.raises(InputError, match="no frame within"):
        GenICamSource(SimulatedAcquirer([]), timeout_s=0.01)


def test_without_harvesters_one_line_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "harvesters.core", None)
    assert is_camera("genicam:producer.cti#123")
    with pytest.raises(MissingPartError, match="'camera'"):
        open_camera("genicam:producer.cti")
