"""From an archive of SEM images and PDF reports to a corpus: text, names, matching, review."""

from sorby.corpus.archive.building import BuiltArchive, ReadBars, build_archive, list_archive, read_reports
from sorby.corpus.archive.check_digits import CheckMethod, check_digit
from sorby.corpus.archive.components import components_of, components_of_corpus
from sorby.corpus.archive.corrections import Corrections, read_corrections, review_table, write_review
from sorby.corpus.archive.file_names import parse_names
from sorby.corpus.archive.matching import match_names
from sorby.corpus.archive.report_fields import Component, Report, parse_report
from sorby.corpus.archive.report_text import PageReader, ReportText, read_report_text
from sorby.corpus.archive.rules import UNKNOWN, ArchiveRules, load_rules
from sorby.corpus.archive.selection import certain_matches, without_uncertain

__all__ = [
    "UNKNOWN",
    "ArchiveRules",
    "BuiltArchive",
    "CheckMethod",
    "Component",
    "Corrections",
    "PageReader",
    "ReadBars",
    "Report",
    "ReportText",
    "build_archive",
    "certain_matches",
    "check_digit",
    "components_of",
    "components_of_corpus",
    "list_archive",
    "load_rules",
    "match_names",
    "parse_names",
    "parse_report",
    "read_corrections",
    "read_report_text",
    "read_reports",
    "review_table",
    "without_uncertain",
    "write_review",
]
