"""The work behind a set of phantoms: one specimen (or novel image) a job, in whichever process, then the tables."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from sorby.errors import InputError
from sorby.files import write_json, write_text
from sorby.phantom.alloys import with_alloy, with_coarse_patches
from sorby.phantom.novel import render_novel
from sorby.phantom.specimens import SteelSpecimen, draw_specimen
from sorby.phantom.steel import SteelPhantom, render_steel
from sorby.phantom.writing import FileFormat, gather, write_mask, write_picture

if TYPE_CHECKING:
    import pandas as pd

_ATTEMPTS = 24


@dataclass(frozen=True)
class Job:
    """One specimen (or novel image) for a worker: plain values only, they cross to another process.

    Attributes
    ----------
    folder : str
        Where the set is being written.
    code : str
        Structure code, or kind of novel image.
    seed, number, images : int
        Seed of the job, its place in the set, micrographs to take.
    size_px : tuple of int
        Height and width.
    file_format : {"png", "tiff"}
    truth_files : bool
        Write masks and needle tables.
    options : tuple of (str, object)
        Keywords for :func:`sorby.phantom.draw_specimen`.
    alloy : str
        Of the specimen; drawn where empty.
    coarse_patches : float
        Share of the area that coarse patches too small for the maximum criterion take.
    about : mapping
        Further columns for every row of the specimen.
    """

    folder: str
    code: str
    seed: int
    number: int
    images: int
    size_px: tuple[int, int]
    file_format: FileFormat
    truth_files: bool
    options: tuple[tuple[str, Any], ...]
    alloy: str = ""
    coarse_patches: float = 0.0
    about: Mapping[str, Any] = field(default_factory=dict)


def suffix(file_format: str) -> str:
    """Return the file suffix of a format.

    Raises
    ------
    InputError
        There is no such format.
    """
    try:
        return {"png": ".png", "tiff": ".tif"}[file_format]
    except KeyError:
        raise InputError(f"file_format {file_format!r} is unknown", "allowed: png, tiff") from None


def prepared(job: Job, seed: int) -> SteelSpecimen:
    """Return the specimen a job asks for, drawn with *seed*, of its alloy and with its patches."""
    specimen = draw_specimen(job.code, seed, images=job.images, size_px=job.size_px, **dict(job.options))
    if job.coarse_patches:
        specimen = with_coarse_patches(specimen, job.coarse_patches)
    return with_alloy(specimen, job.alloy) if job.alloy else specimen


def _render_as_requested(job: Job, specimen_seed: int) -> list[SteelPhantom]:
    """Render a specimen; another one is drawn where a field by chance grades differently than asked for.

    Raises
    ------
    InputError
        The field of view holds too few needles for the class.
    """
    seeds = np.random.SeedSequence(specimen_seed).generate_state(_ATTEMPTS)
    for seed in seeds:
        specimen = prepared(job, int(seed))
        phantoms = []
        for spec, image_seed in zip(specimen.specs, specimen.seeds, strict=True):
            phantom = render_steel(spec, image_seed)
            if not phantom.graded.any() or phantom.label != job.code:
                break
            phantoms.append(phantom)
        else:
            return phantoms
    raise InputError(
        f"no field of {job.size_px[1]} x {job.size_px[0]} pixels graded {job.code} in {_ATTEMPTS} attempts",
        "use a larger size_px or wider classes in the grade table",
    )


def _row(path: str, truth: Mapping[str, Any]) -> dict[str, Any]:
    """Return a table row: the corpus' columns first, then everything known."""
    first = ("label", "subtype", "size_class", "specimen", "magnification", "pixel_size_um")
    second = ("plant", "instrument", "criterion", "mean_needle_length_um", "max_needle_length_um")
    named = {key: truth[key] for key in (*first, *second)}
    rest = {key: value for key, value in truth.items() if key not in named and key != "phantom"}
    return {"path": path, **named, **rest, "label_source": "phantom", "phantom": True}


def write_specimen(job: Job) -> list[dict[str, Any]]:
    """Render and write one specimen; return its rows. Top level: other processes call it."""
    root = Path(job.folder)
    rows = []
    for place, phantom in enumerate(_render_as_requested(job, job.seed), start=1):
        specimen = phantom.spec.specimen
        name = f"{specimen}_{place}"
        path = f"images/{name}{suffix(job.file_format)}"
        write_picture(root / path, phantom.pixels, phantom.spec.pixel_size_um)
        if job.truth_files:
            write_mask(root / "masks" / f"{name}_phases.png", phantom.phases)
            write_mask(root / "masks" / f"{name}_region.png", phantom.region)
            write_mask(root / "masks" / f"{name}_needles.png", phantom.needle_mask)
            columns = {key: np.asarray(v, dtype=np.float32) for key, v in phantom.needles.columns().items()}
            with open(root / "needles" / f"{name}.npz", "wb") as file:
                np.savez(file, graded=phantom.graded, **columns)  # type: ignore[arg-type]
        rows.append(_row(path, {**phantom.truth(), **job.about}))
    return rows


def write_novel_image(job: Job) -> list[dict[str, Any]]:
    """Render and write one novel image; return its row. Top level: other processes call it."""
    options = dict(job.options)
    phantom = render_novel(
        job.code, job.seed, size_px=job.size_px, micron_bar=options["micron_bar"], colour=options["colour"]
    )
    name = f"N{job.number:04d}_{job.code}"
    path = f"images/{name}{suffix(job.file_format)}"
    write_picture(Path(job.folder) / path, phantom.pixels, phantom.pixel_size_um)
    return [
        {
            "path": path,
            "label": "novel",
            "kind": job.code,
            "specimen": name,
            "magnification": phantom.magnification,
            "pixel_size_um": phantom.pixel_size_um,
            "plant": phantom.instrument.plant,
            "instrument": phantom.instrument.name,
            "seed": job.seed,
            "label_source": "phantom",
            "phantom": True,
        }
    ]


def carry_out(
    work: Callable[[Job], list[dict[str, Any]]],
    jobs: Sequence[Job],
    folder: Path,
    truth_files: bool,
    processes: int | None,
    total: int,
    progress: Callable[[int, int], None] | None,
) -> list[dict[str, Any]]:
    """Write all images and return their rows in order."""
    for name in ("images", "masks", "needles") if truth_files else ("images",):
        (folder / name).mkdir()
    rows = gather(work, jobs, processes, total, progress)
    if len({row["path"] for row in rows}) < len(rows):  # names are hashes of seeds: about once in a thousand sets
        raise InputError("two specimens of this set have the same name", "take another seed")
    return rows


def write_tables(folder: Path, rows: list[dict[str, Any]], about: dict[str, Any]) -> pd.DataFrame:
    """Write labels and truth and return the table."""
    import pandas as pd  # here, because worker processes import this module and need no tables

    frame = pd.DataFrame(rows)
    write_text(folder / "labels.csv", frame.to_csv(index=False, lineterminator="\n"))
    write_json(folder / "truth.json", {**about, "images": {row["path"]: row for row in rows}})
    return frame
