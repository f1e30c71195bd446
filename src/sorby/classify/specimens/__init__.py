"""One verdict a specimen from all its images: attention pooling (multiple-instance learning) and simple rules.

A specimen is a bag of images of which some show the origin and most do not. `fit_specimens` teaches any of
`METHODS` on the features of a frozen or tuned network, by folds that keep specimens whole, and calibrates it.
"""

from sorby.bundle import register_loader
from sorby.classify.specimens.bags import Bags, inner_folds
from sorby.classify.specimens.carriers import carried, leave_one_out_change
from sorby.classify.specimens.model import (
    DESCRIPTIONS,
    METHODS,
    Method,
    SpecimenModel,
    SpecimenVerdicts,
    fit_specimens,
    pooled_otherwise,
)
from sorby.classify.specimens.pooling import RULES, pooled, vote_of_sets

SPECIMENS_KIND = "specimen-judge"
"""Bundles of a verdict on specimens."""

register_loader(SPECIMENS_KIND, "sorby.classify.specimens.judge:load_bundle")

__all__ = [
    "DESCRIPTIONS",
    "METHODS",
    "RULES",
    "SPECIMENS_KIND",
    "Bags",
    "Method",
    "SpecimenModel",
    "SpecimenVerdicts",
    "carried",
    "fit_specimens",
    "inner_folds",
    "leave_one_out_change",
    "pooled",
    "pooled_otherwise",
    "vote_of_sets",
]
