"""Routes: images, their tiles, specimens, synthetic images, annotations."""

from __future__ import annotations

import io
from collections.abc import AsyncIterator
from typing import IO, Annotated, Any, Literal, cast

import anyio.from_thread
import anyio.to_thread
from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.responses import FileResponse
from pydantic import BaseModel, Field
from starlette.requests import ClientDisconnect

from sorby.errors import InputError
from sorby.station import annotations as marks
from sorby.station import images, inspections
from sorby.station.permissions import Actor, Permission
from sorby.station.rest.frame import Id, Line, Needs, Prose, Sha, TheDesk
from sorby.station.rest.problems import ANSWERS

router = APIRouter(tags=["images"], responses=ANSWERS)

_FOREVER = "private, max-age=31536000, immutable"  # what a SHA-256 names never changes
_MASK_BYTES = 32 << 20

Looks = Annotated[Actor, Depends(Needs(Permission.LOOK))]
Inspects = Annotated[Actor, Depends(Needs(Permission.INSPECT))]
Annotates = Annotated[Actor, Depends(Needs(Permission.ANNOTATE))]
Reviews = Annotated[Actor, Depends(Needs(Permission.REVIEW))]

Name = Annotated[str, Query(min_length=1, max_length=1000, description="Of the file, as its sender knows it.")]
Word = Annotated[str, Query(max_length=160)]
Above0 = Annotated[float | None, Query(gt=0, le=1e9)]
Offset = Annotated[int, Query(ge=0, le=10_000_000)]
Limit = Annotated[int, Query(ge=1, le=200)]
Optional64 = Annotated[str | None, Query(pattern=r"^[0-9a-f]{64}$")]
Search = Annotated[str, Query(max_length=160)]


class BodyStream(io.RawIOBase):
    """The body of a request as a stream that a worker thread reads while it comes.

    Who may send it was asked before the first byte is read, and nothing is buffered but one chunk.
    """

    def __init__(self, request: Request) -> None:
        self._chunks: AsyncIterator[bytes] = request.stream().__aiter__()
        self._rest = b""
        self._over = False

    @property
    def file(self) -> IO[bytes]:
        """Itself, as those call it that read files."""
        return cast(IO[bytes], self)

    def readable(self) -> bool:
        """Return True."""
        return True

    def read(self, size: int = -1) -> bytes:
        """Return some bytes; none at the end."""
        if not self._rest and not self._over:
            self._rest = anyio.from_thread.run(self._next)
            self._over = not self._rest
        taken, self._rest = (self._rest, b"") if size < 0 else (self._rest[:size], self._rest[size:])
        return taken

    async def _next(self) -> bytes:
        try:
            async for chunk in self._chunks:
                if chunk:
                    return chunk
        except ClientDisconnect as error:
            raise InputError("the upload was cut short", "send it again") from error
        return b""


_BINARY = {"requestBody": {"required": True, "content": {"application/octet-stream": {"schema": {
    "type": "string", "format": "binary"}}}}}  # fmt: skip


@router.post("/images", status_code=201, openapi_extra=_BINARY)
async def upload_image(
    request: Request,
    desk: TheDesk,
    actor: Inspects,
    name: Name,
    specimen: Word = "",
    instrument: Word = "",
    pixel_size_um: Above0 = None,
    magnification: Above0 = None,
    parent: Optional64 = None,
) -> dict[str, Any]:
    """Upload an image: the body is the file. One that is here already is answered as it is."""
    body = BodyStream(request)

    def receive() -> dict[str, Any]:
        return images.receive(
            desk, actor, body.file, name, specimen=specimen, instrument=instrument, pixel_size_um=pixel_size_um,
            magnification=magnification, parent=parent,
        )  # fmt: skip

    return await anyio.to_thread.run_sync(receive)


@router.get("/images")
def list_images(
    desk: TheDesk,
    actor: Looks,
    specimen: Annotated[str | None, Query(max_length=160)] = None,
    search: Search = "",
    synthetic: Literal["waiting", "accepted", "rejected"] | None = None,
    offset: Offset = 0,
    limit: Limit = 50,
) -> dict[str, Any]:
    """List images, the newest first."""
    return images.listed(desk, actor, specimen=specimen, search=search, synthetic=synthetic, offset=offset, limit=limit)


@router.get("/images/{sha}")
def get_image(desk: TheDesk, actor: Looks, sha: Sha) -> dict[str, Any]:
    """Return an image and the levels of its tiles."""
    return images.get(desk, actor, sha)


class Words(BaseModel):
    """What people say of an image; what is left out stays."""

    name: Line | None = None
    specimen: Annotated[str, Field(max_length=160)] | None = None
    instrument: Annotated[str, Field(max_length=160)] | None = None
    magnification: Annotated[float, Field(gt=0, le=1e9)] | None = None
    pixel_size_um: Annotated[float, Field(gt=0, le=1e9)] | None = None
    reason: Prose = ""


@router.patch("/images/{sha}")
def describe_image(desk: TheDesk, actor: Annotates, sha: Sha, words: Words) -> dict[str, Any]:
    """Change what people say of an image."""
    changes = words.model_dump(exclude_unset=True, exclude={"reason"})
    return images.describe(desk, actor, sha, changes, reason=words.reason)


@router.get(
    "/images/{sha}/tiles/{z}/{x}/{y}", response_class=Response, responses={200: {"content": {"image/jpeg": {}}}}
)
def get_tile(request: Request, desk: TheDesk, actor: Looks, sha: Sha, z: int, x: int, y: int) -> Response:
    """Return a tile of 512 pixels: level 0 is the whole image, the last has its own pixels."""
    return _tile(request, desk, actor, sha, z, x, y)


