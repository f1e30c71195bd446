"""The verbs: train, crossval, evaluate, inspect, demo; they compose everything below."""

import sorby.classify  # noqa: F401 - registers the loader of classifier bundles
from sorby.bundle import load
from sorby.corpus import build
from sorby.workflow.evaluation import evaluate
from sorby.workflow.inspection import inspect
from sorby.workflow.training import crossval, train

__all__ = ["build", "crossval", "evaluate", "inspect", "load", "train"]
