"""Folding many events into many users: DuckDB gathers what each user gains, and adds it to what is known of them.

Log files are written first and folded afterwards, by one job at a time. A job gathers the gains of all its
files once, into a scratch file in the order of names, and folds so many users a writing step, so that live
batches come between. How far it came is in the state: after a kill -9 any process goes on, and gathers the
same gains again where the scratch file is gone.
"""

import json
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

from state.duck import connect, literal
from state.fold import EARLY_DAYS, Facts, populations_of
from state.log import DAYS, EVENTS, FOLDED, PENDING, UNDER_WAY, files, load_rows, parquet_sql
from state.rules import Rules
from state.store import Store, add_meta, get_meta, set_meta
from state.users import add_to_totals, save_rows, user_rows

if TYPE_CHECKING:
    import duckdb

#: Progress: how many done, how many in all.
Progress = Callable[[int, int], None]

#: Users folded in one writing step, which then takes about half a second, or two where all of them are known; 100 weeks
#: of each fit into what DuckDB may hold.
USERS_A_STEP = 40_000

_ROWS_AT_ONCE = 5_000

#: The days of a week (0 is Monday) that a bit mask stands for.
_BITS = [[bit for bit in range(7) if mask >> bit & 1] for mask in range(128)]

#: What the fold reads of a log row, or of a day summary, which stands for `events` events.
_OF_EVENTS = "username, role, topic, sent_at AS first_at, sent_at AS last_at, 1 AS events"
_OF_DAYS = "username, role, topic, first_at, last_at, events"

#: A user as DuckDB sees them: times in microseconds, weeks and early_days as JSON.
_USER = {
    "username": "VARCHAR",
    "first_at": "BIGINT",
    "last_at": "BIGINT",
    "registered_at": "BIGINT",
    "events": "BIGINT",
    "weeks": "VARCHAR",
    "early_days": "VARCHAR",
    "flagged": "INTEGER",
}

#: SQL: gains of the same week as one; `days` is a bit mask of the week's active days, bit 0 being its Monday.
_TOGETHER = """username, week, min(first_at) AS first_at, max(last_at) AS last_at, min(registered_at) AS registered_at,
    sum(events)::BIGINT AS events, bit_or(days) AS days"""

#: SQL: the weeks of those of the users who are known, and all that is known of them as gains: events by week without
#: their days, early days without their events.
_KNOWN_WEEKS = """
    SELECT username, key::INTEGER AS week, first_at, last_at, registered_at, value::BIGINT AS events,
        0::UTINYINT AS days
    FROM known, json_each(weeks)"""
_KNOWN_GAINS = f"""{_KNOWN_WEEKS}
    UNION ALL
    SELECT username, (day + 3) // 7, first_at, last_at, registered_at, 0, 1::UTINYINT << ((day + 3) % 7)::UTINYINT
    FROM (SELECT *, unnest(early_days::INTEGER[]) AS day FROM known)"""

#: SQL: users as their gains make them. The earliest five days lie in the earliest five weeks with days.
_USERS_OF_GAINS = f"""
    SELECT username, first_at, last_at, registered_at, events, weeks,
        to_json(flatten(list_transform(early, lambda week: list_transform(
            {_BITS}[week % 128 + 1], lambda bit: week // 128 * 7 - 3 + bit)))[:{EARLY_DAYS}])::VARCHAR AS early_days,
        coalesce(flagged, 0) AS flagged
    FROM (
        SELECT username, min(first_at) AS first_at, max(last_at) AS last_at, min(registered_at) AS registered_at,
            sum(events)::BIGINT AS events, '{{' || string_agg('"' || week || '":' || events, ',') || '}}' AS weeks,
            min(week * 128 + days, {EARLY_DAYS}) FILTER (days > 0) AS early
        FROM gain GROUP BY username
    ) LEFT JOIN (SELECT username, flagged FROM known) USING (username)"""


def no_progress(_done: int, _all: int) -> None:
    """For whoever does not look."""


