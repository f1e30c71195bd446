"""A folder of generated images: pictures by class, one table of what each descends from, and what a person decided."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from PIL import Image

from sorby.corpus.ancestry import COLUMNS, MANIFEST, read_manifest
from sorby.corpus.folders import list_folder
from sorby.corpus.tabular import read_table
from sorby.errors import ImageError, InputError, Quarantined
from sorby.files import atomic_write, sha256_bytes, sha256_file, write_json
from sorby.micrograph import find_images, read, to_grey, to_uint8
from sorby.synthesize.gate import Gated, checked_decision
from sorby.workflow.synthesis.judging import Made

FACTS = "sample.json"
"""What made the folder's images."""

GATE = "gate.csv"
"""Table of a check: what the gate says of each image, and the column ``decision`` for a person."""

_GATE_COLUMNS = ("image", "sha256", "label", "accepted", "reason", "decision", "likeness", "original", "distance")

Grey = npt.NDArray[np.uint8]


@dataclass
class Listed:
    """Generated images of one class as they lie in a folder.

    Attributes
    ----------
    files : list of Path
    hashes : list of str
    made : Made
    """

    files: list[Path]
    hashes: list[str]
    made: Made


@dataclass(frozen=True, eq=False)
class SampleFolder:
    """Generated images by class.

    Attributes
    ----------
    folder : Path
    classes : dict of str to Listed
    facts : dict
        Of `FACTS`; empty for a folder that something else made.
    decisions : dict of str to str
        By SHA-256, what its table holds.
    quarantined : list of Quarantined
    warnings : list of str
    """

    folder: Path
    classes: dict[str, Listed]
    facts: dict[str, Any] = field(default_factory=dict)
    decisions: dict[str, str] = field(default_factory=dict)
    quarantined: list[Quarantined] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    @property
    def has_manifest(self) -> bool:
        """Whether ``sorby synthesize sample`` wrote it."""
        return (self.folder / MANIFEST).is_file()


def png_of(pixels: Grey) -> bytes:
    """Return a picture as PNG."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


def write_samples(folder: Path, rows: Sequence[Mapping[str, Any]], pictures: Sequence[bytes], facts: Any) -> None:
    """Write pictures, their table and what made them into a folder that is being filled.

    Parameters
    ----------
    folder : Path
    rows : sequence of mapping
        One a picture, keys of `sorby.corpus.ancestry.COLUMNS`.
    pictures : sequence of bytes
        PNG files.
    facts : dict
    """
    for row, picture in zip(rows, pictures, strict=True):
        path = folder / row["path"]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(picture)
    write_table(folder / MANIFEST, COLUMNS, rows)
    write_json(folder / FACTS, facts)


def write_table(path: Path, columns: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> None:
    """Write rows as CSV."""
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, restval="", extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    with atomic_write(path) as file:
        file.write(text.getvalue().encode("utf-8"))


def read_folder(folder: Path | str, classes: Sequence[str]) -> SampleFolder:
    """Read a folder of generated images: one that was sampled, one folder a class, or images of one class.

    Parameters
    ----------
    folder : path
    classes : sequence of str
        Of the real images; images that lie in the folder directly are of the only one.

    Raises
    ------
    InputError
        No images, none that can be read, or sizes that differ.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder", "give a folder of generated images")
    if (folder / MANIFEST).is_file():
        table, warnings = read_manifest(folder)
        if not len(table):
            raise InputError(f"{folder / MANIFEST}: names no image", "sample some first: sorby synthesize sample")
    else:
        table, warnings = _without_manifest(folder, classes)
    decisions = {
        sha: checked_decision(text, f"{folder / MANIFEST}, line {line}")
        for line, (sha, text) in enumerate(zip(table["sha256"], table["decision"], strict=True), start=2)
    }
    found, quarantined = _read(folder, table)
    return SampleFolder(folder, found, read_facts(folder), decisions, quarantined, warnings)


