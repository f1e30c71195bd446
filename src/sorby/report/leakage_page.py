"""The page of an audit: repeated pictures fold by fold beside the published table, shared specimens, shortcuts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sorby.corpus.leakage_table import PUBLISHED_NOTE, PUBLISHED_PERCENT, published_table
from sorby.report.experiment_page import Column, Table, written
from sorby.report.page import render
from sorby.report.thumbnails import Picture
from sorby.report.wording import count

_FILES, _GROUPS = 20, 20


@dataclass(frozen=True)
class Twins:
    """Two images that stand in two folds and look alike.

    Attributes
    ----------
    pictures : tuple of (Picture or None)
        None where a file could not be read any more.
    facts : mapping
        ``images``, ``labels``, ``specimens``, ``folds``, ``ssim``, ``hamming``, see `sorby.corpus.fold_audit`.
    """

    pictures: tuple[Picture | None, Picture | None]
    facts: Mapping[str, Any]


@dataclass(frozen=True)
class LeakageFacts:
    """Everything the page says.

    Attributes
    ----------
    found : mapping
        What `sorby.corpus.audit` returns, with ``quarantined``.
    twins : sequence of Twins
    corpus : str
        What was audited.
    provenance : mapping
        From `sorby.provenance.describe`.
    """

    found: Mapping[str, Any]
    twins: Sequence[Twins] = ()
    corpus: str = ""
    provenance: Mapping[str, Any] = field(default_factory=dict)


def leakage_page(facts: LeakageFacts) -> str:
    """Return the page as HTML without any outside reference.

    Parameters
    ----------
    facts : LeakageFacts
    """
    found = facts.found
    first, second = found.get("table1"), found.get("table1_by_specimen")
    tables = [fold_rows(table) for table in (first, second) if table]
    return render(
        "leakage.html",
        title="Leakage audit",
        sorby_version=facts.provenance["versions"]["sorby"],
        created=str(facts.provenance["created"])[:16].replace("T", " ") + " UTC",
        corpus=facts.corpus,
        found=found,
        sentences=_sentences(found),
        tables=[written(table) for table in tables],
        published=written(published_rows()) if first else None,
        published_note=PUBLISHED_NOTE,
        note=first["note"] if first else "",
        sensitivity=written(_sensitivity(first)) if first else None,
        specimens=[written(shared_specimens(table)) for table in (first, second) if table],
        twins=facts.twins,
        magnification=_by_magnification(found["class_by_magnification"]),
        shortcuts=written(_shortcuts(found["shortcuts"])) if found["shortcuts"] else None,
        groups=found["near_duplicates"]["groups"][:_GROUPS],
        quarantined=found.get("quarantined", [])[:_FILES],
    )


def _sentences(found: Mapping[str, Any]) -> list[str]:
    """Say first what matters most: specimens, then pictures."""
    near, table = found["near_duplicates"], found.get("table1")
    lines = []
    if table:
        n = sum(row["n"] for row in table["folds"])
        shared = [row["images_of_shared_specimens"] for row in table["folds"]]
        if all(value is not None for value in shared):
            lines.append(
                f"In {table['source']}, {sum(shared)} of {count(n, 'judged image')} show a specimen that was also "
                "learnt from."
            )
        else:
            lines.append("Specimens are unknown, so whether one stands on both sides cannot be said.")
        counts = [sum(row["counts"][k] for row in table["folds"]) for k in range(len(table["thresholds"]))]
        said = ", ".join(f"{c} at SSIM {t:.2f}" for c, t in zip(counts, table["thresholds"], strict=True))
        lines.append(f"Judged images with a near-duplicate in the training part, of {n}: {said}.")
    lines.append(
        f"{count(near['pairs'], 'pair')} of near-duplicates in all ({found['method']}); "
        f"{count(len(found['duplicates']), 'image')} repeated byte for byte."
    )
    if found.get("embedding"):
        seen = found["embedding"]
        lines.append(
            f"To the network {count(seen['pairs'], 'pair')} are near-duplicates, {seen['pairs_of_two_classes']} of "
            f"them of two classes, which shows how often chance strikes ({seen['how']})."
        )
    return lines


def _threshold_columns(thresholds: Sequence[float]) -> list[Column]:
    return [Column(f"at.{k}", f"SSIM ≥ {value:.2f}") for k, value in enumerate(thresholds)]


def _keyed(values: Sequence[Any]) -> dict[str, Any]:
    return {str(k): value for k, value in enumerate(values)}


def _counted(percent: float, number: int) -> str:
    """Return a percentage with the count it stands for, on one line."""
    return f"{percent:.2f}\u00a0%\u00a0({number})"


def fold_rows(table: Mapping[str, Any]) -> Table:
    """Return the table of one set of folds: percent, with the count it stands for.

    Parameters
    ----------
    table : mapping
        From `sorby.corpus.fold_audit.fold_table`.
    """
    rows: list[dict[str, Any]] = []
    for row in table["folds"]:
        cells = [_counted(p, c) for p, c in zip(row["percent"], row["counts"], strict=True)]
        rows.append({"fold": str(row["fold"]), "n": f"{row['n']}, {row['n_train']}", "at": _keyed(cells)})
    rows.append({"fold": "mean", "n": None, "at": _keyed([f"{value:.2f} %" for value in table["mean"]])})
    rows.append({"fold": "SD", "n": None, "at": _keyed(["–" if v is None else f"{v:.2f}" for v in table["sd"]])})
    columns = [Column("fold", "Fold"), Column("n", "Judged, learnt from"), *_threshold_columns(table["thresholds"])]
    caption = (
        f"Ours, {table['source']}: judged images with at least one confirmed neighbour among their "
        f"{table['neighbours']} nearest training images within {table['hamming']} bits"
    )
    return Table(caption, columns, rows)


def published_rows() -> Table:
    """Return Table 1 as printed, with the counts that its percentages stand for."""
    table = published_table()
    rows: list[dict[str, Any]] = [
        {
            "fold": str(k),
            "n": str(n),
            "at": _keyed([_counted(p, c) for p, c in zip(percents, counts, strict=True)]),
        }
        for k, (n, percents, counts) in enumerate(
            zip(table.n.tolist(), PUBLISHED_PERCENT, table.counts.tolist(), strict=True), start=1
        )
    ]
    rows.append({"fold": "mean", "n": None, "at": _keyed([f"{value:.2f} %" for value in table.mean])})
    rows.append({"fold": "SD", "n": None, "at": _keyed([f"{value:.2f}" for value in table.sd])})
    columns = [Column("fold", "Fold"), Column("n", "Judged (inferred)"), *_threshold_columns(table.thresholds)]
    return Table("Published, Schmid et al., Table 1 (counts inferred from the printed percentages)", columns, rows)


def _sensitivity(table: Mapping[str, Any]) -> Table:
    rows = []
    for row in table["sensitivity"]:
        chosen = row["hamming"] == table["hamming"] and row["neighbours"] == table["neighbours"]
        looked = "all" if row["neighbours"] is None else str(row["neighbours"])
        name = f"{row['hamming']} bits, {looked} nearest" + (" (chosen)" if chosen else "")
        rows.append({"what": name, "at": _keyed([f"{value:.2f} %" for value in row["mean"]])})
    columns = [Column("what", "Radius, neighbours"), *_threshold_columns(table["thresholds"])]
    return Table("Mean over folds with another radius or another number of neighbours", columns, rows)


def shared_specimens(table: Mapping[str, Any]) -> Table:
    """Return for each fold the specimens that stand on both sides and the images of these.

    Parameters
    ----------
    table : mapping
        From `sorby.corpus.fold_audit.fold_table`.
    """
    rows = [
        {
            "fold": str(row["fold"]),
            "n": row["n"],
            "shared": row["specimens_shared"],
            "images": row["images_of_shared_specimens"],
            "embedding": row["embedding_near_duplicates"],
        }
        for row in table["folds"]
    ]
    columns = [
        Column("fold", "Fold"),
        Column("n", "Judged images", "count"),
        Column("shared", "Specimens on both sides", "count"),
        Column("images", "Judged images of these", "count"),
        Column("embedding", "Near-duplicates to the network", "count"),
    ]
    return Table(f"{table['source'][:1].upper()}{table['source'][1:]}", columns, rows)


def _by_magnification(counts: Mapping[str, Mapping[str, int]]) -> dict[str, Any] | None:
    if not counts:
        return None
    names = list(next(iter(counts.values())))
    columns = [Column("label", "Class")] + [
        Column(f"at.{k}", name if name == "unknown" else f"{name}x", "count") for k, name in enumerate(names)
    ]
    rows = [{"label": label, "at": _keyed([row[name] for name in names])} for label, row in counts.items()]
    return written(Table("Images of each class at each magnification", columns, rows))


def _shortcuts(found: Sequence[Mapping[str, Any]]) -> Table:
    columns = [
        Column("column", "Circumstance"),
        Column("cramers_v", "Cramér's V", "number"),
        Column("p", "p (images taken for independent)", "p"),
        Column("guess_accuracy", "Right by it alone", "share"),
        Column("majority_accuracy", "Right by the commonest class", "share"),
        Column("n", "Images", "count"),
    ]
    return Table("How far the class can be told from how the image was taken", columns, list(found))
