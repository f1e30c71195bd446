"""A station in a folder of its own, with one account of each role, for the tests of the station."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from fastapi import FastAPI
from fastapi.testclient import TestClient
from PIL import Image

from sorby.station.accounts import change_own_password, create_account
from sorby.station.app import create_app
from sorby.station.database import tables
from sorby.station.desk import Desk, new_id, now
from sorby.station.home import open_desk, prepare
from sorby.station.permissions import STATION, Actor, Role
from sorby.station.sessions import sign_in
from sorby.station.settings import Settings

PASSWORD = "grain boundary tea 42"
ORIGIN = "http://testserver"


@dataclass
class Station:
    """A station in a folder of its own, with one account of each role."""

    desk: Desk
    actors: dict[str, Actor] = field(default_factory=dict)

    def app(self) -> FastAPI:
        return create_app(self.desk)

    def client(self, name: str | None = None, app: FastAPI | None = None) -> TestClient:
        """A browser, signed in as *name*; it sends its CSRF token by itself."""
        client = TestClient(app or self.app(), base_url=ORIGIN, raise_server_exceptions=False)
        if name is not None:
            answer = client.post("/api/v1/auth/sign-in", json={"name": name, "password": PASSWORD})
            assert answer.status_code == 200, answer.text
            client.headers["X-CSRF-Token"] = answer.json()["csrf"]
        return client


def open_station(home: Path, url: str | None = None) -> Station:
    prepare(home)
    station = Station(open_desk(Settings(home, ORIGIN, requests_per_s=1e6), url, migrating=True))
    for role in Role:
        made = create_account(station.desk, STATION, role.value, role.value.title(), role, PASSWORD + " first")
        must = Actor(made.account.id, role.value, role.value, frozenset())
        change_own_password(station.desk, must, PASSWORD + " first", PASSWORD)
        station.actors[role.value] = sign_in(station.desk, role.value, PASSWORD, "127.0.0.1").visit.actor
    return station


def add_image(station: Station, number: int, specimen: str = "", instrument: str = "LM") -> str:
    """An image in the store and the table, without the checks of an upload."""
    path = station.desk.settings.home / f"image{number}.png"
    pixels = np.random.default_rng(number).integers(0, 255, (64, 96), dtype=np.uint8)
    Image.fromarray(pixels).save(path)
    sha = station.desk.store.put(path.read_bytes()).sha256
    with station.desk.database.write() as session:
        session.add(
            tables.Image(
                sha256=sha, name=path.name, media_type="image/png", bytes_=path.stat().st_size, width=96, height=64,
                pixel_size_um=0.2, scale_source="test", specimen=specimen or f"S{number}", magnification=None,
                instrument=instrument,
                synthetic=False, parent=None, synthetic_state=None, added_by="test", added_at=now(),
            )
        )  # fmt: skip
    return sha


def add_bundle(station: Station, sha256: str = "b" * 64) -> str:
    """A bundle in the table; its file is not there."""
    with station.desk.database.write() as session:
        session.add(
            tables.Bundle(
                sha256=sha256, file=sha256, name="steel", kind="classifier", task="steel",
                state="current", classes=["M7", "M8"],
                signature="unsigned", comparison=None, added_by="test", added_at=now(), promoted_by=None,
                promoted_at=None,
            )
        )  # fmt: skip
    return sha256


def add_inspection(station: Station, image: str, bundle: str, state: str = "clear", **told: Any) -> str:
    """What a bundle said of an image."""
    row = {
        "id": new_id(), "job_id": None, "image": image, "bundle": bundle, "label": "M7", "confidence": 0.9,
        "set_": ["M7"], "novelty": 0.4, "referred": state != "clear", "reasons": [], "risk": 0.1, "state": state,
        "verdict": {"guarantee": "the set holds the label in 9 of 10 images"}, "overlays": {}, "at": now(), **told,
    }  # fmt: skip
    with station.desk.database.write() as session:
        session.add(tables.Inspection(**row))
    return str(row["id"])
