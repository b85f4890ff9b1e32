"""Event contributors: who came to an event, what they did in the months around it, who came again.

Cohort, month offsets and newcomers are those of the badge notebook: an event is when its badge was first awarded; an
offset is round_half_even((event time of the message - event) / 30 days), so that offset 0, two weeks to either side,
belongs to neither before nor after and is dropped.
"""

import sqlite3
from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal, NamedTuple, get_args

from metrics.programmes.activity import define_activity, unheard
from metrics.programmes.participants import define_participants
from metrics.programmes.spans import is_exact, span_state
from state.cells import CellState, Gap
from state.cohorts.definitions import Definition, Definitions
from state.log import load_rows
from state.rules import Rules
from state.store import get_meta
from state.weeks import DAY

if TYPE_CHECKING:
    import duckdb

#: A month of the notebook, microseconds.
MONTH = 30 * DAY

#: Months before and after an event.
OFFSETS = (-4, -3, -2, -1, 1, 2, 3, 4)

#: Whoever registered at most so many whole days before the event, or after it, is a newcomer.
NEWCOMER_DAYS = 30

Group = Literal["all", "newcomers", "existing"]
GROUPS: tuple[Group, ...] = get_args(Group)


class MonthCell(NamedTuple):
    """What a group did in one month offset. None: the month has not begun, or is not for everybody to see."""

    offset: int
    users: int | None  #: of the group, active then
    messages: int | None
    mean: float | None  #: messages per head of the group, whoever was not active included
    state: CellState


class ActivityRow(NamedTuple):
    """A group's activity by month offset. service: None for all services together.

    before, after: mean messages per head and month, of the months that are final; None where none is.
    """

    group: Group
    service: str | None
    cells: tuple[MonthCell, ...]
    before: float | None
    after: float | None


class Event(NamedTuple):
    """One event. newcomers + existing = attendees; returned: of the attendees, those of the successor.

    at: None where nobody was awarded its badge yet. returned: None without a successor, and before it takes place.
    """

    id: str
    name: str
    at: int | None
    defined: bool  #: False: found among the badge awards
    attendees: int
    newcomers: int | None
    existing: int | None
    successor: str | None
    returned: int | None
    rows: tuple[ActivityRow, ...]

    def row(self, group: Group, service: str | None = None) -> ActivityRow | None:
        """That row; None where there is none."""
        return next((row for row in self.rows if (row.group, row.service) == (group, service)), None)


class Events(NamedTuple):
    """Events by time. as_of is the watermark, None for an empty state; exact: no event needed expired weeks."""

    as_of: int | None
    exact: bool
    events: tuple[Event, ...]


#: DuckDB: messages and active users by event, group, offset and service (NULL: all of them).
_ACTIVITY = """
    WITH attendee AS (
        SELECT definition, username, happened_at,
            -- Whole days from the creation to the event, negative where it came first; an unknown account is old.
            coalesce(floor((happened_at - registered_at) / 86400000000.0) <= {newcomer_days}, false) AS newcomer
        FROM participant JOIN happening USING (definition) LEFT JOIN registration USING (username)),
    message AS (
        SELECT definition, username, newcomer, service,
            round_even((acted_at - happened_at)::DOUBLE / {month}, 0)::INTEGER AS offset_
        FROM attendee JOIN activity USING (username)
        WHERE abs(acted_at - happened_at) <= 5 * {month})
    SELECT definition, newcomer, offset_, service, count(DISTINCT username), count(*)
    FROM message WHERE offset_ BETWEEN -4 AND 4 AND offset_ <> 0
    GROUP BY GROUPING SETS ((definition, newcomer, offset_, service), (definition, newcomer, offset_),
        (definition, offset_, service), (definition, offset_))
    """

_HEADS = """
    SELECT definition, count(*), count(*) FILTER (
        floor((happened_at - registered_at) / 86400000000.0) <= {newcomer_days})
    FROM participant LEFT JOIN happening USING (definition) LEFT JOIN registration USING (username)
    GROUP BY definition"""

_RETURNED = """
    SELECT successor_of.definition, count(*) FROM participant
    JOIN successor_of USING (definition)
    JOIN participant AS later ON later.definition = successor_of.successor AND later.username = participant.username
    GROUP BY ALL"""