def _without_manifest(folder: Path, classes: Sequence[str]) -> tuple[pd.DataFrame, list[str]]:
    images = find_images(folder)
    if not images:
        raise InputError(f"{folder}: holds no images", "give a folder of generated images")
    if all(image.parent == folder for image in images) and len(classes) == 1:
        files, labels, warnings = images, [classes[0]] * len(images), [f"{folder}: taken for class {classes[0]}"]
    else:
        listed = list_folder(folder)
        files, labels, warnings = list(listed.rows["file"]), list(listed.rows["label"]), listed.warnings
    table = pd.DataFrame("", index=range(len(files)), columns=list(COLUMNS), dtype=object)
    table["path"], table["label"] = [str(file) for file in files], [str(label) for label in labels]
    warnings.append(f"{folder} has no {MANIFEST}: what its images descend from is unknown")
    return table, warnings


def _read(folder: Path, table: pd.DataFrame) -> tuple[dict[str, Listed], list[Quarantined]]:
    quarantined: list[Quarantined] = []
    rows: dict[str, list[tuple[Path, str, Grey, frozenset[str], str]]] = {}
    shapes: dict[tuple[int, ...], Path] = {}
    for row in table.to_dict("records"):
        file = folder / row["path"]
        try:
            pixels = to_grey(to_uint8(read(file).pixels))
            sha = sha256_file(file)
        except ImageError as error:
            quarantined.append(Quarantined.from_error(file, error))
            continue
        if row["sha256"] and sha != row["sha256"].lower():
            quarantined.append(Quarantined(str(file), f"not the image that {MANIFEST} speaks of"))
            continue
        shapes.setdefault(pixels.shape, file)
        ancestors = frozenset(filter(None, str(row["ancestors"]).split("|")))
        rows.setdefault(row["label"], []).append((file, sha, pixels, ancestors, row["specimen"] or row["parent"]))
    if not rows:
        raise InputError(f"{folder}: no image could be read ({quarantined[0].reason})", "check the files")
    if len(shapes) > 1:
        (one, first), (other, second) = list(shapes.items())[:2]
        raise InputError(
            f"{folder}: images of several sizes, {one[1]} x {one[0]} ({first.name}) and {other[1]} x {other[0]} px"
            f" ({second.name})",
            "check one size at a time",
        )
    listed = {}
    for label, each in sorted(rows.items()):
        parents = [parent for *_, parent in each]
        made = Made(np.stack([pixels for _, _, pixels, _, _ in each]), [names for *_, names, _ in each],
                    parents if all(parents) else None)  # fmt: skip
        listed[label] = Listed([file for file, *_ in each], [sha for _, sha, *_ in each], made)
    return listed, quarantined


def read_facts(folder: Path) -> dict[str, Any]:
    """Return what made the images of a folder; empty where that is not known.

    Raises
    ------
    InputError
        The file is damaged.
    """
    path = folder / FACTS
    if not path.is_file():
        return {}
    hint = "sample again, or take the file away"
    try:
        facts: dict[str, Any] = json.loads(path.read_text("utf-8"))
    except (ValueError, OSError) as error:
        raise InputError(f"{path}: cannot be read", hint) from error
    if not isinstance(facts, dict) or not isinstance(facts.get("generator", ""), str):
        raise InputError(f"{path}: does not say what made the images", hint)
    return facts


def kept_decisions(sampled: SampleFolder, out: Path) -> dict[str, str]:
    """Return what a person decided of each image: in the folder's table or in that of an earlier check.

    Raises
    ------
    InputError
        The two differ, or one holds another word than accept and reject.
    """
    decisions = {sha: word for sha, word in sampled.decisions.items() if word and sha}
    earlier = out / GATE
    if not earlier.is_file():
        return decisions
    table, _ = read_table(earlier)
    if not {"sha256", "decision"} <= set(table):
        raise InputError(f"{earlier}: no columns sha256 and decision", "choose another --out")
    for line, (sha, text) in enumerate(zip(table["sha256"], table["decision"], strict=True), start=2):
        word = checked_decision(text, f"{earlier}, line {line}")
        if word and decisions.get(str(sha), word) != word:
            raise InputError(
                f"{earlier}, line {line}: {word}, but {sampled.folder / MANIFEST} says {decisions[str(sha)]}",
                "make both say the same",
            )
        if word:
            decisions[str(sha)] = word
    return decisions


