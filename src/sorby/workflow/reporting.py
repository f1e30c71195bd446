"""The report of a run folder: read what it holds, find the images again, see where the classifier looked, write."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from sorby.attribution import overlay
from sorby.bundle import open_bundle
from sorby.classify import Classifier
from sorby.corpus import Corpus
from sorby.errors import BundleError, InputError
from sorby.files import write_text
from sorby.report.attention import Attention, look
from sorby.report.audit import SplitAudit, audit_split
from sorby.report.findings import Promise, promise
from sorby.report.gallery import Selection, Shelf, Shot, mosaic, select, shot
from sorby.report.run_page import RunFacts, RunPictures, run_page
from sorby.report.thumbnails import Uint8Image, shrink
from sorby.workflow.explaining import stage_layers
from sorby.workflow.runs import read_run

REPORT_FILE = "report.html"
_LONGEST_PX = 256  # of a picture on the page
_REFERENCES = 8
_COLORMAP, _OPACITY = "inferno", 0.5
_NOT_A_CLASSIFIER = (
    "This is an estimate of what the method reaches on these data, not a property of one classifier.",
    "It holds for images of this kind: same material, preparation, instrument class and scale.",
)
_STANDING = (
    "It judges images of the kind it was taught on: same material, preparation, instrument class and scale.",
    "An image of something new is referred only where it looks unfamiliar; not everything new does.",
)


def write_train_report(run_folder: Path, classifier: Classifier) -> Path:
    """Write ``report.html`` of a finished training.

    Parameters
    ----------
    run_folder : Path
        Holds ``run.json``, ``verdicts.parquet`` and ``corpus.parquet``.
    classifier : Classifier
        The one the run made, whose attention is shown.

    Returns
    -------
    Path
        The report; it appears whole or not at all.

    Raises
    ------
    InputError
        The folder holds no finished run, or cannot be written.
    """
    return _write(run_folder, classifier)


def write_crossval_report(run_folder: Path) -> Path:
    """Write ``report.html`` of a finished cross-validation, which keeps no classifier and so has no maps.

    Parameters
    ----------
    run_folder : Path

    Returns
    -------
    Path

    Raises
    ------
    InputError
        The folder holds no finished run, or cannot be written.
    """
    return _write(run_folder, None)


def _write(folder: Path, classifier: Classifier | None) -> Path:
    run = read_run(folder)
    verdicts = _read_verdicts(folder / "verdicts.parquet")
    corpus = Corpus.load(folder / "corpus.parquet")
    audit = _audit(run, corpus)
    facts = RunFacts(
        run=run,
        verdicts=verdicts,
        audit=audit,
        groups=_groups(run, verdicts),
        pixel_sizes_um=pd.to_numeric(corpus.table["pixel_size_um"], errors="coerce").to_numpy(np.float64),
        promise=_promise(run, classifier),
        limits=_limits(run),
        recipe_text=_recipe_text(folder),
    )
    path = folder / REPORT_FILE
    write_text(path, run_page(facts, _pictures(run, verdicts, corpus, classifier)))
    return path


# -- reading ----------------------------------------------------------------------------------------------


def _read_verdicts(path: Path) -> pd.DataFrame:
    try:
        return pd.read_parquet(path).reset_index(drop=True)
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: cannot be read", "the run folder is incomplete; run the training again") from error


def _recipe_text(folder: Path) -> str:
    path = folder / "recipe.yaml"
    return path.read_text("utf-8") if path.is_file() else "recipe.yaml is not in the run folder any more"


def _parts(run: dict[str, Any], corpus: Corpus) -> npt.NDArray[Any]:
    """Return the part of each image as the verdict table calls it."""
    column = "fold" if run["kind"] == "crossval" else "split"
    prefix = "fold-" if run["kind"] == "crossval" else ""
    return np.array([f"{prefix}{value}" for value in corpus.table[column]], dtype=object)


def _audit(run: dict[str, Any], corpus: Corpus) -> SplitAudit:
    table = corpus.table
    specimens = corpus.groups
    return audit_split(
        table["label"].tolist(),
        _parts(run, corpus).tolist(),
        run["classes"],
        table["sha256"].tolist(),
        [Path(path).name for path in table["path"]],
        None if specimens is None else specimens.tolist(),
    )


def _groups(run: dict[str, Any], verdicts: pd.DataFrame) -> npt.NDArray[Any] | None:
    """Return the specimen of each verdict where specimens count; an image without one is its own."""
    if not run["grouped"] or "specimen" not in verdicts:
        return None
    own = pd.Series([f"image:{path}" for path in verdicts["path"]], index=verdicts.index)
    groups: npt.NDArray[Any] = verdicts["specimen"].astype(object).fillna(own).astype(str).to_numpy(dtype=object)
    return groups


def _limits(run: dict[str, Any]) -> list[str]:
    """Return the limits the bundle states, or the general ones where there is no bundle."""
    if run["kind"] == "crossval":
        return list(_NOT_A_CLASSIFIER)
    try:
        with open_bundle(run["bundle"]["file"]) as bundle:
            if bundle.sha256 == run["bundle"]["sha256"]:
                return list(bundle.description.limits)
    except BundleError:
        pass  # moved or damaged since: the report is about the run, whose own limits are recorded
    return [*_STANDING, *run.get("limits", [])]


def _promise(run: dict[str, Any], classifier: Classifier | None) -> Promise:
    alpha = float(run["recipe"]["verdict"]["alpha"])
    measured = run["test"]["sets"]["coverage"]
    if classifier is not None:
        conformal = classifier.judge.conformal
        return promise(alpha, conformal.guaranteed_coverage, conformal.guarantee, measured)
    if run["recipe"]["regime"] == "frozen":  # CV+ over the inner folds
        words = f"at least 1 - 2 alpha = {1 - 2 * alpha:.4g} for large samples (CV+), usually near {1 - alpha:.4g}"
        return promise(alpha, 1 - 2 * alpha, words, measured)
    return promise(alpha, 1 - alpha, f"at least {1 - alpha:.4g} (split conformal)", measured)


def _shelf(run: dict[str, Any], verdicts: pd.DataFrame, corpus: Corpus, in_corpus: list[int | None]) -> Shelf:
    """Return where each image of the corpus may lie: as stored relative to the run folder, or where it was then."""
    stored = [PurePosixPath(path) for path in corpus.table["path"]]
    tails = [Path(*(part for part in path.parts if part != "..")) for path in stored]
    places = [[path] for path in corpus.paths()]
    matched = next(((k, row) for k, row in enumerate(in_corpus) if row is not None), None)
    if matched is not None:
        # The run folder may have been moved. Verdicts keep their paths relative to a recorded, absolute root.
        then = Path(os.path.normpath(Path(run["corpus"]["root"]) / verdicts["path"].iloc[matched[0]]))
        tail = tails[matched[1]]
        if then.parts[-len(tail.parts) :] == tail.parts:
            base = Path(*then.parts[: -len(tail.parts)])
            places = [[*found, base / each] for found, each in zip(places, tails, strict=True)]
    return Shelf(places, corpus.table["sha256"].fillna("").astype(str).tolist())


def _rows_in_corpus(run: dict[str, Any], verdicts: pd.DataFrame, corpus: Corpus) -> list[int | None]:
    """Return the corpus row of each verdict: within a part both keep the same order, wherever the folder went."""
    parts = _parts(run, corpus)
    rows: list[int | None] = [None] * len(verdicts)
    for part in verdicts["part"].unique():
        there, here = np.flatnonzero(parts == part), np.flatnonzero((verdicts["part"] == part).to_numpy())
        for k, row in zip(here, there, strict=False):
            if Path(verdicts["path"].iloc[k]).name == Path(corpus.table["path"].iloc[row]).name:
                rows[int(k)] = int(row)
    return rows


# -- pictures ---------------------------------------------------------------------------------------------


def _pictures(
    run: dict[str, Any], verdicts: pd.DataFrame, corpus: Corpus, classifier: Classifier | None
) -> RunPictures:
    in_corpus = _rows_in_corpus(run, verdicts, corpus)
    shelf, seed = _shelf(run, verdicts, corpus, in_corpus), int(run["recipe"]["seed"])
    chosen = select(verdicts, run["classes"])
    small, prepared = _read_shown(shelf, chosen, in_corpus, classifier)
    attention, no_maps, maps = (
        None,
        "Cross-validation keeps no classifier, so there are no maps of what it looked at.",
        {},
    )
    if classifier is not None:
        references = _references(shelf, in_corpus, classifier, seed)
        attention, no_maps = _attend(classifier, verdicts, prepared, references, seed)
    if attention is not None and classifier is not None:
        maps = dict(zip(prepared, attention.maps, strict=True))

    def shots(rows: Sequence[int]) -> list[Shot]:
        return [_shot(run, verdicts, k, small, maps, classifier, shelf, in_corpus) for k in rows]

    return RunPictures(
        strips=mosaic(shelf, corpus.labels.astype(str).tolist(), run["classes"], seed),
        errors=shots(chosen.errors),
        referred=shots(chosen.referred),
        examples=shots(chosen.examples),
        without_example=chosen.without_example,
        attention=attention,
        no_maps=no_maps,
        unseen=shelf.words(),
    )


Window = tuple[int, int, int, int]
Seen = dict[int, tuple[Uint8Image, tuple[int, int], Window | None]]
Maps = dict[int, npt.NDArray[np.float32]]


def _read_shown(
    shelf: Shelf, chosen: Selection, in_corpus: list[int | None], classifier: Classifier | None
) -> tuple[Seen, dict[int, Uint8Image]]:
    """Return the shown images scaled down, with their full size and what of it the network sees; and prepared."""
    small: Seen = {}
    prepared: dict[int, Uint8Image] = {}
    for k in chosen.rows:
        row = in_corpus[k]
        micrograph = None if row is None else shelf.read(row)
        if micrograph is not None:
            height, width = micrograph.pixels.shape[:2]
            window = None
            if classifier is not None:
                prepared[k] = classifier.prepared(micrograph)
                rule = classifier.preprocessing
                window = None if rule.sizing == "resize" and not rule.crops else rule.window(micrograph)
            small[k] = shrink(micrograph.pixels, _LONGEST_PX), (height, width), window
    return small, prepared


def _references(shelf: Shelf, in_corpus: list[int | None], classifier: Classifier, seed: int) -> npt.NDArray[np.uint8]:
    """Return test images drawn by chance, prepared: what is usual."""
    known = [row for row in in_corpus if row is not None]
    rng = np.random.default_rng(seed)
    found = [shelf.read(known[k]) for k in rng.permutation(len(known))[:_REFERENCES]]
    p = classifier.preprocessing
    pixels = [classifier.prepared(micrograph) for micrograph in found if micrograph is not None]
    return np.stack(pixels) if pixels else np.empty((0, p.height, p.width, p.channels), np.uint8)


def _attend(
    classifier: Classifier,
    verdicts: pd.DataFrame,
    prepared: dict[int, Uint8Image],
    references: npt.NDArray[np.uint8],
    seed: int,
) -> tuple[Attention | None, str]:
    """Return the attention on the prepared images, or why there is none."""
    if not prepared:
        return None, "No image could be read, so there are no maps of what the classifier looked at."
    code = {name: k for k, name in enumerate(classifier.classes)}
    targets = np.array([code[str(verdicts["predicted"].iloc[k])] for k in prepared], np.int64)
    images = np.stack(list(prepared.values()))
    try:
        found = look(classifier.logits_module(), images, targets, stage_layers(classifier), references, seed)
    except InputError as error:
        return None, f"There are no maps of what the classifier looked at: {error.message}."
    return found, ""


def _shot(
    run: dict[str, Any],
    verdicts: pd.DataFrame,
    k: int,
    small: Seen,
    maps: Maps,
    classifier: Classifier | None,
    shelf: Shelf,
    in_corpus: list[int | None],
) -> Shot:
    row = in_corpus[k]
    missing = "the corpus of the run does not hold it" if row is None else shelf.missing.get(row, "")
    pixels = small[k][0] if k in small else None
    overlaid, blank = None, False
    if pixels is not None and k in maps and classifier is not None:
        blank = not maps[k].any()
        overlaid = overlay(pixels, maps[k], _COLORMAP, _OPACITY, region=_region(*small[k]))
    part = str(verdicts["part"].iloc[k]) if run["kind"] == "crossval" else ""
    return shot(verdicts.iloc[k], pixels, overlaid, blank=blank, missing=missing, part=part)


def _region(pixels: Uint8Image, full: tuple[int, int], window: Window | None) -> Window | None:
    """Return which part of the shown picture the network saw; None for all of it."""
    if window is None:
        return None
    factor = pixels.shape[0] / full[0], pixels.shape[1] / full[1]
    start = [at * f for at, f in zip(window[:2], factor, strict=True)]
    size = [max(1, round(want * f)) for want, f in zip(window[2:], factor, strict=True)]
    return round(start[0]), round(start[1]), size[0], size[1]
