"""Everything a verdict on specimens needs beside a classifier, and its form as a bundle of its own.

The classifier's bundle stays as it is: a specimen judge names it by its SHA-256 and reads its features.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from sorby import provenance
from sorby.bundle import Description, OpenBundle, TrainingData, write
from sorby.classify.flags import FlagHead, FlagRules
from sorby.classify.heads.logistic import Linear
from sorby.classify.specimens import SPECIMENS_KIND as KIND
from sorby.classify.specimens.model import SpecimenModel
from sorby.errors import BundleError
from sorby.evidence import Estimate

_LIMITS = (
    "It judges specimens by the features of one classifier and is of no use with another.",
    "Sets cover specimens like the taught ones, with series of images like theirs; not series cut short.",
    "Attention and carried images say what moved the verdict, not that they show the origin.",
)


@dataclass(frozen=True, eq=False)
class SpecimenJudge:
    """A specimen model with its flags.

    Attributes
    ----------
    model : SpecimenModel
    classes : tuple of str
    classifier_sha256 : str
        Of the classifier's bundle.
    rules : FlagRules
    heads : dict of str to FlagHead
        By the code of the flag; those whose pictures somebody marked.
    rare : dict
        How the rare class's threshold was chosen, fit for JSON; empty where there is none.
    """

    model: SpecimenModel
    classes: tuple[str, ...]
    classifier_sha256: str
    rules: FlagRules
    heads: Mapping[str, FlagHead] = field(default_factory=dict)
    rare: Mapping[str, Any] = field(default_factory=dict)

    def save(
        self, path: Path, training: TrainingData, *, metrics: Mapping[str, Any], seed: int, notes: list[str]
    ) -> str:
        """Write the bundle and return its SHA-256.

        Raises
        ------
        InputError
            It cannot be written.
        """
        conformal = self.model.conformal
        arrays = self.model.as_arrays()
        for code, head in self.heads.items():
            arrays |= {f"flag.{code}.weight": head.linear.weight, f"flag.{code}.bias": head.linear.bias}
        description = Description(
            kind=KIND,
            name=path.stem,
            classes=list(self.classes),
            model={
                "method": self.model.method,
                "classifier_sha256": self.classifier_sha256,
                "flags": self.rules.as_dict(),
                "rare_class": dict(self.rare),
                "taught_flags": {
                    code: {"threshold": head.threshold, **head.figures()} for code, head in self.heads.items()
                },
            },
            calibration={
                "temperature": self.model.temperature,
                "calibrated_on": f"{conformal.n} specimens, cross-fitted",
            },
            conformal={
                "form": "CV+",
                "method": conformal.method,
                "alpha": conformal.alpha,
                "guarantee": conformal.guarantee,
                "n": conformal.n,
            },
            training_data=training,
            metrics=dict(metrics),
            licence="as the training images allow; state it with the bundle",
            provenance=provenance.describe(seed),
            limits=list(_LIMITS),
            notes=notes,
        )
        return write(path, description, tensors={"weights": {k: np.atleast_1d(v) for k, v in arrays.items()}},
                     overwrite=True)  # fmt: skip

    @classmethod
    def from_bundle(cls, bundle: OpenBundle) -> SpecimenJudge:
        """Rebuild from an open, verified bundle.

        Raises
        ------
        BundleError
            It is of another kind, or its contents do not fit together.
        """
        description = bundle.description
        if description.kind != KIND:
            raise BundleError(
                f"{bundle.path}: holds a model of kind '{description.kind}', not a specimen judge",
                "make one with sorby specimens",
            )
        try:
            model: dict[str, Any] = dict(description.model)
            arrays = bundle.tensors("weights")
            own = {key: value for key, value in arrays.items() if not key.startswith("flag.")}
            temperature = float(description.calibration["temperature"])  # type: ignore[arg-type]
            return cls(
                SpecimenModel.from_arrays(model["method"], temperature, own),
                tuple(description.classes),
                str(model["classifier_sha256"]),
                FlagRules.from_dict(model["flags"]),
                {code: _head(code, entry, arrays) for code, entry in model["taught_flags"].items()},
                dict(model["rare_class"]),
            )
        except (KeyError, ValueError, TypeError, RuntimeError, IndexError) as error:
            first = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise BundleError(
                f"bundle {description.name}: contents do not fit together ({first})", "teach it again"
            ) from error


def _head(code: str, entry: Mapping[str, Any], arrays: Mapping[str, Any]) -> FlagHead:
    def estimate(facts: Mapping[str, Any]) -> Estimate:
        bounds = facts["ci95"]
        ci95 = None if bounds is None else (float(bounds[0]), float(bounds[1]))
        return Estimate(float(facts["value"]), ci95, int(facts["n"]), str(facts["method"]), str(facts.get("note", "")))

    weight, bias = (np.asarray(arrays[f"flag.{code}.{part}"], np.float32) for part in ("weight", "bias"))
    return FlagHead(
        Linear(weight, bias),
        float(entry["threshold"]),
        estimate(entry["sensitivity"]),
        estimate(entry["specificity"]),
    )


def load_bundle(bundle: OpenBundle, device: str) -> SpecimenJudge:
    """Load a specimen judge for `sorby.bundle.load`; it runs on the CPU whatever the *device*."""
    del device
    return SpecimenJudge.from_bundle(bundle)
