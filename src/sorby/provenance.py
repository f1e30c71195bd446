"""What produced a result: versions, platform, git state, time."""

from __future__ import annotations

import platform
import shutil
import subprocess
import sys
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

from sorby._version import __version__

_PACKAGES = (
    "numpy",
    "scipy",
    "scikit-learn",
    "torch",
    "torchvision",
    "timm",
    "openvino",
    "onnx",
    "pillow",
    "tifffile",
)


def git_state(folder: Path | str = ".") -> dict[str, Any] | None:
    """Return commit and dirtiness (None where unknown) of the checkout that tracks *folder*, or None outside one."""
    git = shutil.which("git")
    if git is None:
        return None

    def ask(*arguments: str) -> str | None:
        try:
            done = subprocess.run(  # noqa: S603 - fixed program, no shell
                [git, "-C", str(folder), *arguments], capture_output=True, text=True, timeout=10, check=False
            )
        except (subprocess.TimeoutExpired, OSError):  # a slow network drive; the state is then unknown
            return None
        return done.stdout.strip() if done.returncode == 0 else None

    commit = ask("rev-parse", "HEAD")
    if commit is None or ask("ls-files", "--error-unmatch", ".") is None:
        return None
    status = ask("status", "--porcelain")
    return {"commit": commit, "dirty": None if status is None else bool(status)}


def versions() -> dict[str, str]:
    """Return the versions of sorby, Python and the packages that shape a result."""
    found = {"sorby": __version__, "python": platform.python_version()}
    for name in _PACKAGES:
        found[name] = metadata.version(name)
    return found


def describe(seed: int | None = None) -> dict[str, Any]:
    """Return everything a run or bundle states about its making."""
    return {
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "seed": seed,
        "versions": versions(),
        "platform": {
            "system": platform.system(),
            "machine": platform.machine(),
            "python": sys.version.split()[0],
        },
        "git": git_state(Path(__file__).parent),
    }
