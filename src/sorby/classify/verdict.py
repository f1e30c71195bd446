"""What is said of one image."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path


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
    stages : dict of str to dict of str to float
        What each stage says by itself, uncalibrated: ``subtype``, then the sizes of the chosen subtype; empty
        where the head has one stage.
    lengths_um : dict of str to tuple of float
        Predicted needle lengths in micrometres with the ends of their interval, by name (``mean``, ``largest``,
        ``q95`` ...); empty where the head predicts none.
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
    stages: dict[str, dict[str, float]] = field(default_factory=dict)
    lengths_um: dict[str, tuple[float, float, float]] = field(default_factory=dict)

    @property
    def trace(self) -> str:
        """Say in one line which stage decided what, e.g. ``subtype G (.97) -> size of G 9-10 (.88)``.

        Where probabilities are multiplied, the subtype of the label need not be the most probable one; both are named.
        """
        steps = []
        for name, said in self.stages.items():
            best = max(said, key=said.__getitem__)
            steps.append(f"{name} {best} ({said[best]:.2f})")
        if len(self.stages) == 2:
            of = list(self.stages)[1].removeprefix("size of ")
            said = self.stages["subtype"]
            if said[of] < max(said.values()):
                steps[0] += f" but {of} ({said[of]:.2f}) as a product"
        return " -> ".join(steps)

    @property
    def referred(self) -> bool:
        """Whether the image goes to a person."""
        return bool(self.reasons)
