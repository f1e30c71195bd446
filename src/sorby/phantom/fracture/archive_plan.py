"""What an archive calls its pictures and which reports it holds: numbers, series, mistakes, gaps, at stated rates."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Literal

import numpy as np
from rapidfuzz.distance import Levenshtein
from rapidfuzz.process import cdist

from sorby.errors import InputError
from sorby.phantom.fracture.file_naming import PLANTS, TYPOS, Foan, Plant, Series, Typo, misspell, stray_name
from sorby.phantom.fracture.reports import PhantomReport, ReportedComponent
from sorby.phantom.fracture.specimen import FractureSpecimen, ViewPlan

Expected = Literal["exact", "fuzzy", "tie", "unmatched"]

_YEARS = (2019, 2024)
_TRIES = 200
_FEWEST_WITH_REPORT = 2  # specimens of a class that keep their report
_ORPHANED = 0.6  # of the unmatched images: their report is missing; the others' names say nothing


@dataclass(frozen=True)
class ArchiveRates:
    """How often things are as they are in a real archive; shares.

    Attributes
    ----------
    unmatched : float
        Of images that cannot be matched as published: no report, no FOAN in the name, or two letters swapped.
    typos : float
        Of series (pictures of one fragment) whose FOAN was mistyped.
    missing_serial : float
        Of series whose names leave the serial number out.
    ambiguous : float
        Of specimens whose FOAN has a near twin, so that a mistyped one belongs to both until the serial decides.
    shared : float
        Of specimens that share FOAN and report with another.
    report_without_serial : float
        Of reports.
    without_images : float
        Reports no image belongs to, as a share of specimens.
    scanned : float
        Of reports that are pictures without text layer.
    turned : float
        Of reports that lie on their side.
    german : float
        Of reports.
    """

    unmatched: float = 0.23
    typos: float = 0.08
    missing_serial: float = 0.15
    ambiguous: float = 0.06
    shared: float = 0.1
    report_without_serial: float = 0.05
    without_images: float = 0.05
    scanned: float = 0.15
    turned: float = 0.1
    german: float = 0.4

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if not 0 <= value < 1:
                raise InputError(f"rate {name} = {value} is not a share", "give 0 or more, below 1")


@dataclass(frozen=True)
class PlannedImage:
    """A picture and what the archive calls it.

    Attributes
    ----------
    specimen : int
        Position in the list of specimens.
    plan : ViewPlan
    plant : str
        Folder below ``images/``.
    name : str
        File name without ending.
    mistake : str
        ``""``, a kind of `TYPOS`, ``twin`` (mistyped towards another FOAN), ``no FOAN`` or ``no report``.
    expected : {"exact", "fuzzy", "tie", "unmatched"}
        How the published rule must match it.
    serial_given : bool
    """

    specimen: int
    plan: ViewPlan
    plant: Plant
    name: str
    mistake: str
    expected: Expected
    serial_given: bool


@dataclass(frozen=True)
class ArchivePlan:
    """Everything about an archive but its pixels.

    Attributes
    ----------
    foans : tuple of Foan
        Of each specimen.
    serials : tuple of str
        Of each specimen, seven digits, known or not.
    reported_serials : tuple of str or None
        As the report has it; None where it leaves it out or there is no report.
    report_of : tuple of str or None
        File name of each specimen's report.
    images : tuple of PlannedImage
    reports : tuple of PhantomReport
    """

    foans: tuple[Foan, ...]
    serials: tuple[str, ...]
    reported_serials: tuple[str | None, ...]
    report_of: tuple[str | None, ...]
    images: tuple[PlannedImage, ...]
    reports: tuple[PhantomReport, ...]

    def specimen_name(self, number: int) -> str:
        """Return the name under which a corpus knows a specimen."""
        serial = self.reported_serials[number]
        return self.foans[number].normalised + (f"/{serial}" if serial else "")


def plan_archive(specimens: Sequence[FractureSpecimen], seed: int, rates: ArchiveRates | None = None) -> ArchivePlan:
    """Plan names and reports.

    Parameters
    ----------
    specimens : sequence of FractureSpecimen
        With views.
    seed : int
        Same seed, same plan.
    rates : ArchiveRates, optional

    Raises
    ------
    InputError
        There are no specimens or no views.
    """
    if not specimens or not any(specimen.views for specimen in specimens):
        raise InputError("an archive needs specimens with views", "see sorby.phantom.fracture.fracture_set")
    return _Planner(specimens, seed, rates or ArchiveRates()).plan()


@dataclass
class _Draft:
    """Names of one fragment's pictures, in the making."""

    specimen: int
    fragment: str
    series: Series
    mistake: str = ""
    expected: Expected = "exact"


