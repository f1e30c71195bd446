"""Experiments as commands: ablations and studies of the methods on any corpus with the columns they need.

`run_experiment` runs one by its plain name; `experiments` lists them. Arms are settings of a recipe, taught and
tested on the same specimen-grouped folds; a new arm is one more line.
"""

from __future__ import annotations

from sorby.workflow.experiments.registry import Experiment, Findings, Request, experiments, find
from sorby.workflow.experiments.running import run_experiment

__all__ = ["Experiment", "Findings", "Request", "experiments", "find", "run_experiment"]
