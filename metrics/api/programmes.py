"""/api/events, /api/campaigns, /api/discussions, /api/funnel: what the command line tells, but for what is hidden."""

import json
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from typing import Annotated, Any, TypeVar

from fastapi import APIRouter, Query, Request
from pydantic import Field
from starlette.responses import JSONResponse, Response

from metrics.api import programme_models as models
from metrics.api.asked import Formatted, table
from metrics.api.errors import tabular
from metrics.context import Context
from metrics.operator import admit, bearer
from metrics.programmes import formats, suppression
from metrics.programmes.activity import rules_of
from metrics.programmes.campaigns import By as CampaignsBy
from metrics.programmes.campaigns import campaigns, chosen_campaigns
from metrics.programmes.discussions import By as DiscussionsBy
from metrics.programmes.discussions import discussions
from metrics.programmes.events import events
from metrics.programmes.found import chosen_events
from metrics.programmes.funnel import funnel
from metrics.programmes.threads import SERVICES
from metrics.responses import NO_STORE, revalidated
from metrics.sheet import csv_text
from metrics.snapshot import snapshot
from state.cohorts.definitions import NO_DEFINITIONS, Definitions
from state.errors import HomecomingError
from state.log import with_log
from state.weeks import event_time_of

_T = TypeVar("_T")

#: The operator sees figures that the public does not, at the same address.
_VARY = {"Vary": "Accept, Authorization"}

#: A hundred years.
_Hours = Annotated[int, Field(ge=0, le=876_600)]

Moment = Annotated[str | None, Field(max_length=40, description="ISO 8601, UTC where it names no zone.")]
Text = Annotated[str, Field(max_length=255)]


class EventsAsked(Formatted):
    """event: only this one. find: also badges that many got within a few days."""

    event: Text | None = None
    find: bool = False
    exact: Annotated[bool, Field(description="false: answer although a part has expired, and say so.")] = True


class CampaignsAsked(Formatted):
    """campaign, year, country: only these. by: one row each; of a single campaign, services unless said otherwise."""

    campaign: Text | None = None
    year: Text | None = None
    country: Text | None = None
    service: Annotated[tuple[Text, ...], Field(max_length=20)] = ()
    by: CampaignsBy | None = None


class DiscussionsAsked(Formatted):
    """since, until: only what was opened then."""

    since: Moment = None
    until: Moment = None
    service: Annotated[tuple[Text, ...], Field(max_length=20)] = ()
    by: DiscussionsBy = "service"
    exact: bool = True


class FunnelAsked(Formatted):
    """cohort: an expression such as month:2024-06. Staying: n contributions from after_hours on, in within_hours."""

    cohort: Annotated[str, Field(min_length=1, max_length=2_000)]
    after_hours: _Hours = 24
    within_hours: Annotated[_Hours, Field(description="0: at any time.")] = 0
    n: Annotated[int, Field(ge=1, le=10**9)] = 1
    exact: bool = True


def programme_routes(context: Context, definitions: Callable[[], Definitions] = lambda: NO_DEFINITIONS) -> APIRouter:
    """The routes over the context's state. definitions: those in force.

    The public sees aggregates without figures about fewer than min_cohort people; the operator sees all of them.
    """
    router = APIRouter()

    def answer(
        request: Request,
        asked: Formatted,
        read: Callable[..., _T],
        hide: Callable[[_T, int], _T],
        objects: Callable[[_T], dict[str, Any]],
        columns: Sequence[str],
        rows: Callable[[_T], Iterable[Sequence[object]]],
        name: str,
    ) -> Response:
        is_operator = bearer(request) is not None
        if is_operator:
            admit(request, context.token)
        with snapshot(context.directory):
            pass  # a state that went missing is not made anew
        found = with_log(context.directory, lambda duck, conn: read(duck, conn, rules_of(conn), definitions()))
        if not is_operator:
            found = hide(found, context.min_cohort)
        if asked.csv(request):
            return table(request, csv_text(columns, rows(found)), name, _VARY)
        if is_operator:
            return JSONResponse(objects(found), headers=NO_STORE)
        return revalidated(request, json.dumps(objects(found)), "application/json", _VARY)

    @router.get("/api/events", response_model=models.Events, responses=_said(formats.EVENT_COLUMNS))
    def get_events(request: Request, asked: Annotated[EventsAsked, Query()]) -> Response:
        """Who came to each event, what they did in the months around it, who came again."""
        return answer(
            request,
            asked,
            lambda duck, conn, rules, defined: events(
                duck,
                conn,
                rules,
                defined,
                chosen_events(conn, defined, asked.event, find=asked.find),
                exact=asked.exact,
            ),
            suppression.public_events,
            formats.events_object,
            formats.EVENT_COLUMNS,
            formats.event_rows,
            "events",
        )

    @router.get("/api/campaigns", response_model=models.Campaigns, responses=_said(formats.CAMPAIGN_COLUMNS))
    def get_campaigns(request: Request, asked: Annotated[CampaignsAsked, Query()]) -> Response:
        """Who took part in campaigns, and who still contributes 3, 6, 9 and 12 months after the end."""
        by = asked.by or ("service" if asked.campaign else "campaign")
        return answer(
            request,
            asked,
            lambda duck, conn, rules, defined: campaigns(
                duck,
                conn,
                rules,
                defined,
                chosen_campaigns(defined, asked.campaign, asked.year, asked.country),
                by,
                services=asked.service,
            ),
            suppression.public_campaigns,
            formats.campaigns_object,
            formats.CAMPAIGN_COLUMNS,
            formats.campaign_rows,
            "campaigns",
        )

    @router.get("/api/discussions", response_model=models.Discussions, responses=_said(formats.DISCUSSION_COLUMNS))
    def get_discussions(request: Request, asked: Annotated[DiscussionsAsked, Query()]) -> Response:
        """How soon and how often what people open is answered, on each service."""
        start, end = _moment("since", asked.since), _moment("until", asked.until)
        return answer(
            request,
            asked,
            lambda duck, conn, rules, _defined: discussions(
                duck,
                conn,
                rules,
                start=start,
                end=end,
                services=tuple(dict.fromkeys(asked.service)) or SERVICES,
                by=asked.by,
                exact=asked.exact,
            ),
            suppression.public_discussions,
            formats.discussions_object,
            formats.DISCUSSION_COLUMNS,
            formats.discussion_rows,
            "discussions",
        )

    @router.get("/api/funnel", response_model=models.Funnel, responses=_said(formats.FUNNEL_COLUMNS))
    def get_funnel(request: Request, asked: Annotated[FunnelAsked, Query()]) -> Response:
        """How many of a cohort registered, contributed, stayed."""
        return answer(
            request,
            asked,
            lambda duck, conn, rules, defined: funnel(
                duck,
                conn,
                rules,
                defined,
                asked.cohort,
                t_h=asked.after_hours,
                n=asked.n,
                sunset_h=asked.within_hours,
                exact=asked.exact,
            ),
            suppression.public_funnel,
            formats.funnel_object,
            formats.FUNNEL_COLUMNS,
            formats.funnel_rows,
            "funnel",
        )

    return router


def _said(columns: Sequence[str]) -> dict[int | str, dict[str, Any]]:
    return tabular(",".join(columns), 401, 404, 422)


def _moment(name: str, text: str | None) -> int | None:
    if text is None:
        return None
    with suppress(ValueError, OverflowError):
        return event_time_of(text)
    raise HomecomingError(f"{name}: expected an ISO 8601 time such as 2024-06-03, got {text!r:.60}")
