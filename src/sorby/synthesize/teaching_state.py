"""The state of a teaching in one file without pickle: tensors as safetensors, the rest as JSON in its header."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import nn

from sorby.errors import InputError
from sorby.files import atomic_write


def save_state(
    path: Path,
    modules: Mapping[str, nn.Module],
    optimisers: Mapping[str, torch.optim.Optimizer],
    notes: Mapping[str, Any],
) -> None:
    """Write everything that the next step depends on; the file is complete or absent."""
    tensors = {f"{name}/{key}": value for name, module in modules.items() for key, value in module.state_dict().items()}
    for name, optimiser in optimisers.items():
        for index, state in optimiser.state_dict()["state"].items():
            tensors |= {f"{name}/{index}/{key}": value for key, value in state.items()}
    plain = {key: value.detach().cpu().contiguous().clone() for key, value in tensors.items()}
    with atomic_write(path) as file:
        file.write(save(plain, metadata={"notes": json.dumps(dict(notes))}))


def load_state(
    path: Path, modules: Mapping[str, nn.Module], optimisers: Mapping[str, torch.optim.Optimizer], identity: str
) -> dict[str, Any]:
    """Put a state back into networks and optimisers and return its notes.

    Raises
    ------
    InputError
        The file is damaged, or of another teaching than *identity*; nothing was changed then.
    """
    found: dict[str, dict[str, torch.Tensor]] = {name: {} for name in (*modules, *optimisers)}
    try:
        with safe_open(path, framework="pt") as file:
            notes: dict[str, Any] = json.loads(file.metadata()["notes"])
            if notes["identity"] != identity:
                raise InputError(
                    f"{path.parent}: holds a teaching of other originals, another recipe or seed",
                    "choose another --out or delete it",
                )
            for key in file.keys():  # noqa: SIM118 - safe_open is no mapping
                name, _, rest = key.partition("/")
                found[name][rest] = file.get_tensor(key)
        for name, module in modules.items():
            module.load_state_dict(found[name])
        for name, optimiser in optimisers.items():
            _put_back(optimiser, found[name])
    except (SafetensorError, KeyError, TypeError, ValueError, RuntimeError) as error:
        raise InputError(f"{path}: damaged state", "delete it to teach this class anew") from error
    return notes


def _put_back(optimiser: torch.optim.Optimizer, tensors: Mapping[str, torch.Tensor]) -> None:
    state: dict[int, dict[str, torch.Tensor]] = {}
    for key, value in tensors.items():
        index, _, name = key.partition("/")
        state.setdefault(int(index), {})[name] = value
    optimiser.load_state_dict({"state": state, "param_groups": optimiser.state_dict()["param_groups"]})
