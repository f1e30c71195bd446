"""Errors as answers: one line and a hint in JSON, with the status that fits; never a traceback.

References
----------
RFC 9457, Problem Details for HTTP APIs.
"""

from __future__ import annotations

import logging
import math
from http import HTTPStatus

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel
from sqlalchemy.exc import DBAPIError, SQLAlchemyError, TimeoutError
from starlette.exceptions import HTTPException

from sorby.errors import InputError, SorbyError
from sorby.station.desk import Conflict, NotFound, Refused, SignedOut, TooLarge, TooOften

log = logging.getLogger("sorby.station")

_STATUS: dict[type[SorbyError], int] = {
    SignedOut: 401,
    Refused: 403,
    NotFound: 404,
    Conflict: 409,
    TooLarge: 413,
    TooOften: 429,
    InputError: 422,
}


class Problem(BaseModel):
    """What went wrong and what to do."""

    title: str
    status: int
    detail: str
    hint: str = ""


# What every router declares in the OpenAPI description.
ANSWERS: dict[int | str, dict[str, object]] = {
    status: {"model": Problem, "description": HTTPStatus(status).phrase} for status in (401, 403, 404, 409, 413, 429)
}
ANSWERS[422] = {"model": Problem, "description": "The request is wrong"}


def problem(status: int, detail: str, hint: str = "", headers: dict[str, str] | None = None) -> JSONResponse:
    """Return an answer of `application/problem+json`."""
    body = Problem(title=HTTPStatus(status).phrase, status=status, detail=detail, hint=hint)
    return JSONResponse(body.model_dump(), status, headers, media_type="application/problem+json")


def answer_problems(app: FastAPI) -> None:
    """Make every error of *app* such an answer."""

    @app.exception_handler(SorbyError)
    def _expected(_request: Request, error: SorbyError) -> JSONResponse:
        if not isinstance(error, InputError):
            log.error("%s", error)
            return problem(500, "a fault of sorby itself", "the server's log says more")
        status = next(_STATUS[kind] for kind in type(error).__mro__ if kind in _STATUS)
        headers = {"Retry-After": str(max(1, math.ceil(error.wait_s)))} if isinstance(error, TooOften) else None
        if status == 401:
            headers = {"WWW-Authenticate": "Bearer"}
        return problem(status, error.message, error.hint, headers)

    @app.exception_handler(RequestValidationError)
    def _unfit(_request: Request, error: RequestValidationError) -> JSONResponse:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first.get("loc", ()) if part != "body")
        return problem(422, f"{place or 'the body'}: {first.get('msg', 'is wrong')}", "see the OpenAPI description")

    @app.exception_handler(HTTPException)
    def _refused(_request: Request, error: HTTPException) -> JSONResponse:
        return problem(error.status_code, str(error.detail), "", dict(error.headers or {}))

    @app.exception_handler(DBAPIError)
    @app.exception_handler(TimeoutError)
    def _away(_request: Request, error: SQLAlchemyError) -> JSONResponse:
        log.error("the database: %s", str(error).splitlines()[0])
        return problem(503, "the database does not answer", "try again in a moment", {"Retry-After": "5"})

    @app.exception_handler(Exception)
    def _fault(request: Request, error: Exception) -> JSONResponse:
        log.error("%s %s", request.method, request.scope.get("route"), exc_info=error)
        return problem(500, "a fault of sorby itself", "the server's log says more")
