"""A trained classifier at work: images in, verdicts out; and its form as a bundle."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import repeat
from pathlib import Path
from typing import Any, Literal, cast

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from sorby.backbone.architecture import Backbone, StageFeatures, to_onnx
from sorby.backbone.architecture import load as load_backbone
from sorby.backbone.pipeline import stream
from sorby.backbone.preprocessing import Preprocessing, Uint8Image
from sorby.backbone.runtime import Device, OpenVINORuntime, Precision, Runtime, TorchRuntime, resolve_device
from sorby.bundle import Description, OpenBundle
from sorby.classify.cross_stitch import cross_stitched
from sorby.classify.heads import GRADE, Head, HeadSpec, head_arrays, head_from_arrays
from sorby.classify.judge import Judge, Verdicts
from sorby.classify.network import ClassifierNetwork
from sorby.classify.scoring_graphs import HeadOnStages, ScoresOnly
from sorby.classify.verdict import Verdict
from sorby.errors import BundleError, Quarantined, SorbyError
from sorby.micrograph import Micrograph, read

KIND = "classifier"
Regime = Literal["frozen", "finetune"]
_GRAPH = "model.onnx"
_TAUGHT = "taught.sha256"
_VERDICTS_AT_ONCE = 64

Features = npt.NDArray[np.float32]


def with_magnification(features: Features, magnification: npt.NDArray[np.float64]) -> Features:
    """Return features (N, D) with the magnification (N,) as last column; what is not above 0 is unknown."""
    known = np.where(magnification > 0, magnification, np.nan).astype(np.float32)
    return np.concatenate([features, known[:, None]], axis=1)


def short_hashes(hashes: Iterable[str]) -> npt.NDArray[np.uint64]:
    """Return the first 64 bits of SHA-256 hashes given as hexadecimal text."""
    return np.array([int(text[:16], 16) for text in hashes], np.uint64)


@dataclass(eq=False)
class _Job:
    """An image file on its way, and what reading it tells besides its pixels."""

    path: Path
    pixel_size_um: float | None = None  # as given, then as read
    magnification: float | None = None  # the same
    scale_source: str = "none"
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Asides:
    """What a head says of a batch besides its classes."""

    head: Head
    stages: dict[str, npt.NDArray[np.float64]]
    log_lengths: npt.NDArray[np.float64]

    @classmethod
    def of(cls, head: Head, features: Features) -> Asides:
        """Ask a head."""
        return cls(head, head.stages(features), head.log_lengths(features))

    def stages_of(self, k: int, label: int) -> dict[str, dict[str, float]]:
        """Return the stages that led to a label of image *k*."""
        if not self.stages:
            return {}
        structure = self.head.spec.structure
        subtype = structure.subtypes[structure.subtype[label]]
        if structure.subtypes == (GRADE,):  # plain grades: one scale, so there is no subtype to choose
            said = zip(structure.sizes[0], self.stages[GRADE][k], strict=True)
            return {GRADE: {word: float(value) for word, value in said}}
        named = {"subtype": structure.subtypes, subtype: structure.sizes[structure.subtype[label]]}
        return {
            (name if name == "subtype" else f"size of {name}"): {
                word: float(value) for word, value in zip(words, self.stages[name][k], strict=True)
            }
            for name, words in named.items()
        }

    def lengths_of(self, k: int) -> dict[str, tuple[float, float, float]]:
        """Return the lengths of image *k* in micrometres, each with the ends of its interval."""
        margin = self.head.length_margin.double().numpy()
        middle = self.log_lengths[k]
        ends = np.exp(np.stack([middle, middle - margin, middle + margin], axis=1))
        return {
            name: (float(row[0]), float(row[1]), float(row[2]))
            for name, row in zip(self.head.spec.lengths, ends, strict=True)
        }


class Classifier:
    """A classifier ready to give verdicts.

    Parameters
    ----------
    graph : HeadOnStages or ClassifierNetwork
        uint8 images (N, H, W, C) to (scores, features); its head is also applied in float32 outside of it.
    regime : {"frozen", "finetune"}
    classes : sequence of str
    preprocessing : Preprocessing
    fold_heads : sequence of Head, optional
        Heads of the inner folds, for CV+ sets.
    judge : Judge
    onnx : bytes, optional
        The graph, where it was exported before.
    runtime : Runtime, optional
        What runs the graph, where it was made before.
    taught : ndarray of uint64, shape (n,), optional
        First 64 bits of the SHA-256 of every image file that taught, chose or calibrated anything.
    """

    def __init__(
        self,
        graph: HeadOnStages | ClassifierNetwork,
        regime: Regime,
        classes: tuple[str, ...],
        preprocessing: Preprocessing,
        fold_heads: Sequence[Head] | None,
        judge: Judge,
        onnx: bytes | None = None,
        runtime: Runtime | None = None,
        taught: npt.NDArray[np.uint64] | None = None,
    ) -> None:
        self.graph = graph.eval()
        self.head = copy.deepcopy(graph.head).cpu().float().eval()  # the graph may move to another device
        self.regime, self.classes, self.preprocessing = regime, classes, preprocessing
        self.fold_heads, self.judge = None if fold_heads is None else tuple(fold_heads), judge
        self.taught = np.empty(0, np.uint64) if taught is None else taught
        self._onnx = onnx
        self._runtime = runtime
        self._made_for: tuple[str, Precision] = ("cuda" if isinstance(runtime, TorchRuntime) else "cpu", "auto")

    # -- running ------------------------------------------------------------------------------------------

    def onnx(self) -> bytes:
        """Return the graph as ONNX: ``images`` uint8 (n, H, W, C) to ``logits`` and ``features``."""
        if self._onnx is None:
            p = self.preprocessing
            self._onnx = to_onnx(self.graph, p.height, p.width, p.channels, ("logits", "features"))
        return self._onnx

    def runtime(self, device: Device = "auto", precision: Precision = "auto") -> Runtime:
        """Return what runs the graph: torch on CUDA, OpenVINO otherwise.

        Made once; again where another device or precision is asked for by name.
        """
        asked = (resolve_device(device), precision)
        if self._runtime is None or (asked != self._made_for and (device, precision) != ("auto", "auto")):
            p = self.preprocessing
            if asked[0] == "cuda":
                self._runtime = TorchRuntime(self.graph, device="cuda", precision=precision)
            else:
                self._runtime = OpenVINORuntime(self.onnx(), (p.height, p.width, p.channels), precision=precision)
            self._made_for = asked
        return self._runtime

    @property
    def reads_magnification(self) -> bool:
        """Whether the head reads the magnification beside the features."""
        return self.head.spec.magnification is not None

    def head_input(self, features: Features, magnification: npt.NDArray[np.float64] | None) -> Features:
        """Return what the head reads: the features, and as last column the magnification where it reads that."""
        if not self.reads_magnification:
            return features
        known = np.full(len(features), np.nan) if magnification is None else magnification
        return with_magnification(features, known)

    def judge_features(
        self,
        features: Features,
        pixel_size_um: npt.NDArray[np.float64] | None = None,
        magnification: npt.NDArray[np.float64] | None = None,
    ) -> Verdicts:
        """Return verdicts from features (N, D) that this classifier's graph has computed.

        Parameters
        ----------
        features : ndarray of float32, shape (N, D)
        pixel_size_um, magnification : ndarray, shape (N,), optional
            NaN where unknown. An image without magnification is referred where the head reads it.
        """
        sizes = np.full(len(features), np.nan) if pixel_size_um is None else pixel_size_um
        read = self.head_input(features, magnification)
        fold_logits = None if self.fold_heads is None else np.stack([h.scores(read) for h in self.fold_heads])
        found = self.judge.judge(self.head.scores(read), fold_logits, features, sizes)
        if self.reads_magnification:
            unknown = ~np.isfinite(read[:, -1])
            reasons = [(*codes, "magnification-unknown") if unknown[k] else codes
                       for k, codes in enumerate(found.reasons)]  # fmt: skip
            found = replace(found, reasons=reasons)
        return found

    def was_taught(self, hashes: Iterable[str]) -> npt.NDArray[np.bool_]:
        """Say for each image file, by its SHA-256, whether this classifier was made from it."""
        return np.isin(short_hashes(hashes), self.taught)

    def inspect(
        self,
        paths: Iterable[Path],
        *,
        device: Device = "auto",
        precision: Precision = "auto",
        pixel_size_um: float | Iterable[float | None] | None = None,
        magnification: float | Iterable[float | None] | None = None,
        progress: Callable[[int], None] | None = None,
    ) -> Iterator[Verdict | Quarantined]:
        """Give a verdict on each image file, in order, in constant memory.

        Parameters
        ----------
        paths : iterable of Path
            Consumed lazily.
        pixel_size_um : float or iterable of float or None, optional
            Scale of every image, or of each, overriding what the files say.
        magnification : float or iterable of float or None, optional
            The same for the magnification; it counts where the head reads it.
        progress : callable, optional
            Called with the number of images just finished.

        Yields
        ------
        Verdict or Quarantined
            A file that cannot be read is set aside and the others go on.
        """

        def prepare(job: _Job) -> Uint8Image:
            micrograph = read(job.path, pixel_size_um=job.pixel_size_um)
            scale = micrograph.scale
            job.pixel_size_um, job.scale_source, job.notes = scale.pixel_size_um, scale.source, micrograph.notes
            job.magnification = scale.magnification if job.magnification is None else job.magnification
            return self.preprocessing.prepare(micrograph)

        waiting: list[tuple[_Job, Features | SorbyError]] = []
        sizes = pixel_size_um if isinstance(pixel_size_um, Iterable) else repeat(pixel_size_um)
        powers = magnification if isinstance(magnification, Iterable) else repeat(magnification)
        jobs = (
            _Job(Path(path), size, power)
            for path, size, power in zip(paths, sizes, powers)  # noqa: B905 - sizes and powers may be endless
        )
        for job, outcome in stream(jobs, prepare, self.runtime(device, precision)):
            waiting.append((job, outcome if isinstance(outcome, SorbyError) else outcome[1]))
            if len(waiting) >= _VERDICTS_AT_ONCE:
                yield from self._decide(waiting)
                if progress is not None:
                    progress(len(waiting))
                waiting.clear()
        yield from self._decide(waiting)
        if progress is not None:
            progress(len(waiting))

    def _decide(self, waiting: list[tuple[_Job, Features | SorbyError]]) -> Iterator[Verdict | Quarantined]:
        good = [(job, outcome) for job, outcome in waiting if not isinstance(outcome, SorbyError)]
        verdicts: Iterator[Verdict] = iter(())
        if good:
            sizes = np.array([np.nan if job.pixel_size_um is None else job.pixel_size_um for job, _ in good])
            features = np.stack([outcome for _, outcome in good])
            powers = np.array([np.nan if job.magnification is None else job.magnification for job, _ in good])
            judged = self.judge_features(features, sizes, powers)
            asides = Asides.of(self.head, self.head_input(features, powers))
            verdicts = (self._verdict(job, judged, asides, k) for k, (job, _) in enumerate(good))
        for job, outcome in waiting:
            yield Quarantined.from_error(job.path, outcome) if isinstance(outcome, SorbyError) else next(verdicts)

    def _verdict(self, job: _Job, verdicts: Verdicts, asides: Asides, k: int) -> Verdict:
        p = verdicts.probabilities[k]
        return Verdict(
            image=job.path,
            label=self.classes[int(p.argmax())],
            confidence=float(p.max()),
            probabilities={name: float(value) for name, value in zip(self.classes, p, strict=True)},
            labels=tuple(name for name, inside in zip(self.classes, verdicts.sets[k], strict=True) if inside),
            novelty=float(verdicts.novelty[k]),
            reasons=verdicts.reasons[k],
            pixel_size_um=job.pixel_size_um,
            scale_source=job.scale_source,
            notes=job.notes,
            stages=asides.stages_of(k, int(p.argmax())),
            lengths_um=asides.lengths_of(k),
        )

    # -- looking inside -----------------------------------------------------------------------------------

    def logits_module(self, stage: str | None = None, magnification: float | None = None) -> nn.Module:
        """Return a torch module from uint8 images (N, H, W, C) to scores (N, C), for attribution; see `ScoresOnly`."""
        return ScoresOnly(self.graph, stage, magnification).eval()

    def prepared(self, micrograph: Micrograph) -> Uint8Image:
        """Return the pixels (H, W, C) that the network sees of a micrograph."""
        return self.preprocessing.prepare(micrograph)

    # -- as a bundle --------------------------------------------------------------------------------------

    def tensors(self) -> dict[str, dict[str, npt.NDArray[Any]]]:
        """Return the tensor files of the bundle: ``weights`` and ``calibration``."""
        weights = {key: value.detach().cpu().numpy() for key, value in self.graph.state_dict().items()}
        calibration = self.judge.as_arrays() | {_TAUGHT: self.taught}
        if self.fold_heads is not None:
            for k, head in enumerate(self.fold_heads):
                calibration |= head_arrays(head, f"fold_heads.{k}.")
        return {"weights": weights, "calibration": calibration}

    @property
    def backbone_section(self) -> dict[str, Any]:
        """Return what rebuilds the graph from its weights."""
        head = {"head": self.head.spec.model_dump(mode="json")}
        if isinstance(self.graph, HeadOnStages):
            networks = [cast(StageFeatures, network) for network in self.graph.networks]
            return {
                **head,
                "stages": [list(network.stages) for network in networks],
                "pooling": networks[0].pooling,
                "views": networks[0].views,
            }
        return head

    @classmethod
    def from_bundle(cls, bundle: OpenBundle) -> Classifier:
        """Rebuild a classifier from an open, verified bundle.

        Raises
        ------
        BundleError
            The description lacks something or does not fit the tensors.
        """
        description = bundle.description
        try:
            return cls._from_parts(description, bundle.tensors("weights"), bundle.tensors("calibration"), bundle)
        except (KeyError, ValueError, TypeError, RuntimeError, IndexError) as error:
            first = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise BundleError(
                f"bundle {description.name}: contents do not fit together ({first})", "train it again"
            ) from error

    @classmethod
    def _from_parts(
        cls,
        description: Description,
        weights: dict[str, npt.NDArray[Any]],
        calibration: dict[str, npt.NDArray[Any]],
        bundle: OpenBundle,
    ) -> Classifier:
        model: dict[str, Any] = dict(description.model)
        regime: Regime = model["regime"]
        preprocessing = Preprocessing.model_validate(description.preprocessing)
        size = (preprocessing.height, preprocessing.width)
        backbones = [_blank(facts, size) for facts in model["networks"]]
        head = Head(HeadSpec.model_validate(model["head"]))
        if list(head.spec.classes) != list(description.classes):
            raise ValueError(f"a head for {len(head.spec.classes)} classes, a bundle of {len(description.classes)}")
        graph: HeadOnStages | ClassifierNetwork
        if regime == "frozen":
            stages, views, pooling = model["stages"], model["views"], model["pooling"]
            networks = zip(backbones, stages, strict=True)
            graph = HeadOnStages([StageFeatures(each, tuple(k), views, pooling) for each, k in networks], head)
        else:
            graph = ClassifierNetwork(backbones, head)
        graph.load_state_dict({key: torch.from_numpy(np.array(value)) for key, value in weights.items()})
        folds = sorted({int(key.split(".")[1]) for key in calibration if key.startswith("fold_heads.")})
        fold_heads = [head_from_arrays(head.spec, calibration, f"fold_heads.{k}.") for k in folds] or None
        calibration = {key: value for key, value in calibration.items() if not key.startswith("fold_heads.")}
        taught = calibration.pop(_TAUGHT, None)
        sizes = description.novelty.get("pixel_sizes_um")
        judge = Judge.from_arrays(
            calibration,
            float(description.calibration["temperature"]),  # type: ignore[arg-type]
            float(description.novelty["rate"]),  # type: ignore[arg-type]
            (float(sizes[0]), float(sizes[1])) if isinstance(sizes, list) else None,  # type: ignore[arg-type]
        )
        classes = tuple(description.classes)
        return cls(graph, regime, classes, preprocessing, fold_heads, judge, bundle.read(_GRAPH), taught=taught)


def _blank(facts: dict[str, Any], size: tuple[int, int]) -> Backbone:
    """Return the network that a bundle names, without its weights."""
    blank = load_backbone(facts["name"], pretrained=False, size=size)
    if facts.get("stitched"):
        blank = cross_stitched(blank)
    return Backbone(blank.name, blank.module, tuple(facts["mean"]), tuple(facts["std"]), blank.source)


def load_bundle(bundle: OpenBundle, device: str) -> Classifier:
    """Load a classifier bundle for `sorby.bundle.load`; the graph is compiled for *device* at once."""
    classifier = Classifier.from_bundle(bundle)
    classifier.runtime(cast(Device, device))
    return classifier
