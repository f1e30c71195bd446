"""A designed round robin put into a station from the command line, by who can read the station's folder."""

from __future__ import annotations

import getpass
from dataclasses import replace
from pathlib import Path
from typing import Any

from sorby.errors import InputError
from sorby.files import sha256_file
from sorby.station import images, rounds
from sorby.station.home import load_settings, open_desk
from sorby.station.permissions import STATION
from sorby.study import Design


def open_round(home: Path, folder: Path, pictures: Path, database: str | None = None) -> dict[str, Any]:
    """Open a round robin that ``sorby study new`` designed, and make a link for each of its raters.

    The record names the computer's user: whoever may read the keys in the station's folder may do this.

    Parameters
    ----------
    home : Path
        The station's folder; the server may run meanwhile.
    folder : Path
        Of the study.
    pictures : Path
        What the paths of the design's images begin from: the folder of the corpus.
    database : str, optional
        URL, where the station has another than its own.

    Returns
    -------
    dict
        ``url`` of the study's page, ``study``, ``links`` by rater.

    Raises
    ------
    InputError
        No station or no design is there, or an image is not the one that was chosen.
    """
    design = Design.load(folder / "design.json")
    found = {item.name: _original(pictures, item.path, item.sha256) for item in design.items}
    settings = load_settings(home)
    desk = open_desk(settings, database)
    try:
        actor = replace(STATION, name=f"{getpass.getuser()} (command line)")
        for item in design.items:
            with found[item.name].open("rb") as content:
                images.receive(
                    desk, actor, content, found[item.name].name, specimen=item.specimen,
                    pixel_size_um=item.pixel_size_um,
                )  # fmt: skip
        study = rounds.create_round(desk, actor, design.as_dict())
        rounds.set_state(desk, actor, study.id, "open")
        links = {each.name: each.url for each in rounds.invite(desk, actor, study.id)}
    finally:
        desk.database.close()
    return {"url": f"{settings.public_url}/studies/{study.id}", "study": study.id, "links": links}


def _original(pictures: Path, path: str, sha256: str) -> Path:
    file = pictures / path
    if not file.is_file():
        raise InputError(f"{file}: is not there", "--images FOLDER, from which the corpus names its images")
    if sha256_file(file) != sha256:
        raise InputError(f"{file}: is not the image that was chosen", "design the study again: sorby study new")
    return file
