"""/api/status: how much is kept, and how fresh it is."""

from fastapi import APIRouter, Request
from starlette.responses import Response

from metrics.api import models
from metrics.api.asked import Nothing
from metrics.api.errors import refusals
from metrics.context import Context
from metrics.health import Health, health
from metrics.responses import revalidated
from metrics.snapshot import snapshot
from state.reading import status
from state.weeks import iso

#: A consumer that is restarted every hour has many gaps; the latest are those that somebody can still do a thing about.
_GAPS_SHOWN = 100


def status_routes(context: Context) -> APIRouter:
    """The route over the context's state."""
    router = APIRouter()

    @router.get("/api/status", response_model=models.Status, responses=refusals(422))
    def get_status(request: Request, _asked: Nothing) -> Response:
        """What the command `status` prints, and the health of the stream."""
        with snapshot(context.directory) as conn:
            figures = status(conn)
            stream = _stream(health(conn, context))
        told = models.Status(**figures._asdict() | {"watermark": _iso(figures.watermark), "stream": stream})
        return revalidated(request, told.model_dump_json(), "application/json")

    return router


def _stream(found: Health) -> models.Stream:
    return models.Stream(
        lag_s=found.lag_s,
        last_message_age_s=found.last_message_age_s,
        connected=found.connected,
        listened_until=_iso(found.listened_until),
        gaps=[models.Gap(start=iso(start), end=iso(end)) for start, end in found.gaps[-_GAPS_SHOWN:]],
        gaps_total=len(found.gaps),
        dead_letters=found.dead_letters,
    )


def _iso(at: int | None) -> str | None:
    return None if at is None else iso(at)
