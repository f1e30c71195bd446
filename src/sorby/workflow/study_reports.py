"""``study report`` and ``study simulate``: filled-in forms become results and a page; programs fill in forms."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from sorby import provenance
from sorby.backbone.runtime import Device
from sorby.errors import InputError
from sorby.files import staged_directory, write_json, write_text
from sorby.micrograph import read
from sorby.phantom.rater_panel import HABITS, draw_panel
from sorby.phantom.raters import rate
from sorby.report.study_page import study_page
from sorby.report.thumbnails import Picture, embed, shrink
from sorby.study import PROFILE_COLUMNS, Design, ModelRatings, form_rows, read_ratings, results, write_form
from sorby.workflow.data import open_data
from sorby.workflow.studies import HAND_OUT, PICTURES, model_ratings

_THUMBNAIL_PX = 320
#: A simulated rater repeats the own first answer this often; otherwise the image is judged anew.
REMEMBERED = 0.5


def open_study(study: Path | str) -> Design:
    """Return the design of a study's folder.

    Raises
    ------
    InputError
        It is none.
    """
    folder = Path(study)
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder", "give a folder of study new")
    return Design.load(folder / "design.json")


def report_study(
    study: Path | str,
    ratings: Sequence[Path | str],
    out: Path | str,
    *,
    profiles: Path | str | None = None,
    bundle: Path | str | None = None,
    seed: int = 0,
    require_signed: bool = False,
    device: Device = "auto",
) -> dict[str, Any]:
    """Write the results of a round robin and their page.

    Parameters
    ----------
    study : path
        Folder of ``study new``.
    ratings : sequence of path
        Forms or tables; the forms of the study's folder where empty.
    out : path
        Folder that gets ``report.html``, ``results.json`` and ``ratings.parquet``.
    profiles : path, optional
        Table of raters; ``raters.csv`` of the study where absent.
    bundle : path, optional
        Another classifier as the appraiser, instead of the one that helped to choose the images.
    seed : int
        Of the bootstraps.
    require_signed : bool
    device : {"auto", "cpu", "cuda"}

    Returns
    -------
    dict
        The results (see `sorby.study.results.results`) with ``report``, ``results``, ``quarantined``.

    Raises
    ------
    InputError
        No study, no rating, or the folder exists.
    """
    folder = Path(study)
    design = open_study(folder)
    own_profiles = folder / "raters.csv"
    told = profiles if profiles is not None else own_profiles if own_profiles.is_file() else None
    given = read_ratings(list(ratings) or [folder / HAND_OUT / "forms"], design, told)
    model = _model(design, folder, bundle, require_signed=require_signed, device=device)
    found = results(design, given, model, seed=seed)
    made = provenance.describe(seed)
    with staged_directory(out) as place:
        given.save(place / "ratings.parquet")
        write_json(place / "results.json", {**_finite(found), "provenance": made})
        write_text(place / "report.html", study_page(design, _finite(found), made, _thumbnails(design, folder)))
    return {
        **found,
        "report": str(Path(out) / "report.html"),
        "results": str(Path(out) / "results.json"),
        "quarantined": [entry.as_dict() for entry in given.quarantined],
    }


def _model(
    design: Design, folder: Path, bundle: Path | str | None, *, require_signed: bool, device: Device
) -> ModelRatings | None:
    """Return the model's ratings: of a bundle, or those stored when the study was made."""
    stored = folder / "model.json"
    if bundle is not None:
        said = model_ratings(design, folder, bundle, require_signed=require_signed, device=device)
    elif stored.is_file():
        try:
            said = json.loads(stored.read_text("utf-8"))
            said = {key: said[key] for key in ("name", "bundle_sha256", "verdicts")}
        except (ValueError, KeyError, TypeError) as error:
            raise InputError(f"{stored}: not the ratings of a model", "give --bundle") from error
    else:
        return None
    chose = (design.facts.get("model") or {}).get("bundle_sha256") == said["bundle_sha256"]
    return ModelRatings(f"model {said['name']}", said["verdicts"], said["bundle_sha256"], chose)


