"""``demo``: the main job from nothing, on phantoms: render, train, evaluate, explain, inspect, report; no network."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd

from sorby.backbone.runtime import Device
from sorby.classify import Recipe
from sorby.errors import InputError
from sorby.workflow.evaluation import evaluate
from sorby.workflow.inspection import inspect
from sorby.workflow.phantoms import write_steel_corpus
from sorby.workflow.training import train

_TAUGHT, _FRESH, _NOVEL = 320, 60, 20
_FRESH_SEED = 1_000_003  # other specimens than those taught


def demo_steel(
    out: Path | str, *, seed: int = 0, device: Device = "auto", say: Callable[[str], None] = lambda line: None
) -> dict[str, Any]:
    """Run the steel demonstration.

    Phantoms of bainite (B) and two martensites (G, M) are rendered and a classifier is trained on them; then new
    specimens are inspected, among them structures that it was never taught and must refer.

    Parameters
    ----------
    out : path
        A new folder.
    seed : int
    device : {"auto", "cpu", "cuda"}
    say : callable
        Told what happens, a line at a time.

    Returns
    -------
    dict
        ``report``, ``bundle``, ``metrics``, ``seconds``, ``inspected``, ``novel_referred``.
    """
    out = Path(out)
    if out.exists() and any(out.iterdir()):
        raise InputError(f"{out}: exists and is not empty", "choose another --out, or remove it")
    started = time.perf_counter()
    say(f"rendering {_TAUGHT} phantom micrographs of {_TAUGHT // 2} specimens")
    taught = write_steel_corpus(out / "phantoms", _TAUGHT, seed=seed, label="subtype")
    say("training on specimens, testing on others")
    trained = train(taught["corpus"], out / "run", Recipe(name="demo-steel", seed=seed), device=device)
    say(f"evaluating on {_FRESH} micrographs of new specimens")
    fresh = write_steel_corpus(out / "new", _FRESH, seed=seed + _FRESH_SEED, label="subtype", novel=_NOVEL)
    scored = evaluate(trained["bundle"], fresh["corpus"], out / "evaluation", seed=seed, device=device)
    say(f"inspecting them and {_NOVEL} images of structures that were never taught")
    pictures = [out / "new" / "steel" / "images", out / "new" / "novel" / "images"]
    inspected = inspect(trained["bundle"], pictures, out / "verdicts", explain=True, device=device)
    return {
        "report": trained["report"],
        "bundle": trained["bundle"],
        "metrics": {
            "test": trained["test"],
            "new_specimens": {name: scored[name] for name in ("accuracy", "macro_f1")},
        },
        "seconds": time.perf_counter() - started,
        "inspected": {key: inspected[key] for key in ("verdicts", "n", "referred", "images_per_s")},
        "novel_referred": _referred(Path(inspected["verdicts"]), pictures[1]),
        "known_referred": _referred(Path(inspected["verdicts"]), pictures[0]),
        "overlays": str(out / "verdicts" / "overlays"),
    }


def _referred(verdicts: Path, folder: Path) -> dict[str, int]:
    """Count the images of one folder and how many of them were referred."""
    table = pd.read_csv(verdicts, keep_default_na=False)
    rows = table[table["image"].str.startswith(folder.as_posix())]
    return {"n": len(rows), "referred": int((rows["referred"].astype(str).str.lower() == "true").sum())}
