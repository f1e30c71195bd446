"""The verbs: train, crossval, tune, evaluate, inspect; they compose everything below.

Each is imported when first used, so that a command which needs no network starts without torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sorby.corpus import build
    from sorby.workflow.evaluation import evaluate
    from sorby.workflow.inspection import inspect
    from sorby.workflow.opening import load
    from sorby.workflow.training import crossval, train
    from sorby.workflow.tuning import tune

__all__ = ["build", "crossval", "evaluate", "inspect", "load", "train", "tune"]

_PLACES = {
    "build": "sorby.corpus",
    "crossval": "sorby.workflow.training",
    "evaluate": "sorby.workflow.evaluation",
    "inspect": "sorby.workflow.inspection",
    "load": "sorby.workflow.opening",
    "train": "sorby.workflow.training",
    "tune": "sorby.workflow.tuning",
}


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module 'sorby.workflow' has no attribute {name!r}")
    return getattr(import_module(_PLACES[name]), name)
