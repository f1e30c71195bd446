"""A whole set of steel phantoms on disk: images, masks, needle tables, labels and truth."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from sorby.corpus.grades import HOUSE_SCALE, SIZE_CLASSES, GradeTable
from sorby.errors import InputError
from sorby.files import staged_directory
from sorby.phantom.novel import ALL_KINDS, NOVEL_KINDS
from sorby.phantom.raters import with_ratings
from sorby.phantom.steel import PHASES
from sorby.phantom.steel_jobs import Job, carry_out, suffix, write_novel_image, write_specimen, write_tables
from sorby.phantom.writing import FileFormat

if TYPE_CHECKING:
    import pandas as pd

#: The eight classes that S1 kept.
DEMO_CLASSES = ("B7", "B8", "B9-10", "G7", "G8", "G9-10", "M8", "M9-10")
#: How many micrographs of each class S1 had (Table 1 and Fig. 3), the ones it left out included.
PUBLISHED_COUNTS: Mapping[str, int] = {
    "B6": 4,
    "B7": 40,
    "B8": 137,
    "B9-10": 149,
    "G6": 11,
    "G7": 48,
    "G8": 196,
    "G9-10": 985,
    "M7": 1,
    "M8": 31,
    "M9-10": 39,
}


def shares(classes: Sequence[str], balance: str | Mapping[str, float]) -> dict[str, float]:
    """Return the share of each class, summing to 1.

    Parameters
    ----------
    classes : sequence of str
        Structure codes.
    balance : str or mapping
        ``"balanced"``; ``"published"``: as S1 counted them; or a weight for each class.

    Raises
    ------
    InputError
        The balance is unknown, or a class has no weight.
    """
    if isinstance(balance, Mapping):
        weights: Mapping[str, float] = balance
    elif balance == "balanced":
        weights = dict.fromkeys(classes, 1.0)
    elif balance == "published":
        weights = PUBLISHED_COUNTS
    else:
        raise InputError(f"balance {balance!r} is unknown", "allowed: balanced, published, or weights by class")
    missing = [code for code in classes if not weights.get(code, 0) > 0]
    if missing or not classes:
        raise InputError(f"no weight for class {', '.join(missing) or '(none given)'} in balance")
    total = sum(weights[code] for code in classes)
    return {code: weights[code] / total for code in classes}


def apportion(count: int, share: Mapping[str, float]) -> dict[str, int]:
    """Return whole numbers that sum to *count*, nearest to the shares (largest remainder), at least 1 each.

    Raises
    ------
    InputError
        There are fewer than one for each.
    """
    if count < len(share):
        raise InputError(f"{count} specimens for {len(share)} classes", "ask for more images or fewer classes")
    exact = {code: part * (count - len(share)) for code, part in share.items()}
    whole = {code: int(value) for code, value in exact.items()}
    by_rest = sorted(exact, key=lambda code: (whole[code] - exact[code], code))
    for code in by_rest[: count - len(share) - sum(whole.values())]:
        whole[code] += 1
    return {code: number + 1 for code, number in whole.items()}


def write_steel(
    out_dir: Path | str,
    n: int,
    seed: int,
    *,
    classes: Sequence[str] = DEMO_CLASSES,
    balance: str | Mapping[str, float] = "balanced",
    images_per_specimen: int = 2,
    size_px: int | tuple[int, int] = 448,
    table: GradeTable = HOUSE_SCALE,
    file_format: FileFormat = "png",
    truth_files: bool = True,
    micron_bar: bool = True,
    resin_share: float = 0.25,
    colour: bool = True,
    jobs: int | None = None,
    overwrite: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> pd.DataFrame:
    """Render a set of steel micrographs and write it with its truth.

    Beside its truth, every image has a day-to-day label and the ratings of a panel of fourteen simulated raters (see
    :mod:`sorby.phantom.raters`), where the grade table has the usual classes.

    The folder gets ``images/``, and with *truth_files* ``masks/`` (phases, region of interest, needles) and
    ``needles/`` (one ``.npz`` each); ``labels.csv`` (the returned table) and ``truth.json`` (the grade table, the
    phase numbers and each image's truth). It is complete or absent.

    Parameters
    ----------
    out_dir : Path or str
        Destination folder.
    n : int
        Number of images.
    seed : int
        Same seed, same bytes, whatever *jobs* is.
    classes : sequence of str
        Structure codes.
    balance : str or mapping
        See :func:`shares`.
    images_per_specimen : int
        Micrographs of each specimen; the last specimen may have fewer.
    size_px : int or tuple of int
        Side, or height and width.
    table : GradeTable
        The house scale.
    file_format : {"png", "tiff"}
        PNG carries no scale; TIFF carries it as ImageJ does.
    truth_files : bool
        Write masks and needle tables.
    micron_bar, resin_share, colour
        See :func:`draw_specimen`.
    jobs : int, optional
        Processes; one for each processor where None. A script that asks for more than one needs the usual
        ``if __name__ == "__main__"`` guard.
    overwrite : bool
        Replace an existing folder.
    progress : callable, optional
        Called with images done and images in all.

    Returns
    -------
    pandas.DataFrame
        One row an image, ``path`` relative to *out_dir* (kept in ``attrs["root"]``).

    Raises
    ------
    InputError
        A request cannot be met, or the folder cannot be written.
    """
    if n < 1 or images_per_specimen < 1:
        raise InputError("n and images_per_specimen must be at least 1")
    specimens = -(-n // images_per_specimen)
    counts = apportion(specimens, shares(classes, balance))
    codes = [code for code in classes for _ in range(counts[code])]
    states = np.random.SeedSequence([seed, 643]).generate_state(specimens)
    # Shuffled, so that the specimen cut short by n is of any class.
    order = np.random.default_rng([seed, 644]).permutation(specimens)
    options = (("table", table), ("micron_bar", micron_bar), ("resin_share", resin_share), ("colour", colour))
    size = (size_px, size_px) if isinstance(size_px, int) else size_px
    suffix(file_format)
    with staged_directory(out_dir, overwrite=overwrite) as folder:
        work = [
            Job(
                folder=str(folder),
                code=codes[place],
                seed=int(states[number]),
                number=number,
                images=min(images_per_specimen, n - number * images_per_specimen),
                size_px=size,
                file_format=file_format,
                truth_files=truth_files,
                options=options,
            )
            for number, place in enumerate(order)
        ]
        rows = carry_out(write_specimen, work, folder, truth_files, jobs, n, progress)
        if table.classes == SIZE_CLASSES:  # the simulated raters know no others
            rows = with_ratings(rows, seed, scale=table)
        frame = write_tables(folder, rows, {"seed": seed, "grade_table": table.as_dict(), "phases": PHASES})
    frame.attrs["root"] = str(out_dir)
    return frame


def write_novel(
    out_dir: Path | str,
    n: int,
    seed: int,
    *,
    kinds: Sequence[str] = tuple(NOVEL_KINDS),
    size_px: int | tuple[int, int] = 448,
    file_format: FileFormat = "png",
    micron_bar: bool = True,
    colour: bool = True,
    jobs: int | None = None,
    overwrite: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> pd.DataFrame:
    """Render micrographs outside the steel classifier's world, the kinds in turn, and write them.

    Parameters
    ----------
    out_dir : Path or str
        Destination folder; it gets ``images/``, ``labels.csv`` and ``truth.json``.
    n : int
        Number of images.
    seed : int
        Same seed, same bytes.
    kinds : sequence of str
        See :func:`render_novel`.
    size_px, file_format, micron_bar, colour, jobs, overwrite, progress
        As for :func:`write_steel`.

    Returns
    -------
    pandas.DataFrame
        One row an image; ``label`` is ``novel`` and ``kind`` says which.
    """
    unknown = [kind for kind in kinds if kind not in ALL_KINDS]
    if unknown or not kinds or n < 1:
        raise InputError(f"novel kinds {unknown or list(kinds)}, n={n}", f"allowed: {', '.join(ALL_KINDS)}; n >= 1")
    states = np.random.SeedSequence([seed, 645]).generate_state(n)
    size = (size_px, size_px) if isinstance(size_px, int) else size_px
    suffix(file_format)
    options = (("micron_bar", micron_bar), ("colour", colour))
    with staged_directory(out_dir, overwrite=overwrite) as folder:
        work = [
            Job(str(folder), kinds[i % len(kinds)], int(states[i]), i + 1, 1, size, file_format, False, options)
            for i in range(n)
        ]
        rows = carry_out(write_novel_image, work, folder, False, jobs, n, progress)
        frame = write_tables(folder, rows, {"seed": seed})
    frame.attrs["root"] = str(out_dir)
    return frame
