"""The published protocols: repeated standard runs and leave-one-out cross-validation (Yan et al. 2023, section 2.1).

Features are computed once for each sub-image. Run number i of both procedures draws the same good images, so that one
fit serves both, and their difference is due to the image held out and to nothing else.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from sorby.anomaly.detector import Detector, backbone_facts
from sorby.anomaly.embedding import Levels
from sorby.anomaly.recipe import AnomalyRecipe
from sorby.backbone.runtime import Device, Runtime
from sorby.errors import InputError
from sorby.evidence import Estimate
from sorby.evidence.localisation import localisation
from sorby.evidence.region_overlap import FPR_LIMIT, threshold_pro
from sorby.progress import bar
from sorby.workflow.anomaly.kept_maps import KeptMaps, backbone_runtime, keep
from sorby.workflow.anomaly.protocol_figures import Masks, RunFigures, measure
from sorby.workflow.anomaly.protocol_models import (
    detectors,
    fitted,
    graph_without,
    judged,
    judged_once,
    judged_without,
    learn_all,
    timed,
)
from sorby.workflow.anomaly.protocol_splits import Split, by_sheet, halved, with_negatives, without_held_out
from sorby.workflow.anomaly.sub_images import CELLS, SubImages

Floats32 = npt.NDArray[np.float32]

#: Repeats as published: of scratches at c = 1, and of pinholes.
SCRATCH_REPEATS, PINHOLE_REPEATS = 36, 20


@dataclass(frozen=True)
class ProtocolSettings:
    """What may be changed about a protocol.

    Attributes
    ----------
    features : tuple of (int or None)
        Numbers of features, None for all channels.
    repeats : int or None
        Standard runs; as published where None.
    held_out : int or None
        Runs of the leave-one-out procedure, 0 for none; one for each defective sub-image where None.
    train_share : float
        Share of the good sub-images that is learnt at c = 1.
    fpr_limit : float
        Where the integration of PRO ends.
    same_defect : bool
        Whether other sub-images of the held-out defect are held out with it; False for the published way.
    timings : int
        How often the test set is timed; a large one once.
    resamples : int
        Of the defects, for intervals of the first run.
    seed : int
    """

    features: tuple[int | None, ...] = (100, None)
    repeats: int | None = None
    held_out: int | None = None
    train_share: float = 0.5
    fpr_limit: float = FPR_LIMIT
    same_defect: bool = True
    timings: int = 3
    resamples: int = 1000
    seed: int = 0


@dataclass
class Example:
    """The maps of one run, for pictures.

    Attributes
    ----------
    rows : ndarray of int, (m,)
        Sub-images.
    maps : ndarray of float32, (m, H, W)
    threshold : float
        That of the run.
    weights : ndarray of float64, (m,)
    """

    rows: npt.NDArray[np.intp]
    maps: Floats32
    threshold: float
    weights: npt.NDArray[np.float64]


@dataclass
class HeldOut:
    """One run's outer loop.

    Attributes
    ----------
    row : int
        The sub-image held out.
    pro : float
        Mean overlap of its regions at the inner loop's threshold.
    threshold : float
    map : ndarray of float32, (H, W)
    """

    row: int
    pro: float
    threshold: float
    map: Floats32


@dataclass
class ArmResult:
    """What one number of features gave.

    Attributes
    ----------
    features : int or None
        None for all.
    length : int
        Of the vectors.
    standard, inner : list of RunFigures
        One a run.
    outer : list of HeldOut
    example : Example or None
        Of the first standard run.
    timing : list of (float, float)
        Inference and total seconds.
    scores : dict of int to list of float
        Scores of each tested sub-image over the standard runs.
    resampled : dict of str to dict
        Figures of the first standard run, each with its interval from resampling defects; see
        `sorby.evidence.localisation`.
    """

    features: int | None
    length: int
    standard: list[RunFigures] = field(default_factory=list)
    inner: list[RunFigures] = field(default_factory=list)
    outer: list[HeldOut] = field(default_factory=list)
    example: Example | None = None
    timing: list[tuple[float, float]] = field(default_factory=list)
    scores: dict[int, list[float]] = field(default_factory=dict)
    resampled: dict[str, dict[str, Any]] = field(default_factory=dict)


@dataclass
class ProtocolResult:
    """A protocol carried out.

    Attributes
    ----------
    kind : {"scratches", "pinholes"}
    c : int or None
        Of the 6c x 3c grid; None for tiles at native scale.
    subs : SubImages
    split : Split
        Of the first run.
    arms : list of ArmResult
    network : dict
        Backbone, weights, and where its maps were taken.
    seconds : float
    notes : list of str
        What a reader must know.
    """

    kind: str
    c: int | None
    subs: SubImages
    split: Split
    arms: list[ArmResult]
    network: dict[str, Any]
    settings: ProtocolSettings
    seconds: float = 0.0
    notes: list[str] = field(default_factory=list)

    @property
    def name(self) -> str:
        """Return ``scratches, c = 1`` or ``pinholes``."""
        return self.kind if self.c is None else f"{self.kind}, c = {self.c}"


def grid_factor(recipe: AnomalyRecipe) -> int | None:
    """Return c of a 6c x 3c grid, None for tiles.

    Raises
    ------
    InputError
        The views are neither.
    """
    views = recipe.views
    if views.kind == "tiles":
        return None
    c = views.rows // CELLS[0]
    if views.kind != "grid" or (views.rows, views.columns) != (CELLS[0] * c, CELLS[1] * c):
        raise InputError(
            f"views: a grid of {views.rows} x {views.columns} is none of 6c x 3c", "e.g. views.rows=18 columns=9"
        )
    return c


@dataclass(frozen=True)
class Models:
    """Unfitted detectors, one for each number of features, and what runs their common backbone."""

    detectors: list[Detector]
    runtime: Runtime


def open_models(recipe: AnomalyRecipe, features: Sequence[int | None], device: Device = "auto") -> Models:
    """Load the network once for several protocols of the same recipe.

    Raises
    ------
    MissingPartError
        Its weights are not at hand.
    """
    found = detectors(recipe, features)
    return Models(found, backbone_runtime(found[0], device))


def run_protocol(
    subs: SubImages,
    recipe: AnomalyRecipe,
    settings: ProtocolSettings | None = None,
    *,
    models: Models | None = None,
    device: Device = "auto",
) -> ProtocolResult:
    """Carry out the protocol that the recipe's views stand for.

    A 6 x 3 grid: 36 standard runs on random halves of the good sub-images, and leave-one-out. Finer grids: one run
    that learns the baseline sheets and tests the defective ones. Tiles: 20 runs with 36 random negatives, and
    leave-one-out.

    Parameters
    ----------
    subs : SubImages
        From `sorby.workflow.anomaly.sub_images.cut` with the same recipe.
    recipe : AnomalyRecipe
    settings : ProtocolSettings, optional
    models : Models, optional
        From `open_models` with the same recipe and numbers of features.
    device : {"auto", "cpu", "cuda"}

    Raises
    ------
    InputError
        The sub-images do not allow the protocol.
    MissingPartError
        The network's weights are not at hand.
    """
    started = time.perf_counter()
    settings = settings or ProtocolSettings()
    c = grid_factor(recipe)
    models = models or open_models(recipe, settings.features, device)
    pairs = zip(settings.features, models.detectors, strict=True)
    arms = [ArmResult(count, model.embedding.length) for count, model in pairs]
    runtime = models.runtime
    facts = backbone_facts(recipe, models.detectors[0].backbone)
    network = {**facts, "runtime": runtime.name, "precision": runtime.precision}
    way = _pinholes if c is None else _halves if c == 1 else _sheets
    split, notes = way(_Work(subs, models.detectors, arms, runtime, settings))
    kind = "pinholes" if c is None else "scratches"
    return ProtocolResult(kind, c, subs, split, arms, network, settings, time.perf_counter() - started, notes)


@dataclass
class _Work:
    """What the three ways of running share."""

    subs: SubImages
    models: list[Detector]
    arms: list[ArmResult]
    runtime: Runtime
    settings: ProtocolSettings

    def masks(self, rows: npt.NDArray[np.intp]) -> Masks:
        return [self.subs.masks[k] for k in rows]

    def standard(self, arm: ArmResult, split: Split, maps: Floats32) -> None:
        """Measure a standard run."""
        figures = measure(list(maps), self.masks(split.test), split.weights, self.settings.fpr_limit)
        arm.standard.append(figures)
        for row, peak in zip(split.test.tolist(), maps.reshape(len(maps), -1).max(1).tolist(), strict=True):
            arm.scores.setdefault(row, []).append(peak)
        if arm.example is None:
            arm.example = Example(split.test, maps, figures["threshold"], split.weights)
            arm.resampled = self.resample(split, maps)

    def resample(self, split: Split, maps: Floats32) -> dict[str, dict[str, Any]]:
        """Return the figures of a run with intervals from resampling what must stay together."""
        found = localisation(
            list(maps),
            self.masks(split.test),
            groups=[self.subs.groups[row] for row in split.test],
            weights=split.weights,
            fpr_limit=self.settings.fpr_limit,
            seed=self.settings.seed,
            n_resamples=self.settings.resamples,
        )
        return {key: value.as_dict() for key, value in found.items() if isinstance(value, Estimate)}

    def hold_out(self, arm: ArmResult, split: Split, maps: Floats32, row: int) -> None:
        """Measure a leave-one-out run: the inner loop without the image, then the image at its threshold."""
        inner = without_held_out(split, row, self.subs.groups, same_defect=self.settings.same_defect)
        figures = measure(list(maps), self.masks(inner.test), inner.weights, self.settings.fpr_limit)
        found = maps[int(np.flatnonzero(split.test == row)[0])]
        overlap = threshold_pro([found], self.masks(np.array([row])), figures["threshold"])
        arm.inner.append(figures)
        arm.outer.append(HeldOut(row, overlap.by_image, figures["threshold"], found))

    def time(self, arm: ArmResult, model: Detector, density: nn.Module, split: Split, most: int = 100) -> None:
        """Time the test set, good images as often as they count; a large one *most* times at most."""
        times = np.maximum(1, np.rint(split.weights)).astype(np.intp)
        pixels = self.subs.pixels[np.repeat(split.test, times)]
        arm.timing = [timed(model, density, self.runtime, pixels) for _ in range(min(most, self.settings.timings))]

    def runs(self, published: int) -> tuple[int, list[int]]:
        """Return the number of standard runs, and the sub-images held out in turn."""
        bad = np.flatnonzero(self.subs.bad)
        most = len(bad) if self.settings.held_out is None else min(self.settings.held_out, len(bad))
        # Of fewer runs than defects, those spread over all of them.
        chosen = bad[np.linspace(0, len(bad) - 1, most).round().astype(np.intp)] if most else bad[:0]
        return published if self.settings.repeats is None else self.settings.repeats, chosen.tolist()


def _halves(work: _Work) -> tuple[Split, list[str]]:
    """Scratches, c = 1: learn a random half of the good sub-images with their turns, test everything else."""
    subs, settings = work.subs, work.settings
    good, bad = np.flatnonzero(~subs.of_defective_sheet), np.flatnonzero(subs.bad)
    turns = work.models[0].turns
    idle = int((subs.of_defective_sheet & ~subs.bad).sum())
    notes = [f"{idle} sub-images of defective sheets show no labelled defect and take no part"] if idle else []
    first = halved(good, bad, 0, settings.seed, settings.train_share)
    good_maps = keep(work.runtime, subs.pixels, good, turns, "features of good sub-images")
    bad_maps = keep(work.runtime, subs.pixels, bad, 1, "features of defective ones")
    repeats, outer = work.runs(SCRATCH_REPEATS)

    def judge(model: Detector, split: Split) -> Floats32:
        train = good_maps.take(split.train, turns)
        return judged_once(model, train, _both(bad_maps, bad, good_maps, split), split.train, turns)

    def graph(model: Detector, split: Split) -> nn.Module:
        return fitted(model, good_maps.take(split.train, turns), split.train, turns)

    def split_of(run: int) -> Split:
        return halved(good, bad, run, settings.seed, settings.train_share)

    _each_run(work, repeats, outer, split_of, judge, graph)
    return first, notes


def _pinholes(work: _Work) -> tuple[Split, list[str]]:
    """Pinholes: learn every good tile but 36 random ones; sums of all are made once, those 36 are taken out again."""
    subs, settings = work.subs, work.settings
    good, bad = np.flatnonzero(~subs.bad), np.flatnonzero(subs.bad)
    repeats, outer = work.runs(PINHOLE_REPEATS)
    splits = [with_negatives(good, bad, run, settings.seed) for run in range(max(repeats, len(outer), 1))]
    drawn = np.unique(np.concatenate([split.test[len(bad) :] for split in splits]))
    memories, good_maps = learn_all(work.models, work.runtime, subs.pixels, good, drawn)
    bad_maps = keep(work.runtime, subs.pixels, bad, 1, "features of defective tiles")
    memory_of = {id(model): memory for model, memory in zip(work.models, memories, strict=True)}

    def judge(model: Detector, split: Split) -> Floats32:
        out = split.test[len(bad) :]
        asked = _both(bad_maps, bad, good_maps, split)
        return judged_without(model, memory_of[id(model)], good_maps.take(out), out, asked)

    def graph(model: Detector, split: Split) -> nn.Module:
        out = split.test[len(bad) :]
        return graph_without(model, memory_of[id(model)], good_maps.take(out), out)

    _each_run(work, repeats, outer, lambda run: splits[run], judge, graph)
    holes = len({subs.groups[row] for row in bad})
    notes = (
        [f"{len(bad)} tiles show {holes} holes: some lie across the border of two tiles"] if holes < len(bad) else []
    )
    if len(splits[0].test) - len(bad) < 36:
        notes.append(f"only {len(splits[0].test) - len(bad)} negatives: the sheets hold few good tiles")
    return splits[0], notes


def _sheets(work: _Work) -> tuple[Split, list[str]]:
    """Scratches, c = 3 and 5: baseline sheets are learnt, defective sheets tested, once."""
    subs = work.subs
    split = by_sheet(subs.of_defective_sheet, subs.bad)
    tested = np.sort(split.test)
    order = np.searchsorted(tested, split.test)
    memories, _ = learn_all(work.models, work.runtime, subs.pixels, split.train, np.empty(0, np.intp))
    maps = keep(work.runtime, subs.pixels, tested, 1, "features of defective sheets").take(tested)
    for model, arm, memory in zip(work.models, work.arms, memories, strict=True):
        density = memory.density(model.embedding)
        work.standard(arm, split, judged(model, density, maps)[order])
        work.time(arm, model, density, split, 1)
    notes = [
        "one run: no interval over runs; the negatives are sub-images of the defective sheets, at c = 1 they are of"
        " baseline sheets, so image figures of different c do not compare",
    ]
    return split, notes


def _both(bad_maps: KeptMaps, bad: npt.NDArray[np.intp], good_maps: KeptMaps, split: Split) -> Levels:
    """Return the maps of a run's test images: the defective ones, then the good ones."""
    pairs = zip(bad_maps.take(bad), good_maps.take(split.test[len(bad) :]), strict=True)
    return [torch.cat(pair) for pair in pairs]


def _each_run(
    work: _Work,
    repeats: int,
    outer: Sequence[int],
    split_of: Callable[[int], Split],
    judge: Callable[[Detector, Split], Floats32],
    graph: Callable[[Detector, Split], nn.Module],
) -> None:
    """Fit once a run and number of features; measure the standard run, and the one that holds an image out."""
    runs = max(repeats, len(outer), 1)
    with bar("runs", runs * len(work.arms)) as advance:
        for run in range(runs):
            split = split_of(run)
            for model, arm in zip(work.models, work.arms, strict=True):
                maps = judge(model, split)
                if run < max(repeats, 1):
                    work.standard(arm, split, maps)
                if run < len(outer):
                    work.hold_out(arm, split, maps, outer[run])
                if run == 0 and work.settings.timings:
                    work.time(arm, model, graph(model, split), split)
                advance(1)
