"""Who does which kind of job. Each handler is imported when the first such job comes: some load networks."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module

from sorby.station.jobs.queue import Work

Handler = Callable[[Work], None]
"""Does a job: commits what it finds through `Work.committing` and closes it by `Work.finish` in the last of these."""


def _later(place: str) -> Handler:
    module, _, name = place.partition(":")

    def handle(work: Work) -> None:
        handler: Handler = getattr(import_module(module), name)
        handler(work)

    return handle


HANDLERS: dict[str, Handler] = {
    "inspect": _later("sorby.station.jobs.inspecting:run"),
    "retrain": _later("sorby.station.retraining:run"),
    "demo": _later("sorby.station.demo:run"),
    "demo-studies": _later("sorby.station.demo:run_studies"),
}
