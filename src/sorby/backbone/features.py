"""Pooled stage features of image files, from the cache where they are known."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt

from sorby._version import __version__
from sorby.backbone.architecture import Backbone, Pooling, StageFeatures, to_onnx
from sorby.backbone.cache import FeatureCache
from sorby.backbone.pipeline import stream
from sorby.backbone.preprocessing import Preprocessing
from sorby.backbone.runtime import Device, OpenVINORuntime, Precision, Runtime, TorchRuntime, resolve_device
from sorby.errors import Quarantined, SorbyError
from sorby.files import sha256_file

_STORE_EVERY = 256

Progress = Callable[[int], None]


@dataclass
class Extracted:
    """Features of the readable files, in the order given.

    Attributes
    ----------
    features : ndarray of float32, shape (n, D)
    kept : ndarray of int, shape (n,)
        Positions of the readable files in the request.
    quarantined : list of Quarantined
        Files that could not be read.
    from_cache : int
        How many vectors were already known.
    """

    features: npt.NDArray[np.float32]
    kept: npt.NDArray[np.intp]
    quarantined: list[Quarantined] = field(default_factory=list)
    from_cache: int = 0


class FeatureExtractor:
    """Turns image files into feature vectors.

    Parameters
    ----------
    backbone : Backbone
    preprocessing : Preprocessing
    runtime : {"auto", "openvino", "torch"}
        ``auto`` is torch on CUDA and OpenVINO otherwise.
    device, precision
        See `sorby.backbone.runtime`.
    views, stages, pooling
        See `StageFeatures`.
    cache : bool
        Whether vectors are kept on disk.
    """

    def __init__(
        self,
        backbone: Backbone,
        preprocessing: Preprocessing,
        *,
        runtime: Literal["auto", "openvino", "torch"] = "auto",
        device: Device = "auto",
        precision: Precision = "auto",
        views: int = 1,
        stages: tuple[int, ...] | None = None,
        pooling: Pooling = "mean+std",
        cache: bool = True,
    ) -> None:
        self.backbone = backbone
        self.preprocessing = preprocessing
        self.graph = StageFeatures(backbone, stages, views, pooling)
        self.runtime = self._make_runtime(runtime, device, precision)
        runtime_key = f"{self.runtime.name}-{self.runtime.precision}"
        key = f"{__version__}|{backbone.key}|{self.graph.stages}x{views}|{pooling}|{preprocessing.key}|{runtime_key}"
        self._cache = FeatureCache(key) if cache else None

    def _make_runtime(self, runtime: str, device: Device, precision: Precision) -> Runtime:
        if runtime == "auto":
            runtime = "torch" if resolve_device(device) == "cuda" else "openvino"
        if runtime == "torch":
            return TorchRuntime(self.graph, device=device, precision=precision)
        shape = (self.preprocessing.height, self.preprocessing.width, self.preprocessing.channels)
        return OpenVINORuntime(to_onnx(self.graph, *shape, ("features",)), shape, precision=precision)

    def extract(
        self,
        paths: Sequence[Path | str],
        hashes: Sequence[str] | None = None,
        progress: Progress | None = None,
    ) -> Extracted:
        """Return the features of image files.

        Parameters
        ----------
        paths : sequence of path
        hashes : sequence of str, optional
            SHA-256 of each file's content; computed where absent.
        progress : callable, optional
            Called with the number of files just finished.
        """
        known: dict[str, npt.NDArray[np.float32]] = {}
        vectors: list[npt.NDArray[np.float32] | None] = [None] * len(paths)
        quarantined: list[Quarantined] = []
        if self._cache is not None:
            hashes = list(hashes) if hashes is not None else [_hash(path) for path in paths]
            named = zip(paths, hashes, strict=True)
            hashes = [self.preprocessing.content_key(path, digest) for path, digest in named]
            known = self._cache.get(hashes)
            for k, digest in enumerate(hashes):
                vectors[k] = known.get(digest)
        todo = [k for k, vector in enumerate(vectors) if vector is None]
        if progress is not None:
            progress(len(paths) - len(todo))
        fresh: list[tuple[str, npt.NDArray[np.float32]]] = []
        for k, outcome in stream(todo, lambda k: self.preprocessing.read(paths[k]), self.runtime):
            if progress is not None:
                progress(1)
            if isinstance(outcome, SorbyError):
                quarantined.append(Quarantined.from_error(paths[k], outcome))
                continue
            vectors[k] = outcome[0]
            if self._cache is not None and hashes is not None:
                fresh.append((hashes[k], outcome[0]))
                if len(fresh) >= _STORE_EVERY:
                    self._cache.put(fresh)
                    fresh.clear()
        if self._cache is not None and fresh:
            self._cache.put(fresh)
        kept = np.array([k for k, vector in enumerate(vectors) if vector is not None], dtype=np.intp)
        good = [vector for vector in vectors if vector is not None]
        features = np.stack(good) if good else np.empty((0, 0), np.float32)
        return Extracted(features, kept, quarantined, from_cache=len(paths) - len(todo))


def _hash(path: Path | str) -> str:
    """Hash a file's content; an unreadable one gets a name that no cache holds and fails later with its reason."""
    try:
        return sha256_file(path)
    except OSError:
        return f"unreadable:{path}"
