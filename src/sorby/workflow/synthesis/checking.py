"""``synthesize check``: generated images beside real ones, the automatic gate, and a person's decisions kept."""

from __future__ import annotations

import math
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from sorby import provenance
from sorby.backbone.runtime import Device
from sorby.corpus import Corpus
from sorby.errors import InputError
from sorby.files import write_json
from sorby.synthesize import Generator, SynthesisRecipe
from sorby.workflow.runs import refuse_unwritable
from sorby.workflow.synthesis.generators import drawn, open_generator
from sorby.workflow.synthesis.judging import Judgement, Made, judge
from sorby.workflow.synthesis.originals import OriginalSet, read_originals
from sorby.workflow.synthesis.sample_folder import (
    FACTS,
    SampleFolder,
    gate_rows,
    kept_decisions,
    read_facts,
    read_folder,
    update_manifest,
    write_gate,
)

_CEILING = 64  # images of the untaught generator a class


def check(
    real: Path | str | Corpus,
    generated: Path | str,
    out: Path | str,
    *,
    generator: Path | str | None = None,
    part: str = "all",
    seed: int = 0,
    device: Device = "auto",
    label: str | None = None,
    group: str | None = None,
    image: str | None = None,
    report: bool = True,
) -> dict[str, Any]:
    """Say what generated images are worth beside real ones.

    Parameters
    ----------
    real : Corpus or path
        A corpus, a table, or a folder per class.
    generated : path
        A folder that was sampled, or any folder of images, one folder a class.
    out : path
        Folder for ``gate.csv``, ``check.json``, ``report.html``. What a person wrote into column ``decision`` of an
        earlier ``gate.csv`` there, or of the sampled folder's ``synthetic.csv``, is kept; the latter gets the result.
    generator : path, optional
        For the ceiling; the one that a sampled folder names, where it is still there.
    part : {"all", "train"}
        Of the real images.
    seed : int
    device : {"auto", "cpu", "cuda"}
    label, group, image : str, optional
        Columns of a table of real images.
    report : bool

    Returns
    -------
    dict
        ``kid``, ``ci95``, ``floor``, ``ceiling``, ``fid``, ``precision``, ``recall``, ``accepted``, ``rejected``,
        ``copies``, ``reasons``, ``decided`` (by a person), ``classes``, ``table``, ``report``, ``seconds``,
        ``warnings``, ``quarantined``.

    Raises
    ------
    InputError
        Nothing to compare, classes that do not match, images of several sizes, or decisions that contradict.
    """
    started, out = time.perf_counter(), Path(out)
    refuse_unwritable(out)
    named = _named_recipe(Path(generated))
    originals = read_originals(real, named, part=part, label=label, group=group, image=image)
    sampled = read_folder(generated, list(originals.classes))
    originals = originals.only(list(sampled.classes))
    warnings = [line for line in (*originals.warnings, *sampled.warnings) if "every original is taken" not in line]
    made = {name: listed.made for name, listed in sampled.classes.items()}
    _add_ceiling(made, sampled, generator, originals, device, seed, warnings)
    judgement = judge(originals.classes, made, device=device, seed=seed)
    decisions = kept_decisions(sampled, out)
    judgement = _decided(judgement, sampled, decisions)
    gates = {name: each.gated for name, each in judgement.classes.items()}
    rows = gate_rows(sampled.classes, gates, {name: own.still_names for name, own in originals.classes.items()})
    decided = sum(bool(row["decision"]) for row in rows)
    table = write_gate(out, rows)
    if sampled.has_manifest:
        update_manifest(sampled, rows)
    made_by = provenance.describe(seed)
    result: dict[str, Any] = {
        **judgement.headline(),
        "decided": decided,
        "table": str(table),
        "report": str(out / "report.html") if report else None,
        "warnings": [*warnings, *judgement.warnings],
        "quarantined": [entry.as_dict() for entry in (*originals.quarantined, *sampled.quarantined)],
    }
    if report:
        from sorby.workflow.synthesis.reporting import write_page  # pages are slow to load

        pixels = {name: each.pixels for name, each in made.items()}
        write_page(out, "Generated images beside real ones", result, judgement, pixels, originals, made_by)
    write_json(out / "check.json", plain({**result, "provenance": made_by}))
    return {**result, "seconds": time.perf_counter() - started}


def plain(value: Any) -> Any:
    """Return a result ready for JSON: numbers that are none as null."""
    if isinstance(value, dict):
        return {str(key): plain(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [plain(entry) for entry in value]
    if hasattr(value, "tolist"):
        return plain(value.tolist())
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _named_recipe(folder: Path) -> SynthesisRecipe | None:
    """Return the recipe of the generator that a sampled folder names: it says at which scale originals were taught."""
    facts = read_facts(folder) if folder.is_dir() else {}
    if "recipe" not in facts:
        return None
    try:
        return SynthesisRecipe.model_validate(facts["recipe"])
    except ValidationError as error:
        raise InputError(
            f"{folder / FACTS}: its recipe is none of a generator", "sample again, or take the file away"
        ) from error


def _add_ceiling(
    made: dict[str, Made],
    sampled: SampleFolder,
    generator: Path | str | None,
    originals: OriginalSet,
    device: Device,
    seed: int,
    warnings: list[str],
) -> None:
    """Add what the generator drew before it was taught, where there is a generator."""
    place = generator or sampled.facts.get("generator")
    if place is None:
        warnings.append("no generator is named, so there is no ceiling: --generator GEN")
        return
    if generator is None and not Path(place).exists():
        warnings.append(f"the generator {place} is not there any more, so there is no ceiling: --generator GEN")
        return
    model = open_generator(place, device)
    _same_classes(model, made)
    first = model.untrained()
    for name, own in made.items():
        before = drawn(first, originals.classes, name, min(_CEILING, len(own.pixels)), seed)
        made[name] = Made(own.pixels, own.ancestors, own.parents, before.pixels)


def _same_classes(model: Generator, made: dict[str, Made]) -> None:
    strange = sorted(set(made) - set(model.classes))
    if strange:
        raise InputError(
            f"the generator knows no class {strange[0]!r}, which the images are of",
            f"its classes: {', '.join(model.classes)}; give another --generator",
        )


def _decided(judgement: Judgement, sampled: SampleFolder, decisions: dict[str, str]) -> Judgement:
    """Return the judgement with a person's decisions."""
    classes = {}
    for name, each in judgement.classes.items():
        words = [decisions.get(sha, "") for sha in sampled.classes[name].hashes]
        classes[name] = replace(each, gated=each.gated.decided(words))
    return replace(judgement, classes=classes)
