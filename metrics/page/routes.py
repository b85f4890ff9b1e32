"""`/`: the page, made on the server out of one snapshot of the state."""

from fastapi import APIRouter, Request
from starlette.responses import Response

from metrics.context import Context
from metrics.health import health as read_health
from metrics.page.curves import curves
from metrics.page.flags import flags
from metrics.page.health import health
from metrics.page.signups import HOURS, signups
from metrics.page.template import PAGE
from metrics.page.triangle import NEEDED, triangle
from metrics.page.view import View, view_of
from metrics.responses import revalidated
from metrics.snapshot import snapshot
from state.reading import retention, status
from state.signups import signups as read_signups
from state.signups import waves
from state.weeks import HOUR

#: Half a year of cohorts, or as many as are needed for the last column to have one.
_COHORTS = 26


def page_routes(context: Context) -> APIRouter:
    """The page over the state of the context."""
    router = APIRouter(include_in_schema=False)

    # A plain function: it runs in a thread, so that a slow read holds up nobody else.
    @router.get("/")
    def page(request: Request) -> Response:
        return revalidated(request, render(context, view_of(request.query_params)), "text/html")

    return router


def render(context: Context, view: View) -> str:
    """The whole page as the public sees it. Raises StateError where the state cannot be read."""
    latest, offsets = max(_COHORTS, view.weeks), max(NEEDED, view.weeks)
    with snapshot(context.directory) as conn:
        retentions = [retention(conn, name, weeks=offsets, latest=latest) for name in view.populations]
        figures = status(conn)
        hours = read_signups(conn, context.directory, HOURS)
        seen = waves(conn, hours.hours[0].start, hours.hours[-1].start + HOUR) if hours.hours else []
        return PAGE.render(
            view=view,
            choices=list(view.choices()),
            as_of=figures.watermark,
            triangle=triangle(view, retentions, context.min_cohort),
            curves=curves(view, retentions, context.min_cohort),
            signups=signups(hours, seen),
            flags=flags(conn),
            health=health(read_health(conn, context), figures),
            has_operator=context.token is not None,
        )
