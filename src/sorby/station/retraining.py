"""Teaching from corrections: a candidate beside the bundle in use, compared on images that neither was made from."""

from __future__ import annotations

import io
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sqlalchemy import select
from sqlalchemy.orm import Session

from sorby.bundle import OpenBundle, open_bundle
from sorby.errors import InputError, SorbyError
from sorby.station import bundles, datasets, jobs
from sorby.station.database import tables
from sorby.station.desk import Conflict, Desk
from sorby.station.jobs.queue import Work
from sorby.station.permissions import Actor, Permission
from sorby.station.store.admission import SUFFIXES

_METRICS = ("accuracy", "macro_f1")


def corrections(desk: Desk, actor: Actor, task: str) -> list[dict[str, Any]]:
    """Return the labels that reviewers confirmed or corrected on verdicts of a task's bundles.

    Of several decisions on one image the last counts; where it rejected the image, the image teaches nothing.

    Returns
    -------
    list of dict
        ``image``, ``label``, ``said`` (what the bundle had called it), ``decision``, ``reviewer``, ``reason``,
        ``inspection``, ``bundle``, ``specimen``, ``at``; the oldest first.
    """
    with desk.looking(actor, Permission.LOOK) as session:
        return _corrections(session, task)


def _corrections(session: Session, task: str) -> list[dict[str, Any]]:
    query = (
        select(tables.Decision, tables.Inspection, tables.Image)
        .join(tables.Inspection, tables.Inspection.id == tables.Decision.inspection_id)
        .join(tables.Bundle, tables.Bundle.sha256 == tables.Inspection.bundle)
        .join(tables.Image, tables.Image.sha256 == tables.Inspection.image)
        .where(tables.Bundle.task == task)
        .order_by(tables.Decision.at, tables.Decision.id)
    )
    last: dict[str, dict[str, Any]] = {}
    for decision, inspection, image in session.execute(query):
        last.pop(image.sha256, None)
        if decision.decision == "rejected" or (image.synthetic and image.synthetic_state != "accepted"):
            continue
        last[image.sha256] = {
            "image": image.sha256,
            "label": decision.label or inspection.label,
            "said": inspection.label,
            "decision": decision.decision,
            "reviewer": decision.reviewer,
            "reason": decision.reason,
            "inspection": inspection.id,
            "bundle": inspection.bundle,
            "specimen": image.specimen,
            "suffix": SUFFIXES[image.media_type],
            "magnification": image.magnification,
            "pixel_size_um": image.pixel_size_um,
            "at": decision.at,
        }
    return list(last.values())


def start(desk: Desk, actor: Actor, sha256: str) -> dict[str, Any]:
    """Ask for a candidate taught from the corrections beside a bundle in use; return the job.

    Raises
    ------
    Refused
    NotFound
        The bundle's task has no images to teach from, or none to compare on.
    Conflict
        The bundle is not in use, there are no corrections, or one is being taught already.
    """
    with desk.acting(actor, Permission.RETRAIN) as act:
        current = bundles.find(act.session, sha256)
        task = current.task
        if current.state != "current":
            raise Conflict(f"the bundle is {current.state}", "teach beside the one in use")
        if current.kind != bundles.CLASSIFIER:
            raise Conflict(f"a bundle of kind {current.kind} is not taught from labels", "only classifiers are")
        for part in datasets.PARTS:
            datasets.newest(act.session, task, part)
        if not _corrections(act.session, task):
            raise Conflict("there are no corrections yet", "review some verdicts first")
        open_ = select(tables.Job).where(tables.Job.kind == "retrain", tables.Job.state.in_(("queued", "running")))
        if any(job.request.get("task") == task for job in act.session.execute(open_).scalars()):
            raise Conflict(f"a bundle for {task} is being taught already", "wait for it, or cancel it")
        job = jobs.enqueue(act, "retrain", {"task": task, "bundle": current.sha256}, total=3)
        act.record("retraining.request", f"job/{job.id}", new={"task": task, "current": current.sha256})
        return jobs.as_dict(job)


def taught_from(teaching: pd.DataFrame, corrected: Sequence[dict[str, Any]], locked: pd.DataFrame) -> pd.DataFrame:
    """Return what a candidate is taught from: the teaching images, corrections over them, without what is locked.

    A specimen that is locked away teaches nothing, however its images came here.
    """
    said = pd.DataFrame(
        [
            {
                "sha256": each["image"],
                **{key: each[key] for key in ("suffix", "label", "specimen", "magnification", "pixel_size_um")},
                "label_source": f"review by {each['reviewer']}",
                "review": each["inspection"],
                "review_decision": each["decision"],
                "review_reason": each["reason"],
                "reviewed_at": each["at"],
                "reviewed_bundle": each["bundle"],
            }
            for each in corrected
        ]
    )
    kept = teaching[~teaching["sha256"].isin(said["sha256"])] if len(said) else teaching
    both = pd.concat([kept, said], ignore_index=True)
    held = set(locked["specimen"]) - {""}
    free = ~both["sha256"].isin(locked["sha256"]) & ~both["specimen"].isin(held)
    return both[free].reset_index(drop=True)


