"""The queue of jobs: put in, taken by lease, kept alive, committed, finished once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import and_, or_, select, update
from sqlalchemy.orm import Session

from sorby.errors import SorbyError
from sorby.station.database import tables
from sorby.station.desk import Act, Conflict, Desk, NotFound, new_id, now
from sorby.station.permissions import STATION, Actor, Permission

LEASE_S = 30.0
"""How long a worker that says nothing is believed to be at work."""

MOST_ATTEMPTS = 5
"""A job whose workers died so often without having committed anything is given up: it may be what kills them."""

_OPEN = ("queued", "running")
_PAGE = 200
_LISTED = 8  # things of a request that a list of jobs still names


class Cancelled(SorbyError):
    """Somebody cancelled the job."""


class Lost(SorbyError):
    """The lease ran out and another worker has the job."""


def enqueue(act: Act, kind: str, request: Mapping[str, Any], *, total: int = 0) -> tables.Job:
    """Put a job into the queue, in the transaction of whatever asks for it.

    Parameters
    ----------
    act : Act
    kind : str
        One of `sorby.station.jobs.handlers.HANDLERS`.
    request : mapping
        What the handler needs, as JSON.
    total : int
        Steps, where known.
    """
    job = tables.Job(
        id=new_id(), kind=kind, request=dict(request), state="queued", done=0, total=total, message="", cancel=False,
        attempts=0, created_by=act.actor.name, created_at=now(),  # jobs of one transaction keep their order
    )  # fmt: skip
    act.session.add(job)
    act.session.flush()
    return job


def claim(desk: Desk, worker: str, lease_s: float = LEASE_S) -> Work | None:
    """Take the job that has waited longest; None where there is none.

    Jobs whose lease ran out come first. One that was tried too often, or cancelled while its worker was dead, is
    closed here.

    Parameters
    ----------
    desk : Desk
    worker : str
        Who takes it; another name for each process.
    lease_s : float
    """
    if not _waiting(desk):  # writers take turns, and an idle worker has no need to stand in line
        return None
    while True:
        with desk.database.write() as session:
            job = session.execute(_takeable().limit(1)).scalar_one_or_none()
            if job is None:
                return None
            if job.cancel or job.attempts >= MOST_ATTEMPTS:
                _give_up(Act(session, STATION, desk.key), job)
                continue
            job.state, job.worker, job.attempts = "running", worker, job.attempts + 1
            job.lease_until = _in(lease_s)
            return Work(desk, job.id, job.kind, dict(job.request), worker, job.attempts, job.created_by, lease_s)


def _takeable() -> Any:
    dead = and_(tables.Job.state == "running", tables.Job.lease_until < now())
    return (
        select(tables.Job)
        .where(or_(tables.Job.state == "queued", dead))
        .order_by(tables.Job.state.desc(), tables.Job.created_at, tables.Job.id)  # running before queued
    )


def _waiting(desk: Desk) -> bool:
    with desk.database.read() as session:
        return session.execute(_takeable().limit(1)).first() is not None


def _give_up(act: Act, job: tables.Job) -> None:
    if job.cancel:
        _close(act, job, "cancelled", "cancelled")
    else:
        said = f"given up after {job.attempts} attempts: its worker died each time"
        _close(act, job, "failed", said)


def _close(act: Act, job: tables.Job, state: str, message: str, result: Any = None) -> None:
    old = job.state
    job.state, job.message, job.result = state, message[:2000], result
    job.worker, job.lease_until, job.finished_at = None, None, now()
    if state == "done":
        job.done = job.total = max(job.total, job.done)
    act.record(f"job.{state}", f"job/{job.id}", old=old, new={"state": state, "kind": job.kind}, reason=message[:2000])


@dataclass(frozen=True)
class Work:
    """A job in the hands of a worker.

    Attributes
    ----------
    desk : Desk
    id, kind : str
    request : dict
    worker : str
    attempt : int
        1 at the first try.
    created_by : str
        Name of who asked for it.
    lease_s : float
    """

    desk: Desk
    id: str
    kind: str
    request: dict[str, Any]
    worker: str
    attempt: int
    created_by: str
    lease_s: float = LEASE_S

    def alive(self, done: int | None = None, total: int | None = None, message: str | None = None) -> None:
        """Renew the lease, and say how far the work is.

        Raises
        ------
        Cancelled
        Lost
        """
        values: dict[str, Any] = {"lease_until": _in(self.lease_s)}
        said = {"done": done, "total": total, "message": message}
        values |= {key: value for key, value in said.items() if value is not None}
        with self.desk.database.write() as session:
            self._held(session)
            session.execute(update(tables.Job).where(tables.Job.id == self.id).values(values))

    @contextmanager
    def committing(self) -> Iterator[Act]:
        """Open a transaction that counts only if the job is still this worker's and nobody cancelled it.

        Raises
        ------
        Cancelled
        Lost
        """
        with self.desk.database.write() as session:
            self._held(session)
            self._row(session).attempts = 1  # what gets on is not what kills workers
            yield Act(session, STATION, self.desk.key)

    def finish(self, act: Act, result: Mapping[str, Any], message: str = "") -> None:
        """Close the job as done, in the transaction of its last results (`committing`)."""
        _close(act, self._row(act.session), "done", message, dict(result))

    def fail(self, message: str) -> bool:
        """Close the job as failed; False where it was not this worker's any more."""
        return self._end("failed", message)

    def cancelled(self) -> bool:
        """Close the job as cancelled; False where it was not this worker's any more."""
        return self._end("cancelled", "cancelled")

    def keep(self) -> bool:
        """Renew the lease of a job that was cancelled and has not stopped yet."""
        with self.desk.database.write() as session:
            job = session.get(tables.Job, self.id)
            if job is None or not self._mine(job):
                return False
            job.lease_until = _in(self.lease_s)
            return True

    def hand_back(self) -> bool:
        """Put the job back into the queue, as a worker that is told to stop does; the attempt does not count."""
        with self.desk.database.write() as session:
            job = session.get(tables.Job, self.id)
            if job is None or not self._mine(job):
                return False
            job.state, job.worker, job.lease_until, job.attempts = "queued", None, None, max(0, job.attempts - 1)
            return True

    def _end(self, state: str, message: str) -> bool:
        with self.desk.database.write() as session:
            job = session.get(tables.Job, self.id)
            if job is None or not self._mine(job):
                return False
            _close(Act(session, STATION, self.desk.key), job, state, message)
            return True

    def _mine(self, job: tables.Job) -> bool:
        return job.state == "running" and job.worker == self.worker

    def _row(self, session: Session) -> tables.Job:
        job = session.get(tables.Job, self.id)
        if job is None or not self._mine(job):
            raise Lost(f"job {self.id} is another worker's by now")
        return job

    def _held(self, session: Session) -> None:
        if self._row(session).cancel:
            raise Cancelled(f"job {self.id} was cancelled")


