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
from sorby.classify.flags import FlagRules, OriginHead
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
    origin : OriginHead or None
        None where nobody marked which pictures show the origin.
    rare : dict
        How the rare class's threshold was chosen, fit for JSON; empty where there is none.
    """

    model: SpecimenModel
    classes: tuple[str, ...]
    classifier_sha256: str
    rules: FlagRules
    origin: OriginHead | None = None
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
        origin = self.origin
        arrays = self.model.as_arrays()
        if origin is not None:
            arrays |= {"origin.weight": origin.linear.weight, "origin.bias": origin.linear.bias}
        description = Description(
            kind=KIND,
            name=path.stem,
            classes=list(self.classes),
            model={
                "method": self.model.method,
                "classifier_sha256": self.classifier_sha256,
                "flags": self.rules.as_dict(),
                "rare_class": dict(self.rare),
                "origin": None
                if origin is None
                else {
                    "threshold": origin.threshold,
                    "sensitivity": origin.sensitivity.as_dict(),
                    "specificity": origin.specificity.as_dict(),
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
            own = {key: value for key, value in arrays.items() if not key.startswith("origin.")}
            temperature = float(description.calibration["temperature"])  # type: ignore[arg-type]
            return cls(
                SpecimenModel.from_arrays(model["method"], temperature, own),
                tuple(description.classes),
                str(model["classifier_sha256"]),
                FlagRules.from_dict(model["flags"]),
                _origin(model["origin"], arrays),
                dict(model["rare_class"]),
            )
        except (KeyError, ValueError, TypeError, RuntimeError, IndexError) as error:
            first = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise BundleError(
                f"bundle {description.name}: contents do not fit together ({first})", "teach it again"
            ) from error


def _origin(entry: Mapping[str, Any] | None, arrays: Mapping[str, Any]) -> OriginHead | None:
    if entry is None:
        return None

    def estimate(facts: Mapping[str, Any]) -> Estimate:
        bounds = facts["ci95"]
        ci95 = None if bounds is None else (float(bounds[0]), float(bounds[1]))
        return Estimate(float(facts["value"]), ci95, int(facts["n"]), str(facts["method"]), str(facts.get("note", "")))

    linear = Linear(np.asarray(arrays["origin.weight"], np.float32), np.asarray(arrays["origin.bias"], np.float32))
    return OriginHead(linear, float(entry["threshold"]), estimate(entry["sensitivity"]), estimate(entry["specificity"]))


def load_bundle(bundle: OpenBundle, device: str) -> SpecimenJudge:
    """Load a specimen judge for `sorby.bundle.load`; it runs on the CPU whatever the *device*."""
    del device
    return SpecimenJudge.from_bundle(bundle)
