"""People rating images: designs, schemes, ratings and what they come to; consensus sessions.

A *study* needs neither a web server nor a database. It is a design (which images, in which order, for whom), a scheme
(what may be said of an image), a table of ratings and the results that follow from the three.
"""

from sorby.study.agreement_files import RatingFile, agreement_of, read_rating_file
from sorby.study.consensus import (
    CUES,
    QUESTIONS,
    REPLIES,
    Case,
    Dissent,
    Joint,
    Judgement,
    Session,
    View,
    session_results,
    wrong_reasons,
)
from sorby.study.cue_overlap import CueOverlap, cue_overlap
from sorby.study.design import Design, Item, Showing, plan
from sorby.study.model_appraiser import ModelRatings
from sorby.study.panel import Panel
from sorby.study.ratings import (
    COLUMNS,
    FREQUENCIES,
    PROFILE_COLUMNS,
    Ratings,
    form_rows,
    rating_rows,
    read_ratings,
    write_form,
)
from sorby.study.results import progress, results
from sorby.study.sampling import Sample, draw_sample, proportional_quotas
from sorby.study.scheme import CANNOT_RATE, Answer, Choice, ClassRange, Scheme, dump_scheme, read_scheme, scheme_names

__all__ = [
    "CANNOT_RATE",
    "COLUMNS",
    "CUES",
    "FREQUENCIES",
    "PROFILE_COLUMNS",
    "QUESTIONS",
    "REPLIES",
    "Answer",
    "Case",
    "Choice",
    "ClassRange",
    "CueOverlap",
    "Design",
    "Dissent",
    "Item",
    "Joint",
    "Judgement",
    "ModelRatings",
    "Panel",
    "RatingFile",
    "Ratings",
    "Sample",
    "Scheme",
    "Session",
    "Showing",
    "View",
    "agreement_of",
    "cue_overlap",
    "draw_sample",
    "dump_scheme",
    "form_rows",
    "plan",
    "progress",
    "proportional_quotas",
    "rating_rows",
    "read_rating_file",
    "read_ratings",
    "read_scheme",
    "results",
    "scheme_names",
    "session_results",
    "write_form",
    "wrong_reasons",
]
