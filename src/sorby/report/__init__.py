"""Reports: figures as inline SVG, pictures as data URIs, and one self-contained HTML file for each run.

Nothing on a page is fetched from anywhere and no script is needed to read it; a page follows the reader's choice
of light or dark and prints on paper.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sorby.report.attention import Attention, look
    from sorby.report.audit import SplitAudit, audit_split
    from sorby.report.findings import Promise, promise
    from sorby.report.gallery import Selection, Shelf, Shot, mosaic, select, shot
    from sorby.report.page import drawing, render
    from sorby.report.run_page import RunFacts, RunPictures, run_page

__all__ = [
    "Attention",
    "Promise",
    "RunFacts",
    "RunPictures",
    "Selection",
    "Shelf",
    "Shot",
    "SplitAudit",
    "audit_split",
    "drawing",
    "look",
    "mosaic",
    "promise",
    "render",
    "run_page",
    "select",
    "shot",
]

# matplotlib, Jinja and torch are slow to load; each name is fetched when first asked for.
_HOME = {
    "Attention": "attention",
    "look": "attention",
    "SplitAudit": "audit",
    "audit_split": "audit",
    "Promise": "findings",
    "promise": "findings",
    "Selection": "gallery",
    "Shelf": "gallery",
    "Shot": "gallery",
    "mosaic": "gallery",
    "select": "gallery",
    "shot": "gallery",
    "drawing": "page",
    "render": "page",
    "RunFacts": "run_page",
    "RunPictures": "run_page",
    "run_page": "run_page",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
