"""The default engine: RapidOCR's detection and recognition networks, as they come in its package."""

from __future__ import annotations

import os
import threading
from collections import defaultdict
from collections.abc import Sequence
from importlib import metadata, util
from pathlib import Path
from typing import Any, Literal

import numpy as np
from PIL import Image

from sorby.errors import MissingPartError
from sorby.micrograph.text_reading.lines import Reading, TextLine, UInt8, three_channels

Runtime = Literal["openvino", "onnxruntime"]

_INSTALL = "install the extra: pip install 'sorby[ocr]'"
_LONGEST_PX = 2000  # images with a longer side are reduced to it before text is looked for
_LINE_PX = 48  # height the recogniser works at
_WIDTH_STEP_PX = 80  # widths are padded to multiples, so that few shapes occur and a text's company changes nothing
_SHORTEST_PX = 160  # the package's 320 doubles the work for short words, which then read no better
_BATCH = 16


class RapidReader:
    """RapidOCR with its networks from the package, on OpenVINO.

    OpenVINO runs the same networks faster than ONNX Runtime on processors with bfloat16, which it uses where there is:
    on the info bars of ``benchmarks/info_bars.py`` 1.4 to 4 times, with 1 of 100 lines read otherwise.

    Parameters
    ----------
    threads : int, optional
        Processor threads; all cores where not given.
    runtime : {"openvino", "onnxruntime"}
    least_confidence : float
        Lines below it are not returned by `read`.

    Raises
    ------
    MissingPartError
        The package is absent, or came without its networks.
    """

    def __init__(
        self, *, threads: int | None = None, runtime: Runtime = "openvino", least_confidence: float = 0.5
    ) -> None:
        for part in ("rapidocr", runtime):
            if util.find_spec(part) is None:
                raise MissingPartError(f"text in images cannot be read: {part} is not installed", _INSTALL)
        detector, recogniser = _networks()
        cores = os.cpu_count() or 1
        count = max(1, min(cores, threads or cores))
        self._runtime: Runtime = runtime
        self._models = (detector.name, recogniser.name)
        self._lock = threading.Lock()
        self._engine = _load(runtime, detector, recogniser, count, least_confidence)

    @property
    def provenance(self) -> dict[str, str]:
        """Engine, version, runtime and networks."""
        return {
            "engine": "rapidocr",
            "version": metadata.version("rapidocr"),
            "runtime": f"{self._runtime} {metadata.version(self._runtime)}",
            "networks": ", ".join(self._models),
        }

    def read(self, image: UInt8) -> list[TextLine]:
        """Find and read the text of an image, shape (H, W) or (H, W, 3)."""
        with self._lock:
            found = self._engine(three_channels(image), use_cls=False)
        if found.boxes is None or found.txts is None:
            return []
        # Boxes are quadrangles of four corners (x, y).
        lows, highs = np.min(found.boxes, axis=1), np.max(found.boxes, axis=1)
        return [
            TextLine(text.strip(), float(low[0]), float(low[1]), float(high[0]), float(high[1]), float(score))
            for text, score, low, high in zip(found.txts, found.scores, lows, highs, strict=True)
            if text.strip()
        ]

    def read_many(self, images: Sequence[UInt8]) -> list[list[TextLine]]:
        """Find and read the text of several images."""
        return [self.read(image) for image in images]

    def recognise(self, lines: Sequence[UInt8]) -> list[Reading]:
        """Read cut-out lines in batches of one width.

        What a line says does not depend on which lines are read with it.
        """
        prepared = [_line(three_channels(line)) for line in lines]
        by_width: dict[int, list[int]] = defaultdict(list)
        for index, pixels in enumerate(prepared):
            by_width[pixels.shape[1]].append(index)
        readings = [Reading("", 0.0)] * len(prepared)
        for members in by_width.values():
            for start in range(0, len(members), _BATCH):
                batch = members[start : start + _BATCH]
                for index, reading in zip(batch, self._recognise([prepared[k] for k in batch]), strict=True):
                    readings[index] = reading
        return readings

    def _recognise(self, batch: list[UInt8]) -> list[Reading]:
        from rapidocr.ch_ppocr_rec import TextRecInput

        with self._lock:
            found = self._engine.text_rec(TextRecInput(img=batch, return_word_box=False))
        return [
            Reading(str(text).strip(), float(score) if str(text).strip() else 0.0)
            for text, score in zip(found.txts, found.scores, strict=True)
        ]


def _networks() -> tuple[Path, Path]:
    """Return the detector and the recogniser that the package brings, so that none is ever fetched."""
    spec = util.find_spec("rapidocr")
    folder = Path(spec.origin or "").parent / "models" if spec else Path()
    found = []
    for kind in ("det", "rec"):
        files = sorted(folder.glob(f"*_{kind}_*.onnx"))
        if not files:
            raise MissingPartError(f"{folder}: RapidOCR came without its networks ({kind})", _INSTALL)
        found.append(files[-1])
    return found[0], found[1]


def _load(runtime: Runtime, detector: Path, recogniser: Path, threads: int, least_confidence: float) -> Any:
    from rapidocr import EngineType, RapidOCR

    kind = EngineType(runtime)
    engine: Any = RapidOCR(
        params={
            "Global.log_level": "critical",
            "Global.use_cls": False,
            "Global.text_score": least_confidence,
            "Global.max_side_len": _LONGEST_PX,
            "EngineConfig.openvino.inference_num_threads": threads,
            "EngineConfig.onnxruntime.intra_op_num_threads": threads,
            "EngineConfig.onnxruntime.inter_op_num_threads": 1,
            "Det.engine_type": kind,
            "Det.model_path": str(detector),
            # The default enlarges everything to 736 px on its shorter side: a bar would grow tenfold.
            "Det.limit_type": "max",
            "Det.limit_side_len": _LONGEST_PX,
            "Rec.engine_type": kind,
            "Rec.model_path": str(recogniser),
            "Rec.rec_batch_num": _BATCH,
            "Rec.rec_img_shape": [3, _LINE_PX, _SHORTEST_PX],
        }
    )
    # The recogniser is loaded on first use; `recognise` needs it at hand.
    engine(np.full((_LINE_PX, _SHORTEST_PX, 3), 255, np.uint8), use_det=False, use_cls=False)
    engine.update_params(use_det=True)
    return engine


def _line(pixels: UInt8) -> UInt8:
    """Return a line at the recogniser's height, padded to one of few widths with the tone of its edge."""
    height, width = pixels.shape[:2]
    across = max(8, round(width * _LINE_PX / height))
    sized = np.asarray(Image.fromarray(pixels).resize((across, _LINE_PX), Image.Resampling.BICUBIC), np.uint8)
    wanted = max(_SHORTEST_PX, -(-across // _WIDTH_STEP_PX) * _WIDTH_STEP_PX)
    tone = np.median(np.concatenate([sized[0], sized[-1]]), axis=0).astype(np.uint8)
    padded = np.empty((_LINE_PX, wanted, 3), np.uint8)
    padded[:] = tone
    padded[:, :across] = sized
    return padded
