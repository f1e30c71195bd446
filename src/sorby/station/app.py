"""The web application: REST and pages on one desk."""

from __future__ import annotations

from collections.abc import Callable

from fastapi import FastAPI

from sorby._version import __version__
from sorby.station.desk import Desk
from sorby.station.rest import ROUTERS
from sorby.station.rest.guards import API, Guards
from sorby.station.rest.problems import answer_problems


def create_app(desk: Desk, pages: Callable[[FastAPI, Desk], None] | None = None) -> FastAPI:
    """Return the application of a station.

    Parameters
    ----------
    desk : Desk
    pages : callable, optional
        Puts the pages on the application. There is one set of pages to a process, but any number of applications
        without.
    """
    app = FastAPI(
        title="sorby station", version=__version__, docs_url=None, redoc_url=None, openapi_url=None,
        description="Images, verdicts, reviews, studies and the record of a station. Sign in, or send a token.",
    )  # fmt: skip
    app.state.desk = desk
    answer_problems(app)
    for router in ROUTERS:
        app.include_router(router, prefix=API)
    app.add_middleware(Guards, settings=desk.settings)
    if pages is not None:
        pages(app, desk)
    return app
