"""The job that makes tiles again, after somebody deleted what can be made again."""

from __future__ import annotations

from sorby.station import images
from sorby.station.jobs.queue import Work


def run(work: Work) -> None:
    """Cut images into tiles: ``request["images"]`` names them by SHA-256."""
    names = list(work.request["images"])
    for done, sha in enumerate(names):
        work.alive(done, len(names), "cutting tiles")
        images.tiles(work.desk, sha)
    with work.committing() as act:
        work.finish(act, {"images": len(names)})
