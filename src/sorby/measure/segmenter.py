"""A taught segmenter at work: probability maps of micrographs of any size, and its form as a bundle."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal, cast

import numpy as np
import numpy.typing as npt
import torch

from sorby import provenance
from sorby.backbone.architecture import to_onnx
from sorby.backbone.runtime import Device, OpenVINORuntime, Precision, Runtime, TorchRuntime, resolve_device, run
from sorby.bundle import Description, OpenBundle, TrainingData, write
from sorby.errors import BundleError, InputError
from sorby.measure import SEGMENTER_KIND
from sorby.measure.segmenter_network import SmallUNet
from sorby.micrograph import Pixels, to_rgb, to_uint8

Marks = Literal["lines", "regions"]

TILE_PX = 256
_MARGIN_PX = 32  # the network sees about this far, so tiles overlap by twice as much
_GRAPH, _WEIGHTS = "model.onnx", "weights"


class Segmenter:
    """Finds in micrographs what the labels of its training marked.

    Parameters
    ----------
    network : SmallUNet
    marks : {"lines", "regions"}
        What the labels were: boundary lines, or regions such as inclusions.
    label_width_px : float
        Typical width of what was marked, pixels.
    threshold : float
        Probability from which a pixel counts.
    onnx : bytes, optional
        The exported graph, where at hand.
    """

    def __init__(
        self,
        network: SmallUNet,
        marks: Marks,
        label_width_px: float,
        threshold: float = 0.5,
        onnx: bytes | None = None,
    ) -> None:
        self.network = network.eval()
        self.marks = marks
        self.label_width_px = label_width_px
        self.threshold = threshold
        self._onnx = onnx
        self._runtime: Runtime | None = None

    def onnx(self) -> bytes:
        """Return the graph: ``images`` uint8 (n, 256, 256, 3) to ``probability`` (n, 256, 256)."""
        if self._onnx is None:
            self._onnx = to_onnx(self.network, TILE_PX, TILE_PX, 3, ("probability",))
        return self._onnx

    def runtime(self, device: Device = "auto", precision: Precision = "auto") -> Runtime:
        """Return what runs the graph: torch on CUDA, OpenVINO otherwise; made once."""
        if self._runtime is None:
            if resolve_device(device) == "cuda":
                self._runtime = TorchRuntime(self.network, device="cuda", precision=precision)
            else:
                self._runtime = OpenVINORuntime(self.onnx(), (TILE_PX, TILE_PX, 3), precision=precision, batch_size=4)
        return self._runtime

    def probability(self, pixels: Pixels) -> npt.NDArray[np.float32]:
        """Return the probability of each pixel, computed in overlapping tiles.

        Parameters
        ----------
        pixels : ndarray, (H, W) or (H, W, 3), uint8 or uint16 or float32

        Returns
        -------
        ndarray of float32, (H, W)
        """
        picture = to_rgb(to_uint8(pixels))
        height, width = picture.shape[:2]
        inner = TILE_PX - 2 * _MARGIN_PX
        down, across = -(-height // inner), -(-width // inner)
        padding = [
            (_MARGIN_PX, down * inner - height + _MARGIN_PX),
            (_MARGIN_PX, across * inner - width + _MARGIN_PX),
        ]
        padded = np.pad(picture, [*padding, (0, 0)], mode="symmetric")
        corners = [(i * inner, j * inner) for i in range(down) for j in range(across)]
        tiles = np.stack([padded[i : i + TILE_PX, j : j + TILE_PX] for i, j in corners])
        (found,) = run(self.runtime(), tiles)
        core = found[:, _MARGIN_PX:-_MARGIN_PX, _MARGIN_PX:-_MARGIN_PX]
        whole = core.reshape(down, across, inner, inner).swapaxes(1, 2).reshape(down * inner, across * inner)
        return np.ascontiguousarray(whole[:height, :width], dtype=np.float32)

    def save(
        self,
        path: Path,
        *,
        seed: int,
        fingerprint: str,
        n_images: int,
        n_parents: int | None,
        metrics: dict[str, Any],
        settings: dict[str, Any],
        notes: list[str],
        overwrite: bool = False,
    ) -> str:
        """Write the segmenter as a bundle and return its SHA-256.

        Raises
        ------
        InputError
            Something is at *path* already, or it cannot be written.
        """
        what = "boundary lines" if self.marks == "lines" else "regions, not boundary lines"
        description = Description(
            kind=SEGMENTER_KIND,
            name=path.stem,
            classes=["background", "marked"],
            preprocessing={"channels": 3, "tile_px": TILE_PX, "normalisation": "in the graph"},
            model={
                "network": "small U-Net",
                "widths": list(self.network.widths),
                "parameters": sum(each.numel() for each in self.network.parameters()),
                "labels_mark": self.marks,
                "label_width_px": self.label_width_px,
                "threshold": self.threshold,
            },
            training_data=TrainingData(fingerprint=fingerprint, n=n_images, n_specimens=n_parents),
            metrics=metrics,
            licence="as the training images allow; state it with the bundle",
            provenance={**provenance.describe(seed), "settings": settings},
            limits=[
                f"Its labels marked {what}, about {self.label_width_px:.1f} px wide.",
                "Results hold for images of the kind it was taught on: same material, etch, instrument and scale.",
                "What the labels did not tell apart (twins, scratches) it does not tell apart.",
            ],
            notes=notes,
        )
        state = {key: value.detach().cpu().numpy() for key, value in self.network.state_dict().items()}
        weights = {key: np.atleast_1d(value) for key, value in state.items()}
        files: dict[str, bytes | Path] = {_GRAPH: self.onnx()}
        return write(path, description, tensors={_WEIGHTS: weights}, files=files, overwrite=overwrite)

    @classmethod
    def from_bundle(cls, bundle: OpenBundle) -> Segmenter:
        """Rebuild a segmenter from an open, verified bundle.

        Raises
        ------
        BundleError
            It is of another kind, or its contents do not fit together.
        """
        description = bundle.description
        if description.kind != SEGMENTER_KIND:
            raise BundleError(
                f"{bundle.path}: a bundle of kind '{description.kind}', not a segmenter",
                "make one with sorby measure boundaries train",
            )
        try:
            model: dict[str, Any] = dict(description.model)
            network = SmallUNet(tuple(int(width) for width in model["widths"]))
            blank = network.state_dict()
            weights = bundle.tensors(_WEIGHTS)
            network.load_state_dict(
                {key: torch.from_numpy(np.array(weights[key])).reshape(blank[key].shape) for key in blank}
            )
            marks = model["labels_mark"]
            if marks not in ("lines", "regions"):
                raise ValueError(f"labels_mark {marks!r}")
            return cls(network, marks, float(model["label_width_px"]), float(model["threshold"]), bundle.read(_GRAPH))
        except (KeyError, ValueError, TypeError, RuntimeError) as error:
            first = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise BundleError(
                f"bundle {description.name}: contents do not fit together ({first})", "train it again"
            ) from error


def load_bundle(bundle: OpenBundle, device: str) -> Segmenter:
    """Load a segmenter bundle for `sorby.bundle.load`; the graph is compiled for *device* at once."""
    segmenter = Segmenter.from_bundle(bundle)
    segmenter.runtime(cast(Device, device))
    return segmenter


def require_marks(segmenter: Segmenter, wanted: Marks, path: Path | str) -> None:
    """Refuse a segmenter that was taught something else than *wanted*.

    Raises
    ------
    InputError
        Grain sizes do not follow from inclusions, nor inclusion areas from boundary lines.
    """
    if segmenter.marks == wanted:
        return
    if wanted == "lines":
        raise InputError(
            f"{path}: its labels marked regions of about {segmenter.label_width_px:.0f} px, not boundary lines; "
            "no grain size follows from it",
            "teach one on boundary labels; for inclusions use sorby measure inclusions --segmenter",
        )
    raise InputError(f"{path}: its labels marked boundary lines, not inclusions", "teach one on masks of inclusions")
