"""Events: who came, what they did in the months around, who came again; one of them by group and service."""

import sqlite3
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from metrics.page.programmes.asked import ProgrammesAsked
from metrics.page.programmes.figure import HIDDEN, NONE, Heat, count, heat_of_mean, spoken
from metrics.programmes.events import OFFSETS, ActivityRow, Event, Events, Group, events
from metrics.programmes.found import chosen_events
from metrics.programmes.suppression import public_events
from metrics.rate import percent
from state.cohorts.definitions import Definitions
from state.rules import Rules
from state.weeks import iso

if TYPE_CHECKING:
    import duckdb

_GROUPS: dict[Group, str] = {"all": "everybody", "newcomers": "newcomers", "existing": "existing"}


class Shown(NamedTuple):
    """Events for the public. small: how many are too small; awaited: ids of those whose successor has yet to be."""

    events: Events
    small: int
    awaited: frozenset[str]


class Activity(NamedTuple):
    """One row of months, of one service or (None) all of them; before, after: means per head and month."""

    group: str
    service: str | None
    before: str
    after: str
    cells: tuple[Heat, ...]


class Row(NamedTuple):
    """One event; returned: how many came again to the successor, with their share."""

    id: str
    name: str
    href: str
    on: str
    attendees: str
    newcomers: str
    existing: str
    returned: str
    share: str
    successor: str | None
    all: Activity | None
    is_taken: bool


class Detail(NamedTuple):
    """One event by group and service."""

    name: str
    funnel: str
    close: str
    rows: tuple[Activity, ...]


class Section(NamedTuple):
    """The section; asked: the id that was asked for, where there is nothing to show of it."""

    as_of: int | None
    exact: bool
    rows: tuple[Row, ...]
    small: int
    offsets: tuple[int, ...]
    detail: Detail | None
    asked: str | None

    def cells(self) -> list[Heat]:
        """Every cell that is shown."""
        activities = [row.all for row in self.rows if row.all] + list(self.detail.rows if self.detail else ())
        return [cell for activity in activities for cell in activity.cells]


def ask_events(
    k: int, duck: "duckdb.DuckDBPyConnection", conn: sqlite3.Connection, rules: Rules, definitions: Definitions
) -> Shown:
    """Every defined event as the public sees it, what has expired left out."""
    whole = events(duck, conn, rules, definitions, chosen_events(conn, definitions, None), exact=False)
    shown = public_events(whole, k)
    awaited = frozenset(event.id for event in whole.events if event.returned is None)
    return Shown(shown, len(whole.events) - len(shown.events), awaited)


def section(shown: Shown, asked: ProgrammesAsked, names: dict[str, str]) -> Section:
    """The section out of the figures. names: of all events by id."""
    found = shown.events.events
    top = _top([row for event in found if (row := event.row("all"))])
    taken = next((event for event in found if event.id == asked.event), None)
    return Section(
        shown.events.as_of,
        shown.events.exact,
        tuple(_row(event, event.id in shown.awaited, asked, names, top) for event in found),
        shown.small,
        OFFSETS,
        None if taken is None else _detail(taken, asked),
        None if taken is not None or asked.event is None else names.get(asked.event, asked.event),
    )


def _row(event: Event, is_awaited: bool, asked: ProgrammesAsked, names: dict[str, str], top: float) -> Row:
    everybody = event.row("all")
    known = event.returned
    return Row(
        event.id,
        event.name,
        asked.href("event", event=event.id),
        NONE if event.at is None else iso(event.at)[:10],
        count(event.attendees),
        count(event.newcomers),
        count(event.existing),
        NONE if is_awaited else HIDDEN if known is None else percent(known, event.attendees),
        "" if known is None else f"{known:,}/{event.attendees:,}",
        None if event.successor is None else names.get(event.successor, event.successor),
        None if everybody is None else _activity(everybody, event.attendees, top),
        event.id == asked.event,
    )


def _detail(event: Event, asked: ProgrammesAsked) -> Detail:
    heads = {"all": event.attendees, "newcomers": event.newcomers, "existing": event.existing}
    top = _top(event.rows)
    rows = tuple(_activity(row, heads[row.group], top) for row in event.rows)
    return Detail(event.name, asked.href("funnel", cohort=f"event:{event.id}"), asked.href("events", event=None), rows)


def _activity(row: ActivityRow, heads: int | None, top: float) -> Activity:
    cells = tuple(heat_of_mean(cell.mean, cell.users, heads, top, cell.state) for cell in row.cells)
    return Activity(
        _GROUPS[row.group],
        row.service,
        _side(row.before, cells[:4]),
        _side(row.after, cells[4:]),
        cells,
    )


def _side(mean: float | None, cells: Sequence[Heat]) -> str:
    if mean is not None:
        return spoken(mean)
    return HIDDEN if any(cell.said == HIDDEN for cell in cells) else NONE


def _top(rows: Sequence[ActivityRow]) -> float:
    return max((cell.mean for row in rows for cell in row.cells if cell.mean is not None), default=0.0)
