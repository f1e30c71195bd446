"""Routes: certificates."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query
from fastapi.responses import FileResponse
from pydantic import BaseModel, Field

from sorby.report.certificate import Letterhead
from sorby.station import certificates
from sorby.station.certificates import CertificateFacts
from sorby.station.permissions import Actor, Permission
from sorby.station.rest.frame import Line, Needs, Secret, TheDesk
from sorby.station.rest.problems import ANSWERS

router = APIRouter(prefix="/certificates", tags=["certificates"], responses=ANSWERS)
Looker = Annotated[Actor, Depends(Needs(Permission.LOOK))]
Number = Annotated[str, Path(pattern=r"^[0-9]{8}-[0-9a-f]{8}$")]


class Wish(BaseModel):
    """Specimens to certify, with the password that signs."""

    specimens: list[Line] = Field(min_length=1, max_length=certificates.MOST_AT_ONCE)
    password: Secret
    particulars: dict[Line, Line] = Field(default={}, max_length=20)
    laboratory: str = Field("", max_length=120, pattern=r"^[^\x00-\x1f]*$")
    address: list[Line] = Field(default=[], max_length=4)
    remarks: list[Line] = Field(default=[], max_length=10)


@router.get("")
def list_certificates(
    desk: TheDesk, actor: Looker, specimen: Annotated[str | None, Query(max_length=160)] = None
) -> list[CertificateFacts]:
    """List certificates, newest first."""
    return certificates.list_certificates(desk, actor, specimen)


@router.post("", status_code=201)
def issue(
    desk: TheDesk, actor: Annotated[Actor, Depends(Needs(Permission.REVIEW))], wish: Wish
) -> list[CertificateFacts]:
    """Issue a certificate for each specimen, signed."""
    head = Letterhead(wish.laboratory, tuple(wish.address))
    return certificates.issue(
        desk, actor, wish.specimens, wish.password, particulars=wish.particulars, letterhead=head, remarks=wish.remarks
    )


@router.get("/{number}")
def get_certificate(desk: TheDesk, actor: Looker, number: Number) -> CertificateFacts:
    """Describe a certificate."""
    return certificates.get_certificate(desk, actor, number)


@router.get("/{number}/page", response_class=FileResponse, responses={200: {"content": {"application/pdf": {}}}})
def page(desk: TheDesk, actor: Looker, number: Number) -> FileResponse:
    """Return the page, a PDF."""
    path = certificates.page_file(desk, actor, number)
    return FileResponse(path, media_type="application/pdf", filename=f"certificate-{number}.pdf")


@router.get("/{number}/batch", response_class=FileResponse, responses={200: {"content": {"application/zip": {}}}})
def batch(desk: TheDesk, actor: Looker, number: Number) -> FileResponse:
    """Return the pages issued together, with tables as CSV and XLSX."""
    path = certificates.batch_file(desk, actor, number)
    return FileResponse(path, media_type="application/zip", filename=f"certificates-{number}.zip")
