"""Synthetic specimens with known truth.

Steel comes first: :func:`render_steel` draws a micrograph needle by needle, so that its grade is known and not
judged; :func:`draw_specimen` decides what one specimen's micrographs share; :func:`write_steel` fills a folder;
:func:`render_novel` draws what a steel classifier must refer. ``fields``, ``optics``, ``frame`` and ``writing``
know nothing of steel.
"""

from sorby.corpus.grades import (
    HOUSE_SCALE,
    MORPHOLOGY,
    SIZE_CLASSES,
    Criterion,
    GradeTable,
    split_code,
)
from sorby.phantom.frame import Border
from sorby.phantom.grains import GrainPhantom, render_grains
from sorby.phantom.needles import Lognormal, NeedleTable
from sorby.phantom.novel import ALL_KINDS, FAR_OOD, NEAR_OOD, NOVEL_KINDS, NovelPhantom, render_novel
from sorby.phantom.optics import Instrument, instrument_catalogue
from sorby.phantom.published import published_plan, write_published_steel
from sorby.phantom.rater_panel import HABITS, Panel, RaterHabits, draw_panel
from sorby.phantom.raters import day_to_day, rate
from sorby.phantom.round_robins import reduce_ratings, round_robin
from sorby.phantom.specimens import SUBTYPES, Etching, SteelSpec, SteelSpecimen, draw_specimen
from sorby.phantom.steel import PHASES, SteelPhantom, render_steel
from sorby.phantom.steel_set import DEMO_CLASSES, PUBLISHED_COUNTS, write_novel, write_steel

__all__ = [
    "ALL_KINDS",
    "DEMO_CLASSES",
    "FAR_OOD",
    "HABITS",
    "HOUSE_SCALE",
    "MORPHOLOGY",
    "NEAR_OOD",
    "NOVEL_KINDS",
    "PHASES",
    "PUBLISHED_COUNTS",
    "SIZE_CLASSES",
    "SUBTYPES",
    "Border",
    "Criterion",
    "Etching",
    "GradeTable",
    "GrainPhantom",
    "Instrument",
    "Lognormal",
    "NeedleTable",
    "NovelPhantom",
    "Panel",
    "RaterHabits",
    "SteelPhantom",
    "SteelSpec",
    "SteelSpecimen",
    "day_to_day",
    "draw_panel",
    "draw_specimen",
    "instrument_catalogue",
    "published_plan",
    "rate",
    "reduce_ratings",
    "render_grains",
    "render_novel",
    "render_steel",
    "round_robin",
    "split_code",
    "write_novel",
    "write_published_steel",
    "write_steel",
]
