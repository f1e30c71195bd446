"""Certificates in a batch: a page each, and tables that hold everything, also what a page has no room for."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sorby.errors import InputError, Quarantined
from sorby.files import sha256_file, staged_directory
from sorby.progress import bar
from sorby.report.certificate import Certificate
from sorby.report.certificate_page import write_certificate
from sorby.report.spreadsheet import write_csv, write_workbook

Row = list[Any]

TABLES: dict[str, tuple[str, ...]] = {
    "certificates": (
        "certificate", "issued_at", "specimen", "verdict", "decision", "model_label", "confidence", "confidence_low",
        "confidence_high", "set", "guarantee", "novelty", "referred", "reasons", "reliability", "images",
        "measurements", "signatures", "bundle", "bundle_sha256", "software", "record_entries", "record_head",
        "record_url", "remarks", "file", "file_sha256",
    ),
    "particulars": ("certificate", "name", "value"),
    "images": (
        "certificate", "image", "sha256", "label", "confidence", "pixel_size_um", "scale_source", "magnification",
        "overlay",
    ),
    "measurements": (
        "certificate", "quantity", "value", "unit", "low", "high", "standard", "edition", "note",
    ),
    "signatures": ("certificate", "person", "role", "meaning", "at", "record_entry", "reason"),
    "hashes": ("certificate", "name", "sha256"),
}  # fmt: skip
"""Each table and its columns; ``certificate`` joins them."""


@dataclass(frozen=True)
class Issued:
    """What a batch left.

    Attributes
    ----------
    out : Path
    files : dict of str to str
        Number of each certificate to the SHA-256 of its page, for the record.
    tables : tuple of str
        File names in *out*.
    quarantined : tuple of Quarantined
        Certificates that could not be made.
    """

    out: Path
    files: dict[str, str]
    tables: tuple[str, ...]
    quarantined: tuple[Quarantined, ...] = ()


@dataclass
class _Batch:
    rows: dict[str, list[Row]] = field(default_factory=lambda: {name: [] for name in TABLES})
    files: dict[str, str] = field(default_factory=dict)
    names: set[str] = field(default_factory=set)
    quarantined: list[Quarantined] = field(default_factory=list)


def certificate_rows(certificate: Certificate, file: str = "", file_sha256: str = "") -> dict[str, list[Row]]:
    """Return the rows of one certificate for each of `TABLES`."""
    number, found = certificate.number, certificate.conclusion
    low, high = found.confidence_ci95 or (None, None)
    record = certificate.record
    head = [
        number, certificate.issued_at, certificate.specimen, certificate.verdict, found.decision, found.label,
        found.confidence, low, high, "|".join(found.labels), found.guarantee, found.novelty, bool(found.reasons),
        "|".join(found.reasons), found.reliability, len(certificate.images), len(certificate.measurements),
        len(certificate.reviews), certificate.bundle, certificate.bundle_sha256, certificate.software,
        record.count if record else None, record.head if record else "", certificate.record_url,
        "|".join(certificate.remarks), file, file_sha256,
    ]  # fmt: skip
    return {
        "certificates": [head],
        "particulars": [[number, name, value] for name, value in certificate.particulars.items()],
        "images": [
            [
                number, one.name, one.sha256, one.label, one.confidence, one.pixel_size_um, one.scale_source,
                one.magnification, one.overlay_says if one.overlay is not None else "",
            ]
            for one in certificate.images
        ],
        "measurements": [
            [
                number, one.quantity, one.value, one.unit, *(one.ci95 or (None, None)), one.standard, one.edition,
                one.note,
            ]
            for one in certificate.measurements
        ],
        "signatures": [
            [number, one.person, one.role, one.meaning, one.at, one.entry, one.reason] for one in certificate.reviews
        ],
        "hashes": [[number, name, digest] for name, digest in certificate.data.items()],
    }  # fmt: skip


def write_certificates(certificates: Iterable[Certificate], out: Path | str, *, workbook: bool = True) -> Issued:
    """Write a page for each certificate and the tables of all.

    Parameters
    ----------
    certificates : iterable of Certificate
        Taken one by one.
    out : path
        Folder that gets ``certificates/NUMBER.pdf``, ``certificates.csv`` with one row each,
        ``certificate-images.csv`` and the like, and ``certificates.xlsx`` with a sheet for each table. It is complete
        or absent.
    workbook : bool
        Without it no XLSX is written.

    Returns
    -------
    Issued

    Raises
    ------
    InputError
        *out* is not empty, or no certificate could be made.
    MissingPartError
        The workbook needs openpyxl, which is not installed.
    """
    out = Path(out)
    batch = _Batch()
    with staged_directory(out) as folder, bar("certificates") as advance:
        (folder / "certificates").mkdir()
        for certificate in certificates:
            _issue(certificate, folder, batch)
            advance(1)
        if not batch.files:
            first = batch.quarantined[0].reason if batch.quarantined else "none was given"
            raise InputError(f"{out}: no certificate could be made ({first})", "mend the inputs")
        tables = tuple(_write_tables(folder, batch, workbook))
    return Issued(out, batch.files, tables, tuple(batch.quarantined))


def _issue(certificate: Certificate, folder: Path, batch: _Batch) -> None:
    """Write one page and note its rows; one that cannot be made is set aside."""
    number = certificate.number
    if number in batch.files:
        batch.quarantined.append(Quarantined(number, "another certificate of this batch has the same number"))
        return
    name = _file_name(number, batch.names)
    path = folder / "certificates" / name
    try:
        write_certificate(certificate, path)
    except InputError as error:
        batch.quarantined.append(Quarantined(number, error.message))
        return
    batch.names.add(name)
    batch.files[number] = sha256_file(path)
    rows = certificate_rows(certificate, f"certificates/{name}", batch.files[number])
    for table, found in rows.items():
        batch.rows[table] += found


def _write_tables(folder: Path, batch: _Batch, workbook: bool) -> Iterator[str]:
    for table, columns in TABLES.items():
        name = "certificates.csv" if table == "certificates" else f"certificate-{table}.csv"
        with open(folder / name, "wb") as file:
            write_csv(file, columns, batch.rows[table])
        yield name
    if workbook:
        with open(folder / "certificates.xlsx", "wb") as file:
            write_workbook(file, {table: (columns, batch.rows[table]) for table, columns in TABLES.items()})
        yield "certificates.xlsx"


def _file_name(number: str, taken: set[str]) -> str:
    """Return a name that every file system takes and no other certificate of the batch has."""
    stem = re.sub(r"[^A-Za-z0-9._-]+", "-", number).strip(".-")[:80] or "certificate"
    name, n = f"{stem}.pdf", 1
    while name.casefold() in {other.casefold() for other in taken}:
        n += 1
        name = f"{stem}-{n}.pdf"
    return name