def events(
    duck: "duckdb.DuckDBPyConnection",
    conn: sqlite3.Connection,
    rules: Rules,
    definitions: Definitions,
    chosen: Sequence[Definition],
    *,
    exact: bool = True,
) -> Events:
    """What came of the chosen events (their successors are looked up in `definitions`), over the view `log`.

    Raises HomecomingError where a month before an event has expired and an exact answer is asked for.
    """
    as_of = get_meta(conn, "watermark")
    known = {**{one.id: one for one in chosen}, **_successors(definitions, chosen)}
    define_participants(duck, conn, rules, definitions, known.values())
    happened = {one.id: at for one in known.values() if (at := _time_of(conn, one)) is not None}
    if as_of is not None:
        happened = {known_as: at for known_as, at in happened.items() if at <= as_of}
    whole = [
        is_exact(conn, _start(happened[one.id], -4), f"event {one.id}", exact=exact)
        for one in chosen
        if one.id in happened
    ]
    define_activity(duck, conn, rules)
    load_rows(duck, "happening", {"definition": "VARCHAR", "happened_at": "BIGINT"}, [list(happened.items())])
    following = [(one.id, one.successor) for one in chosen if one.successor in happened]
    load_rows(duck, "successor_of", {"definition": "VARCHAR", "successor": "VARCHAR"}, [following])
    heads = {
        known_as: (count, new)
        for known_as, count, new in duck.execute(_HEADS.format(newcomer_days=NEWCOMER_DAYS)).fetchall()
    }
    returned = dict.fromkeys(dict(following), 0) | dict(duck.execute(_RETURNED).fetchall())
    counted: dict[str, dict[tuple[Group, str | None, int], tuple[int, int]]] = {one.id: {} for one in chosen}
    for known_as, newcomer, offset, service, users, messages in duck.execute(
        _ACTIVITY.format(newcomer_days=NEWCOMER_DAYS, month=MONTH)
    ).fetchall():
        group: Group = "all" if newcomer is None else "newcomers" if newcomer else "existing"
        counted.setdefault(known_as, {})[group, service, offset] = users, messages
    absences = unheard(duck, conn)
    found = [
        _event(
            one,
            definitions,
            happened.get(one.id),
            heads.get(one.id, (0, 0)),
            returned,
            counted[one.id],
            as_of,
            absences,
        )
        for one in chosen
    ]
    found.sort(key=lambda event: (event.at is None, event.at or 0, event.id))
    return Events(as_of, all(whole), tuple(found))


def _event(
    one: Definition,
    definitions: Definitions,
    at: int | None,
    heads: tuple[int, int],
    returned: dict[str, int],
    counted: dict[tuple[Group, str | None, int], tuple[int, int]],
    as_of: int | None,
    absences: Sequence[Gap],
) -> Event:
    attendees, newcomers = heads
    sizes: dict[Group, int] = {"all": attendees, "newcomers": newcomers, "existing": attendees - newcomers}
    services = sorted({service for _, service, _ in counted if service is not None})
    rows: list[ActivityRow] = []
    if at is not None and as_of is not None:
        states = {k: span_state(_start(at, k), _end(at, k), as_of, absences) for k in OFFSETS}
        for group in GROUPS:
            for service in (None, *services):
                figures = {k: counted.get((group, service, k), (0, 0)) for k in OFFSETS}
                rows.append(activity_row(group, service, sizes[group], figures, states))
    return Event(
        one.id,
        one.name,
        at,
        one.id in definitions.events,
        attendees,
        newcomers,
        attendees - newcomers,
        one.successor,
        returned.get(one.id),
        tuple(rows),
    )


def activity_row(
    group: Group,
    service: str | None,
    heads: int,
    figures: dict[int, tuple[int, int]],
    states: dict[int, CellState],
) -> ActivityRow:
    """The row of a group of so many heads; figures: (active users, messages) by offset."""
    cells = tuple(
        MonthCell(k, None, None, None, states[k])
        if states[k] == "future"
        else MonthCell(k, *figures[k], figures[k][1] / heads if heads else None, states[k])
        for k in OFFSETS
    )
    return ActivityRow(group, service, cells, _side(cells[:4]), _side(cells[4:]))


def _side(cells: Sequence[MonthCell]) -> float | None:
    """Messages per head and month, over those of the months that are final."""
    means = [cell.mean for cell in cells if cell.mean is not None and cell.state == "final"]
    return sum(means) / len(means) if means else None


def _time_of(conn: sqlite3.Connection, one: Definition) -> int | None:
    """When the event was: its earliest award; its start where it has no badge."""
    if one.badge is None:
        return one.start
    found: int | None = conn.execute("SELECT min(at) FROM award WHERE badge = ?", (one.badge,)).fetchone()[0]
    return found


def _successors(definitions: Definitions, chosen: Sequence[Definition]) -> dict[str, Definition]:
    known = definitions.events
    return {known_as: known[known_as] for one in chosen if (known_as := one.successor) is not None}


def _start(at: int, offset: int) -> int:
    """Event time at which the month of that offset begins; whose instant is half a month rounds to the even one."""
    return at + (2 * offset - 1) * MONTH // 2


def _end(at: int, offset: int) -> int:
    return at + (2 * offset + 1) * MONTH // 2
