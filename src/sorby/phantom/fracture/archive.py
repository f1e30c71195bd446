"""A whole archive on disk: pictures under the names that operators gave them, PDF reports, rules and truth."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

import pandas as pd

from sorby.files import staged_directory, write_json, write_text
from sorby.phantom.fracture.archive_plan import ArchivePlan, ArchiveRates, plan_archive
from sorby.phantom.fracture.imaging import FULL_SIZE
from sorby.phantom.fracture.reports import report_pdf, says_kilo, stated_load_n
from sorby.phantom.fracture.specimen import FractureSpecimen, ViewPlan
from sorby.phantom.fracture.surface import CUES
from sorby.phantom.fracture.writing import specimen_row, take, view_row, write_view
from sorby.phantom.writing import FileFormat, gather, write_mask

_PACKAGE = "sorby.phantom.fracture"
_DIGITS_AFTER = {"pixel_size_um": 8, "fracture_load_n": 1}


def rules_text() -> str:
    """Return the rules file of phantom archives, to start one's own from."""
    return resources.files(_PACKAGE).joinpath("rules.yaml").read_text("utf-8")


@dataclass(frozen=True)
class _Job:
    """The pictures of one specimen and where they go."""

    folder: str
    specimen: FractureSpecimen
    files: tuple[tuple[str, ViewPlan], ...]
    size: tuple[int, int]
    bars: bool
    cues: bool