def fold_pending(store: Store, users_a_step: int = USERS_A_STEP, progress: Progress = no_progress) -> bool:
    """Fold every log file that is not folded yet; whether there was any. progress: users done, users in all."""
    worked = False
    while True:
        with store.writing():
            if not begin_folding(store):
                return worked
        users = _gather_ahead(store)
        done = 0
        progress(done, users)
        while fold_step(store, users_a_step):
            done += users_a_step
            progress(done, max(done, users))
        progress(users, users)
        worked = True


def fold_step(store: Store, users_a_step: int = USERS_A_STEP) -> bool:
    """Fold the next users of the job that is under way; False once it is done."""
    with store.writing():
        return fold_range(store, users_a_step)


def begin_folding(store: Store) -> bool:
    """Make one job of all pending files unless one is under way, inside a writing step; whether there is one."""
    conn = store.conn
    if get_meta(conn, "folding") is not None:
        return True
    if not files(conn, folded=PENDING, kind=None):
        return False
    conn.execute("UPDATE segment SET folded = ? WHERE folded = ?", (UNDER_WAY, PENDING))
    set_meta(conn, "folding", json.dumps({"job": uuid4().hex, "through": None}))
    return True


def fold_range(store: Store, users_a_step: int = USERS_A_STEP) -> bool:
    """The same as `fold_step`, inside a writing step of the caller's."""
    conn = store.conn
    scratch = _gathered(store)
    if scratch is None:
        return False
    work = json.loads(get_meta(conn, "folding"))
    with connect(store.directory) as duck:
        last = _fold_next(store, duck, f"read_parquet({literal(str(scratch))})", work["through"], users_a_step)
    if last is not None:
        set_meta(conn, "folding", json.dumps({**work, "through": last}))
        return True
    conn.execute("UPDATE segment SET folded = ? WHERE folded = ?", (FOLDED, UNDER_WAY))
    conn.execute("DELETE FROM meta WHERE key = 'folding'")
    scratch.unlink(missing_ok=True)
    return False


def fold_rows(store: Store, duck: "duckdb.DuckDBPyConnection", table: str) -> None:
    """Fold a relation of log rows, inside a writing step."""
    duck.execute(f"CREATE OR REPLACE VIEW gaining AS SELECT {_OF_EVENTS} FROM {table}")
    duck.execute(f"CREATE OR REPLACE TABLE gathered AS {_gains(store.rules, duck)}")
    last = _fold_next(store, duck, "gathered", None)
    while last is not None:
        last = _fold_next(store, duck, "gathered", last)


def _gather_ahead(store: Store) -> int:
    """Gather outside of a writing step, because it may take a while; how many users gain.

    Another process may end the job meanwhile, and a merge take its files away: then, and where anything else is
    wrong, the next step finds out.
    """
    import duckdb  # noqa: PLC0415 - loaded only when used

    with suppress(duckdb.Error, FileNotFoundError):
        scratch = _gathered(store)
        if scratch is not None:
            with connect(store.directory) as duck:
                found = duck.execute("SELECT count(DISTINCT username) FROM read_parquet(?)", [str(scratch)]).fetchall()
            return int(found[0][0])
    return 0


def _gathered(store: Store) -> Path | None:
    """The gains of the job that is under way, as a file in the order of names; None where there is no job."""
    found = get_meta(store.conn, "folding")
    if found is None:
        return None
    scratch = store.directory / "tmp" / f"gains-{json.loads(found)['job']}.parquet"
    if not scratch.exists():
        unfinished = scratch.with_suffix(f".{uuid4().hex}")  # another process may gather the same job
        with connect(store.directory) as duck:
            duck.execute(f"CREATE VIEW gaining AS {_of_files(store, UNDER_WAY)}")
            options = "FORMAT parquet, ROW_GROUP_SIZE 32768"
            duck.execute(f"COPY ({_gains(store.rules, duck)}) TO {literal(str(unfinished))} ({options})")
        unfinished.rename(scratch)
    return scratch


def _of_files(store: Store, folded: int) -> str:
    """SQL: what the fold reads of the files in that state of folding."""
    parts = []
    for kind, columns in ((EVENTS, _OF_EVENTS), (DAYS, _OF_DAYS)):
        if names := files(store.conn, kind, folded=folded):
            parts.append(f"SELECT {columns} FROM {parquet_sql(store.directory, names)}")
    return " UNION ALL ".join(parts)


