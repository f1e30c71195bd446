"""The page of a judgement: which pictures are shown, and what stands on it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from sorby.files import write_text
from sorby.report.synthesis_page import Beside, SynthesisFacts, synthesis_page
from sorby.report.thumbnails import embed, shrink
from sorby.report.wording import listed
from sorby.synthesize.gate import REASONS
from sorby.workflow.synthesis.judging import ClassJudgement, Judgement
from sorby.workflow.synthesis.originals import Originals, OriginalSet

Grey = npt.NDArray[np.uint8]

_FIRST, _ALIKE = 6, 6
_LONGEST_PX = 128


def write_page(
    folder: Path,
    title: str,
    result: Mapping[str, Any],
    judgement: Judgement,
    pixels: Mapping[str, Grey],
    originals: OriginalSet,
    provenance: Mapping[str, Any],
    *,
    history: Sequence[Mapping[str, Any]] = (),
) -> Path:
    """Write ``report.html``.

    Parameters
    ----------
    folder : Path
    title : str
    result : mapping
        What the command returns.
    judgement : Judgement
    pixels : mapping of str to ndarray of uint8
        The generated images.
    originals : OriginalSet
    provenance : mapping
    history : sequence of mapping
        Of the teaching.
    """
    facts = SynthesisFacts(
        title=title,
        source=f"originals from {Path(originals.source).name}",
        result=result,
        shown={name: _shown(each, pixels[name], originals.classes[name]) for name, each in judgement.classes.items()},
        meanings=REASONS,
        lineage=[_lineage(name, each) for name, each in judgement.classes.items()],
        history=history,
        provenance=provenance,
    )
    write_text(folder / "report.html", synthesis_page(facts))
    return folder / "report.html"


def _shown(judged: ClassJudgement, pixels: Grey, originals: Originals) -> list[Beside]:
    """Return the first images and those most like an original."""
    gated, memory = judged.gated, judged.gated.memory
    stills, names = originals.stills, originals.still_names
    alike = [int(k) for k in np.argsort(-memory.likeness) if k >= _FIRST][:_ALIKE]
    return [
        Beside(
            embed(shrink(pixels[k], _LONGEST_PX), f"generated image {k}"),
            embed(shrink(stills[int(memory.original[k])], _LONGEST_PX), f"original {names[int(memory.original[k])]}"),
            float(memory.likeness[k]),
            names[int(memory.original[k])],
            bool(gated.accepted[k]),
            gated.reasons[k],
            gated.decisions[k],
        )
        for k in [*range(min(_FIRST, len(pixels))), *alike]
    ]


def _lineage(label: str, judged: ClassJudgement) -> dict[str, Any]:
    ancestors: frozenset[str] = frozenset().union(*judged.ancestors)
    return {
        "label": label,
        "n": len(judged.gated.reasons),
        "parents": len(set(judged.parents)) if judged.parents else None,
        "ancestors": len(ancestors) if ancestors else None,
        "names": listed(sorted(ancestors), 12) if ancestors else "unknown",
    }
