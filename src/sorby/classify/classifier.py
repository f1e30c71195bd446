"""A trained classifier at work: images in, verdicts out; and its form as a bundle."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import repeat
from pathlib import Path
from typing import Any, Literal, cast

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from sorby.backbone.architecture import Backbone, StageFeatures, statistics, to_onnx
from sorby.backbone.architecture import load as load_backbone
from sorby.backbone.pipeline import stream
from sorby.backbone.preprocessing import Preprocessing, Uint8Image
from sorby.backbone.runtime import Device, OpenVINORuntime, Precision, Runtime, TorchRuntime, resolve_device
from sorby.bundle import Description, OpenBundle
from sorby.classify.judge import Judge, Verdicts
from sorby.classify.linear_head import Linear
from sorby.classify.network import ClassifierNetwork
from sorby.errors import BundleError, Quarantined, SorbyError
from sorby.micrograph import Micrograph, read

KIND = "classifier"
Regime = Literal["frozen", "finetune"]
_GRAPH = "model.onnx"
_TAUGHT = "taught.sha256"
_VERDICTS_AT_ONCE = 64

Features = npt.NDArray[np.float32]


class LinearOnStages(nn.Module):
    """The frozen regime as one graph: uint8 images to logits and pooled stage features."""

    def __init__(self, features: StageFeatures, head: Linear) -> None:
        super().__init__()
        self.features = features
        self.head = nn.Linear(head.weight.shape[1], head.weight.shape[0])
        self.head.weight.data = torch.from_numpy(head.weight.copy())
        self.head.bias.data = torch.from_numpy(head.bias.copy())

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return logits (N, C) and features (N, D)."""
        pooled = self.features(images)
        return self.head(pooled), pooled


