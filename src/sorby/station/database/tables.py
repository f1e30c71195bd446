"""The tables of the station, one vocabulary for REST, pages and jobs.

Times are text, UTC, ISO 8601 to the microsecond with Z, so that both databases sort and compare them alike. Identities
are short random text; of an image, a bundle and any other file its SHA-256 in hexadecimal.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import JSON, BigInteger, ForeignKey, Index, LargeBinary, String, Text, UniqueConstraint
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


class Table(DeclarativeBase):
    """What all tables have in common."""

    type_annotation_map = {dict[str, Any]: JSON, list[Any]: JSON, str: Text, bytes: LargeBinary}  # noqa: RUF012


Identity = String(32)
Sha256 = String(64)
Time = String(27)


class User(Table):
    """Somebody who signs in."""

    __tablename__ = "users"

    id: Mapped[str] = mapped_column(Identity, primary_key=True)
    name: Mapped[str] = mapped_column(String(64), unique=True)
    full_name: Mapped[str]
    role: Mapped[str] = mapped_column(String(16))
    password: Mapped[str]  # argon2id, with its parameters
    active: Mapped[bool] = mapped_column(default=True)
    must_change: Mapped[bool] = mapped_column(default=False)
    created_at: Mapped[str] = mapped_column(Time)


class Session(Table):
    """Somebody signed in on one device; the cookie holds what `digest` is the SHA-256 of."""

    __tablename__ = "sessions"

    digest: Mapped[str] = mapped_column(Sha256, primary_key=True)
    user_id: Mapped[str] = mapped_column(ForeignKey("users.id"), index=True)
    csrf: Mapped[str] = mapped_column(String(64))
    created_at: Mapped[str] = mapped_column(Time)
    seen_at: Mapped[str] = mapped_column(Time)
    expires_at: Mapped[str] = mapped_column(Time)


class Token(Table):
    """A key for programs: somebody's rights, cut down to its scopes."""

    __tablename__ = "tokens"

    id: Mapped[str] = mapped_column(Identity, primary_key=True)
    user_id: Mapped[str] = mapped_column(ForeignKey("users.id"), index=True)
    name: Mapped[str]
    digest: Mapped[str] = mapped_column(Sha256, unique=True)
    scopes: Mapped[list[Any]]
    created_at: Mapped[str] = mapped_column(Time)
    expires_at: Mapped[str] = mapped_column(Time)
    revoked_at: Mapped[str | None] = mapped_column(Time)


class Attempt(Table):
    """A failed sign-in, counted against name and address."""

    __tablename__ = "attempts"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    subject: Mapped[str] = mapped_column(String(128), index=True)
    at: Mapped[str] = mapped_column(Time)


class Entry(Table):
    """The record; see `sorby.record`. Nothing in the station updates or deletes a row."""

    __tablename__ = "entries"

    sequence: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    at: Mapped[str] = mapped_column(Time)
    actor: Mapped[str]
    role: Mapped[str]
    action: Mapped[str] = mapped_column(String(64), index=True)
    subject: Mapped[str] = mapped_column(String(160), index=True)
    old: Mapped[str | None]  # canonical JSON, as it was sealed
    new: Mapped[str | None]
    reason: Mapped[str]
    meaning: Mapped[str]
    evidence: Mapped[str]
    previous: Mapped[str] = mapped_column(Sha256)
    digest: Mapped[str] = mapped_column(Sha256, unique=True)
    key: Mapped[str]
    signature: Mapped[str]


class Image(Table):
    """An image in the store."""

    __tablename__ = "images"

    sha256: Mapped[str] = mapped_column(Sha256, primary_key=True)
    name: Mapped[str]
    media_type: Mapped[str] = mapped_column(String(40))
    bytes_: Mapped[int] = mapped_column("bytes", BigInteger)
    width: Mapped[int]
    height: Mapped[int]
    pixel_size_um: Mapped[float | None]
    scale_source: Mapped[str] = mapped_column(String(40))
    specimen: Mapped[str] = mapped_column(String(160), index=True)
    magnification: Mapped[float | None]
    instrument: Mapped[str]
    synthetic: Mapped[bool] = mapped_column(default=False)
    parent: Mapped[str | None] = mapped_column(Sha256)  # of a synthetic image
    synthetic_state: Mapped[str | None] = mapped_column(String(16))  # waiting, accepted or rejected
    added_by: Mapped[str]
    added_at: Mapped[str] = mapped_column(Time)


