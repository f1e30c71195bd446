"""What a training or cross-validation leaves behind: one folder, complete once ``run.json`` is there."""

from __future__ import annotations

import io
import json
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pandas as pd

from sorby import provenance
from sorby.classify import Recipe
from sorby.classify.recipe import dump
from sorby.corpus.table import relative_to
from sorby.errors import InputError, SorbyWarning
from sorby.files import atomic_write, write_json, write_text
from sorby.workflow.planning import Plan

RUN_FILE = "run.json"


def refuse_finished(out: Path) -> None:
    """Refuse a folder that holds a finished run or that cannot be written, before hours are spent.

    Raises
    ------
    InputError
    """
    if (out / RUN_FILE).exists():
        raise InputError(f"{out}: holds a finished run", "choose another --out")
    if out.exists() and not out.is_dir():
        raise InputError(f"{out}: is a file", "choose another --out")
    refuse_unwritable(out)


def refuse_unwritable(out: Path) -> None:
    """Refuse a place where nothing can be written, before what is to be written is computed.

    Parameters
    ----------
    out : Path
        A folder, or a file that does not exist yet; missing folders above it count as to be made.

    Raises
    ------
    InputError
    """
    try:
        there = next(folder for folder in (out, *out.absolute().parents) if folder.exists())
        # Permissions alone do not tell: some systems refuse a file whatever they say, to administrators too.
        with tempfile.TemporaryFile(dir=there):
            pass
    except OSError as error:
        raise InputError(f"{out}: cannot write here ({error.strerror})", "choose another --out") from error


@contextmanager
def noting(lines: list[str]) -> Iterator[None]:
    """Add what sorby warns of while the block runs to *lines*, so that the result says it."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", SorbyWarning)
        yield
    for entry in caught:
        if not issubclass(entry.category, SorbyWarning):
            warnings.warn_explicit(entry.message, entry.category, entry.filename, entry.lineno)
        elif str(entry.message) not in lines:
            lines.append(str(entry.message))


def write_table(path: Path, table: pd.DataFrame) -> None:
    """Write a table as Parquet, complete or not at all."""
    buffer = io.BytesIO()
    table.to_parquet(buffer, index=False)
    with atomic_write(path) as file:
        file.write(buffer.getvalue())


def write_run(out: Path, recipe: Recipe, plan: Plan, verdicts: pd.DataFrame, facts: dict[str, Any]) -> dict[str, Any]:
    """Write recipe, corpus, verdicts and, last, ``run.json``.

    Image paths in corpus and verdicts are relative to the run folder, so that the two can be joined.

    Returns
    -------
    dict
        The content of ``run.json``.
    """
    folder, root = out.resolve(), plan.corpus.root
    verdicts = verdicts.assign(path=[relative_to(root / path, folder) for path in verdicts["path"]])
    run = {
        **facts,
        "recipe": recipe.model_dump(mode="json"),
        "classes": list(plan.classes),
        "grouped": plan.grouped,
        "decisions": plan.decisions,
        "corpus": {"fingerprint": plan.corpus.fingerprint(), "n": len(plan.labels), "root": str(folder)},
        "provenance": provenance.describe(recipe.seed),
    }
    write_text(out / "recipe.yaml", dump(recipe))
    plan.corpus.save(out / "corpus.parquet")
    write_table(out / "verdicts.parquet", verdicts)
    write_json(out / RUN_FILE, run)
    return run


def read_run(out: Path) -> dict[str, Any]:
    """Return the content of ``run.json``.

    Raises
    ------
    InputError
        The folder holds no finished run.
    """
    path = out / RUN_FILE
    if not path.is_file():
        raise InputError(f"{out}: holds no finished run", "give the --out folder of sorby train or crossval")
    content: dict[str, Any] = json.loads(path.read_text("utf-8"))
    return content
