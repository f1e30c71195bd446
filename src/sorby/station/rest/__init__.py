"""REST under ``/api/v1``: thin faces over the station's functions."""

from __future__ import annotations

from fastapi import APIRouter

from sorby.station.rest import (
    auth,
    certificates,
    consensus,
    drift,
    health,
    images,
    inspecting,
    rating,
    records,
    studies,
    templates,
    users,
)

ROUTERS: tuple[APIRouter, ...] = (
    health.router,
    auth.router,
    users.router,
    images.router,
    inspecting.router,
    templates.router,
    studies.router,
    rating.router,
    consensus.router,
    records.router,
    certificates.router,
    drift.router,
)
"""All routers; each gets the prefix ``/api/v1``."""