class LogitsOnly(nn.Module):
    """The graph as attribution wants it: logits only, and of the image as it stands where views are averaged."""

    def __init__(self, graph: nn.Module) -> None:
        super().__init__()
        self.graph = graph

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return logits (N, C)."""
        if isinstance(self.graph, LinearOnStages):
            pooled = torch.cat([statistics(each) for each in self.graph.features.maps(images)], dim=1)
            return cast(torch.Tensor, self.graph.head(pooled))
        return cast(torch.Tensor, self.graph(images)[0])


def short_hashes(hashes: Iterable[str]) -> npt.NDArray[np.uint64]:
    """Return the first 64 bits of SHA-256 hashes given as hexadecimal text."""
    return np.array([int(text[:16], 16) for text in hashes], np.uint64)


@dataclass(frozen=True)
class Verdict:
    """What sorby says of one image.

    Attributes
    ----------
    image : Path
    label : str
        Most probable class.
    confidence : float
        Its calibrated probability.
    probabilities : dict of str to float
    labels : tuple of str
        Conformal set.
    novelty : float
        p-value of "like the taught images".
    reasons : tuple of str
        Why a person must look; empty where nobody must.
    pixel_size_um, scale_source
        Scale of the image as read.
    notes : tuple of str
        What reading did to the image.
    """

    image: Path
    label: str
    confidence: float
    probabilities: dict[str, float]
    labels: tuple[str, ...]
    novelty: float
    reasons: tuple[str, ...]
    pixel_size_um: float | None
    scale_source: str
    notes: tuple[str, ...]

    @property
    def referred(self) -> bool:
        """Whether the image goes to a person."""
        return bool(self.reasons)


@dataclass(eq=False)
class _Job:
    """An image file on its way, and what reading it tells besides its pixels."""

    path: Path
    pixel_size_um: float | None = None  # as given, then as read
    scale_source: str = "none"
    notes: tuple[str, ...] = ()


class Classifier:
    """A classifier ready to give verdicts.

    Parameters
    ----------
    graph : torch.nn.Module
        uint8 images (N, H, W, C) to (logits, features).
    regime : {"frozen", "finetune"}
    classes : sequence of str
    preprocessing : Preprocessing
    head : Linear
        The last layer, applied in float32 outside the graph.
    fold_heads : Linear, optional
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
        graph: nn.Module,
        regime: Regime,
        classes: tuple[str, ...],
        preprocessing: Preprocessing,
        head: Linear,
        fold_heads: Linear | None,
        judge: Judge,
        onnx: bytes | None = None,
        runtime: Runtime | None = None,
        taught: npt.NDArray[np.uint64] | None = None,
    ) -> None:
        self.graph = graph.eval()
        self.regime, self.classes, self.preprocessing = regime, classes, preprocessing
        self.head, self.fold_heads, self.judge = head, fold_heads, judge
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

    def judge_features(self, features: Features, pixel_size_um: npt.NDArray[np.float64] | None = None) -> Verdicts:
        """Return verdicts from features (N, D) that this classifier's graph has computed."""
        sizes = np.full(len(features), np.nan) if pixel_size_um is None else pixel_size_um
        fold_logits = None if self.fold_heads is None else self.fold_heads(features)
        return self.judge.judge(self.head(features), fold_logits, features, sizes)

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
        progress: Callable[[int], None] | None = None,
    ) -> Iterator[Verdict | Quarantined]:
        """Give a verdict on each image file, in order, in constant memory.

        Parameters
        ----------
        paths : iterable of Path
            Consumed lazily.
        pixel_size_um : float or iterable of float or None, optional
            Scale of every image, or of each, overriding what the files say.
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
            return self.preprocessing.prepare(micrograph)

        waiting: list[tuple[_Job, Features | SorbyError]] = []
        sizes = pixel_size_um if isinstance(pixel_size_um, Iterable) else repeat(pixel_size_um)
        jobs = (_Job(Path(path), size) for path, size in zip(paths, sizes))  # noqa: B905 - sizes may be endless
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
            judged = self.judge_features(np.stack([outcome for _, outcome in good]), sizes)
            verdicts = (self._verdict(job, judged, k) for k, (job, _) in enumerate(good))
        for job, outcome in waiting:
            yield Quarantined.from_error(job.path, outcome) if isinstance(outcome, SorbyError) else next(verdicts)

    def _verdict(self, job: _Job, verdicts: Verdicts, k: int) -> Verdict:
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
        )

    # -- looking inside -----------------------------------------------------------------------------------

    def logits_module(self) -> nn.Module:
        """Return a torch module from uint8 images (N, H, W, C) to logits (N, C), for attribution."""
        return LogitsOnly(self.graph).eval()

    def prepared(self, micrograph: Micrograph) -> Uint8Image:
        """Return the pixels (H, W, C) that the network sees of a micrograph."""
        return self.preprocessing.prepare(micrograph)

    # -- as a bundle --------------------------------------------------------------------------------------

    def tensors(self) -> dict[str, dict[str, npt.NDArray[Any]]]:
        """Return the tensor files of the bundle: ``weights`` and ``calibration``."""
        weights = {key: value.detach().cpu().numpy() for key, value in self.graph.state_dict().items()}
        calibration = self.judge.as_arrays() | {_TAUGHT: self.taught}
        if self.fold_heads is not None:
            calibration |= {"fold_heads.weight": self.fold_heads.weight, "fold_heads.bias": self.fold_heads.bias}
        return {"weights": weights, "calibration": calibration}

    @property
    def backbone_section(self) -> dict[str, Any]:
        """Return what rebuilds the graph from its weights."""
        if isinstance(self.graph, LinearOnStages):
            features = self.graph.features
            return {"stages": list(features.stages), "pooling": "mean+std", "views": features.views}
        return {}

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
        blank = load_backbone(model["backbone"], pretrained=False, size=(preprocessing.height, preprocessing.width))
        backbone = Backbone(blank.name, blank.module, tuple(model["mean"]), tuple(model["std"]), blank.source)
        head = Linear(weights["head.weight"].astype(np.float32), weights["head.bias"].astype(np.float32))
        if head.weight.shape[0] != len(description.classes):
            raise ValueError(f"{head.weight.shape[0]} outputs for {len(description.classes)} classes")
        graph: nn.Module
        if regime == "frozen":
            graph = LinearOnStages(StageFeatures(backbone, tuple(model["stages"]), model["views"]), head)
        else:
            graph = ClassifierNetwork(backbone, len(description.classes))
        graph.load_state_dict({key: torch.from_numpy(np.array(value)) for key, value in weights.items()})
        fold_heads = None
        if "fold_heads.weight" in calibration:
            fold_heads = Linear(calibration.pop("fold_heads.weight"), calibration.pop("fold_heads.bias"))
        taught = calibration.pop(_TAUGHT, None)
        sizes = description.novelty.get("pixel_sizes_um")
        judge = Judge.from_arrays(
            calibration,
            float(description.calibration["temperature"]),  # type: ignore[arg-type]
            float(description.novelty["rate"]),  # type: ignore[arg-type]
            (float(sizes[0]), float(sizes[1])) if isinstance(sizes, list) else None,  # type: ignore[arg-type]
        )
        classes = tuple(description.classes)
        return cls(graph, regime, classes, preprocessing, head, fold_heads, judge, bundle.read(_GRAPH), taught=taught)


def load_bundle(bundle: OpenBundle, device: str) -> Classifier:
    """Load a classifier bundle for `sorby.bundle.load`; the graph is compiled for *device* at once."""
    classifier = Classifier.from_bundle(bundle)
    classifier.runtime(cast(Device, device))
    return classifier
