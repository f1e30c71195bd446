"""Hand-crafted texture features with a support vector machine and a random forest, beside the frozen network."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt
from sklearn.ensemble import RandomForestClassifier
from sklearn.model_selection import GridSearchCV, PredefinedSplit
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from sorby.backbone.cache import FeatureCache
from sorby.backbone.pipeline import prepared
from sorby.classify import Recipe
from sorby.corpus import splits
from sorby.errors import InputError, SorbyError
from sorby.progress import bar
from sorby.workflow.experiments.ablations import COMMON, run_arms
from sorby.workflow.experiments.arms import Arm
from sorby.workflow.experiments.bench import Bench, Floats, Rows
from sorby.workflow.experiments.registry import Findings, Request, experiment
from sorby.workflow.experiments.texture import GROUPS, LENGTHS, SIDE_PX, describe_texture

_STORE_EVERY = 128
_TREES = 300
_C_GRID, _INNER_FOLDS = (1.0, 10.0), 3  # of the machine; more of either changes little and costs minutes


@dataclass(frozen=True, eq=False)
class TextureLearner:
    """A classical classifier on hand-crafted features.

    Attributes
    ----------
    bench : Bench
    recipe : Recipe
    features : ndarray of float32, shape (n, D)
    kind : {"svm", "forest"}
    """

    bench: Bench
    recipe: Recipe
    features: npt.NDArray[np.float32]
    kind: str

    def predict(self, train: Rows, test: Rows, name: str) -> Floats:
        """Teach on *train*; return votes (one-hot for the machine, shares for the forest) of *test*."""
        del name
        labels = self.bench.labels[train]
        if self.kind == "svm":
            model = self._machine(train)
        else:
            model = RandomForestClassifier(
                _TREES, class_weight="balanced", n_jobs=-1, random_state=self.recipe.seed % 2**31
            )
        model.fit(self.features[train], labels)
        found = np.zeros((len(test), len(self.bench.classes)))
        if self.kind == "svm":
            found[np.arange(len(test)), model.predict(self.features[test])] = 1.0
        else:
            found[:, model.classes_] = model.predict_proba(self.features[test])
        return found

    def _machine(self, train: Rows) -> GridSearchCV:
        """Return a machine with a radial kernel whose C is chosen by inner folds, specimens whole."""
        groups = None if self.bench.plan.groups is None else self.bench.plan.groups[train]
        folds = splits.kfold(
            self.bench.labels[train], _INNER_FOLDS, groups=groups, seed=self.recipe.seed, purpose="choosing C"
        )
        machine = make_pipeline(StandardScaler(), SVC(class_weight="balanced"))
        grid = {"svc__C": list(_C_GRID)}
        return GridSearchCV(machine, grid, scoring="f1_macro", cv=PredefinedSplit(folds), n_jobs=-1)


def _learner(kind: str, group: str | None, bench: Bench, recipe: Recipe) -> TextureLearner:
    features = texture_features(bench)
    if group is not None:
        start = sum(LENGTHS[name] for name in GROUPS[: GROUPS.index(group)])
        features = features[:, start : start + LENGTHS[group]]
    return TextureLearner(bench, recipe, features, kind)


def texture_features(bench: Bench) -> npt.NDArray[np.float32]:
    """Return the hand-crafted features of every image, shape (n, D), groups in the order of `GROUPS`; cached.

    Raises
    ------
    InputError
        An image cannot be read.
    """
    rule = bench.plan.preprocessing.model_copy(
        update={"height": SIDE_PX, "width": SIDE_PX, "sizing": "resize", "colour": "grey"}
    )
    cache = FeatureCache(f"texture-1|{','.join(GROUPS)}|{rule.key}")
    hashes, paths = list(bench.corpus.table["sha256"]), bench.corpus.paths()
    vectors = cache.get(hashes)
    todo = [k for k, digest in enumerate(hashes) if digest not in vectors]
    fresh: list[tuple[str, npt.NDArray[np.float32]]] = []
    with bar("texture", len(todo)) as advance:
        for k, pixels in prepared(todo, lambda k: rule.read(paths[k])):
            if isinstance(pixels, SorbyError):
                raise InputError(f"{paths[k]}: {pixels.message}", "take it out of the data") from pixels
            fresh.append((hashes[k], describe_texture(pixels[..., 0])))
            if len(fresh) >= _STORE_EVERY:
                cache.put(fresh)
                vectors.update(fresh)
                fresh = []
            advance(1)
    cache.put(fresh)
    vectors.update(fresh)
    return np.stack([vectors[digest] for digest in hashes])


def _making(kind: str, group: str | None = None) -> Callable[[Bench, Recipe], TextureLearner]:
    return partial(_learner, kind, group)


@experiment(
    "hand-crafted",
    "Hand-crafted texture features beside a frozen network",
    "S1-74",
    options=COMMON,
    question=(
        "Is a neural network needed, or do classical texture measures with a support vector machine or a "
        "random forest do as well?"
    ),
)
def hand_crafted(request: Request) -> Findings:
    """Compare hand-crafted features with the frozen network."""
    arms = [
        Arm("frozen network", "features of the recipe's backbone, linear head"),
        Arm("all, SVM", "every group below, radial kernel", make=_making("svm")),
        Arm("all, forest", f"every group below, {_TREES} trees", make=_making("forest")),
        Arm("LBP, SVM", "uniform local binary patterns at three radii", make=_making("svm", "lbp")),
        Arm("GLCM, SVM", "Haralick's grey-level co-occurrence statistics", make=_making("svm", "glcm")),
        Arm("Gabor, SVM", "energies of a Gabor bank, four scales and six directions", make=_making("svm", "gabor")),
        Arm("granulometry, SVM", "what openings and closings of growing size take away",
            make=_making("svm", "granulometry")),
    ]  # fmt: skip
    may = [f"What these texture measures, taken at {SIDE_PX} x {SIDE_PX} px, are worth beside this network."]
    may_not = ["What a specialist would reach with features made for this one material."]
    return run_arms(request, arms, "frozen network", may, may_not)
