"""One classifier from one training part, in either regime; the same code serves train and every fold of crossval."""

from __future__ import annotations

import copy
import json
import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from sorby.backbone import FeatureExtractor
from sorby.backbone import load as load_backbone
from sorby.backbone.architecture import Backbone, StageFeatures, to_onnx
from sorby.backbone.pipeline import prepared
from sorby.backbone.runtime import Device, OpenVINORuntime, Runtime, TorchRuntime, resolve_device, run
from sorby.classify import Classifier, Recipe, Verdicts
from sorby.classify.classifier import short_hashes, with_magnification
from sorby.classify.cross_stitch import CrossStitched
from sorby.classify.finetune import OnEpoch, Part
from sorby.classify.heads import Head, HeadSpec, Targets, fit_head, spec_for
from sorby.classify.judge import cross_fitted_judge, held_out_judge
from sorby.classify.label_noise import learn_from_doubtful
from sorby.classify.network import ClassifierNetwork
from sorby.classify.recipe import BalanceSection, HeadSection
from sorby.classify.scoring_graphs import HeadOnStages
from sorby.classify.staged_finetune import FinetunedHead, finetune_head
from sorby.corpus import splits
from sorby.errors import InputError, Quarantined, SorbyError
from sorby.files import explained, sha256_bytes, write_json
from sorby.progress import bar
from sorby.workflow.generated_rows import drawn_parts, one_family, originals
from sorby.workflow.planning import Plan, magnifications
from sorby.workflow.ratings import ratings_of

Rows = npt.NDArray[np.intp]


@dataclass(frozen=True, eq=False)
class Fit:
    """A classifier and how it came about.

    Attributes
    ----------
    classifier : Classifier
    networks : list of dict
        ``name``, ``mean``, ``std``, ``source`` of the weights of each network.
    notes : dict
        Regime-specific: head trials, or the learning curve and best epoch.
    """

    classifier: Classifier
    networks: list[dict[str, Any]]
    notes: dict[str, Any] = field(default_factory=dict)


def _inner_groups(plan: Plan, rows: Rows) -> npt.NDArray[Any] | None:
    return None if plan.groups is None else plan.groups[rows]


def _backbone_facts(backbone: Backbone) -> dict[str, Any]:
    return {
        "name": backbone.name,
        "mean": list(backbone.mean),
        "std": list(backbone.std),
        "source": backbone.source.as_dict(),
        **({"stitched": True} if isinstance(backbone.module, CrossStitched) else {}),
    }