def run(work: Work) -> None:
    """Teach and compare; the job's handler."""
    from sorby.classify import Recipe
    from sorby.workflow.training import train

    desk, task = work.desk, str(work.request["task"])
    with desk.database.read() as session:
        current = bundles.find(session, str(work.request["bundle"]))
        sets = {part: datasets.newest(session, task, part) for part in datasets.PARTS}
        corrected = _corrections(session, task)
    opened = open_bundle(desk.store.path(current.file))
    stated = opened.description.provenance.get("recipe")
    if not isinstance(stated, dict):
        raise InputError("the bundle does not state its recipe", "teach one with this version of sorby")
    recipe = Recipe.model_validate(stated)
    locked = datasets.read_table(desk, sets["locked"])
    table = taught_from(datasets.read_table(desk, sets["teaching"]), corrected, locked)
    used = [each for each in corrected if each["image"] in set(table["sha256"])]
    if not used:
        raise InputError("all corrections are of locked specimens", "they may not teach; review other images")
    buffer = io.BytesIO()
    table.to_parquet(buffer, index=False)
    provenance = desk.store.put(buffer.getvalue()).sha256
    with tempfile.TemporaryDirectory(prefix="sorby-retrain-") as place:
        folder = Path(place)
        work.alive(0, 3, f"teaching from {len(table)} images, {len(used)} of them corrections")
        corpus = datasets.as_corpus(desk, table, folder / "images")
        trained = train(corpus, folder / "run", recipe, report=False)
        work.alive(1, 3, "comparing on the locked images")
        candidate = open_bundle(trained["bundle"])
        judged = datasets.as_corpus(desk, locked, folder / "locked")
        comparison = {
            **compared(opened, candidate, judged, recipe.seed),
            "locked": datasets.as_dict(sets["locked"]),
            "taught": {"images": len(table), "corrections": len(used), "table": provenance},
            "warnings": list(trained["warnings"])[:20],
        }
        work.alive(2, 3, "keeping the candidate")
        kept = desk.store.put(Path(trained["bundle"]).read_bytes())
        with work.committing() as act:
            row = bundles.add(
                act, candidate, kept.sha256, task=task, name=f"{current.name} + {len(used)} corrections"[:120],
                comparison=comparison, proposer=work.created_by,
            )  # fmt: skip
            work.finish(act, {"bundle": row.sha256, "comparison": comparison}, comparison["sentence"])


def compared(current: OpenBundle, candidate: OpenBundle, locked: Any, seed: int = 0) -> dict[str, Any]:
    """Hold a candidate against the bundle in use, on the same images.

    Parameters
    ----------
    current, candidate : OpenBundle
        Of classifiers.
    locked : Corpus
    seed : int
        Of the bootstrap.

    Returns
    -------
    dict
        ``n``, ``n_specimens``, ``current`` and ``candidate`` (their figures), ``difference`` (candidate less current,
        ``value`` and ``ci95`` by a bootstrap over specimens), ``mcnemar_p``, ``only_candidate``, ``only_current``,
        ``seen_by_current`` (locked images that it was taught on), ``sentence``.
    """
    from sorby.classify import Verdict
    from sorby.evidence import compare, score
    from sorby.workflow.opening import classifier_of
    from sorby.workflow.planning import magnifications

    models = {"current": classifier_of(current), "candidate": classifier_of(candidate)}
    powers = [None if np.isnan(value) else float(value) for value in magnifications(locked)]
    said = {name: list(model.inspect(locked.paths(), magnification=powers)) for name, model in models.items()}
    good = [k for k in range(len(locked)) if all(isinstance(each[k], Verdict) for each in said.values())]
    if not good:
        raise SorbyError("no locked image can be read", "set others apart")
    kept = locked.take(good)
    called = {name: [str(each[k].label) for k in good] for name, each in said.items()}  # type: ignore[union-attr]
    truth = [str(label) for label in kept.labels]
    classes = sorted({*truth, *called["current"], *called["candidate"]})
    codes = {name: np.array([classes.index(label) for label in each], np.intp) for name, each in called.items()}
    right = np.array([classes.index(label) for label in truth], np.intp)
    test, gaps = compare(right, codes["candidate"], codes["current"], len(classes), kept.groups, seed)
    figures = {}
    for name, code in codes.items():
        scores = score(right, code, len(classes), kept.groups, seed)
        figures[name] = {"accuracy": scores["accuracy"].as_dict(), "macro_f1": scores["macro_f1"].as_dict()}
    seen = int(models["current"].was_taught(kept.table["sha256"]).sum())
    result = {
        "n": len(good),
        "n_specimens": len(good) if kept.groups is None else len(set(kept.groups)),
        **figures,
        "difference": {key: gaps[key].as_dict() for key in _METRICS},
        "mcnemar_p": float(test.p_value),
        "only_candidate": test.only_a,
        "only_current": test.only_b,
        "seen_by_current": seen,
    }
    return {**result, "sentence": _sentence(result)}


def _sentence(found: dict[str, Any]) -> str:
    """Say what the comparison shows."""
    gap = found["difference"]["accuracy"]
    bounds = gap["ci95"]
    said = f"accuracy {100 * gap['value']:+.1f} points on {found['n']} locked images"
    if bounds is None:
        said += f" (no interval: {gap.get('note') or 'both say the same of all images'})"
    else:
        said += f", 95 % CI {100 * bounds[0]:+.1f} to {100 * bounds[1]:+.1f}"
        if bounds[0] <= 0 <= bounds[1]:
            said += ": no difference shown"
    if found["seen_by_current"]:
        said += f"; the bundle in use was taught on {found['seen_by_current']} of them, which favours it"
    return said