def write_archive(
    out_dir: Path | str,
    specimens: Sequence[FractureSpecimen],
    seed: int = 0,
    *,
    rates: ArchiveRates | None = None,
    size: tuple[int, int] = FULL_SIZE,
    bars: bool = True,
    cues: bool = True,
    file_format: FileFormat = "tiff",
    jobs: int | None = None,
    overwrite: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> pd.DataFrame:
    """Write an archive as a plant might keep it, and its truth beside it.

    The folder gets ``images/<plant>/``, ``reports/*.pdf``, ``rules.yaml``, ``README.txt`` (the FOAN's grammar and the
    conventions), ``truth.csv`` (the returned table), ``truth/specimens.csv`` and, with *cues*, ``truth/cues/`` (uint8
    PNG by the stem of the picture) with ``truth/cues.json``. It is complete or absent.

    Parameters
    ----------
    out_dir : path
    specimens : sequence of FractureSpecimen
        With views, see `sorby.phantom.fracture.fracture_set`.
    seed : int
        Same seed, same bytes.
    rates : ArchiveRates, optional
        How often names and reports go wrong.
    size : tuple of int
        Width and height of a picture without info bar.
    bars, cues : bool
        Draw info bars; write cue masks.
    file_format : {"png", "tiff"}
        PNG carries no scale; TIFF the tag of its vendor.
    jobs : int, optional
        Processes, see `sorby.phantom.writing.share_out`.
    overwrite : bool
        Replace an existing folder.
    progress : callable, optional
        Called with pictures done and pictures in all.

    Returns
    -------
    pandas.DataFrame
        One row a picture: ``image``, ``report``, ``foan`` (normalised), ``serial``, ``specimen``, ``fragment``,
        ``label``, ``fracture_type``, ``fracture_subtype``, ``fracture_load_n``, ``magnification``, ``pixel_size_um``,
        ``vendor``, ``bar_top``, ``origin_in_view``, ``contamination`` ..., ``mistake`` (what is wrong with its name)
        and ``expected_match`` (what the published rule must make of it).

    Raises
    ------
    InputError
        A request cannot be met, or the folder cannot be written.
    """
    plan = plan_archive(specimens, seed, rates)
    suffix = ".tif" if file_format == "tiff" else ".png"
    files: list[list[tuple[str, ViewPlan]]] = [[] for _ in specimens]
    for image in plan.images:
        files[image.specimen].append((f"{image.plant}/{image.name}{suffix}", image.plan))
    with staged_directory(out_dir, overwrite=overwrite) as folder:
        for part in {image.plant for image in plan.images}:
            (folder / "images" / part).mkdir(parents=True)
        (folder / "truth" / "cues").mkdir(parents=True)
        work = [
            _Job(str(folder), specimen, tuple(names), size, bars, cues)
            for specimen, names in zip(specimens, files, strict=True)
        ]
        rows = gather(_write_pictures, work, jobs, len(plan.images), progress)
        _write_reports(folder / "reports", plan)
        table = _truth(rows, plan, specimens)
        table.to_csv(folder / "truth.csv", index=False)
        _specimens(plan, specimens).to_csv(folder / "truth" / "specimens.csv", index=False)
        write_json(folder / "truth" / "cues.json", CUES)
        write_text(folder / "rules.yaml", rules_text())
        write_text(folder / "README.txt", resources.files(_PACKAGE).joinpath("archive_readme.txt").read_text("utf-8"))
    table.attrs["root"] = str(out_dir)
    return table


def _write_pictures(job: _Job) -> list[dict[str, Any]]:
    folder, rows = Path(job.folder), []
    for name, plan in job.files:
        view = take(job.specimen, plan, job.size, bar=job.bars)
        write_view(folder / "images" / name, view, job.specimen)
        if job.cues:
            write_mask(folder / "truth" / "cues" / f"{Path(name).stem}.png", view.cues)
        rows.append({"image": f"images/{name}", **view_row(job.specimen, view)})
    return rows


def _write_reports(folder: Path, plan: ArchivePlan) -> None:
    folder.mkdir()
    for report in plan.reports:
        (folder / report.name).write_bytes(report_pdf(report))


def _truth(rows: Sequence[dict[str, Any]], plan: ArchivePlan, specimens: Sequence[FractureSpecimen]) -> pd.DataFrame:
    """Return what is true of every picture."""
    loads = _stated_loads(plan)
    table = pd.DataFrame(rows)
    planned = sorted(plan.images, key=lambda image: image.specimen)  # the order in which they were taken
    numbers = [image.specimen for image in planned]
    front = pd.DataFrame(
        {
            "image": table["image"],
            "report": [plan.report_of[number] for number in numbers],
            "foan": [plan.foans[number].normalised for number in numbers],
            "serial": [plan.serials[number] for number in numbers],
            "specimen": [plan.specimen_name(number) for number in numbers],
            "phantom": [specimens[number].name for number in numbers],
            "mistake": [image.mistake for image in planned],
            "expected_match": [image.expected for image in planned],
            "stated_load_n": [loads.get(plan.specimen_name(number)) for number in numbers],
        }
    )
    return pd.concat([front, table.drop(columns=["image", "specimen"])], axis=1).round(_DIGITS_AFTER)


def _stated_loads(plan: ArchivePlan) -> dict[str, float]:
    """Return the load that each specimen's report prints, which is rounded."""
    by_name = {report.name: report for report in plan.reports}
    loads = {}
    for number, name in enumerate(plan.report_of):
        if name is None:
            continue
        report, serial = by_name[name], plan.reported_serials[number]
        part = next(part for part in report.components if part.serial == serial)
        loads[plan.specimen_name(number)] = stated_load_n(part.load_n, kilo=says_kilo(report))
    return loads


def _specimens(plan: ArchivePlan, specimens: Sequence[FractureSpecimen]) -> pd.DataFrame:
    """Return what is true of every specimen."""
    front = pd.DataFrame(
        {
            "specimen": [plan.specimen_name(number) for number in range(len(specimens))],
            "foan": [foan.normalised for foan in plan.foans],
            "serial": plan.serials,
            "report": plan.report_of,
        }
    )
    facts = pd.DataFrame([specimen_row(specimen) for specimen in specimens]).rename(columns={"specimen": "phantom"})
    return pd.concat([front, facts], axis=1)
