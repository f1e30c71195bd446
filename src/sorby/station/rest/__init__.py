"""REST under ``/api/v1``: thin faces over the station's functions."""

from __future__ import annotations

from fastapi import APIRouter

from sorby.station.rest import auth, health, users

ROUTERS: tuple[APIRouter, ...] = (health.router, auth.router, users.router)
"""All routers; each gets the prefix ``/api/v1``."""
