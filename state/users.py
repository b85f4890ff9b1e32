"""Users and totals as rows: loading and saving UserStates, adding signed facts."""

import json
import sqlite3
from collections.abc import Iterable, Mapping, Sequence

from state.fold import UserState

_ADD_TO_TOTAL = """INSERT INTO cohort_week VALUES (?, ?, ?, ?)
    ON CONFLICT DO UPDATE SET users = users + excluded.users"""


def load_users(conn: sqlite3.Connection, names: Iterable[str]) -> dict[str, UserState]:
    """The states of those of the users who have one."""
    rows = conn.execute(
        """SELECT name, first_seen, last_seen, registered_at, events, weeks, early_days, flagged
           FROM user WHERE name IN (SELECT value FROM json_each(?))""",
        (json.dumps(list(names)),),
    )
    return {name: user_state(*state) for name, *state in rows}


def user_state(
    first_seen: int,
    last_seen: int,
    registered_at: int | None,
    events: int,
    weeks: str,
    early_days: str,
    flagged: int = 0,
) -> UserState:
    """The state that the columns of a user hold."""
    return UserState(
        first_seen,
        last_seen,
        registered_at,
        events,
        {int(week): count for week, count in json.loads(weeks).items()},
        tuple(json.loads(early_days)),
        bool(flagged),
    )


def insert_users(conn: sqlite3.Connection, rows: Iterable[Sequence[object]]) -> None:
    """Insert rows of users of whom nothing was known, inside a writing step."""
    conn.executemany("INSERT INTO user VALUES (?, ?, ?, ?, ?, ?, ?, ?)", rows)


def save_users(conn: sqlite3.Connection, states: Mapping[str, UserState]) -> None:
    """Write the states, inside a writing step; sorted, so that neighbours share a page."""
    conn.executemany(
        "INSERT OR REPLACE INTO user VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (
            (
                name,
                state.first_seen,
                state.last_seen,
                state.registered_at,
                state.events,
                # JSON written by hand: json.dumps took a third of the time of a bulk fold.
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