class FrozenTrainer:
    """The frozen regime: features once, a head for every training part in a second.

    Parameters
    ----------
    plan : Plan
    recipe : Recipe
    device : {"auto", "cpu", "cuda"}
    """

    needs_validation = False

    def __init__(self, plan: Plan, recipe: Recipe, device: Device = "auto") -> None:
        self.plan, self.recipe = plan, recipe
        p, chosen = plan.preprocessing, recipe.backbone
        names = [chosen.name, *([chosen.size_name] if chosen.size_name else [])]
        self._extractors = [
            FeatureExtractor(
                load_backbone(name, pretrained=chosen.pretrained, seed=recipe.seed, size=(p.height, p.width)),
                p,
                device=device,
                views=recipe.head.views,
                stages=chosen.stages,
                pooling=chosen.pooling,
            )
            for name in names
        ]
        self._features: npt.NDArray[np.float32] = np.empty((0, 0), np.float32)
        self._widths: list[int] = []

    def read_images(self, paths: Sequence[Path], hashes: Sequence[str]) -> tuple[Rows, list[Quarantined]]:
        """Compute the features of every image; return the readable rows and the others' reasons."""
        parts = []
        for extractor in self._extractors:
            with bar("features", len(paths)) as advance:
                extracted = extractor.extract(paths, hashes, advance)
            part = np.zeros((len(paths), extracted.features.shape[1]), np.float32)
            part[extracted.kept] = extracted.features
            parts.append(part)
        self._features, self._widths = np.concatenate(parts, axis=1), [part.shape[1] for part in parts]
        return extracted.kept, extracted.quarantined

    @property
    def features(self) -> npt.NDArray[np.float32]:
        """Features of the plan's rows, shape (n, D)."""
        return self._features

    def keep(self, plan: Plan, kept: Rows) -> None:
        """Go on with the readable rows only."""
        self.plan, self._features = plan, self._features[kept]

    def fit(self, train: Rows, validation: Rows, name: str) -> Fit:
        """Fit on the training and validation rows together; inner folds take the validation part's place."""
        del name  # no state on disk
        everything = np.sort(np.concatenate([train, validation]))
        plan, recipe = self.plan, self.recipe
        rows = originals(plan, everything)  # generated images teach the last head; inner folds judge
        labels, groups = plan.labels[rows], _inner_groups(plan, rows)
        folds = splits.kfold(
            plan.names[rows], recipe.head.folds, groups=groups, seed=recipe.seed, purpose="calibrating"
        )
        images, targets = self._features[rows], plan.targets.take(rows)
        features = images
        if recipe.head.magnification != "none":
            features = with_magnification(images, magnifications(plan.corpus)[rows])
        spec = spec_for(
            recipe.head, plan.classes, inputs=features.shape[1], parts=plan.parts, lengths=plan.lengths, frozen=True
        )
        parts = (self._widths[0], self._widths[1]) if len(self._widths) == 2 else None
        learn = partial(
            fit_head, features, targets, spec, folds, balance=recipe.balance, parts=parts,
            length_alpha=recipe.verdict.alpha, seed=recipe.seed,
        )  # fmt: skip
        doubted = learn_from_doubtful(
            learn,
            recipe.head,
            recipe.labels,
            labels,
            lambda: ratings_of(plan.corpus.take(rows), plan.classes, recipe.labels.merge),
        )
        fitted = doubted.fitted
        judge = cross_fitted_judge(fitted, images, labels, groups, recipe.verdict, _range_um(plan, rows))
        head = fitted.head if len(rows) == len(everything) else self._with_generated(everything, fitted.c, spec, parts)
        graph = HeadOnStages([extractor.graph for extractor in self._extractors], head)
        classifier = Classifier(
            graph,
            "frozen",
            plan.classes,
            plan.preprocessing,
            fitted.fold_heads,
            judge,
            taught=_hashes(plan, everything),
        )
        runtime = self._extractors[0].runtime
        notes = {
            "c": fitted.c,
            "head_trials": fitted.trials,
            "inner_folds": int(folds.max()) + 1,
            "calibrated_on": f"{len(rows)} training images, cross-fitted",
            "runtime": f"{runtime.name} {runtime.precision}",
            **({"label_noise": doubted.notes} if doubted.notes else {}),
            **_generated_note(len(everything) - len(rows)),
        }
        return Fit(classifier, [_backbone_facts(each.backbone) for each in self._extractors], notes)

    def _with_generated(self, rows: Rows, c: dict[str, float], spec: HeadSpec, parts: tuple[int, int] | None) -> Head:
        """Return the head of originals and generated images, at the strength that the originals' folds chose."""
        plan, recipe = self.plan, self.recipe
        if recipe.labels.noise != "none":
            raise InputError("labels.noise with generated images: their labels are the generator's", "leave one out")
        features = self._features[rows]
        if recipe.head.magnification != "none":
            features = with_magnification(features, magnifications(plan.corpus)[rows])
        section = recipe.head.model_copy(update={"c_grid": tuple(sorted(set(c.values()))) or recipe.head.c_grid})
        folds = splits.kfold(plan.names[rows], 2, seed=recipe.seed)  # their heads are not used
        return fit_head(
            features, plan.targets.take(rows), spec, folds, section, balance=recipe.balance, parts=parts,
            length_alpha=recipe.verdict.alpha, seed=recipe.seed,
        ).head  # fmt: skip

    def with_recipe(self, recipe: Recipe) -> FrozenTrainer:
        """Return a trainer of another head on the same features: only head, balance, labels and verdict may differ."""
        other = copy.copy(self)
        other.recipe = recipe
        return other

    def verdicts(self, fit: Fit, rows: Rows) -> Verdicts:
        """Return the verdicts of some rows."""
        sizes, powers = _pixel_sizes(self.plan, rows), magnifications(self.plan.corpus)[rows]
        return fit.classifier.judge_features(self._features[rows], sizes, powers)