def _in(seconds: float) -> str:
    return (datetime.now(UTC) + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


# -- people look and cancel -------------------------------------------------------------------------------


def as_dict(job: tables.Job, *, whole: bool = True) -> dict[str, Any]:
    """Return a job's row as JSON; where not *whole*, only how many things long lists of the request hold."""
    return {
        "id": job.id,
        "kind": job.kind,
        "request": job.request if whole else {key: _brief(value) for key, value in job.request.items()},
        "state": job.state,
        "done": job.done,
        "total": job.total,
        "message": job.message,
        "cancel": job.cancel,
        "attempts": job.attempts,
        "result": job.result,
        "created_by": job.created_by,
        "created_at": job.created_at,
        "finished_at": job.finished_at,
    }


def _brief(value: Any) -> Any:
    return len(value) if isinstance(value, list) and len(value) > _LISTED else value


def get(desk: Desk, actor: Actor, job_id: str) -> dict[str, Any]:
    """Return a job.

    Raises
    ------
    NotFound
    """
    with desk.looking(actor, Permission.LOOK) as session:
        return as_dict(_found(session, job_id))


def listed(
    desk: Desk, actor: Actor, *, state: str | None = None, kind: str | None = None, offset: int = 0, limit: int = 50
) -> list[dict[str, Any]]:
    """Return jobs in brief, the newest first; *state* may be ``open`` for those that wait or run."""
    with desk.looking(actor, Permission.LOOK) as session:
        query = select(tables.Job)
        if state is not None:
            query = query.where(tables.Job.state.in_(_OPEN if state == "open" else (state,)))
        if kind is not None:
            query = query.where(tables.Job.kind == kind)
        ordered = query.order_by(tables.Job.created_at.desc(), tables.Job.id)
        page = session.execute(ordered.offset(max(0, offset)).limit(max(1, min(limit, _PAGE)))).scalars()
        return [as_dict(each, whole=False) for each in page]


def cancel(desk: Desk, actor: Actor, job_id: str) -> dict[str, Any]:
    """Cancel a job: its own, or anybody's for those who organise.

    One that waits is closed at once; one that runs stops at its next step.

    Raises
    ------
    NotFound, Refused
    Conflict
        It is finished.
    """
    with desk.database.read() as session:
        owner = _found(session, job_id).created_by
    needed = Permission.INSPECT if owner == actor.name else Permission.ORGANISE
    with desk.acting(actor, needed) as act:
        job = _found(act.session, job_id)
        if job.state not in _OPEN:
            raise Conflict(f"the job is {job.state} already", "nothing to cancel")
        act.record("job.cancel", f"job/{job_id}", old=job.state, new="cancelled")
        job.cancel = True
        if job.state == "queued":
            _close(act, job, "cancelled", f"cancelled by {actor.name}")
        return as_dict(job)


def retry(desk: Desk, actor: Actor, job_id: str) -> dict[str, Any]:
    """Put a failed or cancelled job into the queue again.

    Raises
    ------
    NotFound, Refused
    Conflict
        It is not finished, or it is done.
    """
    with desk.acting(actor, Permission.INSPECT) as act:
        job = _found(act.session, job_id)
        if job.state not in ("failed", "cancelled"):
            raise Conflict(f"the job is {job.state}", "only failed and cancelled jobs are tried again")
        act.record("job.retry", f"job/{job_id}", old=job.state, new="queued")
        job.state, job.cancel, job.attempts, job.message, job.finished_at = "queued", False, 0, "", None
        return as_dict(job)


def _found(session: Session, job_id: str) -> tables.Job:
    job = session.get(tables.Job, job_id)
    if job is None:
        raise NotFound(f"no job {job_id[:32]}", "see the list of jobs")
    return job
