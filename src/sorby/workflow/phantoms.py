"""``phantom``: synthetic specimens as a corpus, and the published set in the cache."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any, Literal

import pandas as pd

from sorby.backbone.cache import cache_folder
from sorby.corpus import Corpus, build
from sorby.errors import InputError
from sorby.files import atomic_write, sha256_file
from sorby.phantom import ALL_KINDS, DEMO_CLASSES, NOVEL_KINDS, write_novel, write_published_steel, write_steel
from sorby.phantom.corrosion import ALLOYS, corrosion_set, draw_plate, render_plate, write_plate, write_views
from sorby.phantom.fracture import FULL_SIZE, SMALL_SIZE, fracture_set
from sorby.phantom.fracture.archive import write_archive
from sorby.phantom.membrane import PUBLISHED_SHEETS, MembraneSet, write_membrane
from sorby.phantom.published import Label, relabelled
from sorby.phantom.steel_set import PUBLISHED_COUNTS
from sorby.progress import bar

#: What the bytes of a published set depend on: a change in any of them asks for a new rendering.
_GENERATOR = (
    "sorby.corpus.grades",
    *(
        f"sorby.phantom.{name}"
        for name in (
            "alloys",
            "fields",
            "frame",
            "needles",
            "optics",
            "published",
            "raters",
            "specimens",
            "steel",
            "steel_jobs",
            "steel_set",
            "writing",
        )
    ),
)
#: Width and height of a fracture phantom's pictures, without info bar.
FRACTURE_SIZES: Mapping[Literal["small", "full"], tuple[int, int]] = {"small": SMALL_SIZE, "full": FULL_SIZE}
#: Specimens of a set of fracture phantoms where nobody says how many.
FRACTURE_SPECIMENS = 60
#: Coupons of a set of corrosion phantoms where nobody says how many: four of each alloy and grade.
CORROSION_SPECIMENS = 40
PUBLISHED_IMAGES = sum(PUBLISHED_COUNTS.values())


def generator_key() -> str:
    """Return eight hexadecimal digits that change with the code that draws steel."""
    digest = hashlib.sha256()
    for name in _GENERATOR:
        source = import_module(name).__file__
        if source is None:
            raise InputError(f"{name} has no source file", "install sorby from its wheel or a checkout")
        digest.update(sha256_file(Path(source)).encode())
    return digest.hexdigest()[:8]


def published_steel(
    size_px: int = 512, seed: int = 0, folder: Path | str | None = None, *, jobs: int | None = None
) -> Path:
    """Return the folder of the published set, rendered into the cache unless it is there already.

    Parameters
    ----------
    size_px : int
        Edge of an image: 512, or 1994 as most of S1's were.
    seed : int
    folder : path, optional
        Where sets are kept; ``phantoms`` in the cache folder where None. The set lies in
        ``steel-<size>-<seed>-<key>`` below it; the key changes with the code that draws.
    jobs : int, optional
        Processes; one for each processor where None.

    Returns
    -------
    Path
        With ``labels.csv``, ``truth.json``, ``images/``, ``masks/``, ``needles/``; complete, or not there at all.
    """
    home = cache_folder() / "phantoms" if folder is None else Path(folder)
    place = home / f"steel-{size_px}-{seed}-{generator_key()}"
    if not (place / "labels.csv").is_file():
        home.mkdir(parents=True, exist_ok=True)
        with counting("rendering", PUBLISHED_IMAGES) as step:
            write_published_steel(place, seed, size_px=size_px, jobs=jobs, progress=step)
    return place


def write_steel_corpus(
    out: Path | str,
    count: int | None = None,
    *,
    seed: int = 0,
    size_px: int = 448,
    label: Label = "code",
    novel: int = 0,
    kinds: Sequence[str] = tuple(NOVEL_KINDS),
    classes: tuple[str, ...] | None = None,
    images_per_specimen: int = 2,
    published: bool = False,
) -> dict[str, Any]:
    """Render steel phantoms and their corpus.

    Parameters
    ----------
    out : path
        Gets ``steel/`` (images, masks, truth), ``corpus.parquet`` and, where *novel* is above 0, ``novel/``.
    count : int, optional
        Images of known classes; needed unless *published*.
    seed, size_px : int
    label : {"code", "subtype", "daily"}
        Which truth is the label: structure code, subtype, or the simulated day-to-day label.
    novel : int
        Images of structures that are not in the corpus, for testing referral.
    kinds : sequence of str
        Kinds of those, in turn; see :func:`sorby.phantom.render_novel`.
    classes : tuple of str, optional
        Structure codes to render.
    images_per_specimen : int
    published : bool
        Render the published set instead: 1,641 images, S1's classes, alloys and magnifications.

    Returns
    -------
    dict
        ``corpus``, ``rows``, ``classes``, ``novel``.

    Raises
    ------
    InputError
        *count* is missing, or contradicts *published*; a kind or a label is unknown.
    """
    out = Path(out)
    unknown = [kind for kind in kinds if kind not in ALL_KINDS]
    if unknown or not kinds:
        raise InputError(
            f"novel kinds {', '.join(unknown) or '(none)'} are unknown", f"allowed: {', '.join(ALL_KINDS)}"
        )
    if published and (classes is not None or count not in (None, PUBLISHED_IMAGES)):
        raise InputError(
            f"the published set has {PUBLISHED_IMAGES} images of its own classes", "leave number and classes out"
        )
    if published:
        with counting("rendering", PUBLISHED_IMAGES) as step:
            table = write_published_steel(out / "steel", seed, size_px=size_px, progress=step)
    elif count is None:
        raise InputError("how many phantoms?", "give a number of images, or ask for the published set")
    else:
        with counting("rendering", count) as step:
            table = write_steel(
                out / "steel",
                count,
                seed,
                size_px=size_px,
                images_per_specimen=images_per_specimen,
                classes=DEMO_CLASSES if classes is None else classes,
                progress=step,
            )
    rows = [{str(name): value for name, value in row.items()} for row in table.to_dict("records")]
    corpus = built_corpus(out, pd.DataFrame(relabelled(rows, label)), "steel")
    path = corpus.save(out / "corpus.parquet")
    if novel:
        write_novel(out / "novel", novel, seed, size_px=size_px, kinds=kinds)
    counts = corpus.table["label"].value_counts().to_dict()
    return {
        "corpus": str(path),
        "rows": len(corpus),
        "classes": {str(name): int(number) for name, number in sorted(counts.items())},
        "novel": str(out / "novel") if novel else None,
    }


def write_membrane_corpus(
    out: Path | str,
    count: int | None = None,
    *,
    seed: int = 0,
    set: MembraneSet = "both",
    difficulty: float = 1.0,
    scale: float = 1.0,
    tiles: int | None = None,
    max_good_tiles: int | None = 400,
) -> dict[str, Any]:
    """Render sheets of electrode and their corpus.

    Parameters
    ----------
    out : path
        Gets ``membrane/`` (sheets, masks, boxes, truth, tiles) and ``corpus.parquet``.
    count : int, optional
        Sheets; the whole set where None.
    seed, set, difficulty, scale, tiles, max_good_tiles
        See :func:`sorby.phantom.membrane.write_membrane`.

    Returns
    -------
    dict
        ``corpus``, ``rows``, ``classes``; ``defects`` (labelled ones of each kind), ``truth``, ``boxes``; ``tiles``
        (folder, or None).

    Raises
    ------
    InputError
        A request cannot be met, or the folder cannot be written.
    """
    out = Path(out)
    place = out / "membrane"
    with counting("rendering sheets", PUBLISHED_SHEETS[set] if count is None else count) as step:
        table = write_membrane(
            place,
            seed=seed,
            set=set,
            n=count,
            difficulty=difficulty,
            scale=scale,
            tiles=tiles,
            max_good_tiles=max_good_tiles,
            progress=step,
        )
    corpus = built_corpus(out, table, "membrane")
    path = corpus.save(out / "corpus.parquet")
    truth = pd.read_csv(place / "truth.csv")
    counts = corpus.table["label"].value_counts().to_dict()
    kinds = truth.loc[truth["labelled"], "kind"].value_counts().to_dict()
    return {
        "corpus": str(path),
        "rows": len(corpus),
        "classes": {str(name): int(number) for name, number in sorted(counts.items())},
        "defects": {str(name): int(number) for name, number in sorted(kinds.items())},
        "truth": str(place / "truth.csv"),
        "boxes": str(place / "boxes.json"),
        "tiles": str(place / "tiles") if tiles else None,
    }


def write_fracture_corpus(
    out: Path | str,
    count: int | None = None,
    *,
    seed: int = 0,
    size: Literal["small", "full"] = "full",
    difficulty: float = 1.0,
    unknown: float = 0.06,
    bars: bool = True,
) -> dict[str, Any]:
    """Render broken specimens as an archive of pictures and reports, and the corpus of what is true of them.

    The corpus knows what the archive only tells to whoever reads names and reports: ``sorby corpus build`` on the
    archive makes another one, to be held against this.

    Parameters
    ----------
    out : path
        Gets ``archive/`` (see `sorby.phantom.fracture.archive.write_archive`) and ``corpus.parquet``.
    count : int, optional
        Specimens; 60 where None. Each has some ten pictures.
    seed : int
    size : {"small", "full"}
        256 x 192 or 1024 x 768 pixels, and an info bar.
    difficulty : float
        See `sorby.phantom.fracture.FractureSpecimen.draw`.
    unknown : float
        Share of specimens whose origin broke away; their rows are excluded.
    bars : bool
        Add info bars to the pictures.

    Returns
    -------
    dict
        ``corpus``, ``rows``, ``classes``, ``specimens``, ``archive``, ``reports``, ``truth``.

    Raises
    ------
    InputError
        A request cannot be met, or the folder cannot be written.
    """
    out = Path(out)
    place = out / "archive"
    specimens = fracture_set(
        FRACTURE_SPECIMENS if count is None else count, seed, difficulty=difficulty, unknown=unknown
    )
    with counting("rendering", sum(len(specimen.views) for specimen in specimens)) as step:
        truth = write_archive(place, specimens, seed, size=FRACTURE_SIZES[size], bars=bars, progress=step)
    stems = [Path(name).stem for name in truth["image"]]
    # In a corpus the column `phantom` marks rendered pictures, so that no figure passes for one of real specimens.
    table = truth.rename(columns={"image": "path", "phantom": "phantom_specimen"}).assign(
        cues=[f"archive/truth/cues/{stem}.png" for stem in stems],
        label_source="phantom",
        phantom=True,
        exclusion=truth["label"].eq("unknown").map({True: "origin unknown", False: None}),
    )
    corpus = built_corpus(out, table, "archive")
    path = corpus.save(out / "corpus.parquet")
    counts = corpus.usable().table["label"].value_counts().to_dict()
    return {
        "corpus": str(path),
        "rows": len(corpus),
        "classes": {str(name): int(number) for name, number in sorted(counts.items())},
        "specimens": len(specimens),
        "archive": str(place),
        "reports": str(place / "reports"),
        "truth": str(place / "truth.csv"),
    }


def write_corrosion_corpus(
    out: Path | str,
    count: int | None = None,
    *,
    seed: int = 0,
    size_px: int = 450,
    images: int = 4,
    frames: int = 0,
    plates: int = 0,
    difficulty: float = 1.0,
    bars: bool = False,
) -> dict[str, Any]:
    """Render corroded coupons of 316L and AZ31B, measure them, and make their corpus.

    Parameters
    ----------
    out : path
        Gets ``corrosion/`` (see `sorby.phantom.corrosion.write_views`), ``corpus.parquet`` and, where asked for,
        ``plates/`` (see `sorby.phantom.corrosion.write_plate`).
    count : int, optional
        Coupons; 40 where None: four of each alloy and grade.
    seed : int
    size_px : int
        Edge of a picture.
    images : int
        Stills of each coupon.
    frames : int
        Frames of a time-lapse of each; 0 for none.
    plates : int
        Whole plates, alloys in turn.
    difficulty : float
        See `sorby.phantom.corrosion.CorrosionSpecimen.draw`.
    bars : bool
        Add info bars to the pictures.

    Returns
    -------
    dict
        ``corpus``, ``rows``, ``classes``, ``severities`` (images of each grade), ``specimens``, ``truth``, ``curves``
        (folder of every coupon's polarisation sweep and impedance spectrum), ``curves_truth``, ``plates`` (folder, or
        None).

    Raises
    ------
    InputError
        A request cannot be met, or the folder cannot be written.
    """
    out = Path(out)
    place = out / "corrosion"
    specimens = corrosion_set(
        CORROSION_SPECIMENS if count is None else count, seed, images=images, frames=frames, difficulty=difficulty
    )
    with counting("rendering", sum(len(specimen.views) for specimen in specimens)) as step:
        table = write_views(place, specimens, size=(size_px, size_px), bars=bars, progress=step)
    corpus = built_corpus(out, table.rename(columns={"image": "path"}), "corrosion")
    path = corpus.save(out / "corpus.parquet")
    if plates:
        with counting("rendering plates", plates) as step:
            for number in range(plates):
                plate = draw_plate(seed * 1000 + number, ALLOYS[number % len(ALLOYS)], name=f"plate-{number + 1:02d}")
                write_plate(out / "plates" / plate.name, render_plate(plate))
                step(number + 1, plates)
    counts = corpus.table["label"].value_counts().to_dict()
    grades = table["severity"].value_counts().to_dict()
    return {
        "corpus": str(path),
        "rows": len(corpus),
        "classes": {str(name): int(number) for name, number in sorted(counts.items())},
        "severities": {str(name): int(number) for name, number in sorted(grades.items())},
        "specimens": len(specimens),
        "truth": str(place / "truth.csv"),
        "curves": str(place / "curves"),
        "curves_truth": str(place / "curves.csv"),
        "plates": str(out / "plates") if plates else None,
    }


@contextmanager
def counting(what: str, total: int) -> Iterator[Callable[[int, int], None]]:
    """Show a bar; yield what turns images done so far into steps of it."""
    with bar(what, total) as advance:
        done = 0

        def step(images: int, _total: int) -> None:
            nonlocal done
            advance(images - done)
            done = images

        yield step


def built_corpus(out: Path, table: pd.DataFrame, folder: str) -> Corpus:
    """Build the corpus of the images rendered into *folder* through the same door as real ones."""
    places = {name: [f"{folder}/{path}" for path in table[name]] for name in ("path", "mask") if name in table}
    with atomic_write(out / "labels.csv") as file:
        file.write(table.assign(**places).to_csv(index=False).encode("utf-8"))
    return build([out / "labels.csv"], min_classes=1).corpus