class _Planner:
    """Draws an archive step by step, each with a generator of its own, so that a rate changes its own step only."""

    def __init__(self, specimens: Sequence[FractureSpecimen], seed: int, rates: ArchiveRates) -> None:
        self._specimens = specimens
        self._seed = seed
        self._rates = rates
        self._n = len(specimens)

    def _rng(self, step: int) -> np.random.Generator:
        return np.random.default_rng([self._seed, 2605, step])

    def plan(self) -> ArchivePlan:
        """Return the plan."""
        self._pair_up()
        self._number()
        self._withdraw_reports()
        self._name_series()
        self._mistype()
        images = self._name_images()
        reports, report_of, stated = self._write_reports()
        return ArchivePlan(tuple(self._foans), tuple(self._serials), stated, report_of, images, reports)

    def _pair_up(self) -> None:
        """Choose specimens that share a FOAN, and those whose FOANs are near twins."""
        order = list(map(int, self._rng(1).permutation(self._n)))
        n_shared = int(self._rates.shared * self._n) // 2
        n_twins = max(int(self._rates.ambiguous * self._n) // 2, int(self._rates.ambiguous > 0 and self._n >= 12))
        pairs = [(order[2 * k], order[2 * k + 1]) for k in range(min(n_shared + n_twins, self._n // 2))]
        self._shared, self._twins = pairs[:n_shared], pairs[n_shared:]
        self._special = {number for pair in pairs for number in pair}

    def _number(self) -> None:
        rng = self._rng(2)
        codes = rng.choice((_YEARS[1] - _YEARS[0] + 1) * 100_000, 2 * self._n + 50, replace=False)
        drawn = [Foan(_YEARS[0] + int(code) // 100_000, int(code) % 100_000) for code in codes]
        self._foans, self._spare = drawn[: self._n], drawn[self._n :]
        for first, second in self._shared:
            self._foans[second] = self._foans[first]
        for first, second in self._twins:
            self._foans[second] = _twin(self._foans[first], {foan.normalised for foan in drawn}, rng)
        # The last five digits, which plant 3 writes, are different too.
        ends = rng.choice(100_000, self._n, replace=False)
        self._serials = [f"{47 + int(rng.integers(4))}{int(end):05d}" for end in ends]

    def _withdraw_reports(self) -> None:
        """Take reports away, never those of a class's last specimens."""
        left: dict[str, int] = {}
        for specimen in self._specimens:
            left[specimen.label] = left.get(specimen.label, 0) + 1
        images = sum(len(specimen.views) for specimen in self._specimens)
        self._target = round(self._rates.unmatched * images)
        self._without_report: set[int] = set()
        gone = 0
        for number in map(int, self._rng(3).permutation(self._n)):
            specimen = self._specimens[number]
            count = len(specimen.views)
            if gone + count > _ORPHANED * self._target or number in self._special:
                continue
            if left[specimen.label] > _FEWEST_WITH_REPORT:
                left[specimen.label] -= 1
                self._without_report.add(number)
                gone += count

    def _name_series(self) -> None:
        rng = self._rng(4)
        self._drafts: list[_Draft] = []
        start = date(_YEARS[0], 1, 7)
        self._dates = [str(start + timedelta(days=int(day))) for day in rng.integers(0, 2100, self._n)]
        for number, specimen in enumerate(self._specimens):
            plant = PLANTS[int(rng.integers(len(PLANTS)))]
            for fragment in dict.fromkeys(plan.fragment for plan in specimen.views):
                keeps = number in self._special or rng.random() >= self._rates.missing_serial
                series = Series(
                    plant,
                    self._foans[number].digits,
                    self._serials[number] if keeps else None,
                    fragment,
                    self._dates[number],
                )
                draft = _Draft(number, fragment, series)
                if number in self._without_report:
                    draft.mistake, draft.expected = "no report", "unmatched"
                self._drafts.append(draft)

    def _mistype(self) -> None:
        """Mistype series at the set rate, every kind in turn, and one series of each near twin towards the other."""
        rng = self._rng(5)
        reported = sorted({f.normalised for k, f in enumerate(self._foans) if k not in self._without_report})
        free = [d for d in self._drafts if not d.mistake and d.specimen not in self._special]
        chosen = rng.permutation(len(free))[: round(self._rates.typos * len(free))]
        kinds = [TYPOS[k % len(TYPOS)] for k in range(len(chosen))]
        for place, kind in zip(chosen, kinds, strict=True):
            _mistype_one(free[int(place)], kind, reported, rng)
        for first, second in self._twins:
            draft = next(d for d in self._drafts if d.specimen == first)
            digits = self._foans[first].digits[:-1] + self._foans[second].check
            draft.series = _retyped(draft.series, digits)
            draft.mistake, draft.expected = "twin", "tie"

    def _name_images(self) -> tuple[PlannedImage, ...]:
        of = {(draft.specimen, draft.fragment): draft for draft in self._drafts}
        images = [
            PlannedImage(
                number,
                plan,
                (draft := of[number, plan.fragment]).series.plant,
                draft.series.name(plan.magnification, plan.number),
                draft.mistake,
                draft.expected,
                draft.series.serial is not None,
            )
            for number, specimen in enumerate(self._specimens)
            for plan in specimen.views
        ]
        rng = self._rng(6)
        short = self._target - sum(image.expected == "unmatched" for image in images)
        plain = [place for place, image in enumerate(images) if not image.mistake]
        strays = rng.permutation(len(plain))[: max(0, short)]
        for number, place in enumerate(sorted(plain[int(k)] for k in strays), start=1):
            image = images[place]
            images[place] = PlannedImage(
                image.specimen, image.plan, image.plant, stray_name(number, rng), "no FOAN", "unmatched", False
            )
        return tuple(images)

    def _write_reports(
        self,
    ) -> tuple[tuple[PhantomReport, ...], tuple[str | None, ...], tuple[str | None, ...]]:
        rng = self._rng(7)
        second = {b: a for a, b in self._shared}
        with_report = [k for k in range(self._n) if k not in self._without_report]
        heads = [k for k in with_report if k not in second]
        of_head = {head: [head, *(b for b in with_report if second.get(b) == head)] for head in heads}
        extra = round(self._rates.without_images * self._n)
        names = [f"report-{k + 1:04d}.pdf" for k in map(int, rng.permutation(len(heads) + extra))]
        report_of: list[str | None] = [None] * self._n
        stated: list[str | None] = [None] * self._n
        reports = []
        for head, name in zip(heads, names, strict=False):
            members = of_head[head]
            quiet = head not in self._special and rng.random() < self._rates.report_without_serial
            for member in members:
                report_of[member] = name
                stated[member] = None if quiet else self._serials[member]
            parts = [self._component(member, stated[member]) for member in members]
            reports.append(self._report(name, self._foans[head], parts, self._dates[head], rng, listed=quiet))
        for k, name in enumerate(names[len(heads) :]):
            like = self._specimens[int(rng.integers(self._n))]
            part = ReportedComponent(f"52{k:05d}", like.label, like.subtype, like.load_n)
            reports.append(self._report(name, self._spare[k], [part], self._dates[k % self._n], rng, listed=False))
        return tuple(sorted(reports, key=lambda report: report.name)), tuple(report_of), tuple(stated)

    def _component(self, number: int, serial: str | None) -> ReportedComponent:
        specimen = self._specimens[number]
        return ReportedComponent(serial, specimen.label, specimen.subtype, specimen.load_n)

    def _report(
        self,
        name: str,
        foan: Foan,
        parts: Sequence[ReportedComponent],
        day: str,
        rng: np.random.Generator,
        *,
        listed: bool,
    ) -> PhantomReport:
        table = len(parts) > 1 or (not listed and rng.random() < 0.4)
        return PhantomReport(
            name,
            str(foan),
            tuple(parts),
            day,
            language="de" if rng.random() < self._rates.german else "en",
            layout="table" if table else "list",
            scanned=bool(rng.random() < self._rates.scanned),
            turned=bool(rng.random() < self._rates.turned),
            wording=int(rng.integers(4)),
            seed=int(rng.integers(2**31)),
        )


def _twin(foan: Foan, taken: set[str], rng: np.random.Generator) -> Foan:
    """Return a FOAN that differs in one digit, and so in its check digit."""
    text = f"{foan.number:05d}"
    for _ in range(_TRIES):
        place = int(rng.integers(5))
        digit = str((int(text[place]) + int(rng.integers(1, 10))) % 10)
        other = Foan(foan.year, int(text[:place] + digit + text[place + 1 :]))
        if other.normalised not in taken:
            taken.add(other.normalised)
            return other
    raise InputError("no free FOAN was found", "ask for fewer specimens")


def _retyped(series: Series, digits: str) -> Series:
    return Series(series.plant, digits, series.serial, series.fragment, series.date)


def _mistype_one(draft: _Draft, kind: Typo, reported: Sequence[str], rng: np.random.Generator) -> None:
    """Mistype a series so that its own report is the only nearest one, or, where two letters are swapped, none is."""
    right = draft.series.digits
    spared = 2 if draft.series.plant == "plant-3" else 0  # the century is not written
    for _ in range(_TRIES):
        typed = misspell(right, kind, rng, first=spared)
        edits = cdist([f"FOAN{typed}"], reported, scorer=Levenshtein.distance)[0]
        near = {foan for foan, apart in zip(reported, edits, strict=True) if apart <= 1}
        if near <= {f"FOAN{right}"}:
            draft.series = _retyped(draft.series, typed)
            draft.mistake = kind
            draft.expected = "fuzzy" if near else "unmatched"
            return
