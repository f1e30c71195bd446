"""Figs. 5 and 6 of S4: specimens through their magnifications, with where a classifier looked that never saw them."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from sorby.micrograph import read, to_uint8
from sorby.report.cam_series import SeriesView, cam_series
from sorby.report.experiment_page import Figure
from sorby.report.paper_page import Part
from sorby.report.wording import count
from sorby.workflow.experiments.bench import Bench, Rows
from sorby.workflow.explaining import explain_each, lay_over
from sorby.workflow.papers import schmid2026 as s4
from sorby.workflow.papers.fracture_protocols import Protocol

_MISTAKEN = ("green_body", "hard_machining")  # Fig. 6: true, called
_ERRORS = 2  # specimens in Fig. 6
_DIRTY = 0.05  # share of the picture


def series_parts(bench: Bench, protocol: Protocol, powers: npt.NDArray[np.float64]) -> list[Part]:
    """Return Figs. 5 and 6.

    Parameters
    ----------
    bench : Bench
    protocol : Protocol
        By specimen: the specimens of its shown fold are new to the classifier that is asked.
    powers : ndarray, shape (n,)
        Magnification of each image.
    """
    columns = _columns(powers)
    there = np.flatnonzero(protocol.fold == protocol.shown)
    typical = {
        bench.classes[code]: rows
        for code in range(len(bench.classes))
        if (rows := _typical(bench, protocol, there, powers, columns, code)) is not None
    }
    named = ", ".join(f"{level:g}x" for level in columns)
    text = [
        f"One specimen of each class at {named}, judged by a classifier that has not seen it: of all specimens of the"
        " fold the one that was named right most often, so its figures say nothing on how often that is."
    ]
    views = [view for name, rows in typical.items() for view in _views(bench, protocol, rows, powers, name)]
    parts = [Part("Fig. 5: where it looks, by class and magnification", text, figures=[_drawn(views)])] if views else []
    return [*parts, _errors(bench, protocol, there, powers, columns)]


def _columns(powers: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return the published magnifications where all are there, else the lowest, a middle and the highest."""
    levels = np.unique(powers)
    if np.isin(s4.SERIES, levels).all():
        return np.array(s4.SERIES)
    return np.unique(levels[[0, len(levels) // 2, -1]])


def _of_specimen(
    bench: Bench, there: Rows, powers: npt.NDArray[np.float64], columns: npt.NDArray[np.float64], name: object
) -> Rows:
    """Return the first image of a specimen at each of the columns."""
    specimens = bench.specimens
    assert specimens is not None
    own = there[specimens[there] == name]
    rows = [own[powers[own] == level][:1] for level in columns]
    return np.concatenate(rows)


def _typical(
    bench: Bench,
    protocol: Protocol,
    there: Rows,
    powers: npt.NDArray[np.float64],
    columns: npt.NDArray[np.float64],
    code: int,
) -> Rows | None:
    """Return the images of the specimen of a class that was named right most often, None where there is none."""
    specimens = bench.specimens
    assert specimens is not None
    best: tuple[int, float] | None = None
    chosen = None
    for name in np.unique(specimens[there[bench.labels[there] == code]]):
        rows = _of_specimen(bench, there, powers, columns, name)
        found = (int((protocol.called[rows] == code).sum()), float(protocol.probabilities[rows, code].sum()))
        if len(rows) and (best is None or found > best):
            best, chosen = found, rows
    return chosen


def _views(
    bench: Bench, protocol: Protocol, rows: Rows, powers: npt.NDArray[np.float64], title: str
) -> list[SeriesView]:
    """Return pictures, maps and verdicts of some images."""
    classifier, paths = protocol.fit.classifier, bench.corpus.paths()
    rule, called = classifier.preprocessing, protocol.called[rows]
    micrographs = [read(paths[row]) for row in rows]
    images = np.stack([classifier.prepared(each) for each in micrographs])
    targets = np.array([classifier.classes.index(bench.classes[code]) for code in called], np.intp)
    cams = explain_each(classifier, images, targets, powers[rows].tolist())
    views = []
    for row, code, micrograph, cam in zip(rows, called, micrographs, cams, strict=True):
        views.append(
            SeriesView(
                title,
                float(powers[row]),
                to_uint8(micrograph.pixels, rule=rule.intensity, low=rule.low, high=rule.high),
                lay_over(classifier, micrograph, cam, "inferno"),
                bench.classes[code],
                float(protocol.probabilities[row, code]),
                bench.classes[bench.labels[row]],
                _flags(bench.corpus.table.iloc[row]),
            )
        )
    return views


def _flags(row: pd.Series[Any]) -> tuple[str, ...]:
    """Say what the corpus knows of an image that explains an error."""
    found = []
    if str(row.get("origin_in_view", "")).lower() == "false":
        found.append("origin not in view")
    dirt = float(row["contamination"]) if "contamination" in row else 0.0
    if dirt >= _DIRTY:
        found.append(f"contaminated {100 * dirt:.0f} %")
    return tuple(found)


def _errors(
    bench: Bench,
    protocol: Protocol,
    there: Rows,
    powers: npt.NDArray[np.float64],
    columns: npt.NDArray[np.float64],
) -> Part:
    """Fig. 6: specimens with the published error, or with any."""
    title = "Fig. 6: errors"
    specimens = bench.specimens
    assert specimens is not None
    wrong = there[protocol.called[there] != bench.labels[there]]
    if not len(wrong):
        return Part(title, [f"None of the {len(there)} images of the fold that is shown was named wrong."])
    names = np.array(bench.classes)
    alike = wrong[(names[bench.labels[wrong]] == _MISTAKEN[0]) & (names[protocol.called[wrong]] == _MISTAKEN[1])]
    shown = alike if len(alike) else wrong
    who, counts = np.unique(specimens[shown].astype(str), return_counts=True)
    most = who[np.argsort(-counts, kind="stable")][:_ERRORS]
    views = []
    for name in most:
        rows = _of_specimen(bench, there, powers, columns, name)
        views += _views(bench, protocol, rows, powers, f"{bench.classes[bench.labels[rows[0]]]}, {name}")
    flagged = [_flags(bench.corpus.table.iloc[row]) for row in shown]
    hidden = sum("origin not in view" in each for each in flagged)
    what = "green body called hard machining, as published" if len(alike) else "not one as published"
    text = [
        f"{len(wrong)} of {count(len(there), 'image')} of the shown fold were named wrong; {what}: {len(alike)}.",
        f"Drawn: {count(len(most), 'specimen')} with most of these errors.",
    ]
    if "origin_in_view" in bench.corpus.table:
        text.append(f"The origin is not in view in {hidden} of {len(shown)} of these images.")
    return Part(title, text, figures=[_drawn(views)])


def _drawn(views: list[SeriesView]) -> Figure:
    caption = "Pictures above, maps with the calibrated verdict below; bright is where it looked."
    return Figure(cam_series(views), caption, 700)
