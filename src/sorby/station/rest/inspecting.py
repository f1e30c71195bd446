"""Routes: inspections, the review queue, bundles, jobs, watched folders, teaching again."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import anyio.to_thread
from fastapi import APIRouter, Depends, Query, Request
from pydantic import BaseModel, Field

from sorby.station import bundles, datasets, inspections, jobs, retraining, reviews, watching
from sorby.station.permissions import Actor, Permission
from sorby.station.rest.frame import Id, Line, Needs, Prose, Secret, Sha, TheDesk
from sorby.station.rest.images import _BINARY, BodyStream, Inspects, Limit, Looks, Offset, Optional64, Reviews
from sorby.station.rest.problems import ANSWERS

router = APIRouter(tags=["inspection"], responses=ANSWERS)

Shas = Annotated[list[Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]], Field(min_length=1, max_length=5000)]
OptionalId = Annotated[str | None, Query(pattern=r"^[0-9a-f]{8,32}$")]
State = Annotated[Literal["clear", "waiting", "accepted", "corrected", "rejected"] | None, Query()]
Word = Annotated[str | None, Query(max_length=160)]


class InspectionRequest(BaseModel):
    """Which images, and by which bundles: several are compared; the current one where none is named."""

    images: Shas
    bundles: Annotated[list[Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]], Field(max_length=4)] = []
    explain: bool = True
    measure: Literal["", "needles", "grains"] = ""


@router.post("/inspections", status_code=202)
def request_inspection(desk: TheDesk, actor: Inspects, asked: InspectionRequest) -> dict[str, Any]:
    """Ask for verdicts; the answer is the job."""
    return inspections.request(
        desk, actor, asked.images, using=asked.bundles, explain=asked.explain, measure=asked.measure
    )


@router.get("/inspections")
def list_inspections(
    desk: TheDesk,
    actor: Looks,
    image: Optional64 = None,
    job: OptionalId = None,
    bundle: Optional64 = None,
    state: State = None,
    offset: Offset = 0,
    limit: Limit = 50,
) -> dict[str, Any]:
    """List inspections, the newest first."""
    return inspections.listed(desk, actor, image=image, job=job, bundle=bundle, state=state, offset=offset, limit=limit)


@router.get("/inspections/{identity}")
def get_inspection(desk: TheDesk, actor: Looks, identity: Id) -> dict[str, Any]:
    """Return an inspection with its verdict, its decision trace and the decisions on it."""
    return inspections.get(desk, actor, identity)


# -- review -----------------------------------------------------------------------------------------------


@router.get("/queue")
def review_queue(
    desk: TheDesk,
    actor: Looks,
    order: Literal["urgent", "risk", "oldest"] = "urgent",
    reason: Word = None,
    label: Word = None,
    bundle: Optional64 = None,
    specimen: Word = None,
    instrument: Word = None,
    state: Literal["waiting", "accepted", "corrected", "rejected", "clear"] = "waiting",
    offset: Offset = 0,
    limit: Limit = 50,
) -> dict[str, Any]:
    """Return what waits for a person, the most urgent first."""
    return reviews.queue(
        desk, actor, order=order, reason=reason, label=label, bundle=bundle, specimen=specimen,
        instrument=instrument, state=state, offset=offset, limit=limit,
    )  # fmt: skip


class DecisionRequest(BaseModel):
    """What a reviewer makes of an inspection; with a password and a meaning it is signed."""

    decision: Literal["accepted", "corrected", "rejected"]
    label: Annotated[str, Field(max_length=200)] | None = None
    reason: Prose = ""
    seen: Annotated[str, Field(pattern=r"^[0-9a-f]{8,32}$")] | None = None
    meaning: Literal["reviewed", "approved", "rejected"] | None = None
    password: Secret | None = None


@router.post("/inspections/{identity}/decisions", status_code=201)
def decide(desk: TheDesk, actor: Reviews, identity: Id, asked: DecisionRequest) -> dict[str, Any]:
    """Decide on an inspection; refused where somebody else decided since ``seen``."""
    return reviews.decide(
        desk, actor, identity, asked.decision, label=asked.label, reason=asked.reason, seen=asked.seen,
        meaning=asked.meaning or "", password=asked.password or "",
    )  # fmt: skip


# -- bundles ----------------------------------------------------------------------------------------------


@router.get("/bundles")
def list_bundles(
    desk: TheDesk,
    actor: Looks,
    task: Word = None,
    state: Literal["candidate", "current", "retired"] | None = None,
) -> list[dict[str, Any]]:
    """List bundles, current ones first."""
    return bundles.listed(desk, actor, task=task, state=state)


@router.post("/bundles", status_code=201, openapi_extra=_BINARY)
async def upload_bundle(
    request: Request,
    desk: TheDesk,
    actor: Annotated[Actor, Depends(Needs(Permission.MANAGE_STATION))],
    task: Annotated[str, Query(min_length=1, max_length=160)],
    name: Annotated[str, Query(max_length=160)] = "",
) -> dict[str, Any]:
    """Upload a bundle as a candidate: the body is a .sorby file."""
    body = BodyStream(request)
    return await anyio.to_thread.run_sync(lambda: bundles.receive(desk, actor, body.file, task=task, name=name))


@router.get("/bundles/{sha}")
def get_bundle(desk: TheDesk, actor: Looks, sha: Sha) -> dict[str, Any]:
    """Return a bundle and what it says of itself."""
    return bundles.get(desk, actor, sha)


class Why(BaseModel):
    """The reason of a decision."""

    reason: Prose


@router.post("/bundles/{sha}/promote")
def promote_bundle(
    desk: TheDesk, actor: Annotated[Actor, Depends(Needs(Permission.PROMOTE))], sha: Sha, why: Why
) -> dict[str, Any]:
    """Make a candidate the current bundle of its task; not by who proposed it."""
    return bundles.promote(desk, actor, sha, reason=why.reason)


@router.post("/bundles/{sha}/retire")
def retire_bundle(
    desk: TheDesk, actor: Annotated[Actor, Depends(Needs(Permission.PROMOTE))], sha: Sha, why: Why
) -> dict[str, Any]:
    """Take a bundle out of use."""
    return bundles.retire(desk, actor, sha, reason=why.reason)


# -- teaching again ---------------------------------------------------------------------------------------


@router.get("/datasets")
def list_datasets(desk: TheDesk, actor: Looks, task: Word = None) -> list[dict[str, Any]]:
    """List the labelled images that teach or judge the bundles of a task."""
    return datasets.listed(desk, actor, task=task)


class Labelled(BaseModel):
    """An uploaded image and what it shows."""

    image: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    label: Line
    specimen: Annotated[str, Field(max_length=160)] | None = None


class DatasetRequest(BaseModel):
    """Labelled images that teach, or that are locked away to compare bundles."""

    name: Line
    task: Line
    part: Literal["teaching", "locked"]
    rows: Annotated[list[Labelled], Field(min_length=1, max_length=20_000)]


@router.post("/datasets", status_code=201)
def make_dataset(
    desk: TheDesk, actor: Annotated[Actor, Depends(Needs(Permission.LOCK))], asked: DatasetRequest
) -> dict[str, Any]:
    """Set labelled images apart for a task."""
    rows = [each.model_dump() for each in asked.rows]
    return datasets.make(desk, actor, asked.name, asked.task, asked.part, rows)


class Retraining(BaseModel):
    """The bundle in use, beside which a candidate is to be taught."""

    bundle: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


@router.get("/corrections")
def list_corrections(
    desk: TheDesk, actor: Looks, task: Annotated[str, Query(min_length=1, max_length=160)]
) -> list[dict[str, Any]]:
    """List the labels that reviewers confirmed or corrected, with their provenance."""
    return retraining.corrections(desk, actor, task)


@router.post("/retraining", status_code=202)
def request_retraining(
    desk: TheDesk, actor: Annotated[Actor, Depends(Needs(Permission.RETRAIN))], asked: Retraining
) -> dict[str, Any]:
    """Teach a candidate from the corrections and compare it with the current bundle; the answer is the job."""
    return retraining.start(desk, actor, asked.bundle)


# -- jobs and folders -------------------------------------------------------------------------------------


@router.get("/jobs")
def list_jobs(
    desk: TheDesk,
    actor: Looks,
    state: Literal["open", "queued", "running", "done", "failed", "cancelled"] | None = None,
    kind: Annotated[str | None, Query(max_length=40)] = None,
    offset: Offset = 0,
    limit: Limit = 50,
) -> list[dict[str, Any]]:
    """List jobs, the newest first."""
    return jobs.listed(desk, actor, state=state, kind=kind, offset=offset, limit=limit)


@router.get("/jobs/{identity}")
def get_job(desk: TheDesk, actor: Looks, identity: Id) -> dict[str, Any]:
    """Return a job and how far it is."""
    return jobs.get(desk, actor, identity)


@router.post("/jobs/{identity}/cancel")
def cancel_job(desk: TheDesk, actor: Inspects, identity: Id) -> dict[str, Any]:
    """Cancel a job: one's own, or anybody's for those who organise."""
    return jobs.cancel(desk, actor, identity)


@router.post("/jobs/{identity}/retry")
def retry_job(desk: TheDesk, actor: Inspects, identity: Id) -> dict[str, Any]:
    """Try a failed or cancelled job again."""
    return jobs.retry(desk, actor, identity)


@router.get("/jobs/{identity}/comparison")
def compare_bundles(desk: TheDesk, actor: Looks, identity: Id) -> dict[str, Any]:
    """Set the verdicts of a job's bundles side by side."""
    return inspections.compared(desk, actor, identity)


class FolderRequest(BaseModel):
    """A folder of the server's computer to watch."""

    path: Line
    bundle: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    instrument: Annotated[str, Field(max_length=160)] = ""


class Switch(BaseModel):
    """Whether a folder is watched."""

    active: bool


@router.get("/watch")
def list_watched(desk: TheDesk, actor: Looks) -> list[dict[str, Any]]:
    """List watched folders, what was taken and what was set aside."""
    return watching.listed(desk, actor)


@router.post("/watch", status_code=201)
def watch_folder(
    desk: TheDesk, actor: Annotated[Actor, Depends(Needs(Permission.MANAGE_STATION))], asked: FolderRequest
) -> dict[str, Any]:
    """Watch a folder."""
    return watching.add(desk, actor, asked.path, bundle=asked.bundle, instrument=asked.instrument)


@router.patch("/watch/{identity}")
def switch_watching(desk: TheDesk, actor: Inspects, identity: Id, switch: Switch) -> dict[str, Any]:
    """Stop watching a folder, or go on."""
    return watching.switch(desk, actor, identity, switch.active)
