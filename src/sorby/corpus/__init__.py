"""Corpora: which images, labels and specimens; building, splitting and auditing them."""

from sorby.corpus import splits
from sorby.corpus.audit import audit
from sorby.corpus.building import Built, build
from sorby.corpus.grades import HOUSE_SCALE, MORPHOLOGY, SIZE_CLASSES, Criterion, GradeTable, split_code
from sorby.corpus.near_duplicates import near_duplicate_groups
from sorby.corpus.splitting import split_corpus
from sorby.corpus.table import Corpus

__all__ = [
    "HOUSE_SCALE",
    "MORPHOLOGY",
    "SIZE_CLASSES",
    "Built",
    "Corpus",
    "Criterion",
    "GradeTable",
    "audit",
    "build",
    "near_duplicate_groups",
    "split_code",
    "split_corpus",
    "splits",
]
