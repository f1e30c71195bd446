"""Two ways to run a graph: OpenVINO on the CPU, torch on whatever device; same input, same outputs.

Both take uint8 batches (N, H, W, C) and return float32 arrays. Work is handed over with `start` and collected
with `finish`, so that decoding of the next batch overlaps inference of this one.
"""

from __future__ import annotations

from contextlib import nullcontext
from functools import cache
from typing import Literal, Protocol

import numpy as np
import numpy.typing as npt
import openvino
import torch
from torch import nn

from sorby.errors import InputError

Array = npt.NDArray[np.float32]
Uint8Batch = npt.NDArray[np.uint8]
Precision = Literal["auto", "fp32", "bf16"]
Device = Literal["auto", "cpu", "cuda"]


class Runtime(Protocol):
    """What runs a graph.

    Attributes
    ----------
    batch_size : int
        Images a call takes at most.
    slots : int
        Batches that may be under way at once.
    precision : str
        ``fp32`` or ``bf16``: what is really used.
    name : str
        ``openvino`` or ``torch``.
    """

    batch_size: int
    slots: int
    precision: str
    name: str

    def start(self, slot: int, images: Uint8Batch) -> None:
        """Begin work on a batch of at most ``batch_size`` images in a free slot."""

    def finish(self, slot: int) -> tuple[Array, ...]:
        """Wait for a slot and return the graph's outputs."""


@cache
def _core() -> openvino.Core:
    return openvino.Core()


def cpu_has_bf16() -> bool:
    """Whether this CPU computes in bfloat16 natively."""
    return "BF16" in _core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")


def resolve_precision(precision: Precision) -> Literal["bf16", "fp32"]:
    """Return ``bf16`` or ``fp32`` for this CPU."""
    if precision == "auto":
        return "bf16" if cpu_has_bf16() else "fp32"
    return precision


def resolve_device(device: Device) -> str:
    """Return ``cpu`` or ``cuda``.

    Raises
    ------
    InputError
        CUDA was asked for and is not there; it is never replaced silently.
    """
    if device == "cuda" and not torch.cuda.is_available():
        raise InputError("--device cuda: no CUDA device here", "use --device cpu or --device auto")
    if device == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    return device


def compile_for_cpu(
    onnx: bytes, shape: tuple[int, ...], precision: Precision = "auto"
) -> tuple[openvino.CompiledModel, str]:
    """Compile an ONNX graph with one input for the CPU, for throughput.

    Parameters
    ----------
    onnx : bytes
    shape : tuple of int
        Of the input, batch included.
    precision : {"auto", "fp32", "bf16"}

    Returns
    -------
    compiled : openvino.CompiledModel
    precision : str
        ``fp32`` or ``bf16``: what is really used.
    """
    chosen = resolve_precision(precision)
    model = _core().read_model(onnx)
    model.reshape(list(shape))
    hints = {
        "INFERENCE_PRECISION_HINT": "bf16" if chosen == "bf16" else "f32",
        "PERFORMANCE_HINT": "THROUGHPUT",
    }
    return _core().compile_model(model, "CPU", hints), chosen


class OpenVINORuntime:
    """An ONNX graph on the CPU through OpenVINO.

    Parameters
    ----------
    onnx : bytes
        The graph; input ``images`` uint8 (N, H, W, C).
    shape : tuple of int
        (H, W, C) of one image.
    precision : {"auto", "fp32", "bf16"}
        ``auto`` takes bf16 where the CPU has it.
    batch_size : int
        Images a call; the graph is compiled for exactly that many.
    """

    name = "openvino"

    def __init__(
        self, onnx: bytes, shape: tuple[int, int, int], *, precision: Precision = "auto", batch_size: int = 8
    ) -> None:
        self.batch_size = batch_size
        self.shape = shape
        compiled, self.precision = compile_for_cpu(onnx, (batch_size, *shape), precision)
        self.slots = int(compiled.get_property("OPTIMAL_NUMBER_OF_INFER_REQUESTS"))
        self._outputs = range(len(compiled.outputs))
        self._requests = [compiled.create_infer_request() for _ in range(self.slots)]
        self._filled = [0] * self.slots

    def start(self, slot: int, images: Uint8Batch) -> None:
        """Begin a batch; a short one is padded with black images that `finish` drops."""
        count = len(images)
        if count < self.batch_size:
            images = np.concatenate([images, np.zeros((self.batch_size - count, *self.shape), np.uint8)])
        self._filled[slot] = count
        self._requests[slot].start_async({0: np.ascontiguousarray(images)})

    def finish(self, slot: int) -> tuple[Array, ...]:
        """Wait for the batch in *slot*."""
        request = self._requests[slot]
        request.wait()
        count = self._filled[slot]
        return tuple(request.get_output_tensor(k).data[:count].astype(np.float32) for k in self._outputs)


class TorchRuntime:
    """A torch graph on a CPU or CUDA device.

    Parameters
    ----------
    graph : torch.nn.Module
        Takes uint8 (N, H, W, C), returns a tensor or a tuple of tensors.
    device : {"auto", "cpu", "cuda"}
    precision : {"auto", "fp32", "bf16"}
        ``auto`` is fp32 on the CPU (OpenVINO is the fast path there) and bf16 on CUDA.
    """

    name = "torch"
    slots = 1

    def __init__(
        self,
        graph: nn.Module,
        *,
        device: Device = "auto",
        precision: Precision = "auto",
        batch_size: int = 32,
    ) -> None:
        self.batch_size = batch_size
        self._device = resolve_device(device)
        if precision == "auto":
            precision = "bf16" if self._device == "cuda" else "fp32"
        self.precision: str = precision
        self._graph = graph.eval().to(self._device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._pending: dict[int, tuple[torch.Tensor, ...]] = {}

    def start(self, slot: int, images: Uint8Batch) -> None:
        """Run a batch; on CUDA the call returns before the result is there."""
        half = torch.autocast(self._device, dtype=torch.bfloat16) if self.precision == "bf16" else nullcontext()
        with torch.inference_mode(), half:
            found = self._graph(torch.from_numpy(images).to(self._device, non_blocking=True))
        self._pending[slot] = found if isinstance(found, tuple) else (found,)

    def finish(self, slot: int) -> tuple[Array, ...]:
        """Return the outputs of the last batch."""
        return tuple(each.float().cpu().numpy() for each in self._pending.pop(slot))


def run(runtime: Runtime, images: Uint8Batch) -> tuple[Array, ...]:
    """Run any number of images that are already in memory, batch by batch."""
    parts = []
    for begin in range(0, len(images), runtime.batch_size):
        runtime.start(0, images[begin : begin + runtime.batch_size])
        parts.append(runtime.finish(0))
    return tuple(np.concatenate(each) for each in zip(*parts, strict=True))
