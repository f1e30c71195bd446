"""From facts to one self-contained HTML file: templates with everything escaped, style and pictures inside."""

from __future__ import annotations

from functools import cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from sorby.report import wording


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("sorby.report", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        percent=wording.percent,
        number=wording.number,
        interval=wording.interval,
        sureness=wording.sureness,
        listed=wording.listed,
        estimate=wording.estimate,
        count=wording.count,
    )
    return environment


def drawing(svg: str) -> Markup:
    """Mark the output of a figure function as markup; labels in it have been escaped by the figure."""
    return Markup(svg)  # noqa: S704 - made by sorby.report.drawing, which escapes


def render(template: str, **facts: Any) -> str:
    """Fill a template of the package.

    Parameters
    ----------
    template : str
        File name, e.g. ``run.html``.
    **facts
        Whatever it shows; text is escaped, figures come through `drawing`.
    """
    return _environment().get_template(template).render(**facts)