class FinetuneTrainer:
    """The fine-tuned regime: prepared pixels on disk, one network for every training part.

    Parameters
    ----------
    plan : Plan
    recipe : Recipe
    state_folder : Path
        Holds prepared pixels and checkpoints until the run is complete.
    device : {"auto", "cpu", "cuda"}
    """

    needs_validation = True

    def __init__(self, plan: Plan, recipe: Recipe, state_folder: Path, device: Device = "auto") -> None:
        self.plan, self.recipe, self._state, self._device = plan, recipe, state_folder, device
        self._pixels: npt.NDArray[np.uint8] = np.empty((0, 1, 1, 1), np.uint8)
        self._place: Rows = np.arange(len(plan.labels))  # where each row of the plan lies in the pixels

    def read_images(self, paths: Sequence[Path], hashes: Sequence[str]) -> tuple[Rows, list[Quarantined]]:
        """Decode and prepare every image once, into a memory-mapped file."""
        p = self.plan.preprocessing
        shape = (len(paths), p.height, p.width, p.channels)
        identity = sha256_bytes(f"{p.key}{shape}{''.join(hashes)}".encode())
        store, marker = self._state / "pixels.npy", self._state / "pixels.json"
        if marker.is_file():
            found = json.loads(marker.read_text("utf-8"))
            if found["identity"] == identity:
                self._pixels = np.lib.format.open_memmap(store, mode="r")
                return np.array(found["kept"], np.intp), [Quarantined(**entry) for entry in found["quarantined"]]
        marker.unlink(missing_ok=True)  # before the pixels it vouches for are overwritten
        pixels = _blank_pixels(store, shape)
        quarantined: list[Quarantined] = []
        kept: list[int] = []
        with bar("decoding", len(paths)) as advance:
            for k, outcome in prepared(range(len(paths)), lambda k: p.read(paths[k])):
                if isinstance(outcome, SorbyError):
                    quarantined.append(Quarantined.from_error(paths[k], outcome))
                else:
                    pixels[k] = outcome
                    kept.append(k)
                advance(1)
        pixels.flush()
        self._pixels = pixels
        facts = {"identity": identity, "kept": kept, "quarantined": [entry.as_dict() for entry in quarantined]}
        write_json(marker, facts)
        return np.array(kept, np.intp), quarantined

    def keep(self, plan: Plan, kept: Rows) -> None:
        """Go on with the readable rows only."""
        self.plan, self._place = plan, kept

    def fit(self, train: Rows, validation: Rows, name: str) -> Fit:
        """Train the network; a part of the training rows is kept for calibration alone."""
        plan, recipe = self.plan, self.recipe
        share = recipe.finetune.calibration_fraction
        if one_family(plan, train):
            # Generated images join all that teaches: what they were not made from is the validation part alone.
            taught, held, whence = train, validation, "validation images, which chose the epoch"
        else:
            parts = drawn_parts(
                plan,
                train,
                lambda names, groups: splits.holdout(
                    names, (1 - share, share), groups=groups, seed=recipe.seed, names=("train", "calibration")
                ),
                "train",
            )
            taught, held = train[parts == "train"], originals(plan, train[parts == "calibration"])
            whence = "images that neither training nor early stopping saw"
        for what, rows in (("train", taught), ("validation", validation), ("calibration", held)):
            if not len(rows) and (what != "validation" or recipe.finetune.keep == "best"):
                raise InputError(f"the {what} part is empty", "add images, or use the frozen regime")
        part, doubts = self._believed(taught)
        spec = spec_for(recipe.head, plan.classes, inputs=1, parts=plan.parts, lengths=plan.lengths, frozen=False)
        done = finetune_head(recipe, spec, part, self._part(validation), self._state / name, device=self._device)
        plan.warnings.extend(_collapses(done.notes, name))
        head = done.network.head
        p = plan.preprocessing
        shape = (p.height, p.width, p.channels)
        # Calibrated by the runtime that judges: bf16 on a GPU and on a CPU differ in the last digits.
        onnx, runtime = self._runtime(done.network, shape)
        if spec.lengths:
            # How far lengths miss shapes the scores of a head by length: taken from the validation part, so that
            # the sets rest on answers nobody has seen; and the graph is written again with it.
            head.set_length_spread(self._missed(runtime, head, validation))
            onnx, runtime = self._runtime(done.network, shape)
            head.set_length_margin(self._missed(runtime, head, held), recipe.verdict.alpha)
        taught_features, held_features = self._embed(runtime, taught), self._embed(runtime, held)
        judge = held_out_judge(
            (taught_features, plan.labels[taught]),
            (held_features, plan.labels[held], copy.deepcopy(head).cpu().float().eval().scores(held_features)),
            _inner_groups(plan, held),
            recipe.verdict,
            _range_um(plan, np.concatenate([taught, held])),
        )
        used = np.concatenate([train, validation])
        classifier = Classifier(
            done.network, "finetune", plan.classes, p, None, judge, onnx, runtime, _hashes(plan, used)
        )
        notes = {
            **done.notes,
            **({"label_noise": {**doubts, "judged_by": "a flat head on frozen features"}} if doubts else {}),
            "calibrated_on": f"{len(held)} {whence}",
            **_generated_note(int(plan.synthetic[taught].sum())),
            "runtime": f"{runtime.name} {runtime.precision}",
        }
        return Fit(classifier, [_backbone_facts(each) for each in done.backbones], notes)

    def train_network(
        self, recipe: Recipe, train: Rows, validation: Rows, name: str, on_epoch: OnEpoch | None = None
    ) -> FinetunedHead:
        """Train a network by another recipe on the same pixels, and nothing else: no calibration, no judge.

        Parameters
        ----------
        recipe : Recipe
            Its image section must be the one the pixels were prepared by.
        train, validation : ndarray of int
        name : str
            Of the folder that holds the checkpoint.
        on_epoch : callable, optional
            See `sorby.classify.finetune.finetune`.
        """
        plan = self.plan
        spec = spec_for(recipe.head, plan.classes, inputs=1, parts=plan.parts, lengths=plan.lengths, frozen=False)
        parts = self._part(train), self._part(validation)
        return finetune_head(recipe, spec, *parts, self._state / name, device=self._device, on_epoch=on_epoch)

    def _runtime(self, network: ClassifierNetwork, shape: tuple[int, int, int]) -> tuple[bytes, Runtime]:
        """Return the network as a graph, and what runs it."""
        onnx = to_onnx(network, *shape, ("logits", "features"))
        if resolve_device(self._device) == "cuda":
            return onnx, TorchRuntime(network, device="cuda")
        return onnx, OpenVINORuntime(onnx, shape)

    def _missed(self, runtime: Runtime, head: Head, rows: Rows) -> npt.NDArray[np.float64]:
        """Return truth minus prediction of the logarithms of lengths, from a head on the CPU."""
        own = copy.deepcopy(head).cpu().float().eval()
        return np.asarray(self.plan.targets.log_lengths[rows] - own.log_lengths(self._embed(runtime, rows)))

    def _part(self, rows: Rows) -> Part:
        return Part(self._pixels, self._place[rows], self.plan.targets.take(rows))

    def _believed(self, rows: Rows) -> tuple[Part, dict[str, Any]]:
        """Return what the network is taught: where labels are doubted, the classes that frozen features speak for."""
        plan, recipe = self.plan, self.recipe
        if recipe.labels.noise == "none":
            return self._part(rows), {}
        p, chosen, labels = plan.preprocessing, recipe.backbone, plan.labels[rows]
        shape = (p.height, p.width, p.channels)
        backbone = load_backbone(chosen.name, pretrained=chosen.pretrained, seed=recipe.seed, size=(p.height, p.width))
        features = self._run(OpenVINORuntime(to_onnx(StageFeatures(backbone), *shape, ("features",)), shape), rows)[0]
        folds = splits.kfold(
            plan.names[rows], 5, groups=_inner_groups(plan, rows), seed=recipe.seed, purpose="doubting labels"
        )
        learn = partial(
            fit_head, features, Targets.plain(labels), HeadSpec(classes=plan.classes, inputs=features.shape[1]), folds,
            balance=BalanceSection(), seed=recipe.seed,
        )  # fmt: skip
        doubted = learn_from_doubtful(
            learn,
            HeadSection(),
            recipe.labels,
            labels,
            lambda: ratings_of(plan.corpus.take(rows), plan.classes, recipe.labels.merge),
        )
        kept, classes = doubted.believed(len(rows))
        part = self._part(rows[kept])
        return Part(part.pixels, part.rows, part.targets.relabelled(classes)), doubted.notes

    def _embed(self, runtime: Runtime, rows: Rows) -> npt.NDArray[np.float32]:
        return self._run(runtime, rows)[1]

    def _run(self, runtime: Runtime, rows: Rows) -> tuple[npt.NDArray[np.float32], ...]:
        step, places = 256, self._place[rows]  # 256 images held in memory at once
        parts = [run(runtime, self._pixels[places[k : k + step]]) for k in range(0, len(places), step)]
        return tuple(np.concatenate(each) for each in zip(*parts, strict=True))

    def verdicts(self, fit: Fit, rows: Rows) -> Verdicts:
        """Return the verdicts of some rows."""
        features = self._embed(fit.classifier.runtime(self._device), rows)
        return fit.classifier.judge_features(features, _pixel_sizes(self.plan, rows))

    def forget(self) -> None:
        """Remove prepared pixels and checkpoints of a complete run."""
        self._pixels = np.empty((0, 1, 1, 1), np.uint8)
        shutil.rmtree(self._state, ignore_errors=True)


