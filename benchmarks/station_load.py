"""Fifty raters at once: how long a saved rating takes, whether any is lost, how long tiles of a large image take.

The station runs as `sorby serve` in a process of its own, its workers beside it. Each rater saves an answer every five
seconds, begun at a random moment; a viewer asks for tiles of a 100-megapixel image meanwhile, at random places, as fast
as the answers to its questions come with a short pause. Afterwards every place is read back and the record verified.
Times are the client's, from sending to the last byte, on the same computer.
"""

from __future__ import annotations

import argparse
import asyncio
import time
from typing import Any

import httpx
import numpy as np

from common import finish
from station_client import (
    Server,
    Somebody,
    answer_of,
    as_json,
    database,
    household,
    picture,
    round_robin,
    scratch,
    upload,
)

TARGETS = {"rating_p95_ms": 300.0, "tile_p95_ms": 100.0, "lost": 0}
_PAUSE_S = 0.1


async def rater(client: httpx.AsyncClient, secret: str, places: int, until: float, interval: float, seed: int,
                times: list[float], kept: dict[int, dict[str, Any]], failures: list[str]) -> None:  # fmt: skip
    """Save an answer every *interval* seconds; note what was acknowledged."""
    rng = np.random.default_rng(seed)
    await asyncio.sleep(float(rng.uniform(0, interval)))
    number = 0
    while time.perf_counter() < until:
        place, answer = number % places + 1, answer_of(int(rng.integers(10**6)))
        began = time.perf_counter()
        try:
            reply = await client.put(f"rate/{secret}/places/{place}", json={"answer": answer, "seconds": 4.0})
            if reply.status_code == 200:
                times.append(time.perf_counter() - began)
                kept[place] = answer
            else:
                failures.append(f"{reply.status_code} {reply.text[:120]}")
        except httpx.HTTPError as error:
            failures.append(type(error).__name__)
        number += 1
        await asyncio.sleep(max(0.0, interval - (time.perf_counter() - began)))


async def viewer(client: httpx.AsyncClient, sha: str, levels: list[dict[str, int]], until: float, seed: int,
                 times: list[float]) -> None:  # fmt: skip
    """Look at random places of a large image at random zoom."""
    rng = np.random.default_rng(seed)
    while time.perf_counter() < until:
        z = int(rng.integers(len(levels)))
        x, y = int(rng.integers(levels[z]["columns"])), int(rng.integers(levels[z]["rows"]))
        began = time.perf_counter()
        reply = await client.get(f"images/{sha}/tiles/{z}/{x}/{y}")
        reply.raise_for_status()
        times.append(time.perf_counter() - began)
        await asyncio.sleep(_PAUSE_S)


async def load(server: Server, secrets: list[str], places: int, who: Somebody, large: str, options: argparse.Namespace,
               ) -> tuple[list[float], list[float], list[dict[int, dict[str, Any]]], list[str]]:  # fmt: skip
    """Let raters and the viewer work, each with a connection of its own."""
    levels = who.ask("GET", f"images/{large}")["levels"]
    ratings, tiles, failures = list[float](), list[float](), list[str]()
    kept: list[dict[int, dict[str, Any]]] = [{} for _ in secrets]
    until = time.perf_counter() + options.seconds
    limits = httpx.Limits(max_connections=len(secrets) + 4, max_keepalive_connections=len(secrets) + 4)
    base = f"{server.url}/api/v1/"
    async with (
        httpx.AsyncClient(base_url=base, timeout=60, limits=limits) as client,
        httpx.AsyncClient(base_url=base, timeout=60, cookies=who.cookies) as looking,
    ):
        at_work = [
            rater(client, secret, places, until, options.interval, 1863 + k, ratings, kept[k], failures)
            for k, secret in enumerate(secrets)
        ]
        await asyncio.gather(*at_work, viewer(looking, large, levels, until, 1863, tiles))
    return ratings, tiles, kept, failures


def lost(server: Server, secrets: list[str], kept: list[dict[int, dict[str, Any]]]) -> int:
    """Count places whose last acknowledged answer is not there."""
    missing = 0
    with httpx.Client(base_url=f"{server.url}/api/v1/", timeout=60) as client:
        for secret, answers in zip(secrets, kept, strict=True):
            for place, answer in answers.items():
                there = client.get(f"rate/{secret}/places/{place}").json()["answer"]
                missing += as_json(there) != as_json(answer)
    return missing


def percentiles(times: list[float]) -> dict[str, float]:
    """Return milliseconds."""
    if not times:
        return {}
    p50, p95, p99 = np.percentile(np.array(times) * 1000, [50, 95, 99])
    return {"p50_ms": round(float(p50), 1), "p95_ms": round(float(p95), 1), "p99_ms": round(float(p99), 1),
            "max_ms": round(max(times) * 1000, 1), "n": len(times)}  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--raters", type=int, default=50)
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--interval", type=float, default=5)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--images", type=int, default=20)
    parser.add_argument("--large-px", type=int, default=10_000, help="side of the large image")
    parser.add_argument("--database", choices=["sqlite", "postgresql"], default="sqlite")
    options = parser.parse_args()
    with (
        scratch() as folder,
        database(options.database, folder) as url,
        Server(folder / "home", url, options.workers) as server,
    ):
        started = server.start()
        who = household(server.url)["supervisor"]
        images = [upload(who, picture(k), f"image{k}.tif", f"S{k}") for k in range(options.images)]
        began = time.perf_counter()
        large = upload(who, picture(99, options.large_px, options.large_px), "large.tif")
        uploaded = time.perf_counter() - began
        began = time.perf_counter()
        who.ask("GET", f"images/{large}")  # what is not cut yet is cut on the first look
        who.get(f"images/{large}/tiles/0/0/0").raise_for_status()
        cut = time.perf_counter() - began
        study, secrets = round_robin(who, images, options.raters)
        places = options.images + 4
        ratings, tiles, kept, failures = asyncio.run(load(server, secrets, places, who, large, options))
        missing = lost(server, secrets, kept)
        record = who.ask("GET", "records/verify")
        progress = who.ask("GET", f"studies/{study}")
        code = server.stop()
    result = {
        "database": options.database, "raters": options.raters, "seconds": options.seconds,
        "interval_s": options.interval, "workers": options.workers, "start_s": round(started, 2),
        "ratings": percentiles(ratings), "failures": len(failures), "failures_first": failures[:3],
        "lost": missing, "places_rated": progress["ratings"], "record_intact": record["intact"],
        "record_entries": record["entries"], "large_image": {"megapixels": options.large_px**2 / 1e6,
        "upload_s": round(uploaded, 2), "first_tile_s": round(cut, 2)}, "tiles": percentiles(tiles),
        "exit_code": code, "targets": TARGETS,
    }  # fmt: skip
    finish("station_load", result)


if __name__ == "__main__":
    main()
