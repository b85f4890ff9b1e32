"""/api/cohorts: every cohort with its headline rates, the populations side by side."""

from collections.abc import Iterator, Mapping
from typing import Annotated, get_args

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from metrics.api import models
from metrics.api.asked import VARY, Formatted, Population, Weeks, table
from metrics.api.errors import tabular
from metrics.context import Context
from metrics.privacy import hide
from metrics.responses import revalidated
from metrics.sheet import csv_text
from metrics.snapshot import snapshot
from state.reading import Cohort, Retention, retention
from state.weeks import iso, week_name

#: Weeks after the sign-up at which people look first: the next one, a month, two, a quarter.
HEADLINES = (1, 4, 8, 12)

_POPULATIONS: tuple[Population, ...] = get_args(Population)

_COLUMNS = (
    "week",
    *(
        f"{population}_{column}"
        for population in _POPULATIONS
        for column in ("size", *(f"w{k}{part}" for k in HEADLINES for part in ("", "_state")))
    ),
)


class CohortsAsked(Formatted):
    """latest: so many of the newest cohorts."""

    latest: Weeks | None = None


def cohort_routes(context: Context) -> APIRouter:
    """The route over the context's state."""
    router = APIRouter()

    @router.get("/api/cohorts", response_model=models.Cohorts, responses=tabular(",".join(_COLUMNS), 422))
    def get_cohorts(request: Request, asked: Annotated[CohortsAsked, Query()]) -> Response:
        """Sizes and W1, W4, W8, W12 rates of each cohort, per population."""
        with snapshot(context.directory) as conn:
            tables = {
                population: hide(
                    retention(conn, population, weeks=HEADLINES[-1] + 1, latest=asked.latest), context.min_cohort
                )
                for population in _POPULATIONS
            }
        found = side_by_side(tables)
        if asked.csv(request):
            return table(request, csv_text(_COLUMNS, map(_row, found.cohorts)), "cohorts")
        return revalidated(request, found.model_dump_json(), "application/json", VARY)

    return router


def side_by_side(tables: Mapping[Population, Retention]) -> models.Cohorts:
    """The tables of every population by cohort; the cohorts are those of `all`, which holds all the others."""
    everybody = tables["all"]
    by_week = {population: {cohort.week: cohort for cohort in one.cohorts} for population, one in tables.items()}
    return models.Cohorts(
        as_of=None if everybody.as_of is None else iso(everybody.as_of),
        cohorts=[
            models.SideBySide(
                week=week_name(cohort.week),
                populations={population: _side(by_week[population].get(cohort.week)) for population in tables},
            )
            for cohort in everybody.cohorts
        ],
    )


def _side(cohort: Cohort | None) -> models.Side | None:
    if cohort is None:
        return None
    return models.Side(
        size=cohort.size,
        rates=[
            models.Rate(
                offset=cell.offset,
                users=cell.users,
                rate=None if cell.users is None or not cohort.size else round(cell.users / cohort.size, 6),
                state=cell.state,
            )
            for cell in (cohort.cells[offset] for offset in HEADLINES)
        ],
    )


def _row(cohort: models.SideBySide) -> tuple[object, ...]:
    return (cohort.week, *(cell for population in _POPULATIONS for cell in _cells(cohort.populations[population])))


def _cells(side: models.Side | None) -> Iterator[object]:
    if side is None:
        yield from (None,) * (1 + 2 * len(HEADLINES))
        return
    yield side.size
    for rate in side.rates:
        yield from (rate.rate, rate.state)
