"""Right for the wrong reason: do right verdicts look at the cues, magnification by magnification?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from PIL import Image

from sorby.attribution import FRACTURE_CUES, cue_match
from sorby.classify import Classifier, Recipe
from sorby.errors import InputError
from sorby.evidence import Estimate, proportion, share
from sorby.micrograph import read
from sorby.report.experiment_page import Column, Table
from sorby.report.wording import percent
from sorby.workflow.experiments.arms import RecipeLearner
from sorby.workflow.experiments.bench import Bench, Floats, Rows
from sorby.workflow.explaining import explain_each
from sorby.workflow.planning import magnifications
from sorby.workflow.runs import noting

Preference = Literal["prefers", "does not prefer", "can hardly miss"]
_CUES = {name: FRACTURE_CUES[name] for name in ("origin or class cue", "mirror", "hackle", "contamination")}
_DECISIVE = "origin or class cue"
_ODDS = 1.25  # of the map's mass on the cue, against an even map's, from which it prefers it
_FILLED = 0.7  # share of the picture from which a cue is hard to miss
_AT_ONCE = 16  # images explained in one pass
_NEAR = 0.05  # of the map's width: the pointing game accepts a peak this near


class CueLearner(RecipeLearner):
    """A recipe's trainer that also keeps, for some tested images, where the classifier looked.

    Parameters
    ----------
    bench : Bench
        Its corpus names cue images (column ``cues``, relative to the corpus as image paths are).
    recipe : Recipe
    per_level : int
        Images of each magnification that are explained, drawn with the recipe's seed.

    Attributes
    ----------
    rows : list of int
        Images explained.
    found : dict
        Cue name to a list with ``shown``, ``hit``, ``inside``, ``area`` of each.
    """

    def __init__(self, bench: Bench, recipe: Recipe, per_level: int) -> None:
        super().__init__(bench, recipe)
        self._bench = bench
        self._chosen = set(_some_of_each(magnifications(bench.corpus), per_level, recipe.seed).tolist())
        self.rows: list[int] = []
        self.found: dict[str, list[tuple[bool, bool, float, float]]] = {name: [] for name in _CUES}

    def predict(self, train: Rows, test: Rows, name: str) -> Floats:
        """Teach, explain the chosen images of *test*, and return the probabilities of all of it."""
        with noting(self._warnings):
            taught, validation = self._parts(train)
            fit = self._trainer.fit(taught, validation, name)
            found = np.zeros((len(test), self._n_classes))
            found[:, self._columns] = self._trainer.verdicts(fit, test).probabilities
        cues = cue_paths(self._bench)
        place = {int(row): k for k, row in enumerate(test)}
        chosen = [row for row in place if row in self._chosen and cues[row] is not None]
        own = np.full(self._n_classes, -1, np.intp)  # the classifier's code of each class of the bench
        own[self._columns] = np.arange(len(self._columns))
        called = own[found.argmax(axis=1)]
        for start in range(0, len(chosen), _AT_ONCE):
            rows = chosen[start : start + _AT_ONCE]
            self._explain(fit.classifier, rows, called[[place[row] for row in rows]], cues)
        return found

    def _explain(self, classifier: Classifier, rows: list[int], called: Rows, cues: list[Path | None]) -> None:
        """Keep where the classifier looked on some images for the class it called."""
        paths, powers = self._bench.corpus.paths(), magnifications(self._bench.corpus)
        images = np.stack([classifier.prepared(read(paths[row])) for row in rows])
        known = [float(powers[row]) if np.isfinite(powers[row]) else None for row in rows]
        for row, cam in zip(rows, explain_each(classifier, images, called, known), strict=True):
            cue_file = cues[row]
            assert cue_file is not None, "only images with cues are explained"
            self._keep(row, cam[None], np.array(Image.open(cue_file))[None])

    def _keep(self, row: int, maps: npt.NDArray[np.float32], cues: npt.NDArray[np.uint8]) -> None:
        self.rows.append(row)
        for match in cue_match(maps, cues, _CUES, tolerance_px=_NEAR * maps.shape[2]):
            self.found[match.cue].append(
                (bool(match.shown[0]), bool(match.hit[0]), float(match.inside[0]), float(match.area[0]))
            )


def cue_paths(bench: Bench) -> list[Path | None]:
    """Return the cue image of every row, None where there is none.

    Raises
    ------
    InputError
        A cue image is named and not there.
    """
    root = bench.corpus.root
    found: list[Path | None] = []
    for name in bench.column("cues"):
        path = root / name if name else None
        if path is not None and not path.is_file():
            raise InputError(f"{path}: the cue image is not there", "mend column cues, or take it out")
        found.append(path)
    return found


def _some_of_each(powers: npt.NDArray[np.float64], per_level: int, seed: int) -> Rows:
    """Draw up to so many rows of each magnification."""
    rng = np.random.default_rng([seed, 47])
    order = rng.permutation(len(powers))
    _, level = np.unique(powers[order], return_inverse=True)
    sorted_order = np.argsort(level, kind="stable")
    starts = np.flatnonzero(np.diff(level[sorted_order], prepend=-1))
    within = np.arange(len(order)) - np.repeat(starts, np.diff(np.append(starts, len(order))))
    return np.asarray(order[sorted_order[within < per_level]])


def cue_rows(
    learner: CueLearner, called: Rows, bench: Bench, powers: npt.NDArray[np.float64], levels: npt.NDArray[np.float64]
) -> list[dict[str, Any]]:
    """Return one row a magnification (and class ``all`` or its name): how often right verdicts looked at the cue.

    Intervals of shares are by specimen.

    Parameters
    ----------
    learner : CueLearner
        After all folds.
    called : ndarray of int, shape (n,)
    bench : Bench
    powers : ndarray, shape (n,)
    levels : ndarray
    """
    rows = np.array(learner.rows, np.intp)
    right = called[rows] == bench.labels[rows]
    specimens, seed = None if bench.specimens is None else bench.specimens[rows], bench.recipe.seed
    decisive = np.array(learner.found[_DECISIVE], np.float64).reshape(-1, 4)
    shown, hit = decisive[:, 0] > 0, decisive[:, 1] > 0
    found = []
    for level in levels:
        for name, of_class in (("all", np.ones(len(rows), bool)),
                               *((name, bench.labels[rows] == c) for c, name in enumerate(bench.classes))):  # fmt: skip
            here = (powers[rows] == level) & of_class & right
            if not here.any():
                continue
            seen = here & shown
            entry: dict[str, Any] = {
                "name": f"{level:g}x",
                "magnification": float(level),
                "class": name,
                "n_right": int(here.sum()),
                "without_cue": _by_specimen(~shown, here, specimens, seed).as_dict(),
                "pointed": _by_specimen(hit, seen, specimens, seed).as_dict(),
                "inside": _mean(decisive[seen, 2]),
                "area": _mean(decisive[seen, 3]),
            }
            for cue in _CUES:
                values = np.array(learner.found[cue], np.float64).reshape(-1, 4)
                entry[f"mass_{cue.replace(' ', '_')}"] = _mean(values[here, 2])
            found.append(entry)
    return found


def _by_specimen(
    hit: npt.NDArray[np.bool_], among: npt.NDArray[np.bool_], specimens: npt.NDArray[Any] | None, seed: int
) -> Estimate:
    """Share of some images that something holds for; images of one specimen are no independent ones."""
    if not among.any():
        return proportion(0, 0)
    return share(hit[among], None if specimens is None else specimens[among], seed)


def _mean(values: npt.NDArray[np.float64]) -> float | None:
    known = values[np.isfinite(values)]
    return float(known.mean()) if known.size else None


def cue_table(rows: Sequence[Mapping[str, Any]]) -> Table:
    """Return the page's table of `cue_rows`."""
    columns = (
        Column("name", "magnification"),
        Column("class", "class"),
        Column("n_right", "right verdicts explained", "count"),
        Column("without_cue", "cue not in the picture", "share"),
        Column("pointed", "peak of the map on the cue", "share"),
        Column("inside", "map's mass on the cue", "share"),
        Column("area", "what an even map would have there", "share"),
        Column("mass_contamination", "mass on contamination", "share"),
    )
    return Table("Right verdicts: did the classifier look at the origin or the class's cue?", columns, rows)


def cue_sentences(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Say at which magnification right verdicts do not rest on the cue."""
    said = []
    for row in rows:
        if row["class"] != "all" or row["inside"] is None:
            continue
        said.append(
            f"{row['name']}: the cue is missing from {percent(row['without_cue']['value'])} of the right verdicts'"
            f" pictures; where it is there, the map {preference(row['inside'], row['area'])} it"
            f" ({percent(row['inside'])} of its mass on {percent(row['area'])} of the picture)."
        )
    return said


def preference(inside: float, area: float) -> Preference:
    """Say whether a map prefers a place, by the odds of its mass against those of an even map.

    A ratio of shares would not do: a place that fills most of the picture cannot hold much more than its share. From
    seven tenths on there is too little left outside to tell at all.
    """
    if area > _FILLED:
        return "can hardly miss"
    return "prefers" if inside * (1 - area) > _ODDS * area * (1 - inside) else "does not prefer"
