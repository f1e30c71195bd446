"""``sorby doctor``: what is here and what is missing."""

from __future__ import annotations

import importlib.util
import os
from typing import Any

import click

from sorby import provenance
from sorby._version import __version__
from sorby.backbone import weights as store
from sorby.backbone.cache import cache_folder
from sorby.cli._frame import reports

_PARTS = {
    "ocr": ("rapidocr", "onnxruntime", "pytesseract"),
    "formats": ("czifile", "liffile"),
    "station": ("fastapi", "nicegui", "sqlalchemy", "alembic", "uvicorn"),
    "tune": ("optuna",),
    "cluster": ("ray",),
    "track": ("mlflow",),
    "camera": ("harvesters",),
}


def _devices() -> list[dict[str, Any]]:
    import torch

    from sorby.backbone.runtime import cpu_has_bf16

    found: list[dict[str, Any]] = [
        {"device": "cpu", "runtime": "openvino", "cores": os.cpu_count(), "bf16": cpu_has_bf16()}
    ]
    for k in range(torch.cuda.device_count()):
        found.append({"device": f"cuda:{k}", "runtime": "torch", "name": torch.cuda.get_device_name(k)})
    return found


def _missing() -> dict[str, list[str]]:
    absent = {
        extra: [module for module in modules if importlib.util.find_spec(module) is None]
        for extra, modules in _PARTS.items()
    }
    return {extra: modules for extra, modules in absent.items() if modules}


def _show(result: dict[str, Any]) -> str:
    lines = [f"sorby {result['version']}", "", "devices"]
    lines += ["  " + ", ".join(f"{key} {value}" for key, value in device.items()) for device in result["devices"]]
    lines += ["", "weights without a network"]
    lines += [f"  {row['name']} ({row['kind']}, {row['licence']})" for row in result["weights"]]
    lines += ["", "optional parts missing"]
    lines += [f"  {extra}: pip install 'sorby[{extra}]'" for extra in result["missing"]] or ["  none"]
    lines += ["", "versions"] + [f"  {name} {version}" for name, version in result["versions"].items()]
    lines += ["", f"data folder  {result['home']}", f"cache folder {result['cache']}"]
    return "\n".join(lines)


@click.command()
@reports(_show)
def doctor() -> dict[str, Any]:
    """Say what is installed, which devices and weights are there, and which optional parts are missing.

    Example: sorby doctor
    """
    return {
        "version": __version__,
        "devices": _devices(),
        "weights": store.available(),
        "missing": _missing(),
        "versions": provenance.versions(),
        "home": str(store.home()),
        "cache": str(cache_folder()),
    }