class Bundle(Table):
    """A model bundle in the store, and what it is used for."""

    __tablename__ = "bundles"

    sha256: Mapped[str] = mapped_column(Sha256, primary_key=True)  # what `sorby bundle show` states, signed or not
    file: Mapped[str] = mapped_column(Sha256)  # in the store
    name: Mapped[str]
    kind: Mapped[str] = mapped_column(String(40))
    task: Mapped[str] = mapped_column(String(80), index=True)  # bundles of one task replace each other
    state: Mapped[str] = mapped_column(String(16))  # candidate, current or retired
    classes: Mapped[list[Any]]
    signature: Mapped[str]
    comparison: Mapped[dict[str, Any] | None]  # with the one that was current, on the locked set
    added_by: Mapped[str]
    added_at: Mapped[str] = mapped_column(Time)
    promoted_by: Mapped[str | None]
    promoted_at: Mapped[str | None] = mapped_column(Time)


class Inspection(Table):
    """What one bundle said of one image."""

    __tablename__ = "inspections"

    id: Mapped[str] = mapped_column(Identity, primary_key=True)
    job_id: Mapped[str | None] = mapped_column(ForeignKey("jobs.id"), index=True)
    image: Mapped[str] = mapped_column(ForeignKey("images.sha256"), index=True)
    bundle: Mapped[str] = mapped_column(ForeignKey("bundles.sha256"), index=True)
    label: Mapped[str]
    confidence: Mapped[float | None]
    set_: Mapped[list[Any]] = mapped_column("set")
    novelty: Mapped[float | None]
    referred: Mapped[bool]
    reasons: Mapped[list[Any]]
    verdict: Mapped[dict[str, Any]]  # the whole verdict: probabilities, measurements, findings, warnings, trace
    overlays: Mapped[dict[str, Any]]  # kind of overlay: SHA-256 of its picture in the store
    risk: Mapped[float]  # orders the queue: 0 to 1
    state: Mapped[str] = mapped_column(String(16))  # clear, waiting, accepted, corrected or rejected
    at: Mapped[str] = mapped_column(Time)

    __table_args__ = (
        UniqueConstraint("job_id", "image", "bundle"),  # a job that is run again after a crash says nothing twice
        Index("inspections_queue", "state", "risk", "at"),
    )


class Decision(Table):
    """What a reviewer made of an inspection."""

    __tablename__ = "decisions"

    id: Mapped[str] = mapped_column(Identity, primary_key=True)
    inspection_id: Mapped[str] = mapped_column(ForeignKey("inspections.id"), index=True)
    reviewer: Mapped[str]
    decision: Mapped[str] = mapped_column(String(16))  # accepted, corrected or rejected
    label: Mapped[str | None]  # the corrected one
    reason: Mapped[str]
    signed: Mapped[bool]
    at: Mapped[str] = mapped_column(Time)


class Annotation(Table):
    """What somebody marked on an image."""

    __tablename__ = "annotations"

    id: Mapped[str] = mapped_column(Identity, primary_key=True)
    image: Mapped[str] = mapped_column(ForeignKey("images.sha256"), index=True)
    author: Mapped[str]
    kind: Mapped[str] = mapped_column(String(16))  # class, box, polygon or mask
    label: Mapped[str]
    geometry: Mapped[dict[str, Any]]  # pixels of the upright image; of a mask, the SHA-256 of its PNG
    origin_unknown: Mapped[bool] = mapped_column(default=False)
    replaced_by: Mapped[str | None] = mapped_column(Identity)
    at: Mapped[str] = mapped_column(Time)


class Job(Table):
    """Work for a worker process; see `sorby.station.jobs`."""

    __tablename__ = "jobs"

    id: Mapped[str] = mapped_column(Identity, primary_key=True)
    kind: Mapped[str] = mapped_column(String(40))
    request: Mapped[dict[str, Any]]
    state: Mapped[str] = mapped_column(String(16), index=True)  # queued, running, done, failed or cancelled
    done: Mapped[int] = mapped_column(default=0)
    total: Mapped[int] = mapped_column(default=0)
    message: Mapped[str] = mapped_column(default="")
    cancel: Mapped[bool] = mapped_column(default=False)
    worker: Mapped[str | None]
    lease_until: Mapped[str | None] = mapped_column(Time)
    attempts: Mapped[int] = mapped_column(default=0)
    result: Mapped[dict[str, Any] | None]
    created_by: Mapped[str]
    created_at: Mapped[str] = mapped_column(Time)
    finished_at: Mapped[str | None] = mapped_column(Time)


class WatchedFolder(Table):
    """A folder into which other software drops images."""

    __tablename__ = "watched_folders"

    id: Mapped[str] = mapped_column(Identity, primary_key=True)
    path: Mapped[str]
    bundle: Mapped[str] = mapped_column(ForeignKey("bundles.sha256"))
    instrument: Mapped[str]
    active: Mapped[bool] = mapped_column(default=True)
    added_by: Mapped[str]
    added_at: Mapped[str] = mapped_column(Time)


