"""The pages: thin faces over the station's functions, in one process with its REST interface.

Everything that a browser needs comes from this computer. Whatever a page does, it does as the person whose session it
belongs to, and asks for that session again each time.
"""

from __future__ import annotations

from pathlib import Path

import nicegui
from fastapi import FastAPI
from nicegui import ui

from sorby.station.desk import Desk
from sorby.station.home import page_secret

_STATIC = Path(__file__).parent / "static"


def mount(app: FastAPI, desk: Desk) -> None:
    """Put the pages on an application; once in a process.

    Parameters
    ----------
    app : FastAPI
    desk : Desk
    """
    from sorby.station.pages import (
        accounts,
        certificates,
        consensus,
        drift,
        home,
        image,
        inspecting,
        jobs,
        models,
        queue,
        rater,
        record,
        signing_in,
        specimens,
        studies,
    )

    first = not hasattr(nicegui.app.state, "desk")
    nicegui.app.state.desk = desk
    if not first:
        raise RuntimeError("a process has one set of pages")
    nicegui.app.add_static_files("/_sorby", _STATIC)
    version = int((_STATIC / "station.css").stat().st_mtime)
    ui.add_head_html(f'<link rel="stylesheet" href="/_sorby/station.css?{version}">', shared=True)
    for each in (
        signing_in,
        home,
        inspecting,
        queue,
        specimens,
        image,
        studies,
        consensus,
        rater,
        jobs,
        models,
        certificates,
        drift,
        record,
        accounts,
    ):
        each.put()
    ui.run_with(
        app, title="sorby", language="en-GB", tailwind=False, storage_secret=page_secret(desk.settings.home),
        show_welcome_message=False, reconnect_timeout=20.0, favicon=_STATIC / "favicon.svg",
    )  # fmt: skip
