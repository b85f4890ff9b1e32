"""The HTTP side: the page, /metrics, /live, /ready and the API."""

import logging
from pathlib import Path

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder
from starlette.applications import Starlette
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from metrics.api import routes
from metrics.page import STYLE_HASH, render
from metrics.privacy import MIN_COHORT
from metrics.readiness import Readiness
from metrics.responses import NO_STORE, revalidated
from metrics.snapshot import snapshot
from state.errors import StateError
from state.reading import retention, status
from state.rules import POPULATIONS

#: What the page shows: half a year of cohorts by a quarter of weeks.
_COHORTS = 26
_OFFSETS = 13

_HEADERS = {
    "Content-Security-Policy": (
        f"default-src 'none'; style-src {STYLE_HASH}; img-src data:; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}

_log = logging.getLogger(__name__)


def make_app(
    directory: Path,
    registry: CollectorRegistry,
    ready: Readiness,
    *,
    min_cohort: int = MIN_COHORT,
    token: str | None = None,
) -> Starlette:
    """The application over the state in `directory` and the series in `registry`.

    Cohorts of fewer than min_cohort users are hidden. Only whoever bears the operator's token sees names; without
    one, whatever names people is off. Errors are JSON: {"error": one line}.
    """

    # Plain functions: Starlette runs them in threads, so that a slow read holds up nobody else.
    def page(request: Request) -> Response:
        population = request.query_params.get("population", "all")
        if population not in POPULATIONS:
            raise HTTPException(422, f"no population {population!r:.60}: one of {', '.join(POPULATIONS)}")
        with snapshot(directory) as conn:
            table = retention(conn, population, weeks=_OFFSETS, latest=_COHORTS)
            figures = status(conn)
        return revalidated(request, render(table, figures, min_cohort), "text/html")

    def metrics(request: Request) -> Response:
        encode, content_type = choose_encoder(request.headers.get("Accept", ""))
        return Response(encode(registry), headers={"Content-Type": content_type, **NO_STORE})

    def live(_request: Request) -> Response:
        return PlainTextResponse("live\n", headers=NO_STORE)

    def readiness(_request: Request) -> Response:
        reason = ready()
        body = {"ready": True} if reason is None else {"ready": False, "reason": reason}
        return JSONResponse(body, 200 if reason is None else 503, headers=NO_STORE)

    return Starlette(
        routes=[
            Route("/", page),
            Route("/metrics", metrics),
            Route("/live", live),
            Route("/ready", readiness),
            *routes(directory, token),
        ],
        middleware=[Middleware(_SecurityHeaders), Middleware(GZipMiddleware)],
        exception_handlers={HTTPException: _refused, StateError: _unreadable},
    )


def _refused(_request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101 - what the handler is registered for
    return JSONResponse({"error": error.detail}, error.status_code, headers=error.headers)


def _unreadable(_request: Request, error: Exception) -> Response:
    _log.error("%s", error)
    return JSONResponse(
        {"error": "the state cannot be read just now, /ready says why"}, 503, headers={"Retry-After": "10"}
    )


class _SecurityHeaders:
    """Sets the headers on every response, errors included."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(_HEADERS)
            await send(message)

        await self._app(scope, receive, send_with_headers)
