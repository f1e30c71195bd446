"""Boxes from and for other programs: COCO, Pascal VOC, YOLO, masks.

Readers turn files into `Annotated` images; `checking` makes their boxes usable and says what was wrong;
`sources` tells formats apart and fills the columns of a corpus; `writing` goes the other way.
"""

from sorby.corpus.interchange.annotations import KINDS, Annotated, Findings, Reading
from sorby.corpus.interchange.coco import read_coco
from sorby.corpus.interchange.from_masks import boxes_of_mask, read_masks
from sorby.corpus.interchange.sources import FORMATS, BoxOptions, list_annotated, recognise, settle_boxes
from sorby.corpus.interchange.voc import read_voc
from sorby.corpus.interchange.yolo import read_yolo

__all__ = [
    "FORMATS",
    "KINDS",
    "Annotated",
    "BoxOptions",
    "Findings",
    "Reading",
    "boxes_of_mask",
    "list_annotated",
    "read_coco",
    "read_masks",
    "read_voc",
    "read_yolo",
    "recognise",
    "settle_boxes",
]
