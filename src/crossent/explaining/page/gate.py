"""The gate before the page's server: who may ask, how much may be sent, what the browser may load."""

import json
from collections.abc import MutableMapping
from typing import Any

from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

LARGEST_BODY = 256 * 1024  # bytes: 1000 classes with names are 100 KB; a pasted history of losses may be as long
# 'none' first, then only what the page has: the browser itself then proves that nothing comes from elsewhere
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cache-control": "no-store",
}


class Gate:
    """Refuses what this page never sends, before it reaches the application, and stamps every answer.

    A foreign `Host` is how a web page elsewhere reaches a server on this machine (DNS rebinding), a foreign `Origin`
    how it posts to one.
    """

    def __init__(self, app: ASGIApp, hosts: frozenset[str]) -> None:
        self.app, self.hosts = app, hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass one request on, or refuse it."""
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
            return
        if scope["type"] != "http":  # the server's own start and stop
            await self.app(scope, receive, send)
            return
        stamped = _stamping(send)
        refusal, body = self._refuse(Headers(scope=scope), scope["method"]), b""
        if refusal is None and scope["method"] == "POST":
            refusal, body = await _read(receive)
        if refusal is not None:
            await refusal(scope, receive, stamped)
            return
        await self.app(scope, _replay(body), stamped)

    def _refuse(self, headers: Headers, method: str) -> Response | None:
        host, origin = headers.get("host", ""), headers.get("origin")
        if host not in self.hosts:
            return refuse(421, f"`Host` must be {' or '.join(sorted(self.hosts))}; got {host[:80]!r}.")
        if origin is not None and origin.removeprefix("http://") not in self.hosts:
            return refuse(403, f"`Origin` must be this page; got {origin[:80]!r}.")
        if method == "POST":
            kind = headers.get("content-type", "").partition(";")[0].strip().lower()
            if kind != "application/json":
                return refuse(415, f"`Content-Type` must be application/json; got {kind[:80]!r}.")
            length = headers.get("content-length", "")
            if length.isascii() and length.isdigit() and len(length) < 20 and int(length) > LARGEST_BODY:
                return _too_large()
        return None


def refuse(status: int, message: str) -> Response:
    """Return a refusal: one sentence, as JSON."""
    return Response(json.dumps({"error": message}), status_code=status, media_type="application/json")


def _too_large() -> Response:
    return refuse(413, f"The body must be at most {LARGEST_BODY} bytes.")


async def _read(receive: Receive) -> tuple[Response | None, bytes]:
    parts, length = [], 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return refuse(400, "The connection was closed before the whole body came."), b""
        part = message.get("body", b"")
        length += len(part)
        if length > LARGEST_BODY:  # also without a Content-Length, or with a wrong one
            return _too_large(), b""
        parts.append(part)
        if not message.get("more_body", False):
            return None, b"".join(parts)


def _replay(body: bytes) -> Receive:
    async def receive() -> Message:
        return {"type": "http.request", "body": body, "more_body": False}

    return receive


def _stamping(send: Send) -> Send:
    async def stamped(message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            added = [(name.encode(), value.encode()) for name, value in HEADERS.items()]
            message = {**message, "headers": [*message.get("headers", []), *added]}
        await send(message)

    return stamped
