"""/api/retention: the triangle of one population, as the command line prints it but for what is hidden."""

from typing import Annotated

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from metrics.api import models
from metrics.api.asked import VARY, Formatted, Population, Weeks, table
from metrics.api.errors import tabular
from metrics.context import Context
from metrics.formats import retention_csv, retention_json
from metrics.privacy import hide
from metrics.responses import revalidated
from metrics.snapshot import snapshot
from state.reading import retention


class RetentionAsked(Formatted):
    """weeks: so many offsets, those ahead of the watermark being `future`; latest: so many of the newest cohorts."""

    population: Population = "all"
    weeks: Weeks | None = None
    latest: Weeks | None = None


def retention_routes(context: Context) -> APIRouter:
    """The route over the context's state."""
    router = APIRouter()

    @router.get(
        "/api/retention", response_model=models.Retention, responses=tabular("week,size,offset,users,state", 422)
    )
    def get_retention(request: Request, asked: Annotated[RetentionAsked, Query()]) -> Response:
        """Who of each week's sign-ups was active how many weeks later."""
        with snapshot(context.directory) as conn:
            found = hide(retention(conn, asked.population, asked.weeks, asked.latest), context.min_cohort)
        if asked.csv(request):
            return table(request, retention_csv(found), f"retention-{asked.population}")
        return revalidated(request, retention_json(found), "application/json", VARY)

    return router
