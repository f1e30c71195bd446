"""A line camera through GenICam: frames from any GenTL producer by way of ``harvesters`` (extra ``camera``)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from sorby.errors import InputError, MissingPartError
from sorby.line.lines import Incident, Item, Levels, LineBlock, LostLines, one_lane

_PREFIX = "genicam:"
_DEPTHS = {"Mono8": np.uint8, "Mono10": np.uint16, "Mono12": np.uint16, "Mono14": np.uint16, "Mono16": np.uint16}


class Acquirer(Protocol):
    """What is used of ``harvesters.core.ImageAcquirer``."""

    def start(self) -> None:
        """Begin to acquire."""

    def fetch(self, *, timeout: float = 0) -> AbstractContextManager[Any]:
        """Wait for a frame, seconds; the block gives its buffer back."""

    def stop(self) -> None:
        """End acquiring."""

    def destroy(self) -> None:
        """Let go of the camera."""


class GenICamSource:
    """Frames of a camera, one after the other, until *frames* have come or the camera falls silent.

    Frames of 8 bits are taken as they are; Mono10 to Mono16 need stated levels, or their whole range is used. A frame
    number that jumps tells how many frames the transport lost: they become a gap of that length.

    Parameters
    ----------
    acquirer : Acquirer
    levels : Levels
    timeout_s : float
        The camera counts as silent after so long without a frame.
    frames : int, optional
        Stop after so many.
    name : str

    Raises
    ------
    InputError
        The first frame does not come, or is no monochrome image.
    """

    def __init__(
        self,
        acquirer: Acquirer,
        levels: Levels | None = None,
        *,
        timeout_s: float = 10.0,
        frames: int | None = None,
        name: str = "camera",
    ) -> None:
        self._acquirer, self._levels, self._timeout_s = acquirer, levels or Levels(), timeout_s
        self._frames, self._name = frames, name
        self._number: int | None = None
        acquirer.start()
        try:
            self._first = self._fetch()
            if self._first is None:
                raise InputError(f"{name}: no frame within {timeout_s:g} s", "check trigger, exposure and cable")
        except BaseException:
            self._close()
            raise

    @property
    def width(self) -> int:
        """Columns of the first frame."""
        assert self._first is not None
        return int(self._first[0].pixels.shape[1])

    @property
    def rows_total(self) -> int | None:
        """Open."""
        return None

    def identity(self) -> dict[str, Any]:
        """Return the camera's name."""
        return {"camera": self._name, "levels": self._levels.as_dict()}

    def items(self, cursor: Any = None) -> Iterator[Item]:
        """Yield frames as they come; what has passed cannot be had again, so their cursors are None."""
        try:
            fetched, count = self._first, 0
            while fetched is not None:
                block, lost = fetched
                if lost:
                    yield LostLines(lost * block.rows, f"{self._name}: {lost} frames lost before this one", self._name)
                yield block
                count += 1
                if self._frames is not None and count >= self._frames:
                    return
                fetched = self._fetch()
            yield LineBlock(
                np.empty((0, self.width), np.uint8), one_lane(self.width), self._name,
                incidents=(Incident("truncated", 0, 0, 0, f"{self._name}: silent for {self._timeout_s:g} s"),),
            )  # fmt: skip
        finally:
            self._close()

    def _fetch(self) -> tuple[LineBlock, int] | None:
        """Return the next frame and how many were lost before it; None where none came."""
        try:
            with self._acquirer.fetch(timeout=self._timeout_s) as buffer:
                component = buffer.payload.components[0]
                pixels = self._levels.apply(_frame(component, self._name)).copy()
                number = _frame_number(buffer)
        except Exception as error:
            if type(error).__name__ != "TimeoutException" and not isinstance(error, TimeoutError):
                raise
            return None
        lost = 0 if number is None or self._number is None else max(0, number - self._number - 1)
        self._number = number
        return LineBlock(pixels, one_lane(pixels.shape[1]), f"{self._name} frame {number}"), lost

    def _close(self) -> None:
        self._acquirer.stop()
        self._acquirer.destroy()


def is_camera(source: str) -> bool:
    """Whether a source names a GenTL producer: ``genicam:FILE.cti`` or ``genicam:FILE.cti#SERIAL``."""
    return source.startswith(_PREFIX)


def open_camera(source: str, levels: Levels | None = None, *, frames: int | None = None) -> GenICamSource:
    """Open the camera that *source* names.

    Parameters
    ----------
    source : str
        ``genicam:FILE.cti`` takes the producer's first device, ``genicam:FILE.cti#SERIAL`` that with a serial number.
    levels : Levels, optional
    frames : int, optional

    Raises
    ------
    MissingPartError
        ``harvesters`` is not installed.
    InputError
        The producer is absent or knows no such device.
    """
    file, _, serial = source.removeprefix(_PREFIX).partition("#")
    try:
        harvester = import_module("harvesters.core").Harvester()
    except ImportError as error:
        raise MissingPartError(
            "cameras need the optional part 'camera' (harvesters), which is not installed",
            "pip install 'sorby[camera]'",
        ) from error
    if not Path(file).is_file():
        raise InputError(f"{file}: no such GenTL producer", "name the .cti file that came with the camera")
    harvester.add_file(file)
    harvester.update()
    if not harvester.device_info_list:
        raise InputError(f"{file}: finds no camera", "check power and cable, and that no other program holds it")
    try:
        acquirer = harvester.create({"serial_number": serial}) if serial else harvester.create(0)
    except ValueError as error:
        raise InputError(f"{file}: no camera with serial number {serial}", "leave #SERIAL out for the first") from error
    return GenICamSource(acquirer, levels, frames=frames, name=source)


def _frame(component: Any, name: str) -> np.ndarray[Any, Any]:
    form = str(component.data_format)
    if form not in _DEPTHS:
        raise InputError(f"{name}: frames of format {form}, not monochrome", "set the camera's PixelFormat to Mono8")
    pixels = np.asarray(component.data).reshape(int(component.height), int(component.width))
    return pixels.astype(_DEPTHS[form], copy=False)


def _frame_number(buffer: Any) -> int | None:
    """Return the frame number where the producer gives one; the buffer wraps the transport's own."""
    for holder in (buffer, getattr(buffer, "module", None)):
        number = getattr(holder, "frame_id", None)
        if number is not None:
            return int(number)
    return None
