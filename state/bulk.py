"""Folding many events into many users: DuckDB gathers what each user gains, the pure fold merges it.

Log files are written first and folded afterwards, by one job at a time. A job gathers the gains of all its
files once, into a scratch file in the order of names, and folds so many users a writing step, so that live
batches come between. How far it came is in the state: after a kill -9 any process goes on, and gathers the
same gains again where the scratch file is gone.
"""

import json
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

from state.duck import connect, literal
from state.fold import EARLY_DAYS, Facts, add, change, merge, populations_of
from state.log import DAYS, EVENTS, FOLDED, PENDING, UNDER_WAY, files, load_rows, parquet_sql
from state.rules import Rules
from state.store import Store, add_meta, get_meta, set_meta
from state.users import add_to_totals, insert_users, load_users, save_users, user_state

if TYPE_CHECKING:
    import duckdb

#: Progress: how many done, how many in all.
Progress = Callable[[int, int], None]

#: Users folded in one writing step, which then takes about a second.
USERS_A_STEP = 25_000

#: Users whose gains are gathered at a time: 100 weeks of each fit into what DuckDB may hold.
USERS_GATHERED = 200_000

#: Users merged in Python at a time, which bounds the memory of a step.
_USERS_AT_ONCE = 5_000

#: The days of a week (0 is Monday) that a bit mask stands for.
_BITS = [[bit for bit in range(7) if mask >> bit & 1] for mask in range(128)]

#: What the fold reads of a log row, or of a day summary, which stands for `events` events.
_OF_EVENTS = "username, role, topic, sent_at AS first_at, sent_at AS last_at, 1 AS events"
_OF_DAYS = "username, role, topic, first_at, last_at, events"

#: A row of gains: the columns of a user, and a state once they are merged.
_GAINS = "username, first_at, last_at, registered_at, events, weeks, early_days"


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
    set_meta(conn, "folding", json.dumps({"job": uuid4().hex, "done": 0}))
    return True


def fold_range(store: Store, users_a_step: int = USERS_A_STEP) -> bool:
    """The same as `fold_step`, inside a writing step of the caller's."""
    conn = store.conn
    scratch = _gathered(store)
    if scratch is None:
        return False
    work = json.loads(get_meta(conn, "folding"))
    done: int = work["done"]
    with connect(store.directory) as duck:
        rows = f"read_parquet({literal(str(scratch))}, file_row_number = true)"
        within = f"file_row_number >= {done} AND file_row_number < {done + users_a_step}"
        folded = _fold(store, duck, f"SELECT {_GAINS}, active FROM {rows} WHERE {within}")
    if folded == users_a_step:
        set_meta(conn, "folding", json.dumps({**work, "done": done + folded}))
        return True
    conn.execute("UPDATE segment SET folded = ? WHERE folded = ?", (FOLDED, UNDER_WAY))
    conn.execute("DELETE FROM meta WHERE key = 'folding'")
    scratch.unlink(missing_ok=True)
    return False


def fold_rows(store: Store, duck: "duckdb.DuckDBPyConnection", table: str) -> None:
    """Fold a relation of log rows, inside a writing step."""
    duck.execute(f"CREATE OR REPLACE VIEW gaining AS SELECT {_OF_EVENTS} FROM {table}")
    _fold(store, duck, _gains(store.rules, duck, "gaining"))


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
                found = duck.execute("SELECT num_rows FROM parquet_file_metadata(?)", [str(scratch)]).fetchall()
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
            _gather(store.rules, duck)
            options = "FORMAT parquet, ROW_GROUP_SIZE 8192"
            duck.execute(f"COPY (FROM gain ORDER BY username) TO {literal(str(unfinished))} ({options})")
        unfinished.rename(scratch)
    return scratch


def _gather(rules: Rules, duck: "duckdb.DuckDBPyConnection") -> None:
    """Make the table `gain` of the relation `gaining`, so many users at a time.

    Lists and texts that grow under an aggregation cannot be spilled; finished rows can.
    """
    bounds = duck.execute(
        f"""SELECT username FROM (
            SELECT username, row_number() OVER (ORDER BY username) AS place
            FROM (SELECT DISTINCT username FROM gaining WHERE username IS NOT NULL)
        ) WHERE place % {USERS_GATHERED} = 0 ORDER BY username"""
    ).fetchall()
    names = ["", *(name for (name,) in bounds), None]
    for place, (low, high) in enumerate(pairwise(names)):
        below = "" if high is None else f" AND username < {literal(high)}"
        duck.execute(
            f"CREATE OR REPLACE VIEW gaining_now AS FROM gaining WHERE username >= {literal(low or '')}{below}"
        )
        query = _gains(rules, duck, "gaining_now")
        duck.execute(f"INSERT INTO gain {query}" if place else f"CREATE TABLE gain AS {query}")


