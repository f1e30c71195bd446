"""``synthesize sample``: draw images, state what they descend from, and let the automatic gate look at them."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from sorby import provenance
from sorby.backbone.runtime import Device
from sorby.corpus import Corpus
from sorby.corpus.ancestry import MANIFEST, joined
from sorby.errors import InputError
from sorby.files import sha256_file, staged_directory
from sorby.progress import bar
from sorby.synthesize import Generator, Samples
from sorby.workflow.runs import refuse_unwritable
from sorby.workflow.synthesis.generators import bundle_path, drawn, made_of, open_generator, taught_data
from sorby.workflow.synthesis.judging import Judgement, judge
from sorby.workflow.synthesis.originals import OriginalSet, read_originals
from sorby.workflow.synthesis.sample_folder import png_of, sample_rows, write_samples

_CEILING = 64  # images of the untaught generator a class


def sample(
    generator: Path | str,
    out: Path | str,
    *,
    n: int,
    originals: Path | str | Corpus | None = None,
    part: str = "train",
    classes: Sequence[str] = (),
    seed: int = 0,
    device: Device = "auto",
    label: str | None = None,
    group: str | None = None,
    image: str | None = None,
    require_signed: bool = False,
    report: bool = True,
) -> dict[str, Any]:
    """Draw images of every class into a folder.

    Parameters
    ----------
    generator : path
        A bundle, or the folder that teaching left.
    out : path
        Folder: a picture each in one folder a class, ``synthetic.csv``, ``sample.json`` and, where originals are given,
        ``report.html``.
    n : int
        Images of each class.
    originals : Corpus or path, optional
        What images are generated from, where the method needs parents, and what the gate compares them with; those that
        taught, where absent and still in their place. Without any, nothing is accepted until ``synthesize check``.
    part : {"train", "all"}
        Of the originals, see `sorby.workflow.synthesis.originals.read_originals`.
    classes : sequence of str
        Only these; all where empty.
    seed : int
    device : {"auto", "cpu", "cuda"}
    label, group, image : str, optional
        Columns of a table of originals.
    require_signed : bool
    report : bool

    Returns
    -------
    dict
        ``folder``, ``table``, ``n``, ``kid`` (of the sample against the originals; None without), ``accepted``,
        ``rejected``, ``unchecked`` and more, see `sorby.workflow.synthesis.judging.Judgement.headline`; ``seconds``,
        ``report``, ``warnings``, ``quarantined``.

    Raises
    ------
    InputError
        Not a generator, classes that do not match, parents missing, or *out* is not empty.
    """
    started, out = time.perf_counter(), Path(out)
    _refuse_full(out)
    model = open_generator(generator, device, require_signed=require_signed)
    sha256 = sha256_file(bundle_path(generator)) if bundle_path(generator).is_file() else model.fingerprint
    wanted = _wanted(model, classes)
    found = None
    noted = taught_data(generator) if originals is None else None
    if noted is not None:
        originals, part = noted["path"], noted["part"]
        label, group, image = noted["label"], noted["group"], noted["image"]
    if originals is not None:
        found = read_originals(originals, model.recipe, part=part, label=label, group=group, image=image).only(wanted)
    samples: dict[str, Samples] = {}
    with bar("drawing", len(wanted)) as advance:
        for name in wanted:
            samples[name] = drawn(model, None if found is None else found.classes, name, n, seed)
            advance(1)
    judgement = None if found is None else judged_samples(model, samples, found, device, seed)
    warnings = [] if found is None else list(found.warnings)
    if noted is not None:
        warnings.append(f"originals as taught: {noted['path']}")
    warnings += judgement.warnings if judgement else [
        "not checked, so not accepted: give --parents ORIGINALS, or sorby synthesize check ORIGINALS FOLDER"
    ]  # fmt: skip
    rows, pictures = _rows(model, samples, found, judgement, sha256, seed)
    made = provenance.describe(seed)
    facts = {
        "generator": str(bundle_path(generator).resolve()),
        "generator_sha256": sha256,
        "recipe": model.recipe.model_dump(mode="json"),
        "taught": {name: list(names) for name, names in model.taught.items()},
        "n": n,
        "seed": seed,
        "provenance": made,
    }
    result: dict[str, Any] = {
        "folder": str(out),
        "table": str(out / MANIFEST),
        "n": len(rows),
        **(judgement.headline() if judgement else _UNCHECKED),
        "unchecked": 0 if judgement else len(rows),
        "generator_sha256": sha256,
        "report": str(out / "report.html") if judgement and report else None,
        "warnings": warnings,
        "quarantined": [] if found is None else [entry.as_dict() for entry in found.quarantined],
    }
    with staged_directory(out) as folder:
        write_samples(folder, rows, pictures, facts)
        if judgement is not None and found is not None and report:
            from sorby.workflow.synthesis.reporting import write_page  # pages are slow to load

            pixels = {name: each.pixels for name, each in samples.items()}
            write_page(folder, "Generated images", result, judgement, pixels, found, made)
    return {**result, "seconds": time.perf_counter() - started}


_UNCHECKED = {"kid": None, "ci95": {"kid": None}, "accepted": 0, "rejected": 0, "copies": None, "classes": {}}


def _refuse_full(out: Path) -> None:
    """Refuse a place that holds something, before images are drawn and judged."""
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise InputError(f"{out}: exists and is not empty", "choose another --out")
    refuse_unwritable(out)


def _wanted(model: Generator, classes: Sequence[str]) -> list[str]:
    strange = sorted(set(classes) - set(model.classes))
    if strange:
        raise InputError(f"the generator knows no class {strange[0]!r}", f"its classes: {', '.join(model.classes)}")
    return [name for name in model.classes if not classes or name in classes]


def judged_samples(
    model: Generator, samples: dict[str, Samples], found: OriginalSet, device: Device, seed: int
) -> Judgement:
    """Judge samples of a generator beside what it drew before it was taught."""
    first = model.untrained()
    made = {}
    for name, own in samples.items():
        count = min(_CEILING, len(own.pixels))
        before = drawn(first, found.classes, name, count, seed)
        made[name] = made_of(model, own, found.classes[name], before)
    return judge(found.classes, made, device=device, seed=seed)


def _rows(
    model: Generator,
    samples: dict[str, Samples],
    found: OriginalSet | None,
    judgement: Judgement | None,
    sha256: str,
    seed: int,
) -> tuple[list[dict[str, Any]], list[bytes]]:
    """Return the manifest and the pictures."""
    rows: list[dict[str, Any]] = []
    pictures: list[bytes] = []
    for name, own in samples.items():
        files = [png_of(np.asarray(each)) for each in own.pixels]
        parents = [_parent(found, name, int(k)) for k in own.parent]
        of_class = sample_rows(name, files, parents, [joined(each) for each in own.ancestors], sha256, seed)
        if judgement is not None:
            gated = judgement.classes[name].gated
            for k, row in enumerate(of_class):
                row["accepted"] = "true" if gated.accepted[k] else "false"
                row["reason"] = "|".join(gated.reasons[k])
        rows += of_class
        pictures += files
    return rows, pictures


def _parent(found: OriginalSet | None, label: str, index: int) -> tuple[Path, str, str] | None:
    if found is None or index < 0:
        return None
    own = found.classes[label]
    return own.paths[index].resolve(), own.names[index], found.specimens.get(own.names[index], "")
