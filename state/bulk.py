"""Folding many events into many users: DuckDB gathers what each user gains, the pure fold merges it.

Log files are written first and folded afterwards. The fold goes through the users in ranges of names, one
writing step a range, and records in the state how far it came; any process may take the next step, so that
a kill -9 leaves nothing half done and live batches come between.
"""

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from state.duck import connect, literal
from state.fold import EARLY_DAYS, Facts, UserState, change, merge
from state.log import DAYS, EVENTS, FOLDED, PENDING, UNDER_WAY, files, parquet_sql
from state.store import Store, add_meta, get_meta, set_meta
from state.users import add_to_totals, load_users, save_users
from state.weeks import first_day

if TYPE_CHECKING:
    import duckdb

#: Users folded in one writing step, which then takes about a second.
USERS_A_STEP = 25_000

#: Users merged in Python at a time, which bounds the memory of a step.
_USERS_AT_ONCE = 5_000

#: What the fold reads of a log row, or of a day summary, which stands for `events` events.
_OF_EVENTS = "username, role, topic, sent_at AS first_at, sent_at AS last_at, 1 AS events"
_OF_DAYS = "username, role, topic, first_at, last_at, events"


def fold_pending(store: Store, users_a_step: int = USERS_A_STEP) -> bool:
    """Fold every log file that is not folded yet; whether there was any."""
    with store.writing():
        work = begin_folding(store, users_a_step)
    if work:
        while fold_step(store):
            pass
        fold_pending(store, users_a_step)  # files that were written while the job ran
    return work


def fold_step(store: Store) -> bool:
    """Fold the next range of users; False once none is left."""
    with store.writing():
        return fold_range(store)


def fold_range(store: Store) -> bool:
    """The same inside a writing step of the caller's."""
    conn = store.conn
    job = get_meta(conn, "folding")
    if job is None:
        return False
    low, high, *rest = json.loads(job)
    with connect(store.directory) as duck:
        below = "" if high is None else f" AND username < {literal(high)}"
        duck.execute(f"CREATE VIEW range AS {_relation(store, UNDER_WAY)} WHERE username >= {literal(low)}{below}")
        fold_in(store, duck, "range")
    if high is None:
        conn.execute("UPDATE segment SET folded = ? WHERE folded = ?", (FOLDED, UNDER_WAY))
        conn.execute("DELETE FROM meta WHERE key = 'folding'")
        return False
    set_meta(conn, "folding", json.dumps([high, *rest]))
    return True


def fold_in(store: Store, duck: "duckdb.DuckDBPyConnection", relation: str) -> None:
    """Fold a relation of username, role, topic, first_at, last_at, events, inside a writing step."""
    delta: Facts = Counter()
    new_users = 0
    for gains in _gains(store, duck, relation):
        states = load_users(store.conn, gains)
        new_users += len(gains) - len(states)
        for name, gain in gains.items():
            before = states.get(name)
            states[name] = after = merge(before, gain)
            for fact, users in change(before, after, store.rules).items():
                delta[fact] += users
        save_users(store.conn, states)
    add_to_totals(store.conn, delta)
    add_meta(store.conn, "users", new_users)


def fold_rows(store: Store, duck: "duckdb.DuckDBPyConnection", table: str) -> None:
    """Fold a relation of log rows, inside a writing step."""
    duck.execute(f"CREATE OR REPLACE VIEW range AS SELECT {_OF_EVENTS} FROM {table}")
    fold_in(store, duck, "range")


def begin_folding(store: Store, users_a_step: int = USERS_A_STEP) -> bool:
    """Make one job of all pending files, unless one is under way, inside a writing step; whether there is one."""
    conn = store.conn
    if get_meta(conn, "folding") is not None:
        return True
    if not files(conn, folded=PENDING, kind=None):
        return False
    with connect(store.directory) as duck:
        bounds = duck.execute(
            f"""SELECT username FROM (
                SELECT username, row_number() OVER (ORDER BY username) AS place
                FROM (SELECT DISTINCT username {_relation(store, PENDING)} WHERE username IS NOT NULL)
            ) WHERE place % {users_a_step} = 0 ORDER BY username"""
        ).fetchall()
    conn.execute("UPDATE segment SET folded = ? WHERE folded = ?", (UNDER_WAY, PENDING))
    set_meta(conn, "folding", json.dumps(["", *(name for (name,) in bounds), None]))
    return True


def _relation(store: Store, folded: int) -> str:
    """SQL: the rows of the files in that state of folding."""
    parts = []
    for kind, columns in ((EVENTS, _OF_EVENTS), (DAYS, _OF_DAYS)):
        if names := files(store.conn, kind, folded=folded):
            parts.append(f"SELECT {columns} FROM {parquet_sql(store.directory, names)}")
    return f"FROM ({' UNION ALL '.join(parts)})"


def _gains(store: Store, duck: "duckdb.DuckDBPyConnection", relation: str) -> Iterator[dict[str, UserState]]:
    """What each user gains by the relation's rows, as the state they alone would make, in the order of names."""
    topics = [topic for (topic,) in duck.execute(f"SELECT DISTINCT topic FROM {relation}").fetchall()]
    creating = ", ".join(map(literal, store.rules.registration_topics(topics))) or "NULL"
    counted = "TRUE" if store.rules.attribution == "any" else "role = 'actor'"
    result = duck.execute(
        f"""SELECT username, min(first_at), max(last_at), min(registered_at), sum(events)::BIGINT,
            list(week), list(events), list(days)
        FROM (
            SELECT username, day // 7 AS week, min(first_at) AS first_at, max(last_at) AS last_at,
                sum(events)::BIGINT AS events, bit_or(1::UTINYINT << (day % 7)::UTINYINT) AS days,
                min(first_at) FILTER (creates) AS registered_at
            FROM (
                SELECT username, epoch_us(first_at) AS first_at, epoch_us(last_at) AS last_at, events,
                    (epoch_us(first_at) // 86400000000 + 3)::INTEGER AS day,
                    role = 'actor' AND topic IN ({creating}) AS creates
                FROM {relation} WHERE username IS NOT NULL AND {counted}
            ) GROUP BY username, week
        ) GROUP BY username ORDER BY username"""
    )
    while rows := result.fetchmany(_USERS_AT_ONCE):
        yield {
            name: UserState(
                first,
                last,
                registered,
                events,
                dict(zip(weeks, counts, strict=True)),
                _early_days(weeks, days),
            )
            for name, first, last, registered, events, weeks, counts, days in rows
        }


def _early_days(weeks: Sequence[int], days: Sequence[int]) -> tuple[int, ...]:
    """The earliest active days, from each week's days as a bit mask (bit 0 is its Monday)."""
    early: list[int] = []
    for week, mask in sorted(zip(weeks, days, strict=True)):
        monday = first_day(week)
        early.extend(monday + bit for bit in range(7) if mask >> bit & 1)
        if len(early) >= EARLY_DAYS:
            break
    return tuple(early[:EARLY_DAYS])
