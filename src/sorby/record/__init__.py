"""The record: an append-only chain of who did what, sealed entry by entry, and its verification.

Knows no web and no database: entries are made from events and a head (`seal`), come from any iterable, and are checked
as a stream (`verify`) against keys that the user trusts and anchors from outside.
"""

from sorby.record.anchors import Anchor, AnchorLines, append_anchor, read_anchors
from sorby.record.entry import MEANINGS, NOTHING, Entry, Event, Head
from sorby.record.sealing import seal, sealing_key, utc_now
from sorby.record.sources import read_lines, read_record, readable, write_lines
from sorby.record.verification import KINDS, Damaged, Fault, Signer, Verification, verify

__all__ = [
    "KINDS",
    "MEANINGS",
    "NOTHING",
    "Anchor",
    "AnchorLines",
    "Damaged",
    "Entry",
    "Event",
    "Fault",
    "Head",
    "Signer",
    "Verification",
    "append_anchor",
    "read_anchors",
    "read_lines",
    "read_record",
    "readable",
    "seal",
    "sealing_key",
    "utc_now",
    "verify",
    "write_lines",
]
