"""The state of a training in one file without pickle: tensors as safetensors, the rest as JSON in its header."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from sorby.errors import InputError
from sorby.files import atomic_write

Tensors = dict[str, torch.Tensor]


def save_checkpoint(
    path: Path, model: Tensors, best: Tensors, optimiser: torch.optim.Optimizer, notes: dict[str, Any]
) -> None:
    """Write everything that the next epoch depends on; the file is complete or absent.

    Parameters
    ----------
    path : Path
    model, best : dict of str to Tensor
        State of the network now and at its best epoch; kept once where both are the same object.
    optimiser : torch.optim.Optimizer
        Only its per-parameter tensors are kept; groups come from the recipe.
    notes : dict
        JSON: epoch, history, recipe fingerprint ...
    """
    tensors = {f"model.{key}": value for key, value in model.items()}
    if best is not model:
        tensors |= {f"best.{key}": value for key, value in best.items()}
    for index, state in optimiser.state_dict()["state"].items():
        tensors |= {f"optimiser.{index}.{key}": value for key, value in state.items()}
    contiguous = {key: value.detach().cpu().contiguous().clone() for key, value in tensors.items()}
    with atomic_write(path) as file:
        file.write(save(contiguous, metadata={"notes": json.dumps(notes)}))


def load_checkpoint(path: Path) -> tuple[Tensors, Tensors, dict[int, dict[str, torch.Tensor]], dict[str, Any]]:
    """Return model, best, optimiser state by parameter index, and notes.

    Raises
    ------
    InputError
        The file is damaged.
    """
    model: Tensors = {}
    best: Tensors = {}
    optimiser: dict[int, dict[str, torch.Tensor]] = {}
    try:
        with safe_open(path, framework="pt") as file:
            notes = json.loads(file.metadata()["notes"])
            for key in file.keys():  # noqa: SIM118 - safe_open is no mapping
                part, _, rest = key.partition(".")
                tensor = file.get_tensor(key)
                if part == "optimiser":
                    index, _, name = rest.partition(".")
                    optimiser.setdefault(int(index), {})[name] = tensor
                else:
                    (model if part == "model" else best)[rest] = tensor
    except (SafetensorError, KeyError, TypeError, ValueError) as error:
        raise InputError(f"{path}: damaged checkpoint", "delete it to start this training anew") from error
    return model, best or model, optimiser, notes
