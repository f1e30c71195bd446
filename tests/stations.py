"""Stations for tests: a desk in an empty folder, people of every role, pictures."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
from PIL import Image

from sorby.station import images
from sorby.station.desk import Desk
from sorby.station.home import open_desk, prepare
from sorby.station.permissions import GRANTED, Actor, Role
from sorby.station.settings import Settings


def new_desk(folder: Path, **settings) -> Desk:
    """Return the desk of a new station."""
    home = folder / "home"
    prepare(home)
    return open_desk(Settings(home, **settings), migrating=True)


def person(role: str, name: str | None = None) -> Actor:
    """Return somebody of a role, named after it unless named."""
    return Actor(f"id-{name or role}", name or role, role, GRANTED[Role(role)])


def picture(seed: int, size: tuple[int, int] = (48, 64)) -> bytes:
    """Return a PNG of noise, another one for each seed."""
    grey = np.random.default_rng(seed).integers(0, 255, size, np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(grey).save(buffer, "PNG")
    return buffer.getvalue()


def put_picture(desk: Desk, seed: int, **words) -> str:
    """Upload a picture; return its SHA-256."""
    return images.receive(desk, person("operator"), io.BytesIO(picture(seed)), f"{seed}.png", **words)["sha256"]
