"""The published steel set, drawn again: S1's counts of classes, alloys and magnifications, exactly.

What S1 states is met to the image (Table 1, Suppl. Fig. 4, section 2.1); what it leaves open (how many micrographs a
specimen has, which microscope, when) is drawn.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt

from sorby.corpus.grades import HOUSE_SCALE, split_code
from sorby.errors import InputError
from sorby.files import staged_directory
from sorby.phantom.alloys import ALLOYS
from sorby.phantom.needles import largest_mean_um, mean_area_um2
from sorby.phantom.raters import with_ratings
from sorby.phantom.specimens import SteelSpec
from sorby.phantom.steel import PHASES
from sorby.phantom.steel_jobs import Job, carry_out, prepared, suffix, write_specimen, write_tables
from sorby.phantom.steel_set import PUBLISHED_COUNTS
from sorby.phantom.writing import FileFormat

if TYPE_CHECKING:
    import pandas as pd

Label = Literal["code", "subtype", "daily"]

#: Micrographs at 1000x: 17.6 % of 1,641 (S1-11), most of them of the finest class.
CLOSER, CLOSER_FINEST = 289, 260
_PER_SPECIMEN = (0.25, 0.35, 0.25, 0.15)
_FIRST_DAY, _DAYS = dt.date(2010, 1, 4), 3800
_TREATMENT = {
    "G": "austenitised 850 °C, quenched in oil, tempered 180 °C",
    "B": "austenitised 880 °C, held in salt 220 °C",
    "M": "austenitised 830 °C, quenched in water, tempered 550 °C",
}
#: Of uniform bainite of classes 8 and 9-10, how much has coarse patches below the table's area rule.
_PATCHED = 0.25


@dataclass(frozen=True)
class SpecimenPlan:
    """One specimen of the published set, before anything is drawn.

    Attributes
    ----------
    code : str
        Structure code.
    images : int
        Micrographs, 1 to 4.
    seed : int
    alloy : str
    magnification : int
        500 or 1000.
    bimodal : bool or None
        As for :func:`sorby.phantom.draw_specimen`.
    coarse_patches : float
        Share of the area of coarse patches that the criterion ignores; 0 for none.
    about : mapping
        ``date``, ``heat_treatment``, ``etchant``, ``etching_s``, ``storage_days``.
    """

    code: str
    images: int
    seed: int
    alloy: str
    magnification: int
    bimodal: bool | None
    coarse_patches: float
    about: Mapping[str, Any]


def _split_into_specimens(count: int, rng: np.random.Generator) -> list[int]:
    """Return sizes of 1 to 4 images that sum to *count*."""
    sizes: list[int] = []
    while sum(sizes) < count:
        drawn = int(rng.choice(4, p=_PER_SPECIMEN)) + 1
        sizes.append(min(drawn, count - sum(sizes)))
    return sizes


def _fill(
    quota: int, places: npt.NDArray[np.int64], sizes: npt.NDArray[np.int64], rng: np.random.Generator
) -> list[int]:
    """Return specimens (drawn from *places*) that hold exactly *quota* images together.

    Specimens are taken in random order while they fit; those of one image make up the rest.
    """
    taken: list[int] = []
    left = quota
    for place in rng.permutation(places).tolist():
        if sizes[place] <= left:
            taken.append(int(place))
            left -= int(sizes[place])
    if left:
        raise InputError(f"no choice of specimens holds exactly {quota} images", "take another seed")
    return taken


def _alloys(codes: Sequence[str], sizes: npt.NDArray[np.int64], rng: np.random.Generator) -> list[str]:
    """Return each specimen's alloy with exactly the published numbers of images: C56E2 is M, 100CrMnSi6-4 is G."""
    subtype = np.array([code[0] for code in codes])
    alloys = np.where(subtype == "M", "C56E2", "100Cr6").astype(object)
    free = subtype != "M"
    for name, alloy in ALLOYS.items():
        if name in ("100Cr6", "C56E2"):
            continue
        allowed = free & (subtype == "G") if name == "100CrMnSi6-4" else free
        taken = _fill(alloy.images, np.flatnonzero(allowed), sizes, rng)
        alloys[taken] = name
        free[taken] = False
    return [str(name) for name in alloys]


