"""``synthesize train``: teach a generator by originals, and say what its images are worth."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd

from sorby import provenance
from sorby.backbone.runtime import Device
from sorby.corpus import Corpus
from sorby.files import atomic_write, sha256_file, write_json
from sorby.synthesize import SynthesisRecipe, load_recipe, teach
from sorby.synthesize.recipe import dump
from sorby.workflow.runs import refuse_finished
from sorby.workflow.synthesis.checking import plain
from sorby.workflow.synthesis.generators import BUNDLE, RUN_FILE, drawn
from sorby.workflow.synthesis.originals import read_originals
from sorby.workflow.synthesis.sampling import judged_samples

_SAMPLE = 48  # images a class that are drawn to be judged


def train(
    data: Path | str | Corpus,
    out: Path | str,
    recipe: SynthesisRecipe | None = None,
    *,
    part: str = "train",
    seed: int = 0,
    device: Device = "auto",
    label: str | None = None,
    group: str | None = None,
    image: str | None = None,
    on_step: Callable[[dict[str, Any]], None] | None = None,
    report: bool = True,
) -> dict[str, Any]:
    """Teach one generator a class and judge a sample of it by the originals it was taught from.

    Parameters
    ----------
    data : Corpus or path
        A corpus, a table, or a folder per class.
    out : path
        Folder for ``generator.sorby``, ``history.csv``, ``run.json``, ``recipe.yaml``, ``report.html``; a teaching that
        was interrupted there goes on.
    recipe : SynthesisRecipe, optional
        ``stills-128`` where absent.
    part : {"train", "all"}
        Where the data have a split, what is taught from.
    seed : int
    device : {"auto", "cpu", "cuda"}
    label, group, image : str, optional
        Columns of a table.
    on_step : callable, optional
        See `sorby.synthesize.teach`.
    report : bool

    Returns
    -------
    dict
        ``generator``, ``kid`` (of ``n_generated`` samples against the originals it was taught from, which it may have
        copied), ``accepted``, ``rejected`` of that sample, and the rest of a judgement; ``taught`` (originals a class),
        ``seconds``, ``report``, ``warnings``, ``quarantined``.

    Raises
    ------
    InputError
        *out* holds a finished run, no originals, originals that do not fit the recipe, or losses that diverge.
    """
    started, out, chosen = time.perf_counter(), Path(out), recipe or load_recipe()
    refuse_finished(out)
    found = read_originals(data, chosen, part=part, label=label, group=group, image=image)
    images = {name: own.pixels for name, own in found.classes.items()}
    names = {name: own.names for name, own in found.classes.items()}
    taught = teach(images, names, chosen, seed=seed, device=device, state_folder=out / "state", on_step=on_step)
    model = taught.generator
    samples = {name: drawn(model, found.classes, name, _SAMPLE, seed) for name in model.classes}
    judgement = judged_samples(model, samples, found, device, seed)
    headline = judgement.headline()
    brief = {name: headline[name] for name in ("kid", "ci95", "fid", "accepted", "rejected", "copies", "n_generated")}
    model.save(out / BUNDLE, metrics={"sample_against_taught_originals": brief}, notes=found.warnings, overwrite=True)
    with atomic_write(out / "history.csv") as file:
        file.write(pd.DataFrame(taught.history).to_csv(index=False).encode("utf-8"))
    with atomic_write(out / "recipe.yaml") as file:
        file.write(dump(chosen).encode("utf-8"))
    result: dict[str, Any] = {
        "generator": str(out / BUNDLE),
        "generator_sha256": sha256_file(out / BUNDLE),
        **headline,
        "taught": {name: len(own.pixels) for name, own in found.classes.items()},
        "taught_seconds": taught.seconds,
        "report": str(out / "report.html") if report else None,
        "warnings": [*found.warnings, *judgement.warnings],
        "quarantined": [entry.as_dict() for entry in found.quarantined],
    }
    made = provenance.describe(seed)
    if report:
        from sorby.workflow.synthesis.reporting import write_page  # pages are slow to load

        pixels = {name: each.pixels for name, each in samples.items()}
        write_page(out, f"Generator {chosen.name}", result, judgement, pixels, found, made, history=taught.history)
    source = None if isinstance(data, Corpus) else {
        "path": str(Path(data).resolve()), "part": part, "label": label, "group": group, "image": image,
    }  # fmt: skip
    write_json(
        out / RUN_FILE, {**plain(result), "data": source, "recipe": chosen.model_dump(mode="json"), "provenance": made}
    )
    shutil.rmtree(out / "state", ignore_errors=True)
    return {**result, "seconds": time.perf_counter() - started}