def _collapses(notes: dict[str, Any], name: str) -> list[str]:
    """Say which trainings, stage by stage, collapsed on the way."""
    stages = notes.get("stages", {"": notes})
    where = "" if name == "train" else f"{name}: "
    return [
        f"{where}{f'stage {stage}: ' if stage else ''}{stage_notes['collapse']['sentence']}"
        for stage, stage_notes in stages.items()
        if stage_notes["collapse"] is not None
    ]


def _blank_pixels(file: Path, shape: tuple[int, ...]) -> np.memmap[tuple[int, ...], np.dtype[np.uint8]]:
    """Make the file of prepared pixels, its whole size taken from the disk at once.

    A memory-mapped file that meets a full disk later kills the process.
    """
    with explained(file):
        file.parent.mkdir(parents=True, exist_ok=True)
        pixels = np.lib.format.open_memmap(file, mode="w+", dtype=np.uint8, shape=shape)
        if hasattr(os, "posix_fallocate"):
            with open(file, "r+b") as handle:
                os.posix_fallocate(handle.fileno(), 0, file.stat().st_size)
    return pixels


def _generated_note(count: int) -> dict[str, Any]:
    return {"generated_images": f"{count} taught beside the originals; none chose or calibrated"} if count else {}


def _pixel_sizes(plan: Plan, rows: Rows) -> npt.NDArray[np.float64]:
    """Return the pixel size of some rows in micrometres, NaN where unknown."""
    if "pixel_size_um" not in plan.corpus.table:
        return np.full(len(rows), np.nan)
    sizes: npt.NDArray[np.float64] = plan.corpus.table["pixel_size_um"].to_numpy(np.float64)[rows]
    return sizes


def _hashes(plan: Plan, rows: Rows) -> npt.NDArray[np.uint64]:
    return np.sort(short_hashes(plan.corpus.table["sha256"].to_numpy()[rows]))


def _range_um(plan: Plan, rows: Rows) -> tuple[float, float] | None:
    """Return the smallest and largest pixel size of the taught rows, None where none is known.

    Not of the whole corpus: test images would then never lie outside it.
    """
    sizes = _pixel_sizes(plan, rows)
    known = sizes[np.isfinite(sizes)]
    return (float(known.min()), float(known.max())) if len(known) else None


def make_trainer(plan: Plan, recipe: Recipe, state_folder: Path, device: Device) -> FrozenTrainer | FinetuneTrainer:
    """Return the trainer of the recipe's regime."""
    if recipe.regime == "frozen":
        return FrozenTrainer(plan, recipe, device)
    return FinetuneTrainer(plan, recipe, state_folder, device)