def _thumbnails(design: Design, folder: Path) -> dict[str, Picture]:
    """Return small pictures by item, of those that are still there."""
    found = {}
    for item in design.items:
        path = folder / PICTURES / f"{item.name}.png"
        if path.is_file():
            found[item.name] = embed(
                shrink(read(path).pixels, _THUMBNAIL_PX), f"{item.name}, {item.label or 'no label'}"
            )
    return found


def _finite(value: Any) -> Any:
    """Return plain values in which what is not defined is None."""
    if isinstance(value, dict):
        return {str(key): _finite(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(entry) for entry in value]
    if isinstance(value, np.generic):
        return _finite(value.item())
    return None if isinstance(value, float) and not np.isfinite(value) else value


def simulate_raters(study: Path | str, data: Path | str, *, seed: int = 0, noise: float = 1.0) -> dict[str, Any]:
    """Fill in the forms of a study of steel phantoms by simulated raters, to try it out.

    They look at the phantoms' own measures, not at labels. The table of raters calls each of them simulated, and so
    does every result.

    Parameters
    ----------
    study : path
    data : path
        The corpus that the study was drawn from; its phantoms carry what raters look at.
    seed : int
    noise : float
        Factor on bias and spread of all raters.

    Returns
    -------
    dict
        ``forms``, ``raters``, ``ratings``, ``warnings``.

    Raises
    ------
    InputError
        An image of the study is not in the corpus or is no steel phantom; a form is filled in already.
    """
    folder = Path(study)
    design = open_study(folder)
    forms = folder / HAND_OUT / "forms"
    if len(read_ratings([forms], design).table):
        raise InputError(f"{forms}: forms are filled in already", "simulated ratings must not mix with given ones")
    table = open_data(data).corpus.table.drop_duplicates("sha256").set_index("sha256")
    if missing := [item.path for item in design.items if item.sha256 not in table.index]:
        raise InputError(f"{missing[0]}: not in {data}", "give the corpus that the study was drawn from")
    found = table.loc[[item.sha256 for item in design.items]]
    # A corpus built from a table keeps extra columns as text.
    rows = {str(name): (found[name] if name == "subtype" else pd.to_numeric(found[name], errors="coerce")).to_numpy()
            for name in found}  # fmt: skip
    few = max(1, round(len(design.raters) * HABITS.daily / (HABITS.daily + HABITS.occasional)))
    panel = draw_panel(seed, replace(HABITS, daily=few, occasional=len(design.raters) - few))
    first, anew = rate(rows, panel, seed, noise=noise), rate(rows, panel, seed + 10_000, noise=noise)
    rng = np.random.default_rng([1863, 62, seed])
    again = np.where(rng.random(first.shape) < REMEMBERED, first, anew)
    extremes = rng.random(first.shape) < panel.by_extremes
    for k, rater in enumerate(design.raters):
        filled = []
        for row, showing in zip(form_rows(design, rater), design.order_of(rater), strict=True):
            place = design.place[showing.item]
            code = str((first if showing.occasion == 1 else again)[place, k])
            criterion = "extrema" if extremes[place, k] else "average"
            filled.append({**row, "class": code[:1], "code": code, "criterion": criterion,
                           "seconds": f"{rng.lognormal(3.0, 0.4):.1f}"})  # fmt: skip
        write_form(forms / f"{rater}.csv", filled)
    profiles = [{"rater": rater, "frequency": "daily" if daily else "weekly", "simulated": "true"}
                for rater, daily in zip(design.raters, panel.daily.tolist(), strict=True)]  # fmt: skip
    write_form(folder / "raters.csv", profiles, PROFILE_COLUMNS)
    return {
        "forms": str(forms),
        "raters": len(design.raters),
        "ratings": len(design.raters) * len(design.showings),
        "warnings": ["these raters are programs: what follows from them is no finding about people"],
    }
