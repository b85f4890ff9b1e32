"""The retention table and the status, out of the views alone."""

import sqlite3
from collections import defaultdict
from typing import NamedTuple

from state.cells import CellState, cell_state, weeks_touched
from state.coverage import gaps
from state.errors import HomecomingError
from state.rules import POPULATIONS
from state.spam.lifecycle import WAVE_MEMBER
from state.store import SCHEMA_VERSION, get_meta
from state.weeks import week_of


class Cell(NamedTuple):
    """Users of a cohort who were active `offset` weeks after the cohort's; None where the week has not begun."""

    offset: int
    users: int | None
    state: CellState


class Cohort(NamedTuple):
    """The users whose account was created in `week`."""

    week: int
    size: int
    cells: tuple[Cell, ...]


class Retention(NamedTuple):
    """The retention table of one population; as_of is the watermark, None for an empty state."""

    as_of: int | None
    population: str
    cohorts: tuple[Cohort, ...]


class Status(NamedTuple):
    """How much is kept. messages: distinct ids accepted; events: (message, user) pairs; times in event time."""

    messages: int
    events: int
    users: int
    dead_letters: int
    watermark: int | None
    flags_open: int
    schema_version: int


#: A cohort is a row of offset 0: creating the account is its first activity.
_CELLS = """
    SELECT cohort, offset, users FROM cohort_week
    WHERE population = :population AND (:weeks IS NULL OR offset < :weeks) AND cohort >= (
        SELECT min(cohort) FROM (
            SELECT cohort FROM cohort_week WHERE population = :population AND offset = 0
            ORDER BY cohort DESC LIMIT :latest))"""


def retention(
    conn: sqlite3.Connection,
    population: str = "all",
    weeks: int | None = None,
    latest: int | None = None,
) -> Retention:
    """The table in the order of its cohorts; every cell from offset 0 to the watermark's week.

    weeks: so many offsets instead, those ahead of the watermark being `future`. latest: only so many of
    the newest cohorts. Raises HomecomingError for a population that there is not.
    """
    if population not in POPULATIONS:
        raise HomecomingError(f"no population {population!r}: one of {', '.join(POPULATIONS)}")
    watermark = get_meta(conn, "watermark")
    if watermark is None:
        return Retention(None, population, ())
    newest = week_of(watermark)
    users: dict[int, dict[int, int]] = defaultdict(dict)
    for cohort, offset, count in conn.execute(
        _CELLS, {"population": population, "weeks": weeks, "latest": latest or -1}
    ):
        users[cohort][offset] = count
    oldest = min(users, default=newest)
    touched = weeks_touched(gaps(conn))
    width = newest - oldest + 1 if weeks is None else weeks
    states = [cell_state(week, watermark, touched) for week in range(oldest, max(newest, newest + width) + 1)]
    cohorts = tuple(
        Cohort(
            week=cohort,
            size=users[cohort].get(0, 0),
            cells=tuple(
                Cell(offset, None if state == "future" else users[cohort].get(offset, 0), state)
                for offset, state in enumerate(
                    states[cohort - oldest : cohort - oldest + (newest - cohort + 1 if weeks is None else weeks)]
                )
            ),
        )
        for cohort in sorted(users)
    )
    return Retention(watermark, population, cohorts)


def status(conn: sqlite3.Connection) -> Status:
    """Counts of what the state holds."""
    (dead,) = conn.execute("SELECT count(*) FROM dead_letter").fetchone()
    (flags_open,) = conn.execute(
        "SELECT count(*) FROM flag WHERE state IN ('suspect', 'raised', 'confirmed') AND rule <> ?", (WAVE_MEMBER,)
    ).fetchone()
    return Status(
        messages=get_meta(conn, "messages", 0),
        events=get_meta(conn, "events", 0),
        users=get_meta(conn, "users", 0),
        dead_letters=dead,
        watermark=get_meta(conn, "watermark"),
        flags_open=flags_open,
        schema_version=SCHEMA_VERSION,
    )
