"""Corpora: which images, labels and specimens; building, splitting and auditing them."""

from sorby.corpus import splits
from sorby.corpus.building import Built, build
from sorby.corpus.table import Corpus

__all__ = ["Built", "Corpus", "build", "splits"]
