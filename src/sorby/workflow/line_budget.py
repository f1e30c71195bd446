"""``line budget``: what a web's speed asks for, what the paper's arithmetic gives, and what this machine does."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from sorby.errors import InputError
from sorby.line.budget import Budget, line_need, published_estimates
from sorby.line.scorer import StripScorer
from sorby.line.timing import difference_note, fit_timing, proportional_s
from sorby.workflow.line_opening import LineRequest, MakeScorer, open_scorer

if TYPE_CHECKING:
    from sorby.backbone.runtime import Precision  # torch takes a while to import

_SHORTEST_S, _FACTORS, _REPEATS = 0.1, (1, 2, 4, 8), 3
_GROUND, _NOISE = 128.0, 12.0


def line_budget(
    *,
    across_mm: float,
    along_mm: float,
    pixel_size_um: float,
    m_per_min: float,
    tile_px: int = 224,
    overlap_px: int = 0,
    web_width_mm: float | None = None,
    lanes: int = 1,
    tiles: int | None = None,
    sheets: int = 1,
    measured_n: Sequence[float] = (),
    measured_s: Sequence[float] = (),
    bundle: Path | str | MakeScorer | None = None,
    rows: int = 640,
    precision: Precision = "auto",
    require_signed: bool = False,
    seed: int = 0,
) -> dict[str, Any]:
    """Compare what a line needs with what was measured.

    Parameters
    ----------
    across_mm, along_mm : float
        Of a sheet.
    pixel_size_um : float
    m_per_min : float
    tile_px, overlap_px : int
    web_width_mm : float, optional
        The web is wider than the sheet; its tiles are counted over this width.
    lanes : int
    tiles : int, optional
        Tiles of all sheets, where their number is known.
    sheets : int
        Sheets one after the other.
    measured_n, measured_s : sequence of float
        Numbers of tiles and the seconds they took together.
    bundle : path or callable, optional
        Measure this machine with it.
    rows : int
        Of the strips to measure with.
    precision : {"auto", "fp32", "bf16"}
    require_signed : bool
    seed : int
        Of the strips measured with.

    Returns
    -------
    dict
        ``need``, ``paper`` (proportional, eq. 1), ``model`` (fixed + linear), ``machine``, ``holds``, ``notes``,
        ``published``; entries that were not asked for are None.

    Raises
    ------
    InputError
        Measurements do not fit together, or the geometry leaves no tile.
    """
    width = web_width_mm or across_mm
    need = line_need(
        width,
        along_mm * sheets,
        pixel_size_um,
        m_per_min,
        tile_px=tile_px,
        overlap_px=overlap_px,
        lanes=lanes,
        tiles=tiles,
    )
    if tiles is None:  # each sheet has a border of its own
        one = line_need(width, along_mm, pixel_size_um, m_per_min, tile_px=tile_px, overlap_px=overlap_px, lanes=lanes)
        need = line_need(
            width, along_mm * sheets, pixel_size_um, m_per_min, tile_px=tile_px, overlap_px=overlap_px, lanes=lanes,
            tiles=one.tiles * sheets,
        )  # fmt: skip
    notes: list[str] = []
    paper, model = _from_measurements(need, measured_n, measured_s, notes)
    machine = None
    if bundle is not None:
        machine = _measure(need, bundle, rows, precision, seed, require_signed=require_signed)
    return {
        "need": {**need.as_dict(), "sheets": sheets, "tiles_per_sheet": need.tiles / sheets},
        "paper": paper,
        "model": model,
        "machine": machine,
        "holds": None if machine is None else machine["mpix_per_s"] >= need.mpix_per_s,
        "notes": notes,
        "published": published_estimates(),
    }


def _from_measurements(
    need: Budget, measured_n: Sequence[float], measured_s: Sequence[float], notes: list[str]
) -> tuple[dict[str, Any] | None, dict[str, Any] | None]:
    """Extrapolate in both ways; say where they differ."""
    if len(measured_n) != len(measured_s):
        raise InputError(
            f"{len(measured_n)} values of --measured-n, but {len(measured_s)} of --measured-s", "give one for each"
        )
    if not measured_n:
        return None, None
    if min(*measured_n, *measured_s) <= 0:
        raise InputError("a measured number of tiles or time is not above zero", "leave it out")
    share = need.tiles / need.lanes
    first = min(zip(measured_n, measured_s, strict=True))
    paper_s = proportional_s(share, *first)
    paper = {"seconds": paper_s, "ms_per_tile": 1000 * first[1] / first[0], "n_test": first[0], "t_test_s": first[1],
             "times_too_slow": paper_s / need.seconds}  # fmt: skip
    if len(set(measured_n)) < 2:
        notes.append("one measurement gives the paper's proportion only; measure another number of tiles for a model")
        return paper, None
    fitted = fit_timing(measured_n, measured_s)
    seconds = fitted.predict(share)
    interval = fitted.interval(share)
    model = {
        **fitted.as_dict(),
        "seconds": seconds,
        "ci95": None if interval is None else {"seconds": list(interval)},
        "ms_per_tile": 1000 * seconds / share,
        "times_too_slow": seconds / need.seconds,
        "measured": [
            {"n": n, "seconds": s, "ms_per_tile": 1000 * s / n, "fitted_s": fitted.predict(n)}
            for n, s in zip(measured_n, measured_s, strict=True)
        ],
    }
    if interval is None:
        notes.append("two measurements fix the model without saying how sure it is; measure a third number of tiles")
    note = difference_note(share, *first, fitted)
    if note:
        notes.append(note)
    return paper, model


def _measure(
    need: Budget,
    bundle: Path | str | MakeScorer,
    rows: int,
    precision: Precision,
    seed: int,
    *,
    require_signed: bool,
) -> dict[str, Any]:
    """Time strips of growing numbers on this machine; overlaps between strips are not counted as web."""
    request = LineRequest(pixel_size_um=1.0, rows=rows, precision=precision, lanes=need.lanes)
    scorer, detector = open_scorer(bundle, need.across_px, request, require_signed=require_signed)
    rng = np.random.default_rng(seed)
    noise = rng.normal(_GROUND, _NOISE, (scorer.rows, scorer.width))
    strip = np.clip(noise, 0, 255).astype(np.uint8)
    _time(scorer, strip, 2 * scorer.slots)  # the first strips pay for what is set up once
    one = _time(scorer, strip, 2 * scorer.slots) / (2 * scorer.slots)
    strips = [max(scorer.slots, round(_SHORTEST_S / one)) * factor for factor in _FACTORS]
    # Of each number the quickest of three: other programs only ever make it slower.
    seconds = [min(_time(scorer, strip, n) for _ in range(_REPEATS)) for n in strips]
    fitted = fit_timing(strips, seconds)
    if fitted.each_s <= 0:
        raise InputError("more strips took no more time: the machine is too busy to be measured", "try again later")
    web_px = (scorer.rows - 2 * scorer.margin_px) * min(scorer.width, -(-need.across_px // need.lanes))
    return {
        **detector,
        "mpix_per_s": web_px / fitted.each_s / 1e6,
        "m_per_min": need.m_per_min * (web_px / fitted.each_s / 1e6) / need.mpix_per_s,
        "times_needed": web_px / fitted.each_s / 1e6 / need.mpix_per_s,
        "strip": {"rows": scorer.rows, "width": scorer.width, "margin_px": scorer.margin_px, "stride": scorer.stride},
        "timing": fitted.as_dict(),
        "measured": [{"strips": n, "seconds": s} for n, s in zip(strips, seconds, strict=True)],
        "note": "the detector alone, one lane; reading, decoding and recording run beside it ('line run' states all)",
    }


def _time(scorer: StripScorer, strip: np.ndarray[Any, Any], n: int) -> float:
    """Return the seconds of *n* strips with all slots in use."""
    started = time.perf_counter()
    for number in range(n):
        slot = number % scorer.slots
        if number >= scorer.slots:
            scorer.finish(slot)
        scorer.start(slot, strip)
    for number in range(max(0, n - scorer.slots), n):
        scorer.finish(number % scorer.slots)
    return time.perf_counter() - started