def _magnifications(
    codes: Sequence[str], sizes: npt.NDArray[np.int64], rng: np.random.Generator
) -> npt.NDArray[np.int64]:
    """Return each specimen's magnification: 1000x mostly for the finest class, some of class 8, none coarser.

    A coarse region of bimodal bainite must fit into the field, and so must enough needles.
    """
    size_class = np.array([split_code(code)[1] for code in codes])
    closer = np.full(len(codes), 500)
    closer[_fill(CLOSER_FINEST, np.flatnonzero(size_class == "9-10"), sizes, rng)] = 1000
    closer[_fill(CLOSER - CLOSER_FINEST, np.flatnonzero(size_class == "8"), sizes, rng)] = 1000
    return closer


def _circumstances(code: str, rng: np.random.Generator) -> dict[str, Any]:
    """Draw what the laboratory wrote down beside the picture."""
    percent = int(rng.choice([2, 3], p=[0.4, 0.6]))
    return {
        "date": (_FIRST_DAY + dt.timedelta(days=int(rng.integers(_DAYS)))).isoformat(),
        "heat_treatment": _TREATMENT[code[0]],
        "etchant": f"Nital {percent} %",
        "etching_s": round(float(24 / percent * np.exp(rng.normal(0, 0.2))), 1),
        "storage_days": int(rng.geometric(0.25)) - 1,
    }


def published_plan(seed: int) -> list[SpecimenPlan]:
    """Return the specimens of the published set.

    Parameters
    ----------
    seed : int
        Same seed, same plan.

    Returns
    -------
    list of SpecimenPlan
        1,641 images in all, in random order.
    """
    rng = np.random.default_rng([1863, 1641, seed])
    codes: list[str] = []
    counts: list[int] = []
    for code, count in PUBLISHED_COUNTS.items():
        parts = _split_into_specimens(count, rng)
        codes += [code] * len(parts)
        counts += parts
    sizes = np.array(counts, dtype=np.int64)
    alloys, closer = _alloys(codes, sizes, rng), _magnifications(codes, sizes, rng)
    states = np.random.SeedSequence([seed, 1641]).generate_state(len(codes))
    plans = []
    for place in rng.permutation(len(codes)).tolist():
        code, near = codes[place], bool(closer[place] == 1000)
        # Half of the coarser bainite is bimodal; what is not may have patches too small to count.
        bimodal = code in ("B6", "B7", "B8") and not near and bool(rng.random() < 0.5)
        patched = code in ("B8", "B9-10") and not near and not bimodal and rng.random() < _PATCHED
        plans.append(
            SpecimenPlan(
                code=code,
                images=counts[place],
                seed=int(states[place]),
                alloy=alloys[place],
                magnification=int(closer[place]),
                bimodal=bimodal,
                coarse_patches=round(float(rng.uniform(0.012, 0.035)), 4) if patched else 0.0,
                about=_circumstances(code, rng),
            )
        )
    return plans


def _job(plan: SpecimenPlan, number: int, folder: str, size: tuple[int, int], **how: Any) -> Job:
    """Return the plan as work, with the keywords of :func:`write_published_steel`."""
    options = (
        ("bimodal", plan.bimodal),
        ("magnification", plan.magnification),
        ("micron_bar", how["micron_bar"]),
        ("resin_share", how["resin_share"]),
        ("colour", how["colour"]),
    )
    return Job(
        folder=folder,
        code=plan.code,
        seed=plan.seed,
        number=number,
        images=plan.images,
        size_px=size,
        file_format=how["file_format"],
        truth_files=how["truth_files"],
        options=options,
        alloy=plan.alloy,
        coarse_patches=plan.coarse_patches,
        about=plan.about,
    )


