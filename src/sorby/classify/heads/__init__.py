"""Heads: from features to structure codes, at once, in stages, in order, or by needle length."""

from sorby.classify.heads.fitting import FittedHead, fit_head
from sorby.classify.heads.head import Head, HeadSpec, head_arrays, head_from_arrays, spec_for
from sorby.classify.heads.logistic import Examples
from sorby.classify.heads.structure import GRADE, CodeStructure, structure_of
from sorby.classify.heads.targets import CRITERIA, LENGTH_COLUMNS, Targets

__all__ = [
    "CRITERIA",
    "GRADE",
    "LENGTH_COLUMNS",
    "CodeStructure",
    "Examples",
    "FittedHead",
    "Head",
    "HeadSpec",
    "Targets",
    "fit_head",
    "head_arrays",
    "head_from_arrays",
    "spec_for",
    "structure_of",
]
