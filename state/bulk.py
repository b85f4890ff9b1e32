"""Folding many events into many users: DuckDB gathers what each user gains, and adds it to what is known of them.

Log files are written first and folded afterwards, by one job at a time. A process gathers the gains of the job's
files once, a row a user and week, and folds so many users a writing step, in the order of names, so that live
batches come between. How far the job came is in the state: after a kill -9 any process gathers the same gains again
and goes on.
"""

import json
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any
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


class _Gathering:
    """What a process knows of the job: its gains, in a DuckDB of their own, which spills what is too much."""

    def __init__(self, store: Store, duck: "duckdb.DuckDBPyConnection") -> None:
        self._store = store
        self._duck = duck
        self._job: str | None = None

    def gather(self, job: str) -> int:
        """Gather the job's gains unless that is done; how many users gain."""
        if job != self._job:
            self._duck.execute(f"CREATE OR REPLACE VIEW gaining AS {_of_files(self._store, UNDER_WAY)}")
            _gather(self._store.rules, self._duck)
            self._job = job
        return int(self._duck.execute("SELECT count(*) FROM gathered_name").fetchall()[0][0])

    def gather_ahead(self) -> int:
        """The same outside of a writing step, because it may take a while.

        Another process may end the job meanwhile, and a merge take its files away: then, and where anything else is
        wrong, the next step finds out.
        """
        import duckdb  # noqa: PLC0415 - loaded only when used

        with suppress(duckdb.Error, FileNotFoundError):
            work = _work(self._store)
            if work is not None:
                return self.gather(work["job"])
        return 0

    def fold_next(self, users_a_step: int) -> bool:
        """Fold the next users of the job that is under way, inside a writing step; False once it is done."""
        conn, work = self._store.conn, _work(self._store)
        if work is None:
            return False
        self.gather(work["job"])
        last = _fold_next(self._store, self._duck, work["through"], users_a_step)
        if last is not None:
            set_meta(conn, "folding", json.dumps({**work, "through": last}))
            return True
        conn.execute("UPDATE segment SET folded = ? WHERE folded = ?", (FOLDED, UNDER_WAY))
        conn.execute("DELETE FROM meta WHERE key = 'folding'")
        return False


def fold_pending(store: Store, users_a_step: int = USERS_A_STEP, progress: Progress = no_progress) -> bool:
    """Fold every log file that is not folded yet; whether there was any. progress: users done, users in all."""
    worked = False
    while True:
        with store.writing():
            if not begin_folding(store):
                return worked
        with connect(store.directory) as duck:
            gathering = _Gathering(store, duck)
            users = gathering.gather_ahead()
            done, more = 0, True
            while more:
                progress(done, max(done, users))
                with store.writing():
                    more = gathering.fold_next(users_a_step)
                done += users_a_step
            progress(users, users)
        worked = True


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


def fold_range(store: Store) -> bool:
    """Fold all users of the job that is under way, inside a writing step; False, because nobody is left."""
    with connect(store.directory) as duck:
        gathering = _Gathering(store, duck)
        while gathering.fold_next(USERS_A_STEP):
            pass
    return False


def fold_rows(store: Store, duck: "duckdb.DuckDBPyConnection", table: str) -> None:
    """Fold a relation of log rows, inside a writing step."""
    duck.execute(f"CREATE OR REPLACE VIEW gaining AS SELECT {_OF_EVENTS} FROM {table}")
    _gather(store.rules, duck)
    last = _fold_next(store, duck, None)
    while last is not None:
        last = _fold_next(store, duck, last)


def _work(store: Store) -> Any:
    """The job that is under way, and the last name that is done; None where there is no job."""
    found = get_meta(store.conn, "folding")
    return None if found is None else json.loads(found)


def _of_files(store: Store, folded: int) -> str:
    """SQL: what the fold reads of the files in that state of folding."""
    parts = []
    for kind, columns in ((EVENTS, _OF_EVENTS), (DAYS, _OF_DAYS)):
        if names := files(store.conn, kind, folded=folded):
            parts.append(f"SELECT {columns} FROM {parquet_sql(store.directory, names)}")
    return " UNION ALL ".join(parts)


def _gather(rules: Rules, duck: "duckdb.DuckDBPyConnection") -> None:
    """What the relation `gaining` brings each user as the table `gathered`; the users' names as `gathered_name`.

    Nothing is sorted but the names: a step looks through all gains for those of its users, which takes less.
    """
    topics = [topic for (topic,) in duck.execute("SELECT DISTINCT topic FROM gaining").fetchall()]
    creating = ", ".join(map(literal, rules.registration_topics(topics))) or "NULL"
    counted = "TRUE" if rules.attribution == "any" else "role = 'actor'"
    duck.execute(
        f"""CREATE OR REPLACE TABLE gathered AS SELECT {_TOGETHER} FROM (
            SELECT username, day // 7 AS week, first_at, last_at, events, 1::UTINYINT << (day % 7)::UTINYINT AS days,
                CASE WHEN creates THEN first_at END AS registered_at
            FROM (
                SELECT username, epoch_us(first_at) AS first_at, epoch_us(last_at) AS last_at, events,
                    (epoch_us(first_at) // 86400000000 + 3)::INTEGER AS day,
                    role = 'actor' AND topic IN ({creating}) AS creates
                FROM gaining WHERE username IS NOT NULL AND {counted}
            )
        ) GROUP BY username, week;
        CREATE OR REPLACE TABLE gathered_name AS SELECT DISTINCT username FROM gathered"""
    )


def _fold_next(
    store: Store, duck: "duckdb.DuckDBPyConnection", after: str | None, users_a_step: int = USERS_A_STEP
) -> str | None:
    """Add the gains of the next users to users and totals; the last one's name, None where there is nobody left.

    after: the last name that is done.
    """
    store.check_rules()
    waiting = "TRUE" if after is None else f"username > {literal(after)}"
    users, last = duck.execute(
        f"""SELECT count(*), max(username) FROM (
            SELECT username FROM gathered_name WHERE {waiting} ORDER BY 1 LIMIT {users_a_step})"""
    ).fetchall()[0]
    if not users:
        return None
    chosen = f"{waiting} AND username <= {literal(last)}"
    duck.execute(f"CREATE OR REPLACE TABLE gain AS FROM gathered WHERE {chosen}")
    names = duck.execute(f"SELECT username FROM gathered_name WHERE {chosen}").fetchall()
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
