"""The HTTP side: the page, /metrics, /live, /ready and the API."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import anyio.to_thread
from fastapi import APIRouter, FastAPI
from prometheus_client import CollectorRegistry
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware

from metrics.api.cohorts import cohort_routes
from metrics.api.decisions import decision_routes
from metrics.api.errors import tell_errors
from metrics.api.flags import flag_routes
from metrics.api.programmes import programme_routes
from metrics.api.retention import retention_routes
from metrics.api.signups import signup_routes
from metrics.api.status import status_routes
from metrics.api.uploads import upload_routes
from metrics.api.usermetrics import usermetrics_routes
from metrics.context import Context
from metrics.headers import SecurityHeaders
from metrics.hotpath import HotPath, wall_clock
from metrics.limits import Limits
from metrics.openapi import describe
from metrics.page.programmes.routes import programme_page_routes
from metrics.page.routes import page_routes
from metrics.privacy import MIN_COHORT
from metrics.probes import probe_routes
from metrics.readiness import Readiness
from metrics.reuse import Reuse
from state.cohorts.definitions import NO_DEFINITIONS, Definitions
from state.store import DATABASE

#: What there is over a state, each a router made for a Context. A new resource is a line here.
ROUTERS: tuple[Callable[[Context], APIRouter], ...] = (
    page_routes,
    retention_routes,
    cohort_routes,
    signup_routes,
    status_routes,
    flag_routes,
    decision_routes,
)

#: The same for what depends on what a community defines: a router made for a Context and the definitions in force.
DEFINED_ROUTERS: tuple[Callable[[Context, Callable[[], Definitions]], APIRouter], ...] = (
    programme_routes,
    programme_page_routes,
    upload_routes,
    usermetrics_routes,
)

#: Answers that are made at a time: each of them shares the interpreter with whoever consumes in this process.
_MADE_AT_ONCE = 4

#: zlib's: beyond it the text is hardly smaller and takes twice as long.
_GZIP_LEVEL = 5


def make_app(
    directory: Path,
    registry: CollectorRegistry,
    ready: Readiness,
    *,
    min_cohort: int = MIN_COHORT,
    token: str | None = None,
    clock: Callable[[], int] = wall_clock,
    hot_path: HotPath | None = None,
    reuse_s: float = 0,
    definitions: Callable[[], Definitions] = lambda: NO_DEFINITIONS,
) -> FastAPI:
    """The application over the state in `directory` and the series in `registry`.

    Cohorts of fewer than min_cohort users are hidden. Only whoever bears the operator's token sees names; without
    one, whatever names people is off. clock: processing time, microseconds since 1970 UTC. hot_path: of the stream
    that this process listens to. reuse_s: seconds for which a public answer is given again, 0 for never.
    definitions: those in force, of events, campaigns and cohorts.
    Errors are JSON: {"error": one line}.
    """
    context = Context(directory, token, min_cohort, clock, hot_path)
    app = FastAPI(
        title="Homecoming",
        summary="Does a community come back?",
        version="1",  # of these routes, not of the program
        # The pages that show the OpenAPI load their scripts from elsewhere.
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        generate_unique_id_function=lambda route: route.name,
        lifespan=_few_threads,
        middleware=[
            Middleware(SecurityHeaders),
            Middleware(Limits),
            Middleware(Reuse, seconds=reuse_s, identity=partial(_identity, directory / DATABASE)),
            Middleware(GZipMiddleware, compresslevel=_GZIP_LEVEL),
        ],
    )
    tell_errors(app)
    describe(app)
    app.include_router(probe_routes(registry, ready))
    for routes in ROUTERS:
        app.include_router(routes(context))
    for defined_routes in DEFINED_ROUTERS:
        app.include_router(defined_routes(context, definitions))
    return app


def _identity(database: Path) -> tuple[int, int] | None:
    """Which file it is, whatever its name; None where there is none."""
    try:
        found = database.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


@asynccontextmanager
async def _few_threads(_app: FastAPI) -> AsyncIterator[None]:
    anyio.to_thread.current_default_thread_limiter().total_tokens = _MADE_AT_ONCE
    yield