class WatchedFile(Table):
    """A file of a watched folder that was taken, or set aside, as it was then."""

    __tablename__ = "watched_files"

    folder_id: Mapped[str] = mapped_column(ForeignKey("watched_folders.id"), primary_key=True)
    name: Mapped[str] = mapped_column(String(400), primary_key=True)
    size: Mapped[int] = mapped_column(BigInteger)
    changed_ns: Mapped[int] = mapped_column(BigInteger)
    image: Mapped[str | None] = mapped_column(Sha256)
    reason: Mapped[str]  # why it was set aside; empty where it was taken
    at: Mapped[str] = mapped_column(Time)


class Dataset(Table):
    """Labelled images that teach the bundles of a task, or that are locked away to compare them."""

    __tablename__ = "datasets"

    id: Mapped[str] = mapped_column(Identity, primary_key=True)
    name: Mapped[str]
    task: Mapped[str] = mapped_column(String(80), index=True)
    part: Mapped[str] = mapped_column(String(16))  # teaching or locked
    file: Mapped[str] = mapped_column(Sha256)  # its table in the store; so are its images
    images: Mapped[int]
    classes: Mapped[list[Any]]
    fingerprint: Mapped[str] = mapped_column(Sha256)
    added_by: Mapped[str]
    added_at: Mapped[str] = mapped_column(Time)


class Template(Table):
    """A scheme of rating or of questions that a supervisor may lock."""

    __tablename__ = "templates"

    name: Mapped[str] = mapped_column(String(80), primary_key=True)
    kind: Mapped[str] = mapped_column(String(16))  # round-robin or consensus
    content: Mapped[dict[str, Any]]
    locked_by: Mapped[str | None]
    locked_at: Mapped[str | None] = mapped_column(Time)


class Study(Table):
    """A round robin or a consensus session; see `sorby.study`."""

    __tablename__ = "studies"

    id: Mapped[str] = mapped_column(Identity, primary_key=True)
    kind: Mapped[str] = mapped_column(String(16))  # round-robin or consensus
    name: Mapped[str]
    design: Mapped[dict[str, Any]]
    state: Mapped[str] = mapped_column(String(16))  # draft, open or closed
    created_by: Mapped[str]
    created_at: Mapped[str] = mapped_column(Time)


class Rater(Table):
    """Somebody invited to a study by a link, whose secret `digest` is the SHA-256 of."""

    __tablename__ = "raters"

    id: Mapped[str] = mapped_column(Identity, primary_key=True)
    study_id: Mapped[str] = mapped_column(ForeignKey("studies.id"), index=True)
    name: Mapped[str]
    digest: Mapped[str] = mapped_column(Sha256, unique=True)
    profile: Mapped[dict[str, Any]]
    user_id: Mapped[str | None] = mapped_column(ForeignKey("users.id"))
    invited_at: Mapped[str] = mapped_column(Time)
    joined_at: Mapped[str | None] = mapped_column(Time)


class Rating(Table):
    """A rater's answer on one showing of one image; a changed answer replaces it, the record keeps both."""

    __tablename__ = "ratings"

    study_id: Mapped[str] = mapped_column(ForeignKey("studies.id"), primary_key=True)
    rater_id: Mapped[str] = mapped_column(ForeignKey("raters.id"), primary_key=True)
    place: Mapped[int] = mapped_column(primary_key=True)  # in the rater's own order
    item: Mapped[str] = mapped_column(String(40))
    occasion: Mapped[int]
    answer: Mapped[dict[str, Any]]
    seconds: Mapped[float]
    at: Mapped[str] = mapped_column(Time)


class JointRating(Table):
    """What the experts of a consensus session agreed on for one item, or where they did not."""

    __tablename__ = "joint_ratings"

    study_id: Mapped[str] = mapped_column(ForeignKey("studies.id"), primary_key=True)
    item: Mapped[str] = mapped_column(String(40), primary_key=True)
    answer: Mapped[dict[str, Any]]
    dissent: Mapped[list[Any]]
    saved_by: Mapped[str]
    at: Mapped[str] = mapped_column(Time)


class Certificate(Table):
    """A certificate that was issued, and the record it states."""

    __tablename__ = "certificates"

    id: Mapped[str] = mapped_column(Identity, primary_key=True)
    specimen: Mapped[str] = mapped_column(String(160), index=True)
    file: Mapped[str] = mapped_column(Sha256)
    batch: Mapped[str] = mapped_column(Sha256)  # of the archive with the pages and tables issued together
    count: Mapped[int]
    head: Mapped[str] = mapped_column(Sha256)
    issued_by: Mapped[str]
    issued_at: Mapped[str] = mapped_column(Time)