def _gains(rules: Rules, duck: "duckdb.DuckDBPyConnection") -> str:
    """SQL: what the relation `gaining` brings each user, one row a user and week, in the order of names."""
    topics = [topic for (topic,) in duck.execute("SELECT DISTINCT topic FROM gaining").fetchall()]
    creating = ", ".join(map(literal, rules.registration_topics(topics))) or "NULL"
    counted = "TRUE" if rules.attribution == "any" else "role = 'actor'"
    return f"""
        SELECT {_TOGETHER} FROM (
            SELECT username, day // 7 AS week, first_at, last_at, events, 1::UTINYINT << (day % 7)::UTINYINT AS days,
                CASE WHEN creates THEN first_at END AS registered_at
            FROM (
                SELECT username, epoch_us(first_at) AS first_at, epoch_us(last_at) AS last_at, events,
                    (epoch_us(first_at) // 86400000000 + 3)::INTEGER AS day,
                    role = 'actor' AND topic IN ({creating}) AS creates
                FROM gaining WHERE username IS NOT NULL AND {counted}
            )
        ) GROUP BY username, week ORDER BY username"""


def _fold_next(
    store: Store,
    duck: "duckdb.DuckDBPyConnection",
    gathered: str,
    after: str | None,
    users_a_step: int = USERS_A_STEP,
) -> str | None:
    """Add the gains of the next users to users and totals; the last one's name, None where there is nobody left.

    after: the last name that is done.
    """
    store.check_rules()
    waiting = f"{gathered} WHERE {'TRUE' if after is None else f'username > {literal(after)}'}"
    users, last = duck.execute(
        f"SELECT count(*), max(username) FROM (SELECT DISTINCT username FROM {waiting} ORDER BY 1 LIMIT {users_a_step})"
    ).fetchall()[0]
    if not users:
        return None
    duck.execute(f"CREATE OR REPLACE TABLE gain AS FROM {waiting} AND username <= {literal(last)}")
    names = duck.execute("SELECT DISTINCT username FROM gain").fetchall()
    load_rows(duck, "known", _USER, user_rows(store.conn, [name for (name,) in names]))
    (met,) = duck.execute("SELECT count(*) FROM known").fetchall()[0]
    if met:
        duck.execute(
            f"""CREATE TABLE together AS SELECT {_TOGETHER} FROM (FROM gain UNION ALL BY NAME {_KNOWN_GAINS})
            GROUP BY username, week; DROP TABLE gain; ALTER TABLE together RENAME TO gain"""
        )
    duck.execute(f"CREATE OR REPLACE TABLE gainer AS {_USERS_OF_GAINS}")
    gainers = duck.execute("FROM gainer ORDER BY username")
    while rows := gainers.fetchmany(_ROWS_AT_ONCE):
        save_rows(store.conn, rows)
    delta = _facts(duck, store.rules, "gainer", "gain")
    if met:
        delta.subtract(_facts(duck, store.rules, "known", f"({_KNOWN_WEEKS})"))
    add_to_totals(store.conn, delta)
    add_meta(store.conn, "users", users - met)
    return str(last)


def _facts(duck: "duckdb.DuckDBPyConnection", rules: Rules, users: str, weeks: str) -> Facts:
    """What the users contribute; the sum of state.fold.facts over them. weeks: a relation of user and week."""
    groups = duck.execute(
        f"""SELECT cohort, week - cohort, seen, flagged, count(*) FROM (
            SELECT username, (registered_at // 86400000000 + 3) // 7 AS cohort, flagged,
                least(events, {rules.engaged_events}) AS seen
            FROM {users} WHERE registered_at IS NOT NULL
        ) JOIN {weeks} USING (username) WHERE week >= cohort GROUP BY ALL"""
    ).fetchall()
    found: Facts = Counter()
    for cohort, offset, events, flagged, count in groups:
        for population in populations_of(events, bool(flagged), rules):
            found[cohort, offset, population] += count
    return found
