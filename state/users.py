"""Users and totals as rows: loading and saving UserStates, adding signed facts."""

import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from state.fold import UserState

_ROWS_AT_ONCE = 5_000

_ADD_TO_TOTAL = """INSERT INTO cohort_week VALUES (?, ?, ?, ?)
    ON CONFLICT DO UPDATE SET users = users + excluded.users"""


def load_users(conn: sqlite3.Connection, names: Iterable[str]) -> dict[str, UserState]:
    """The states of those of the users who have one."""
    return {name: _state(*columns) for rows in user_rows(conn, names) for name, *columns in rows}


def user_rows(conn: sqlite3.Connection, names: Iterable[str]) -> Iterator[list[tuple[Any, ...]]]:
    """Batches of the rows of those of the users who have one."""
    wanted = json.dumps(list(names))
    found = conn.execute("SELECT * FROM user WHERE name IN (SELECT value FROM json_each(?))", (wanted,))
    return iter(lambda: found.fetchmany(_ROWS_AT_ONCE), [])


def _state(
    first_seen: int,
    last_seen: int,
    registered_at: int | None,
    events: int,
    weeks: str,
    early_days: str,
    flagged: int,
) -> UserState:
    return UserState(
        first_seen,
        last_seen,
        registered_at,
        events,
        {int(week): count for week, count in json.loads(weeks).items()},
        tuple(json.loads(early_days)),
        bool(flagged),
    )


def save_rows(conn: sqlite3.Connection, rows: Iterable[Sequence[object]]) -> None:
    """Write the rows of users, inside a writing step; in the order of names, so that neighbours share a page."""
    # A row that is replaced is written anew into every index; most of them change in what no index holds.
    conn.executemany(
        """INSERT INTO user VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) ON CONFLICT (name) DO UPDATE SET
            first_seen = ?2, last_seen = ?3, events = ?5, weeks = ?6, early_days = ?7, flagged = ?8""",
        rows := [*rows],
    )
    conn.executemany(
        "UPDATE user SET registered_at = ?2 WHERE name = ?1 AND registered_at IS NOT ?2",
        [(row[0], row[3]) for row in rows],
    )


def save_users(conn: sqlite3.Connection, states: Mapping[str, UserState]) -> None:
    """Write the states, inside a writing step."""
    save_rows(
        conn,
        (
            (
                name,
                state.first_seen,
                state.last_seen,
                state.registered_at,
                state.events,
                # JSON written by hand: json.dumps is several times slower.
                "{" + ",".join([f'"{week}":{events}' for week, events in state.weeks.items()]) + "}",
                str(list(state.early_days)),
                state.flagged,
            )
            for name, state in sorted(states.items())
        ),
    )


def add_to_totals(conn: sqlite3.Connection, delta: Mapping[tuple[int, int, str], int]) -> None:
    """Add signed facts to the totals, inside a writing step; a total of nobody is no row."""
    conn.executemany(_ADD_TO_TOTAL, ((*fact, users) for fact, users in delta.items() if users))
    if any(users < 0 for users in delta.values()):
        conn.execute("DELETE FROM cohort_week WHERE users = 0")
