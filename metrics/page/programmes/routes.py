"""`/programmes`: did events and campaigns bring people who stayed? Each section has figures of its own, or says why."""

import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, closing
from functools import partial
from typing import Annotated, Any, Generic, NamedTuple, TypeVar

from fastapi import APIRouter, FastAPI, Query, Request
from starlette.responses import HTMLResponse, Response

from metrics.context import Context
from metrics.page.programmes import campaigns, discussions, events, funnel
from metrics.page.programmes.asked import ProgrammesAsked, last_quarters, quarter_cohort
from metrics.page.programmes.shelf import Ordered, Shelf
from metrics.page.template import PROGRAMMES
from metrics.page.triangle import NOTES
from metrics.programmes.activity import rules_of
from metrics.programmes.participants import one_of
from metrics.rate import DARKEST
from metrics.responses import NO_STORE, revalidated
from metrics.snapshot import snapshot
from state.cohorts.algebra import canonical, parse
from state.cohorts.definitions import NO_DEFINITIONS, Definitions
from state.cohorts.members import define_members
from state.duck import connect
from state.errors import HomecomingError, StateError
from state.store import get_meta

#: Seconds that a page waits for what has to be worked out; then it shows what it has.
PATIENCE_S = 1.0

_T = TypeVar("_T")


class Part(NamedTuple, Generic[_T]):
    """A section's figures; None while they are worked out, or where `wrong` says why there are none."""

    figures: _T | None
    wrong: str | None = None

    @property
    def is_coming(self) -> bool:
        """Whether a later look finds more."""
        return self.figures is None and self.wrong is None


class Page(NamedTuple):
    """The HTML, and whether every section has all it will have."""

    html: str
    is_whole: bool


def programme_page_routes(
    context: Context, definitions: Callable[[], Definitions] = lambda: NO_DEFINITIONS
) -> APIRouter:
    """The page over the state of the context, as the public sees it. definitions: those in force."""
    shelf = Shelf(context.directory, definitions)

    @asynccontextmanager
    async def until_the_end(_app: FastAPI) -> AsyncIterator[None]:
        with closing(shelf):
            yield

    router = APIRouter(include_in_schema=False, lifespan=until_the_end)

    # A plain function: it runs in a thread, so that a slow read holds up nobody else.
    @router.get("/programmes")
    def programmes(request: Request, asked: Annotated[ProgrammesAsked, Query()]) -> Response:
        page = render(context, shelf, definitions(), asked)
        if page.is_whole:
            return revalidated(request, page.html, "text/html")
        return HTMLResponse(page.html, headers=NO_STORE)

    return router


def render(
    context: Context,
    shelf: Shelf,
    definitions: Definitions,
    asked: ProgrammesAsked,
    patience_s: float = PATIENCE_S,
) -> Page:
    """The whole page.

    Raises HomecomingError for an event or a cohort that there is not, StateError where the state cannot be read.
    """
    until, k = time.monotonic() + patience_s, context.min_cohort
    with snapshot(context.directory) as conn:
        as_of = get_meta(conn, "watermark")
    if asked.event is not None:
        one_of(definitions.events, "event", asked.event)
    cohort = None if asked.cohort is None else canonical(parse(asked.cohort))
    if as_of is None:
        return Page(PROGRAMMES.render(as_of=None), is_whole=True)
    wanted = cohort or quarter_cohort(last_quarters(as_of)[0])
    # All of them, before the first is waited for; discussions last, which take longest.
    through = shelf.ask(f"funnel {wanted}", partial(funnel.ask_funnel, k, wanted))
    came = joined = None
    if definitions.events:
        came = shelf.ask("events", partial(events.ask_events, k))
    if definitions.campaigns:
        joined = shelf.ask(f"campaigns {asked.by}", partial(campaigns.ask_campaigns, k, asked.by))
    talked = shelf.ask("discussions", partial(discussions.ask_discussions, k))
    names = {one.id: one.name for one in definitions.events.values()}
    # What is wrong with a cohort that somebody chose is the answer to their request.
    flow = _part(through, until, lambda found: funnel.section(found, asked, as_of), is_fatal=cohort is not None)
    if cohort is not None and flow.is_coming:
        _check(context, definitions, cohort)
    parts: dict[str, Part[Any] | None] = {
        "funnel": flow,
        "events": None if came is None else _part(came, until, lambda found: events.section(found, asked, names)),
        "campaigns": None if joined is None else _part(joined, until, lambda found: campaigns.section(found, asked)),
        "discussions": _part(talked, until, discussions.section),
    }
    known = [part for part in parts.values() if part is not None]
    html = PROGRAMMES.render(
        **parts,
        # No later than any figure on the page.
        as_of=min((part.figures.as_of for part in known if part.figures is not None), default=as_of),
        asked=asked,
        k=k,
        notes=NOTES,
        shades=range(DARKEST + 1),
    )
    return Page(html, not any(part.is_coming for part in known))


def _check(context: Context, definitions: Definitions, cohort: str) -> None:
    """Raise HomecomingError for a cohort that there is not, however long its funnel takes."""
    with snapshot(context.directory) as conn, connect(context.directory) as duck:
        define_members(duck, conn, cohort, definitions, rules_of(conn))


def _part(ordered: Ordered[_T], until: float, section: Callable[[_T], Any], *, is_fatal: bool = False) -> Part[Any]:
    try:
        found = ordered.get(until - time.monotonic())
    except StateError:
        raise
    except HomecomingError as error:
        if is_fatal:
            raise
        return Part(None, str(error))
    return Part(None if found is None else section(found))
