"""/api/signups: accounts created by the hour, against what was expected, and the waves among them."""

from typing import Annotated

from fastapi import APIRouter, Query, Request
from pydantic import Field
from starlette.responses import Response

from metrics.api import models
from metrics.api.asked import VARY, Formatted, table
from metrics.api.errors import tabular
from metrics.context import Context
from metrics.responses import revalidated
from metrics.sheet import csv_text
from metrics.snapshot import snapshot
from state.signups import MOST_HOURS, SignupHour, Wave, signups, waves
from state.weeks import HOUR, iso

_WEEK_HOURS = 7 * 24


class SignupsAsked(Formatted):
    """hours: so many, up to the watermark's; at most 28 days."""

    hours: Annotated[int, Field(ge=1, le=MOST_HOURS)] = _WEEK_HOURS


def signup_routes(context: Context) -> APIRouter:
    """The route over the context's state. Totals of hours alone: nothing here can be told of anybody."""
    router = APIRouter()

    @router.get("/api/signups", response_model=models.Signups, responses=tabular("start,signups,expected,waves", 422))
    def get_signups(request: Request, asked: Annotated[SignupsAsked, Query()]) -> Response:
        """Sign-ups by the hour with what was expected, and the waves."""
        with snapshot(context.directory) as conn:
            found = signups(conn, context.directory, asked.hours)
            hours = found.hours
            among = waves(conn, hours[0].start, hours[-1].start + HOUR) if hours else []
        told = models.Signups(
            as_of=None if found.as_of is None else iso(found.as_of),
            hours=[_hour(hour, among) for hour in hours],
            waves=[_wave(wave) for wave in among],
        )
        if asked.csv(request):
            rows = ((hour.start, hour.signups, hour.expected, " ".join(hour.waves)) for hour in told.hours)
            return table(request, csv_text(("start", "signups", "expected", "waves"), rows), "signups")
        return revalidated(request, told.model_dump_json(), "application/json", VARY)

    return router


def _hour(hour: SignupHour, among: list[Wave]) -> models.SignupHour:
    return models.SignupHour(
        start=iso(hour.start),
        signups=hour.signups,
        expected=None if hour.expected is None else round(hour.expected, 3),
        waves=[
            wave.id
            for wave in among
            if wave.state != "cleared" and wave.start < hour.start + HOUR and hour.start < wave.end
        ],
    )


def _wave(wave: Wave) -> models.Wave:
    return models.Wave(**wave._asdict() | {"start": iso(wave.start), "end": iso(wave.end)})
