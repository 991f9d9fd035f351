"""The studio's door, before any route: who may come in, how much they may bring, and how errors are written."""

import secrets
from collections.abc import Collection
from http import HTTPStatus
from typing import Any

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

LARGEST_BODY = 64 * 1024
"""Bytes of a request's body, at most."""
OPEN_TO_ALL = "/api/health"
_HEADERS = {
    # The viewer unpacks three.js and makes a function of it, hence unsafe-eval; nothing comes from elsewhere.
    "content-security-policy": (
        "default-src 'none'; script-src 'self' 'unsafe-eval'; style-src 'self' 'unsafe-inline'; connect-src 'self'; "
        "img-src 'self' data: blob:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cache-control": "no-store",
}


def problem(status: int, detail: str, headers: dict[str, str] | None = None) -> JSONResponse:
    """Return an error as problem JSON (RFC 9457), with one sentence as its detail."""
    content: dict[str, Any] = {
        "type": "about:blank", "title": HTTPStatus(status).phrase, "status": status, "detail": detail
    }  # fmt: skip
    return JSONResponse(content, status, headers, media_type="application/problem+json")


class Guard:
    """Sends away who may not come in: a wrong host name, no token, a body that is too large or of unknown size."""

    def __init__(self, app: ASGIApp, token: str | None, hosts: Collection[str] | None):
        """Stand before an application.

        Args:
            app: what comes behind.
            token: that everything under /api but its health asks for; None: nothing does.
            hosts: names that the studio is called by, so that no other page's name can be pointed at this machine;
                None: any.
        """
        self.app, self.token, self.hosts = app, token, hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request through, or refuse it."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(_HEADERS)
            await send(message)

        refused = self._refusal(Request(scope))
        await (refused or self.app)(scope, receive, send_with_headers)

    def _refusal(self, request: Request) -> JSONResponse | None:
        headers, path = request.headers, request.url.path
        if self.hosts is not None and (host := _without_port(headers.get("host", ""))) not in self.hosts:
            return problem(403, f"this studio is called {' or '.join(sorted(self.hosts))}, not {host[:80]!r}")
        if request.method in ("POST", "PUT", "PATCH"):
            size = headers.get("content-length", "")
            if not size.isdecimal():
                return problem(411, "say how long the body is, by a Content-Length")
            if len(size) > 9 or int(size) > LARGEST_BODY:
                return problem(413, f"a body has at most {LARGEST_BODY} bytes, this one has {size[:20]}")
        if self.token is not None and path.startswith("/api") and path != OPEN_TO_ALL and not self._known(headers):
            asked = {"WWW-Authenticate": "Bearer"}
            return problem(401, "this studio asks for its token: send it as Authorization: Bearer TOKEN", asked)
        return None

    def _known(self, headers: Headers) -> bool:
        kind, _, token = headers.get("authorization", "").partition(" ")
        return kind.lower() == "bearer" and secrets.compare_digest(token.encode(), (self.token or "").encode())


def _without_port(host: str) -> str:
    """Return the name of a Host header; that of "[::1]:80" is "::1"."""
    name, colon, port = host.rpartition(":")
    return (name if colon and port.isdecimal() else host).strip("[]")