@router.get("/images/{sha}/thumbnail", response_class=Response, responses={200: {"content": {"image/jpeg": {}}}})
def get_thumbnail(request: Request, desk: TheDesk, actor: Looks, sha: Sha) -> Response:
    """Return the whole image on one tile."""
    return _tile(request, desk, actor, sha, 0, 0, 0)


def _tile(request: Request, desk: TheDesk, actor: Actor, sha: str, z: int, x: int, y: int) -> Response:
    tag = f'"{sha[:32]}-{z}-{x}-{y}"'
    headers = {"ETag": tag, "Cache-Control": _FOREVER}
    images.visible(desk, actor, sha)
    if request.headers.get("if-none-match") == tag:
        return Response(status_code=304, headers=headers)
    return Response(images.tiles(desk, sha).tile(z, x, y), media_type="image/jpeg", headers=headers)


@router.get("/images/{sha}/file", response_class=FileResponse)
def download_image(desk: TheDesk, actor: Looks, sha: Sha) -> FileResponse:
    """Return the file as it came, to be saved and not shown."""
    image = images.get(desk, actor, sha)
    return FileResponse(
        desk.store.path(sha), media_type=image["media_type"], filename=image["name"],
        content_disposition_type="attachment",
    )  # fmt: skip


@router.get("/pictures/{sha}", response_class=FileResponse, responses={200: {"content": {"image/png": {}}}})
def get_picture(desk: TheDesk, actor: Looks, sha: Sha) -> FileResponse:
    """Return an overlay or a mask: a PNG that the station drew."""
    return FileResponse(images.picture(desk, actor, sha), media_type="image/png", headers={"Cache-Control": _FOREVER})


# -- specimens --------------------------------------------------------------------------------------------


@router.get("/specimens")
def list_specimens(desk: TheDesk, actor: Looks, search: Search = "") -> list[dict[str, Any]]:
    """List named specimens."""
    return images.specimens(desk, actor, search)


@router.get("/specimen")
def get_specimen(
    desk: TheDesk, actor: Looks, name: Annotated[str, Query(min_length=1, max_length=160)]
) -> list[dict[str, Any]]:
    """Return a specimen's images from the widest view to the closest, with their newest verdicts."""
    return inspections.of_specimen(desk, actor, name)


class SyntheticJudgement(BaseModel):
    """Which generated images are accepted for teaching, or rejected and why."""

    images: Annotated[list[Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]], Field(min_length=1, max_length=500)]
    accept: bool
    reason: Prose = ""


@router.post("/synthetic")
def judge_synthetic(desk: TheDesk, actor: Reviews, judgement: SyntheticJudgement) -> list[dict[str, Any]]:
    """Accept or reject generated images."""
    return images.judge_synthetic(desk, actor, judgement.images, judgement.accept, judgement.reason)


# -- annotations ------------------------------------------------------------------------------------------


class Mark(BaseModel):
    """A class, a box or a polygon on an image; masks are uploaded."""

    kind: Literal["class", "box", "polygon"]
    label: Annotated[str, Field(max_length=200)] = ""
    x: float | None = None
    y: float | None = None
    w: float | None = None
    h: float | None = None
    points: Annotated[list[tuple[float, float]], Field(max_length=5000)] | None = None
    origin_unknown: bool = False
    replaces: Annotated[str, Field(pattern=r"^[0-9a-f]{8,32}$")] | None = None


@router.get("/images/{sha}/annotations")
def list_annotations(desk: TheDesk, actor: Looks, sha: Sha) -> list[dict[str, Any]]:
    """List what is marked on an image."""
    return marks.listed(desk, actor, sha)


@router.post("/images/{sha}/annotations", status_code=201)
def annotate(desk: TheDesk, actor: Annotates, sha: Sha, mark: Mark) -> dict[str, Any]:
    """Mark something on an image."""
    geometry = mark.model_dump(include={"x", "y", "w", "h", "points"}, exclude_none=True)
    return marks.add(
        desk, actor, sha, mark.kind, label_=mark.label, geometry=geometry, origin_unknown=mark.origin_unknown,
        replaces=mark.replaces,
    )  # fmt: skip


@router.post("/images/{sha}/annotations/mask", status_code=201, openapi_extra=_BINARY)
async def annotate_mask(
    request: Request,
    desk: TheDesk,
    actor: Annotates,
    sha: Sha,
    label: Annotated[str, Query(max_length=200)] = "",
    origin_unknown: bool = False,
    replaces: Annotated[str | None, Query(pattern=r"^[0-9a-f]{8,32}$")] = None,
) -> dict[str, Any]:
    """Brush a mask: the body is a PNG of the image's size; its connected components are counted."""
    body = BodyStream(request)

    def keep() -> dict[str, Any]:
        png = bytearray()
        while chunk := body.read():
            png += chunk
            if len(png) > _MASK_BYTES:
                raise InputError(f"a mask of more than {_MASK_BYTES >> 20} MB", "save it as a PNG of black and white")
        return marks.add(
            desk, actor, sha, "mask", label_=label, mask=bytes(png), origin_unknown=origin_unknown, replaces=replaces
        )

    return await anyio.to_thread.run_sync(keep)


class Reason(BaseModel):
    """Why."""

    reason: Prose = ""


@router.post("/annotations/{identity}/remove", status_code=204)
def remove_annotation(desk: TheDesk, actor: Annotates, identity: Id, why: Reason) -> None:
    """Take an annotation out of sight; the record keeps it."""
    marks.remove(desk, actor, identity, reason=why.reason)