def _fold(store: Store, duck: "duckdb.DuckDBPyConnection", gains: str) -> int:
    """Merge the relation of gains into users and totals; how many users there were.

    What somebody gains of whom nothing is known yet is their state as it stands: it goes from DuckDB to SQLite
    without becoming a UserState. Everybody else is merged.
    """
    store.check_rules()
    duck.execute(f"CREATE OR REPLACE TABLE gain AS {gains}")
    users, first, last = duck.execute("SELECT count(*), min(username), max(username) FROM gain").fetchall()[0]
    if not users:
        return 0
    names = store.conn.execute("SELECT name FROM user WHERE name BETWEEN ? AND ?", (first, last))
    load_rows(duck, "known", {"name": "VARCHAR"}, iter(lambda: names.fetchmany(_USERS_AT_ONCE), []))
    delta: Facts = Counter()
    known = duck.execute(f"SELECT {_GAINS} FROM gain WHERE username IN (FROM known) ORDER BY username")
    met = 0
    while rows := known.fetchmany(_USERS_AT_ONCE):
        met += len(rows)
        states = load_users(store.conn, [row[0] for row in rows])
        for name, *gain in rows:
            before = states[name]
            states[name] = after = merge(before, user_state(*gain))
            add(delta, change(before, after, store.rules))
        save_users(store.conn, states)
    newcomers = duck.execute(f"SELECT {_GAINS}, 0 FROM gain WHERE username NOT IN (FROM known) ORDER BY username")
    while rows := newcomers.fetchmany(_USERS_AT_ONCE):
        insert_users(store.conn, rows)
    add(delta, _facts_of_newcomers(duck, store.rules))
    add_to_totals(store.conn, delta)
    add_meta(store.conn, "users", users - met)
    return int(users)


def _facts_of_newcomers(duck: "duckdb.DuckDBPyConnection", rules: Rules) -> Facts:
    """What the users of `gain` who are not `known` contribute; the sum of state.fold.facts over them."""
    groups = duck.execute(
        f"""SELECT cohort, week - cohort, engaged, count(*) FROM (
            SELECT (registered_at // 86400000000 + 3) // 7 AS cohort, events >= {rules.engaged_events} AS engaged,
                unnest(active) AS week
            FROM gain WHERE registered_at IS NOT NULL AND username NOT IN (FROM known)
        ) WHERE week >= cohort GROUP BY ALL"""
    ).fetchall()
    found: Facts = Counter()
    for cohort, offset, engaged, users in groups:
        for population in populations_of(rules.engaged_events if engaged else 0, flagged=False, rules=rules):
            found[cohort, offset, population] += users
    return found


def _of_files(store: Store, folded: int) -> str:
    """SQL: what the fold reads of the files in that state of folding."""
    parts = []
    for kind, columns in ((EVENTS, _OF_EVENTS), (DAYS, _OF_DAYS)):
        if names := files(store.conn, kind, folded=folded):
            parts.append(f"SELECT {columns} FROM {parquet_sql(store.directory, names)}")
    return " UNION ALL ".join(parts)


def _gains(rules: Rules, duck: "duckdb.DuckDBPyConnection", relation: str) -> str:
    """SQL: one row a user in the order of names: the columns of what the relation's rows alone would make of them,
    and `active`, the weeks as a list.

    A week's active days are a bit mask on the way, bit 0 being its Monday; the earliest five days lie in the
    earliest five weeks.
    """
    topics = [topic for (topic,) in duck.execute(f"SELECT DISTINCT topic FROM {relation}").fetchall()]
    creating = ", ".join(map(literal, rules.registration_topics(topics))) or "NULL"
    counted = "TRUE" if rules.attribution == "any" else "role = 'actor'"
    return f"""
        SELECT username, first_at, last_at, registered_at, events, weeks, active,
            to_json(flatten(list_transform(early, lambda week: list_transform(
                {_BITS}[week % 128 + 1], lambda bit: week // 128 * 7 - 3 + bit)))[:{EARLY_DAYS}])::VARCHAR AS early_days
        FROM (
            SELECT username, min(first_at) AS first_at, max(last_at) AS last_at, min(registered_at) AS registered_at,
                sum(events)::BIGINT AS events, min(week * 128 + days, {EARLY_DAYS}) AS early, list(week) AS active,
                '{{' || string_agg('"' || week || '":' || events, ',') || '}}' AS weeks
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
            ) GROUP BY username
        ) ORDER BY username"""
