"""The funnel of a cohort: registers, contributes for the first time, sticks around; and who drops out where.

What comes before an account is on no bus. Visits and attempts to edit are known where a website's own counts were
brought in (topics track.visit and track.attempt), and not measured otherwise.
"""

import sqlite3
from typing import TYPE_CHECKING, Literal, NamedTuple, get_args

from metrics.asking.apart import fewest_apart
from metrics.programmes.activity import TRACK, define_activity
from metrics.programmes.participants import define_registrations
from metrics.programmes.spans import is_exact
from state.cells import CellState
from state.cohorts.algebra import parse, span_of
from state.cohorts.definitions import Definitions
from state.cohorts.members import define_members
from state.rules import Rules
from state.store import get_meta
from state.weeks import HOUR

if TYPE_CHECKING:
    import duckdb

StepName = Literal["visited", "attempted", "registered", "contributed", "stayed"]
STEPS: tuple[StepName, ...] = get_args(StepName)

#: The survival of the standard metrics: anything from a day after registration on.
AFTER_H = 24


class Step(NamedTuple):
    """How many came this far. users: None where it was not measured, or is not for everybody to see.

    of: those of the step before about whom it is known already; None where that was not measured. undecided: those
    whose time to take the step has only begun, in neither. state: `final` once nothing can change it.
    """

    name: StepName
    users: int | None
    of: int | None
    undecided: int
    state: CellState

    @property
    def drop(self) -> int | None:
        """Who did not take the step; None where it is not known, and where visitors were not counted whole."""
        return None if self.users is None or self.of is None or self.users > self.of else self.of - self.users

    @property
    def share(self) -> float | None:
        """users / of, 0 to 1; None where there is no drop to speak of."""
        return None if self.drop is None or self.users is None or not self.of else self.users / self.of


class Funnel(NamedTuple):
    """The steps of one cohort in their order. members: the cohort's size, registration known or not.

    t_h: hours after registration from which on staying counts; n: contributions it takes; sunset_h: hours within
    which, 0 for any time. apart: what `fewest_apart` says of the cohort.
    """

    as_of: int | None
    exact: bool
    cohort: str
    members: int | None
    t_h: int
    n: int
    sunset_h: int
    steps: tuple[Step, ...]
    apart: int | None


_STAYED = """
    WITH later AS (
        SELECT registration.username, registered_at,
            count(acted_at) AS contributions,
            count(acted_at) FILTER (acted_at >= registered_at + $t
                AND ($sunset = 0 OR acted_at < registered_at + $t + $sunset)) AS late
        FROM registration LEFT JOIN (
            SELECT username, acted_at FROM activity WHERE contributes AND username IN (SELECT username FROM member)
        ) AS activity ON activity.username = registration.username AND acted_at >= registered_at
        GROUP BY ALL)
    SELECT count(*), count(*) FILTER (contributions > 0),
        count(*) FILTER (late >= $n),
        count(*) FILTER (contributions > 0 AND late < $n AND registered_at + $t + $sunset > $as_of),
        min(registered_at)
    FROM later"""

#: DuckDB: whoever is named once, each without a name by itself.
_TRACKED = f"""
    SELECT action, count(DISTINCT username) + count(DISTINCT msg_id) FILTER (username IS NULL)
    FROM log JOIN topic_kind USING (topic)
    WHERE topic_kind.service = '{TRACK}' AND epoch_us(sent_at) >= $start AND epoch_us(sent_at) < $end
    GROUP BY action"""


def funnel(
    duck: "duckdb.DuckDBPyConnection",
    conn: sqlite3.Connection,
    rules: Rules,
    definitions: Definitions,
    cohort: str,
    *,
    t_h: int = AFTER_H,
    n: int = 1,
    sunset_h: int = 0,
    exact: bool = True,
) -> Funnel:
    """The funnel of a cohort expression, over the view `log`.

    Visits and attempts are those within the cohort's week, month, event or campaign; other cohorts have none.
    Raises HomecomingError for a cohort that there is not, and where its registrations lie in expired weeks and an
    exact answer is asked for.
    """
    as_of = get_meta(conn, "watermark")
    define_members(duck, conn, cohort, definitions, rules)
    apart = fewest_apart(duck, conn, cohort, definitions, rules)
    define_registrations(duck, conn, "member")
    define_activity(duck, conn, rules)
    (members,) = duck.execute("SELECT count(DISTINCT username) FROM member").fetchall()[0]
    asked = {"t": t_h * HOUR, "sunset": sunset_h * HOUR, "n": n, "as_of": as_of or 0}
    registered, contributed, stayed, early, first = duck.execute(_STAYED, asked).fetchall()[0]
    was_exact = first is None or is_exact(conn, first, f"the funnel of {cohort}", exact=exact)
    visited, attempted = _tracked(duck, _span(cohort, definitions))
    all_in = contributed == registered
    nothing_to_come = all_in and (stayed == contributed or (sunset_h > 0 and not early))
    steps = (
        Step("visited", visited, None, 0, "open"),
        Step("attempted", attempted, visited, 0, "open"),
        Step("registered", registered, attempted if attempted is not None else visited, 0, "open"),
        Step("contributed", contributed, registered, 0, "final" if all_in else "open"),
        Step("stayed", stayed, contributed - early, early, "final" if nothing_to_come else "open"),
    )
    return Funnel(as_of, was_exact, cohort, members, t_h, n, sunset_h, steps, apart)


def _span(cohort: str, definitions: Definitions) -> tuple[int, int] | None:
    """The time that a cohort's name tells, [start, end); None for other cohorts."""
    products = parse(cohort)
    term = products[0][0]
    if len(products) > 1 or len(products[0]) > 1:
        return None
    if term.kind in ("week", "month"):
        return span_of(term)
    if term.kind in ("event", "campaign"):
        one = definitions.of(term.kind)[term.value]
        return None if one.start is None or one.end is None else (one.start, one.end)
    return None


def _tracked(duck: "duckdb.DuckDBPyConnection", span: tuple[int, int] | None) -> tuple[int | None, int | None]:
    """Visitors and those who tried to edit; None where no such thing was ever measured, or the cohort has no time."""
    measured = {action for (action,) in duck.execute("SELECT action FROM topic_kind").fetchall()}
    if span is None:
        return None, None
    found = dict(duck.execute(_TRACKED, {"start": span[0], "end": span[1]}).fetchall())
    visit, attempt = (
        found.get(action, 0) if action in measured else None for action in (f"{TRACK}.visit", f"{TRACK}.attempt")
    )
    return visit, attempt
