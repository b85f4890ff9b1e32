"""Folding many events into many users: DuckDB gathers what each user gains, the pure fold merges it.

Log files are written first and folded afterwards, by one job at a time. A job gathers the gains of all its
files once, into a scratch file in the order of names, and folds so many users a writing step, so that live
batches come between. How far it came is in the state: after a kill -9 any process goes on, and gathers the
same gains again where the scratch file is gone.
"""

import json
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

from state.duck import connect, literal
from state.fold import EARLY_DAYS, Facts, UserState, add, change, facts_of_all, merge
from state.log import DAYS, EVENTS, FOLDED, PENDING, UNDER_WAY, files, parquet_sql
from state.rules import Rules
from state.store import Store, add_meta, get_meta, set_meta
from state.users import add_to_totals, load_users, save_users
from state.weeks import first_day

if TYPE_CHECKING:
    import duckdb

#: Progress: how many done, how many in all.
Progress = Callable[[int, int], None]

#: Users folded in one writing step, which then takes about a second.
USERS_A_STEP = 25_000

#: Users merged in Python at a time, which bounds the memory of a step.
_USERS_AT_ONCE = 5_000

#: The days of a week (0 is Monday) that a bit mask stands for.
_BITS = [[bit for bit in range(7) if mask >> bit & 1] for mask in range(128)]

#: What the fold reads of a log row, or of a day summary, which stands for `events` events.
_OF_EVENTS = "username, role, topic, sent_at AS first_at, sent_at AS last_at, 1 AS events"
_OF_DAYS = "username, role, topic, first_at, last_at, events"

_GAINS = "username, first_at, last_at, registered_at, events, weeks, counts, days"


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
        result = duck.execute(
            f"SELECT {_GAINS} FROM {rows} WHERE file_row_number >= {done} AND file_row_number < {done + users_a_step}"
            " ORDER BY file_row_number"
        )
        folded = _fold(store, result)
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
    _fold(store, duck.execute(_gains(store.rules, duck, "gaining")))


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
            query = _gains(store.rules, duck, "gaining")
            duck.execute(f"COPY ({query}) TO {literal(str(unfinished))} (FORMAT parquet, ROW_GROUP_SIZE 8192)")
        unfinished.rename(scratch)
    return scratch


def _fold(store: Store, gains: "duckdb.DuckDBPyConnection") -> int:
    """Merge rows of gains into users and totals; how many users there were."""
    store.check_rules()
    delta: Facts = Counter()
    new_users = folded = 0
    while rows := gains.fetchmany(_USERS_AT_ONCE):
        known = load_users(store.conn, [row[0] for row in rows])
        states = {}
        for name, first, last, registered, events, weeks, counts, days in rows:
            by_week = dict(zip(weeks, counts, strict=True))
            gain = UserState(first, last, registered, events, by_week, _early_days(weeks, days))
            states[name] = merge(known.get(name), gain)
        for name, before in known.items():
            add(delta, change(before, states[name], store.rules))
        add(delta, facts_of_all((state for name, state in states.items() if name not in known), store.rules))
        save_users(store.conn, states)
        new_users += len(states) - len(known)
        folded += len(states)
    add_to_totals(store.conn, delta)
    add_meta(store.conn, "users", new_users)
    return folded


def _of_files(store: Store, folded: int) -> str:
    """SQL: what the fold reads of the files in that state of folding."""
    parts = []
    for kind, columns in ((EVENTS, _OF_EVENTS), (DAYS, _OF_DAYS)):
        if names := files(store.conn, kind, folded=folded):
            parts.append(f"SELECT {columns} FROM {parquet_sql(store.directory, names)}")
    return " UNION ALL ".join(parts)


def _gains(rules: Rules, duck: "duckdb.DuckDBPyConnection", relation: str) -> str:
    """SQL: one row a user in the order of names: what the relation's rows alone would make of that user.

    A week's active days are a bit mask, bit 0 being its Monday.
    """
    topics = [topic for (topic,) in duck.execute(f"SELECT DISTINCT topic FROM {relation}").fetchall()]
    creating = ", ".join(map(literal, rules.registration_topics(topics))) or "NULL"
    counted = "TRUE" if rules.attribution == "any" else "role = 'actor'"
    return f"""
        SELECT username, min(first_at) AS first_at, max(last_at) AS last_at, min(registered_at) AS registered_at,
            sum(events)::BIGINT AS events, list(week) AS weeks, list(events) AS counts, list(days) AS days
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


def _early_days(weeks: Sequence[int], masks: Sequence[int]) -> tuple[int, ...]:
    early: list[int] = []
    for week, mask in sorted(zip(weeks, masks, strict=True)):
        monday = first_day(week)
        early += [monday + bit for bit in _BITS[mask]]
        if len(early) >= EARLY_DAYS:
            break
    return tuple(early[:EARLY_DAYS])
