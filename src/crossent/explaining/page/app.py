"""The page's server: three files, and the questions of the page."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from crossent.errors import CrossentError, MissingExtraError
from crossent.explaining.page.api import answer
from crossent.explaining.page.bundle import module, page, style

try:
    from starlette.applications import Starlette
    from starlette.concurrency import run_in_threadpool
    from starlette.exceptions import HTTPException
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.routing import Route

    from crossent.explaining.page.gate import Gate, refuse
except ImportError as error:
    message = "the page needs Starlette and uvicorn, which are not installed: pip install 'crossent[web]'"
    raise MissingExtraError(message) from error

if TYPE_CHECKING:
    from crossent.explaining.page.live import Live

# a millisecond: a thread would cost half of that again, at every step of a drag
QUICK = {"explain", "bits", "measuring"}


def application(port: int, live: "Live | None" = None) -> Gate:
    """Return the application as served on this port of 127.0.0.1; `live` measures what is installed."""

    @asynccontextmanager
    async def ending(_: Starlette) -> AsyncIterator[None]:
        yield
        if live is not None:  # here and not after the server: SIGTERM is raised again before that returns
            live.stop()

    routes = [
        Route("/", _file(page, "text/html")),
        Route("/explorer.mjs", _file(module, "text/javascript")),
        Route("/style.css", _file(style, "text/css")),
        Route("/api/{question}", _asking(live), methods=["POST"]),
    ]
    app = Starlette(routes=routes, exception_handlers={HTTPException: _refused}, lifespan=ending)
    return Gate(app, frozenset({f"127.0.0.1:{port}", f"localhost:{port}"}))


def _file(text: Any, media_type: str) -> Any:
    def send(_: Request) -> Response:
        return Response(text(), media_type=media_type)

    return send


def _asking(live: "Live | None") -> Any:
    async def ask(request: Request) -> Response:
        question = request.path_params["question"]
        try:
            body = json.loads(await request.body(), parse_constant=_no_constant)
        except (ValueError, RecursionError) as error:  # not JSON, not UTF-8, a number of 5000 digits, [[[[...
            return refuse(400, f"The body must be JSON; {str(error)[:200]}.")
        try:
            quick = question in QUICK
            found = answer(question, body, live) if quick else await run_in_threadpool(answer, question, body, live)
        except CrossentError as error:
            return refuse(422, str(error))
        return Response(json.dumps(found, allow_nan=False, separators=(",", ":")), media_type="application/json")

    return ask


def _no_constant(name: str) -> float:
    message = f'{name} is no JSON: write "inf", "-inf" or "nan" as a text'
    raise ValueError(message)


async def _refused(_: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 500
    sentences = {404: "There is no such page.", 405: "This address does not answer that method."}
    return refuse(status, sentences.get(status, "This request cannot be answered."))
