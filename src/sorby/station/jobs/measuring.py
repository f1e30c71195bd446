"""Measurements beside verdicts: needle lengths and grain size of stored images, with what was traced as an overlay."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from sorby.corpus import HOUSE_SCALE
from sorby.errors import InputError
from sorby.measure.grain_counting import boundary_of
from sorby.measure.grain_fields import measure_field
from sorby.measure.needle_lengths import measure_needles
from sorby.micrograph import Micrograph, read
from sorby.station import overlays
from sorby.station.jobs.inspectors import Said, Wanted
from sorby.workflow.measuring.grains import grains_of

_SHOWN = {"mean": "mean needle length", "largest": "largest needles", "q95": "95th percentile"}


def measured(wanted: Wanted, said: Said, kind: str) -> Said:
    """Return what was said of an image with a measurement beside it, or with why there is none.

    Parameters
    ----------
    wanted : Wanted
    said : Said
    kind : {"needles", "grains"}

    Returns
    -------
    Said
        Its verdict has ``measurement``: ``kind``, ``figures`` (``name``, ``value``, ``ci95``, ``unit``), ``standard``,
        ``warnings``; its pictures have ``measurement``. The verdict itself is as it was.
    """
    try:
        image = read(wanted.path, pixel_size_um=wanted.pixel_size_um)
        if image.scale.pixel_size_um is None:
            raise InputError("no pixel size is known", "state it")
        found, picture = (_needles if kind == "needles" else _grains)(image, image.scale.pixel_size_um)
    except InputError as error:
        message = error.message.replace(f"{wanted.path}: ", "")
        return _with(said, {"kind": kind, "figures": [], "standard": "", "warnings": [message]}, {}, message)
    words = "; ".join(_worded(figure) for figure in found["figures"])
    return _with(said, {"kind": kind, **found}, {"measurement": picture}, words)


def _with(said: Said, found: dict[str, Any], pictures: dict[str, bytes], words: str) -> Said:
    trace = said.verdict["trace"]
    steps = [*trace["steps"][:-1], {"step": "measurement", "said": words}, *trace["steps"][-1:]]
    verdict = {**said.verdict, "measurement": found, "trace": {**trace, "steps": steps}}
    return replace(said, verdict=verdict, pictures={**said.pictures, **pictures})


def _worded(figure: Mapping[str, Any]) -> str:
    ends = figure["ci95"]
    told = "" if ends is None else f" (95 % {ends[0]:.4g} to {ends[1]:.4g})"
    return f"{figure['name']} {figure['value']:.4g} {figure['unit']}".strip() + told


def _needles(image: Micrograph, pixel_size_um: float) -> tuple[dict[str, Any], bytes]:
    found = measure_needles(image.pixels, pixel_size_um, largest_share=HOUSE_SCALE.largest_share)
    figures = [
        {
            "name": words,
            "value": found.estimates[name].value,
            "ci95": list(found.estimates[name].ci95),
            "unit": "\u00b5m",
        }
        for name, words in _SHOWN.items()
    ]
    segments = found.segments
    half = segments.length_um / pixel_size_um / 2
    dx, dy = half * np.cos(segments.angle), half * np.sin(segments.angle)
    ends = np.stack([segments.x_px - dx, segments.y_px - dy, segments.x_px + dx, segments.y_px + dy], axis=1)
    picture = overlays.lines(
        ends, np.where(segments.cut, 2, np.where(segments.dark, 0, 1)), (image.height, image.width)
    )
    return {"figures": figures, "standard": HOUSE_SCALE.name, "warnings": list(found.warnings)}, picture


def _grains(image: Micrograph, pixel_size_um: float) -> tuple[dict[str, Any], bytes]:
    labels, how, warnings = grains_of(image, "micrograph")
    field = measure_field(labels, pixel_size_um)
    figures = []
    for name, size in (("intercept", field.intercept_g), ("planimetric", field.planimetric_g)):
        if size is not None:
            figures.append({"name": f"G ({name})", "value": float(size.number), "ci95": None, "unit": ""})
    if field.intercept is not None:
        figures.append(
            {"name": "mean intercept", "value": field.intercept.mean_intercept_um, "ci95": None, "unit": "\u00b5m"}
        )
    picture = overlays.mask(boundary_of(labels), (image.height, image.width), colour="#e61e1e")
    standard = str(field.as_dict()["standard"])
    return {"figures": figures, "standard": standard, "warnings": [how, *warnings, *field.warnings]}, picture