def gate_rows(listed: Mapping[str, Listed], gates: Mapping[str, Gated], originals: Mapping[str, Sequence[str]]) -> list[
    dict[str, Any]
]:  # fmt: skip
    """Return the rows of `GATE`, refused images last to first sight: in the order of the folder.

    Parameters
    ----------
    listed : mapping of str to Listed
    gates : mapping of str to Gated
    originals : mapping of str to sequence of str
        Name of each original that copies were looked for in.
    """
    rows = []
    for label, own in listed.items():
        gated = gates[label]
        for k, (file, sha) in enumerate(zip(own.files, own.hashes, strict=True)):
            rows.append(
                {
                    "image": str(file),
                    "sha256": sha,
                    "label": label,
                    "accepted": "true" if gated.accepted[k] else "false",
                    "reason": "|".join(gated.reasons[k]),
                    "decision": gated.decisions[k],
                    "likeness": f"{gated.memory.likeness[k]:.3f}",
                    "original": originals[label][int(gated.memory.original[k])],
                    "distance": f"{gated.distance[k]:.3f}",
                }
            )
    return rows


def write_gate(out: Path, rows: Sequence[Mapping[str, Any]]) -> Path:
    """Write `GATE` into a folder."""
    write_table(out / GATE, _GATE_COLUMNS, rows)
    return out / GATE


def update_manifest(sampled: SampleFolder, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write into a sampled folder's table what the gate and a person say; images it did not read keep their row."""
    table, _ = read_manifest(sampled.folder)
    said = {row["image"]: row for row in rows}  # not by content: of two alike, the first may be accepted
    columns = [*COLUMNS, *(str(name) for name in table if name not in COLUMNS)]
    changed: list[dict[str, Any]] = []
    for row in table.to_dict("records"):
        new = said.get(str(sampled.folder / row["path"]))
        news = {} if new is None else {name: new[name] for name in ("accepted", "reason", "decision")}
        changed.append({**{str(name): value for name, value in row.items()}, **news})
    write_table(sampled.folder / MANIFEST, columns, changed)


def sample_rows(
    label: str, pictures: Sequence[bytes], parents: Sequence[tuple[Path, str, str] | None], ancestors: Sequence[str],
    generator: str, seed: int,
) -> list[dict[str, Any]]:  # fmt: skip
    """Return the manifest rows of new pictures; nothing is accepted before the gate has looked.

    Parameters
    ----------
    label : str
    pictures : sequence of bytes
    parents : sequence of (Path, str, str) or None
        Path of the conditioning original, its name and its specimen (empty where unknown).
    ancestors : sequence of str
        As the column holds them.
    generator : str
        SHA-256 of its bundle.
    seed : int
    """
    safe = "".join(letter if letter.isalnum() or letter in "-_" else "-" for letter in label)
    if safe != label:  # two labels may not share a folder
        safe = f"{safe}-{sha256_bytes(label.encode())[:6]}"
    return [
        {
            "path": f"{safe}/{safe}-{k:04d}.png",
            "sha256": sha256_bytes(picture),
            "label": label,
            "specimen": "" if parent is None else parent[2],
            "synthetic": "true",
            "parent": "" if parent is None else str(parent[0]),
            "ancestors": names,
            "generator": generator,
            "seed": seed,
        }
        for k, (picture, parent, names) in enumerate(zip(pictures, parents, ancestors, strict=True))
    ]