def write_published_steel(
    out_dir: Path | str,
    seed: int,
    *,
    size_px: int | tuple[int, int] = 512,
    label: Label = "code",
    rater_noise: float = 1.0,
    first: int | None = None,
    file_format: FileFormat = "png",
    truth_files: bool = True,
    micron_bar: bool = True,
    resin_share: float = 0.25,
    colour: bool = True,
    jobs: int | None = None,
    overwrite: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> pd.DataFrame:
    """Render the published set: 1,641 micrographs with truth, day-to-day label and fourteen ratings each.

    The folder is as :func:`sorby.phantom.write_steel` leaves it.

    Parameters
    ----------
    out_dir : Path or str
        Destination folder.
    seed : int
        Same seed, same bytes, whatever *jobs* is.
    size_px : int or tuple of int
        Side, or height and width; S1's most frequent size is 1994.
    label : {"code", "subtype", "daily"}
        What the ``label`` column holds: the true structure code, the subtype, or the day-to-day label. ``truth``
        always holds the true code.
    rater_noise : float
        See :func:`sorby.phantom.raters.rate`.
    first : int, optional
        Render the first specimens of the plan only.
    file_format, truth_files, micron_bar, resin_share, colour, jobs, overwrite, progress
        As for :func:`sorby.phantom.write_steel`.

    Returns
    -------
    pandas.DataFrame
        One row an image, ``path`` relative to *out_dir* (kept in ``attrs["root"]``).

    Raises
    ------
    InputError
        A request cannot be met, or the folder cannot be written.
    """
    size = (size_px, size_px) if isinstance(size_px, int) else size_px
    suffix(file_format)
    plans = published_plan(seed)[:first]
    total = sum(plan.images for plan in plans)
    how: dict[str, Any] = {"file_format": file_format, "truth_files": truth_files, "micron_bar": micron_bar}
    how |= {"resin_share": resin_share, "colour": colour}
    with staged_directory(out_dir, overwrite=overwrite) as folder:
        work = [_job(plan, number, str(folder), size, **how) for number, plan in enumerate(plans)]
        rows = carry_out(write_specimen, work, folder, truth_files, jobs, total, progress)
        rows = relabelled(with_ratings(rows, seed, noise=rater_noise), label)
        about = {"seed": seed, "grade_table": HOUSE_SCALE.as_dict(), "phases": PHASES, "rater_noise": rater_noise}
        frame = write_tables(folder, rows, about)
    frame.attrs["root"] = str(out_dir)
    return frame


def relabelled(rows: Sequence[Mapping[str, Any]], label: Label) -> list[dict[str, Any]]:
    """Return table rows whose ``label`` is what is asked for.

    Parameters
    ----------
    rows : sequence of mapping
        With ``truth``, ``subtype``, ``daily_label`` and ``daily_rater``.
    label : {"code", "subtype", "daily"}

    Raises
    ------
    InputError
        The label is none of these.
    """
    if label == "code":
        return [{**row, "label": row["truth"]} for row in rows]
    if label == "subtype":
        return [{**row, "label": row["subtype"]} for row in rows]
    if label == "daily":
        said = {"label_source": "phantom, simulated day-to-day rating"}
        return [{**row, "label": row["daily_label"], "rater": row["daily_rater"], **said} for row in rows]
    raise InputError(f"label {label!r} is unknown", "allowed: code, subtype, daily")


def expected_truth(seed: int) -> dict[str, npt.NDArray[Any]]:
    """Return what raters see of the published set without drawing it: each specimen's distribution, not its field.

    Good for studies of raters, which need no pictures; a drawn field scatters about these values.

    Parameters
    ----------
    seed : int
        Of :func:`published_plan`.

    Returns
    -------
    dict of ndarray, shape (1641,)
        ``label``, ``specimen`` and the columns that :func:`sorby.phantom.raters.rate` needs.
    """
    rows: list[dict[str, Any]] = []
    for number, plan in enumerate(published_plan(seed)):
        job = _job(plan, number, "", (512, 512), file_format="png", truth_files=False, micron_bar=False,
                   resin_share=0.0, colour=False)  # fmt: skip
        rows += [_expected(spec) for spec in prepared(job, plan.seed).specs]
    return {name: np.array([row[name] for row in rows]) for name in rows[0]}


def _expected(spec: SteelSpec) -> dict[str, Any]:
    """Return the expected truth of one micrograph."""
    parts = [(1.0, spec.lengths)]
    if spec.coarse_lengths is not None:
        fine = (1 - spec.coarse_area) / mean_area_um2(spec.lengths, 1.0)
        coarse = spec.coarse_area / mean_area_um2(spec.coarse_lengths, 1.0)
        parts = [(fine / (fine + coarse), spec.lengths), (coarse / (fine + coarse), spec.coarse_lengths)]
    return {
        "label": spec.requested,
        "specimen": spec.specimen,
        "plant": spec.instrument.plant,
        "subtype": spec.subtype,
        "mean_needle_length_um": sum(weight * lengths.mean_um for weight, lengths in parts),
        "largest_needle_length_um": largest_mean_um(parts, spec.table.largest_share),
        "coarse_area_fraction": spec.coarse_area,
        "retained_austenite_fraction": spec.retained_austenite,
        "carbide_fraction": spec.carbides,
        "etching_depth": spec.etching.depth,
    }
