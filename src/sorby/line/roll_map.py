"""The roll map as files that other programs read: defects as CSV and GeoJSON, alarms as CSV."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

from sorby.files import atomic_write
from sorby.line.alarms import Alarm
from sorby.line.defects import Defect

DEFECT_COLUMNS = (*(field.name for field in fields(Defect)), "cluster", "repeat")
ALARM_COLUMNS = tuple(field.name for field in fields(Alarm))

NOT_GEOGRAPHIC = (
    "x is the distance from the web's left edge and y the way from the beginning of the roll, both in millimetres; "
    "these are no geographic coordinates"
)


def write_defects(path: Path, defects: Iterable[Mapping[str, Any]]) -> None:
    """Write ``roll_map.csv``, one line for each defect with the columns of `DEFECT_COLUMNS`."""
    _write_csv(path, DEFECT_COLUMNS, defects)


def write_alarms(path: Path, alarms: Iterable[Mapping[str, Any]]) -> None:
    """Write ``alarms.csv``, one line for each alarm with the columns of `ALARM_COLUMNS`."""
    _write_csv(path, ALARM_COLUMNS, alarms)


def _write_csv(path: Path, columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> None:
    with atomic_write(path) as file:
        text = io.TextIOWrapper(file, encoding="utf-8", errors="backslashreplace", newline="", write_through=True)
        writer = csv.writer(text)
        writer.writerow(columns)
        for row in rows:
            writer.writerow([_cell(row[name]) for name in columns])
        text.flush()
        text.detach()


def _cell(value: Any) -> Any:
    if isinstance(value, bool):
        return "true" if value else "false"
    return "" if value is None else value


def write_geojson(path: Path, defects: Iterable[Mapping[str, Any]]) -> None:
    """Write ``roll_map.geojson``: a polygon (the box along and across the web) for each defect, in millimetres.

    GeoJSON (RFC 7946) means degrees of longitude and latitude; programs that draw it as it is show the web. The file
    says so in the member ``coordinates``.
    """
    head = {"type": "FeatureCollection", "coordinates": NOT_GEOGRAPHIC}
    with atomic_write(path) as file:
        file.write((json.dumps(head)[:-1] + ', "features": [').encode())
        for number, defect in enumerate(defects):
            line = json.dumps(_feature(defect), allow_nan=False)
            file.write((",\n" if number else "\n").encode() + line.encode())
        file.write(b"\n]}\n")


def _feature(defect: Mapping[str, Any]) -> dict[str, Any]:
    left, right = defect["across_from_mm"], defect["across_to_mm"]
    start, end = defect["along_from_mm"], defect["along_to_mm"]
    corners = [[left, start], [right, start], [right, end], [left, end], [left, start]]
    return {
        "type": "Feature",
        "id": defect["number"],
        "geometry": {"type": "Polygon", "coordinates": [corners]},
        "properties": {name: defect[name] for name in DEFECT_COLUMNS},
    }
