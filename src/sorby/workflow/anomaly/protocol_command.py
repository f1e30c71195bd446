"""``anomaly protocol``: a published protocol on a user's sheets, as a table and its JSON."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sorby import provenance
from sorby.anomaly.detector import score_meaning
from sorby.anomaly.recipe import AnomalyRecipe
from sorby.backbone.runtime import Device
from sorby.corpus import Corpus
from sorby.files import write_json
from sorby.workflow.anomaly.baseline_uniformity import spots_predict_scores, uniformity
from sorby.workflow.anomaly.pretreatment import hidden_defects, treatment
from sorby.workflow.anomaly.protocol_figures import summarised
from sorby.workflow.anomaly.protocols import ArmResult, ProtocolResult, ProtocolSettings, grid_factor, run_protocol
from sorby.workflow.anomaly.sheets import read_sheets
from sorby.workflow.anomaly.sub_images import cut


def protocol(
    sheets: Corpus | Path | str,
    out: Path | str,
    *,
    recipe: AnomalyRecipe,
    settings: ProtocolSettings | None = None,
    border: bool = False,
    treat: str = "none",
    device: Device = "auto",
) -> dict[str, Any]:
    """Carry out a published protocol (Yan et al. 2023) on scanned sheets.

    Parameters
    ----------
    sheets : Corpus or path
        See `sorby.workflow.anomaly.sheets.read_sheets`.
    out : path
        Gets ``protocol.json``.
    recipe : AnomalyRecipe
        Its views say which protocol: a 6c x 3c grid, or tiles; ``membrane-scratches`` and the like.
    settings : ProtocolSettings, optional
    border : bool
        Tiles: the cropped border as well.
    treat : str
        ``contrast`` or ``smooth`` before the model; what that hides is reported.
    device : {"auto", "cpu", "cuda"}

    Returns
    -------
    dict
        ``protocol``, ``arms`` (each with ``standard``, ``inner``, ``outer_pro``, ``timing``, ``resampled``),
        ``baseline``, ``counts``, ``network``, ``notes``, ``score``, ``report``, ``seconds``, ``quarantined``.

    Raises
    ------
    InputError
        The sheets do not allow the protocol.
    MissingPartError
        The network's weights are not at hand.
    """
    started = time.perf_counter()
    found = read_sheets(sheets)
    chosen = found.of("pinholes" if grid_factor(recipe) is None else "scratches")
    subs = cut(chosen, recipe, border=border, treatment=treatment(treat))
    result = run_protocol(subs, recipe, settings, device=device)
    facts = described(result)
    if treat != "none":
        facts["treatment"] = {"name": treat, **hidden_defects(cut(chosen, recipe, border=border), subs)}
    place = Path(out) / "protocol.json"
    place.parent.mkdir(parents=True, exist_ok=True)
    answer = {
        **facts,
        "score": score_meaning(recipe),
        "report": str(place),
        "warnings": found.warnings,
        "quarantined": [entry.as_dict() for entry in found.quarantined],
        "seconds": time.perf_counter() - started,
    }
    write_json(place, {**answer, "provenance": provenance.describe(result.settings.seed)})
    return answer


def described(result: ProtocolResult) -> dict[str, Any]:
    """Return a protocol's figures for JSON."""
    baseline = uniformity(result.subs)
    split, bad = result.split, result.subs.bad
    return {
        "protocol": result.name,
        "c": result.c,
        "counts": {
            "sub_images": len(result.subs),
            "defective": int(bad.sum()),
            "defects": len({group for group, shows in zip(result.subs.groups, bad, strict=True) if shows}),
            "train": len(split.train),
            "test_good": int((~bad[split.test]).sum()),
            "test_defective": int(bad[split.test].sum()),
            "weight_good": float(split.weights[-1]),
            "sheets": len(result.subs.sheets),
        },
        "arms": [described_arm(result, arm) for arm in result.arms],
        "baseline": {
            **{key: baseline[key] for key in ("texture", "shading", "spots_per_mpx", "n")},
            "spots_predict_scores": spots_predict_scores(baseline, result.arms[0].scores),
        },
        "network": result.network,
        "settings": {**vars(result.settings)},
        "notes": result.notes,
    }


def described_arm(result: ProtocolResult, arm: ArmResult) -> dict[str, Any]:
    """Return the figures of one number of features."""
    times = [{"inference_s": inference, "total_s": total} for inference, total in arm.timing]
    outer = [{"outer_pro": each.pro} for each in arm.outer]
    standard: Sequence[Any] = arm.standard
    inner: Sequence[Any] = arm.inner
    return {
        "features": arm.length,
        "all": arm.features is None,
        "standard": {**summarised(standard), **summarised(times)},
        "inner": summarised(inner),
        "outer": summarised(outer, shared=False),
        "held_out": [
            {"image": result.subs.name(each.row), "pro": each.pro, "threshold": each.threshold} for each in arm.outer
        ],
        "resampled": arm.resampled,
    }
