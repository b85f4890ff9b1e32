"""/cohorts/{expression}/{metric}: the UserMetrics API, with its jobs and the list of what was asked; /api/metrics."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, closing
from typing import Annotated, Any

from fastapi import APIRouter, FastAPI, Request
from fastapi import Path as Named
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response

from metrics.api import usermetrics_models as models
from metrics.api.asked import Nothing
from metrics.api.errors import refusals
from metrics.api.usermetrics_jobs import ANSWERED, is_operator_asking, job_routes, pending, told
from metrics.asking import request as requests
from metrics.asking.catalogue import catalogue
from metrics.asking.desk import Desk
from metrics.asking.jobs import BusyError, Job
from metrics.asking.work import Worked
from metrics.context import Context
from metrics.responses import NO_STORE
from metrics.standard.options import described
from metrics.standard.registry import METRICS
from state.cohorts.definitions import NO_DEFINITIONS, Definitions

#: Seconds after which a request is answered with its job instead: less than any proxy waits.
PATIENCE_S = 20.0


def usermetrics_routes(
    context: Context,
    definitions: Callable[[], Definitions] = lambda: NO_DEFINITIONS,
    patience_s: float = PATIENCE_S,
) -> APIRouter:
    """The routes over the context's state. definitions: those in force.

    Raw values, and what is asked of one user, are the operator's; the public sees aggregates that are about min_cohort
    people or more. patience_s: how long a request may take until it is answered with its job.
    """
    desk = Desk(context.directory, definitions, context.clock)

    @asynccontextmanager
    async def until_the_end(_app: FastAPI) -> AsyncIterator[None]:
        with closing(desk):
            yield

    router = APIRouter(lifespan=until_the_end)
    router.include_router(job_routes(context, desk))

    @router.get(
        "/cohorts/{expression:path}/{metric}",
        response_model=models.MetricAnswer,
        responses=ANSWERED,
        openapi_extra={"parameters": _parameters()},
    )
    async def get_metric(
        request: Request,
        expression: Annotated[str, Named(description="A cohort: ids or names, ~ for union, & for intersection.")],
        metric: str,
    ) -> Response:
        """The metric over the cohort: from what is kept while the state is the same, else worked out."""
        asked, refresh = requests.read_request(expression, metric, request.query_params.multi_items())
        is_operator = is_operator_asking(request, context.token, must=asked.names_people)
        found = await run_in_threadpool(_ask, desk, asked, refresh=refresh)
        if isinstance(found, Job):
            job = found
            try:
                async with asyncio.timeout(patience_s):
                    found = await asyncio.shield(asyncio.wrap_future(job.future))
            except TimeoutError:
                return pending(job)
        return await run_in_threadpool(told, context, found, is_operator=is_operator)

    @router.get("/api/metrics", response_model=models.Metrics, responses=refusals(422))
    def get_metrics(_asked: Nothing) -> Response:
        """Every metric: its parameters with their defaults, its aggregators, and what feeds it."""
        return JSONResponse(catalogue())

    return router


def _ask(desk: Desk, asked: requests.Request, *, refresh: bool) -> Worked | Job[Worked]:
    try:
        return desk.ask(asked, refresh=refresh)
    except BusyError as error:
        raise HTTPException(503, str(error), {"Retry-After": "10", **NO_STORE}) from None


def _parameters() -> list[dict[str, Any]]:
    """For the OpenAPI: every parameter of any metric, as text; which metric takes which, /api/metrics tells."""
    meanings = {one.name: one for metric in METRICS.values() for one in described(metric)}
    shared = [
        {"in": "query", "name": one.name, "schema": {"type": "string"}, "description": f"{one.meaning} ({one.expects})"}
        for one in meanings.values()
    ]
    said = {
        "is_user": "the cohort's place holds a user's name; for the operator",
        "refresh": "work it out, whatever is kept",
    }
    flags = [
        {"in": "query", "name": name, "schema": {"type": "string"}, "description": f"{meaning} (true or false)"}
        for name, meaning in said.items()
    ]
    return [*shared, *flags]
