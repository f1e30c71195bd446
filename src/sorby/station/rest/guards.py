"""What stands before every route: sizes, origins, and the headers that tell browsers what to refuse."""

from __future__ import annotations

import math
import time
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sorby.station.brakes import network
from sorby.station.rest.frame import SAFE
from sorby.station.rest.problems import problem
from sorby.station.settings import Settings

API = "/api/v1"
_UPLOADS = (f"{API}/images", f"{API}/bundles")
_SAVED_S, _ADDRESSES = 10.0, 10_000
_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",  # invitation links are secrets
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=(), payment=(), usb=()",
}
_API_POLICY = "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'; sandbox"
# Pages are Vue templates compiled in the browser, which needs inline scripts and eval; all of it from here.
_PAGE_POLICY = (
    "default-src 'none'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; font-src 'self' data:; connect-src 'self'; worker-src 'self' blob:; "
    "manifest-src 'self'; frame-ancestors 'none'; base-uri 'self'; form-action 'self'; object-src 'none'"
)


class Allowance:
    """How many requests each address has left: a bucket that fills steadily and holds ten seconds' worth.

    Parameters
    ----------
    per_s : float
    """

    def __init__(self, per_s: float) -> None:
        self.per_s, self.most = per_s, per_s * _SAVED_S
        self._left: dict[str, tuple[float, float]] = {}

    def take(self, address: str, at: float) -> float:
        """Take one request at a time in seconds; return 0, or the seconds until there is one."""
        if len(self._left) > _ADDRESSES:  # who was not seen for so long has everything again
            self._left = {one: known for one, known in self._left.items() if at - known[1] < _SAVED_S}
        left, before = self._left.get(address, (self.most, at))
        left = min(self.most, left + (at - before) * self.per_s)
        enough = left >= 1
        self._left[address] = (left - 1 if enough else left, at)
        return 0.0 if enough else (1 - left) / self.per_s


class Guards:
    """ASGI middleware: refuses large bodies, foreign origins and floods, sets security headers.

    Parameters
    ----------
    app : ASGI application
    settings : Settings
    """

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self.app = app
        self.settings = settings
        self.allowance = Allowance(settings.requests_per_s)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or answer it here."""
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        headers, path = Headers(scope=scope), scope["path"]
        wait = self.allowance.take(network((scope.get("client") or ("",))[0]), time.monotonic())
        if wait and scope["type"] == "http":
            late = {"Retry-After": str(math.ceil(wait))}
            answer = problem(429, "too many requests", f"try again in {math.ceil(wait)} s", late)
            await answer(scope, receive, self._with_headers(send, path))
            return
        if self._is_foreign(scope, headers):
            if scope["type"] == "websocket":
                await send({"type": "websocket.close", "code": 1008})
                return
            answer = problem(403, "the request came from another site", "use the station's own pages")
            await answer(scope, receive, self._with_headers(send, path))
            return
        if scope["type"] == "websocket":
            await self.app(scope, receive, send)
            return
        guarded = self._with_headers(send, path)
        limit = self.settings.upload_bytes + (1 << 20) if path.startswith(_UPLOADS) else self.settings.body_bytes
        try:
            declared = int(headers.get("content-length", "0"))
        except ValueError:
            declared = limit + 1
        if declared > limit:
            await problem(413, f"more than {limit} bytes", "send less")(scope, receive, guarded)
            return
        await self.app(scope, _bounded(receive, limit), guarded)

    def _is_foreign(self, scope: Scope, headers: Headers) -> bool:
        """Whether a browser says that another site made it send something that could change the station."""
        if scope["type"] == "http" and scope["method"] in SAFE:
            return False
        origin = headers.get("origin")
        if origin is None:
            return headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none")
        ours = {headers.get("host", ""), urlsplit(self.settings.public_url).netloc}
        return urlsplit(origin).netloc not in ours

    def _with_headers(self, send: Send, path: str) -> Send:
        of_api = path.startswith("/api/")

        async def add(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers.setdefault(name, value)
                headers.setdefault("Content-Security-Policy", _API_POLICY if of_api else _PAGE_POLICY)
                if of_api:
                    headers.setdefault("Cache-Control", "no-store")
                if self.settings.secure:
                    headers.setdefault("Strict-Transport-Security", "max-age=31536000")
            await send(message)

        return add


def _bounded(receive: Receive, limit: int) -> Receive:
    """Count a body that came without its length."""
    taken = 0

    async def count() -> Message:
        nonlocal taken
        message = await receive()
        if message["type"] == "http.request":
            taken += len(message.get("body", b""))
            if taken > limit:
                raise HTTPException(413, f"more than {limit} bytes")  # the one error that passes while a body is read
        return message

    return count
