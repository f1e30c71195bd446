"""Whether a network fits into memory, asked before it is built rather than by being killed."""

from __future__ import annotations

from pathlib import Path

import torch

from sorby.errors import InputError

_MEMINFO = Path("/proc/meminfo")
_LIMIT, _USED = Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory.current")
_BYTES = 4  # of a weight in float32


def free_memory(device: str = "cpu") -> int | None:
    """Return the bytes of memory that are free on a device; None where the system does not say (not Linux).

    Parameters
    ----------
    device : {"cpu", "cuda"}
        A container's limit counts where it is the smaller one.
    """
    if device == "cuda":
        return int(torch.cuda.mem_get_info()[0])
    if not _MEMINFO.is_file():
        return None
    lines = dict(line.split(":", 1) for line in _MEMINFO.read_text("ascii").splitlines())
    free = int(lines["MemAvailable"].split()[0]) * 1024
    if _LIMIT.is_file() and (limit := _LIMIT.read_text("ascii").strip()).isdecimal():
        free = min(free, int(limit) - int(_USED.read_text("ascii")))
    return free


def require_memory(what: str, weights: int, copies: int, held_as: str, device: str = "cpu") -> None:
    """Refuse what would not fit.

    Parameters
    ----------
    what : str
        Named in the error.
    weights : int
        Parameters of the network.
    copies : int
        How many numbers of 4 bytes are held for each.
    held_as : str
        What these copies are, for the error.
    device : {"cpu", "cuda"}

    Raises
    ------
    InputError
        Less is free than needed; it says how much of both.
    """
    free, needed = free_memory(device), _BYTES * copies * weights
    if free is not None and needed > free:
        raise InputError(
            f"{what} has {weights:,} weights and needs {needed / 1e9:.1f} GB of memory ({held_as});"
            f" {max(free, 0) / 1e9:.1f} GB are free" + (" on the GPU" if device == "cuda" else ""),
            "a computer with more memory, or smaller images (image.height, image.width)",
        )
