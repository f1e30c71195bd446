"""A head: features in, class scores out, with its stages and needle lengths; described in plain values."""

from __future__ import annotations

from typing import Any, Literal, cast

import numpy as np
import numpy.typing as npt
import torch
from pydantic import BaseModel, ConfigDict
from torch import nn

from sorby.classify.heads.composition import Binary, ByLength, Flat, Ordinal, Staged
from sorby.classify.heads.magnification import MagnificationReadout, Scaling
from sorby.classify.heads.readout import CrossStitchReadout, LinearReadout, SharedReadout, TowersReadout
from sorby.classify.heads.structure import CodeStructure, structure_of
from sorby.classify.heads.targets import LENGTH_COLUMNS, TargetTensors
from sorby.classify.recipe import HeadSection
from sorby.corpus import HOUSE_SCALE, GradeTable
from sorby.errors import InputError

Features = npt.NDArray[np.float32]
Floats = npt.NDArray[np.float64]
Kind = Literal["flat", "staged", "multitask", "ordinal", "length"]
Sharing = Literal["linear", "hard", "cross-stitch", "towers", "magnification"]


class HeadSpec(BaseModel):
    """What rebuilds a head from its weights; part of the bundle's description.

    Attributes
    ----------
    kind : {"flat", "staged", "multitask", "ordinal", "length"}
    classes : tuple of str
    inputs : int
        Length of a feature vector.
    parts : tuple of (str, str), optional
        Subtype and size of each class; of every kind but ``flat``.
    routing : {"hard", "soft"}
    sharing : {"linear", "hard", "cross-stitch", "towers", "magnification"}
        How the raw numbers are read off the features: at once, over a shared hidden layer, over two stitched ones,
        each half of the features for itself, or together with the magnification as last feature.
    hidden : int
        Width of the hidden layer where there is one.
    distance_cost : float
        Of ``ordinal``.
    lengths : tuple of str
        Needle lengths that the head predicts beside or for the class, see ``LENGTH_COLUMNS``.
    log_limits : nested tuple of float, optional
        Of ``length``, see `ByLength`.
    magnification : {"log10", "z", "minmax", "raw"}, optional
        As what the magnification is read, where it is; *inputs* then counts it.
    output : {"softmax", "sigmoid"}
        One raw number a class, or one for both of two; of ``flat``.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Kind = "flat"
    classes: tuple[str, ...]
    inputs: int
    parts: tuple[tuple[str, str], ...] | None = None
    routing: Literal["hard", "soft"] = "hard"
    sharing: Sharing = "linear"
    hidden: int = 64
    distance_cost: float = 0.5
    lengths: tuple[str, ...] = ()
    log_limits: tuple[tuple[tuple[float, float], ...], ...] | None = None
    magnification: Scaling | None = None
    output: Literal["softmax", "sigmoid"] = "softmax"

    @property
    def structure(self) -> CodeStructure:
        """How the classes fall into subtypes and sizes."""
        parts = None if self.parts is None else dict(zip(self.classes, self.parts, strict=True))
        return structure_of(self.classes, parts)


def log_limits(structure: CodeStructure, table: GradeTable) -> tuple[tuple[tuple[float, float], ...], ...]:
    """Return the limits of each class for `ByLength`, natural logarithms of micrometres."""
    by_criterion = []
    for criterion in ("mean", "maximum"):
        rows = []
        for subtype, grade in zip(structure.subtype, structure.grade, strict=True):
            name = structure.subtypes[subtype]
            low, high = table.bounds(name, structure.sizes[subtype][grade], criterion)
            rows.append((float(np.log(max(low, 1e-3))), float(np.log(min(high, 1e6)))))
        by_criterion.append(tuple(rows))
    return tuple(by_criterion)


def spec_for(
    section: HeadSection,
    classes: tuple[str, ...],
    *,
    inputs: int,
    parts: tuple[tuple[str, str], ...] | None,
    lengths: tuple[str, ...],
    frozen: bool,
) -> HeadSpec:
    """Return the head that a recipe asks for.

    Parameters
    ----------
    section : HeadSection
    classes : tuple of str
    inputs : int
        Length of a feature vector.
    parts : tuple of (str, str), optional
        Subtype and size of each class as the corpus states them.
    lengths : tuple of str
        Lengths that the corpus states, see ``LENGTH_COLUMNS``.
    frozen : bool
        On frozen features tasks share a hidden layer of the head; a fine-tuned network is itself what they share.

    Raises
    ------
    InputError
        A class is no structure code where the head needs one, the corpus states too few lengths, or a sigmoid output
        has other than two classes to tell apart.
    """
    if section.output == "sigmoid" and len(classes) != 2:
        raise InputError(
            f"head.output=sigmoid tells two classes apart, not {len(classes)}",
            "--set head.output=softmax, or merge classes with labels.merge",
        )
    wanted = lengths if section.kind == "length" or section.auxiliary == "length" else ()
    if section.kind == "length" and wanted[:2] != ("mean", "largest"):
        missing = [LENGTH_COLUMNS[name] for name in ("mean", "largest") if name not in lengths]
        raise InputError(
            f"head.kind=length needs {' and '.join(missing)} in the corpus",
            "add the columns, or take another head.kind",
        )
    if section.auxiliary == "length" and not wanted:
        names = ", ".join(LENGTH_COLUMNS.values())
        raise InputError("head.auxiliary=length, but the corpus states no needle length", f"columns: {names}")
    structure = None
    if section.kind != "flat":
        structure = structure_of(classes, None if parts is None else dict(zip(classes, parts, strict=True)))
    limits = None
    if section.kind == "length" and structure is not None:
        limits = log_limits(structure, grade_table(section))
    return HeadSpec(
        kind=section.kind,
        classes=classes,
        inputs=inputs,
        parts=parts if section.kind != "flat" else None,
        routing=section.routing,
        sharing=_sharing(section, frozen),
        hidden=section.hidden,
        distance_cost=section.distance_cost,
        lengths=wanted,
        log_limits=limits,
        magnification=None if section.magnification == "none" else section.magnification,
        output=section.output,
    )


def _sharing(section: HeadSection, frozen: bool) -> Sharing:
    if section.magnification != "none":
        return "magnification"
    if not frozen:  # the network itself is what tasks share
        return "towers" if section.sharing == "cross-stitch" else "linear"
    if section.sharing == "auto":
        return "linear" if section.kind in ("flat", "staged") else "hard"
    return "linear" if section.sharing == "none" else section.sharing


def grade_table(section: HeadSection) -> GradeTable:
    """Return the recipe's grade table; sorby's house scale where it names none."""
    if section.table is None:
        return HOUSE_SCALE
    fields: dict[str, Any] = {
        key: tuple(value) if isinstance(value, list) else value for key, value in section.table.items()
    }
    try:
        return GradeTable(**fields)
    except TypeError as error:
        raise InputError(f"head.table: {error}", f"fields: {', '.join(HOUSE_SCALE.as_dict())}") from error


class Head(nn.Module):
    """Features (N, D) to class scores (N, C).

    Parameters
    ----------
    spec : HeadSpec
    seed : int
        Of initial weights; a linear readout begins at zero.
    """

    def __init__(self, spec: HeadSpec, seed: int = 0) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(seed)
        self.spec = spec
        self.composition: Flat | Binary | Staged = _composition(spec)
        outputs = self.composition.width + len(spec.lengths)
        self.readout: LinearReadout | SharedReadout | CrossStitchReadout | TowersReadout | MagnificationReadout
        if spec.sharing == "linear":
            self.readout = LinearReadout(spec.inputs, outputs)
        elif spec.sharing == "hard":
            self.readout = SharedReadout(spec.inputs, spec.hidden, outputs, generator)
        elif spec.sharing == "cross-stitch":
            self.readout = CrossStitchReadout(
                spec.inputs, spec.hidden, outputs, len(spec.structure.subtypes), generator
            )
        elif spec.magnification is not None:
            self.readout = MagnificationReadout(spec.inputs, outputs, spec.magnification, generator)
        else:
            self.readout = TowersReadout(spec.inputs, outputs, len(spec.structure.subtypes), generator)
        count = len(spec.lengths)
        self.register_buffer("length_centre", torch.zeros(count))
        self.register_buffer("length_scale", torch.ones(count))
        self.register_buffer("length_margin", torch.full((count,), torch.nan))
        self.length_centre: torch.Tensor
        self.length_scale: torch.Tensor
        self.length_margin: torch.Tensor

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Return class scores (N, C)."""
        return cast(torch.Tensor, self.composition(self.readout(features)))

    def losses(self, features: torch.Tensor, targets: TargetTensors, length_weight: float) -> torch.Tensor:
        """Return the loss of each example, shape (N,); an unknown length costs nothing."""
        raw = self.readout(features).float()
        found = self.composition.losses(raw, targets)
        if not self.spec.lengths:
            return found
        wanted = (targets.log_lengths - self.length_centre) / self.length_scale
        known = torch.isfinite(wanted)
        error = torch.where(
            known, raw[:, self.composition.width :] - torch.nan_to_num(wanted), torch.zeros_like(wanted)
        )
        return found + length_weight * error.square().mean(dim=1) / 2

    # -- arrays in, arrays out ----------------------------------------------------------------------------

    @torch.inference_mode()
    def scores(self, features: Features) -> Floats:
        """Return class scores (N, C), computed in float32."""
        return np.asarray(self(torch.from_numpy(features.astype(np.float32, copy=False))).double().numpy())

    @torch.inference_mode()
    def stages(self, features: Features) -> dict[str, Floats]:
        """Return what each stage says, uncalibrated: ``subtype`` and the sizes given each subtype."""
        raw = self.readout(torch.from_numpy(features.astype(np.float32, copy=False)))
        return {name: part.double().numpy() for name, part in self.composition.stages(raw).items()}

    @torch.inference_mode()
    def log_lengths(self, features: Features) -> Floats:
        """Return predicted natural logarithms of lengths in micrometres, shape (N, L); quantiles never cross."""
        raw = self.readout(torch.from_numpy(features.astype(np.float32, copy=False)))[:, self.composition.width :]
        found = (self.length_centre + self.length_scale * raw).double().numpy()
        quantiles = [k for k, name in enumerate(self.spec.lengths) if name.startswith("q")]
        found[:, quantiles] = np.sort(found[:, quantiles], axis=1)
        return np.asarray(found)

    def set_length_scale(self, log_lengths: Floats) -> None:
        """Standardise the lengths by those of the taught images, shape (n, L).

        Raises
        ------
        InputError
            No taught image states one of the lengths.
        """
        for name, column in zip(self.spec.lengths, log_lengths.T, strict=True):
            if not np.isfinite(column).any():
                raise InputError(
                    f"no image to learn from states {LENGTH_COLUMNS[name]}", "fill the column in, or leave it out"
                )
        centre, scale = np.nanmean(log_lengths, axis=0), np.nanstd(log_lengths, axis=0)
        self.length_centre.copy_(torch.from_numpy(centre))
        self.length_scale.copy_(torch.from_numpy(np.maximum(scale, 1e-3)))
        if isinstance(self.composition, ByLength):
            self.composition.centre.copy_(self.length_centre[:2])
            self.composition.scale.copy_(self.length_scale[:2])

    def set_length_spread(self, residuals: Floats) -> None:
        """Take from held-out residuals (n, L), in logarithms, how far lengths miss that classes are graded by.

        Raises
        ------
        InputError
            No held-out image states such a length.
        """
        if not isinstance(self.composition, ByLength):
            return
        for k, column in enumerate(residuals.T[:2]):
            known = column[np.isfinite(column)]
            if not len(known):
                named = LENGTH_COLUMNS[self.spec.lengths[k]]
                raise InputError(f"no image to calibrate by states {named}", "fill the column in")
            self.composition.spread[k] = max(float(np.sqrt(np.mean(known**2))), 0.01)

    def set_length_margin(self, residuals: Floats, alpha: float) -> None:
        """Take from held-out residuals (n, L), in logarithms, the margins of predicted lengths.

        The margin is the conformal quantile of the absolute residual: an interval of prediction plus and minus
        it covers at the rate ``1 - alpha``; infinite where there are too few residuals for that.
        """
        for k, column in enumerate(residuals.T):
            known = np.sort(np.abs(column[np.isfinite(column)]))
            place = int(np.ceil((len(known) + 1) * (1 - alpha)))
            self.length_margin[k] = float(known[place - 1]) if place <= len(known) else float("inf")


def _composition(spec: HeadSpec) -> Flat | Binary | Staged:
    hard = spec.routing == "hard"
    if spec.output == "sigmoid":
        return Binary()
    if spec.kind == "flat":
        return Flat(len(spec.classes))
    if spec.kind == "ordinal":
        return Ordinal(spec.structure, hard, spec.distance_cost)
    if spec.kind == "length":
        return ByLength(spec.structure, hard, torch.tensor(spec.log_limits))
    return Staged(spec.structure, hard)


def head_arrays(head: Head, prefix: str) -> dict[str, npt.NDArray[Any]]:
    """Return the head's weights as arrays, names prefixed."""
    return {f"{prefix}{key}": value.detach().cpu().numpy() for key, value in head.state_dict().items()}


def head_from_arrays(spec: HeadSpec, arrays: dict[str, npt.NDArray[Any]], prefix: str) -> Head:
    """Rebuild a head from `head_arrays`."""
    head = Head(spec)
    state = {
        key.removeprefix(prefix): torch.from_numpy(np.array(v)) for key, v in arrays.items() if key.startswith(prefix)
    }
    head.load_state_dict(state)
    return head.eval()
