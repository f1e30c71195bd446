"""The peer program that PaDiM is held against: where it is installed, and how to install it.

anomalib is not a dependency of sorby in any form; it lives in an environment of its own.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

_SCRIPT = Path(__file__).resolve().parent / "peers" / "anomalib_padim.py"
_INSTALL = "uv venv PEER && uv pip install --python PEER anomalib openvino onnxscript, then set SORBY_PEER=PEER"


def peer_command(*arguments: str) -> list[str]:
    """Return the command that runs the peer's script, or leave with one line that says how to install it."""
    folder = os.environ.get("SORBY_PEER")
    python = Path(folder or "", "bin", "python")
    if folder is None or not python.is_file():
        sys.exit(f"error: the peer, anomalib, is not at hand\nhint: {_INSTALL}")
    return [str(python), str(_SCRIPT), *arguments]


def run_peer(*arguments: str) -> None:
    """Run the peer's script to its end; its noise goes to standard error."""
    done = subprocess.run(peer_command(*arguments), stdout=sys.stderr, check=False)
    if done.returncode:
        sys.exit("error: the peer failed\nhint: its own message stands above")
