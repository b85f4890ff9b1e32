"""The detectors over the log: what imports brought, or everything again. Finds what the live path would have found.

Only accounts with enough posts to reach a limit are selected, in SQL, and gone through in order. `meta.unscreened`
holds the span of event time that an import has touched, so that a killed process's work is taken up by the next one.
"""

import json
import sqlite3
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from state.calibrations import read_calibrations
from state.duck import connect, literal
from state.flags import account_flags, expire_flags, replace_flags, wave_flags
from state.fold import UserState
from state.log import define_log, load_rows
from state.spam.calibration import WINDOW, Calibrations
from state.spam.detector import SIGNUPS_KEPT
from state.spam.lifecycle import ACCOUNT_RULES, Flagged
from state.spam.posts import Post
from state.spam.track import FLAG_LIFE, Track, dormant, low_tenure
from state.spam.waves import SignUps
from state.store import Store, get_meta, set_meta
from state.users import load_users
from state.watch import changed
from state.weeks import DAY, WEEK, week_end, week_start

if TYPE_CHECKING:
    import duckdb

#: Key in `meta`: [first, last week] that imports have touched and nobody has screened yet.
UNSCREENED = "unscreened"

#: A burst begun before a span may cross within it; what a span brings may change a crossing after it.
_AROUND = 2 * WINDOW

#: Accounts gone through at a time, which bounds memory.
_NAMES_AT_ONCE = 2_000

_ROWS_AT_ONCE = 50_000


def touch(conn: sqlite3.Connection, first: int, last: int) -> None:
    """Note that an import has brought events of these weeks, inside its writing step."""
    found = get_meta(conn, UNSCREENED)
    if found is not None:
        first, last = min(first, json.loads(found)[0]), max(last, json.loads(found)[1])
    set_meta(conn, UNSCREENED, json.dumps([first, last]))
    changed(conn)


def screen_pending(store: Store) -> None:
    """Screen what imports have touched, in one writing step."""
    if get_meta(store.conn, UNSCREENED) is None:
        return
    with store.writing() as conn:
        found = get_meta(conn, UNSCREENED)
        if found is None:
            return  # another process was here first
        first, last = json.loads(found)
        screen(store, week_start(first), week_end(last))
        conn.execute("DELETE FROM meta WHERE key = ?", (UNSCREENED,))


def screen(store: Store, start: int, end: int) -> None:
    """Derive the flags raised in [start, end) and shortly after from the log again, inside a writing step."""
    conn, calibrations = store.conn, read_calibrations(store.directory)
    expired_through = get_meta(conn, "expired_through")
    if expired_through is not None:
        start = max(start, week_end(expired_through))  # day summaries have no order: what was found there stays
    since, before = start, end + _AROUND
    with connect(store.directory) as duck:
        define_log(duck, conn, store.directory)
        _define_posts(store, duck)
        users = _candidates(store, duck, calibrations, since - FLAG_LIFE, before)
        users |= {name: state for name, state in _flagged(conn, since, before).items() if name not in users}
        wanted: list[Flagged] = []
        for name, posts in _histories(duck, users):
            track = Track()
            track.posts = posts
            track.evaluate(users[name], calibrations)
            wanted += account_flags(name, users[name], track.crossings)
        for wave in _signups(duck, start - SIGNUPS_KEPT, end + WEEK, calibrations).waves:
            if wave.until >= since:
                wanted += wave_flags(wave)
    replace_flags(conn, store.rules, wanted, users, waves=True, since=since, before=end + WEEK)
    expire_flags(conn)
    changed(conn)


def _define_posts(store: Store, duck: "duckdb.DuckDBPyConnection") -> None:
    """The views `acted` (what people did) and `post` (their content posts, with weight class)."""
    topics = [topic for (topic,) in duck.execute("SELECT DISTINCT topic FROM log").fetchall()]
    kinds = [
        [topic, store.rules.content.kind_of(topic), topic in store.rules.registration_topics([topic])]
        for topic in topics
    ]
    load_rows(
        duck, "topic_kind", {"topic": "VARCHAR", "kind": "INTEGER", "creates": "BOOLEAN"}, [kinds] if kinds else []
    )
    bots = ", ".join(map(literal, sorted(store.rules.allowlist))) or "NULL"
    duck.execute(
        f"""CREATE OR REPLACE VIEW acted AS
        SELECT username, epoch_us(sent_at) AS sent, msg_id, kind, creates, content_hash
        FROM log JOIN topic_kind USING (topic)
        WHERE role = 'actor' AND NOT is_bot AND username IS NOT NULL AND (username IN ({bots})) IS NOT TRUE
            AND (kind IS NOT NULL OR creates);
        CREATE OR REPLACE VIEW post AS FROM acted WHERE kind IS NOT NULL"""
    )


def _candidates(
    store: Store, duck: "duckdb.DuckDBPyConnection", calibrations: Calibrations, since: int, before: int
) -> dict[str, UserState]:
    """Accounts that posted enough on two days in a row to cross a limit while they were of low tenure, or dormant."""
    enough = []
    for version in calibrations.versions:
        _, weights = calibrations.in_force(version.since)
        threads, other = (max(pair) for pair in zip(weights.fast, weights.hand, strict=True))
        enough.append(
            f"threads * {threads} + others * {other} >= {version.limit}"
            f" OR threads >= {version.cap} OR hours >= {version.hours}"
        )
    found = duck.execute(
        f"""WITH day AS (
            SELECT username, sent // {DAY} AS day, count(*) FILTER (kind = 0) AS threads,
                count(*) FILTER (kind <> 0) AS others, count(DISTINCT sent // {WINDOW // 24}) AS hours
            FROM post WHERE sent >= {since} AND sent < {before} GROUP BY username, day
        ), pair AS (
            SELECT username, day, threads + coalesce(lag(threads) OVER yesterday, 0) AS threads,
                others + coalesce(lag(others) OVER yesterday, 0) AS others,
                hours + coalesce(lag(hours) OVER yesterday, 0) AS hours
            FROM day WINDOW yesterday AS (PARTITION BY username ORDER BY day RANGE BETWEEN 1 PRECEDING AND 1 PRECEDING)
        ) SELECT username, list(day) FROM pair WHERE {" OR ".join(enough)} GROUP BY username"""
    ).fetchall()
    days = dict(found)
    return {
        name: state
        for name, state in _load(store.conn, list(days)).items()
        if any(low_tenure(state, day * DAY) or dormant(state, day * DAY) for day in days[name])
    }


def _flagged(conn: sqlite3.Connection, since: int, before: int) -> dict[str, UserState]:
    """Accounts with a flag of that time: it may no longer hold."""
    names = conn.execute(
        """SELECT DISTINCT user FROM flag WHERE raised_at >= ? AND raised_at < ? AND user NOT NULL
            AND rule IN (SELECT value FROM json_each(?))""",
        (since, before, json.dumps(ACCOUNT_RULES)),
    )
    return _load(conn, [name for (name,) in names])


def _load(conn: sqlite3.Connection, names: Sequence[str]) -> dict[str, UserState]:
    found: dict[str, UserState] = {}
    for first in range(0, len(names), _NAMES_AT_ONCE):
        found |= load_users(conn, names[first : first + _NAMES_AT_ONCE])
    return found


def _histories(duck: "duckdb.DuckDBPyConnection", users: Mapping[str, UserState]) -> Iterator[tuple[str, list[Post]]]:
    """All posts of each of the accounts, in order."""
    names = sorted(users)
    for first in range(0, len(names), _NAMES_AT_ONCE):
        listed = json.dumps(names[first : first + _NAMES_AT_ONCE])
        rows = duck.execute(
            """SELECT username, sent, msg_id, kind, content_hash FROM post
            WHERE username IN (SELECT unnest(?::JSON::VARCHAR[])) ORDER BY sent, msg_id""",
            [listed],
        )
        posts: dict[str, list[Post]] = defaultdict(list)
        while batch := rows.fetchmany(_ROWS_AT_ONCE):
            for name, *post in batch:
                posts[name].append(Post(*post))
        yield from posts.items()


def _signups(duck: "duckdb.DuckDBPyConnection", since: int, before: int, calibrations: Calibrations) -> SignUps:
    """The sign-ups of that time with their first posts, gone through."""
    rows = duck.execute(
        f"""WITH recent AS (FROM acted WHERE sent >= {since} AND sent < {before}),
        created AS (FROM recent WHERE creates
            QUALIFY row_number() OVER (PARTITION BY username ORDER BY sent, msg_id) = 1),
        posted AS (FROM recent WHERE kind IS NOT NULL AND username IN (SELECT username FROM created)
            QUALIFY row_number() OVER (PARTITION BY username ORDER BY sent, msg_id) = 1)
        SELECT * FROM (
            SELECT sent, msg_id, username, NULL AS kind FROM created
            UNION ALL SELECT sent, msg_id, username, kind FROM posted
        ) ORDER BY sent, msg_id, kind NULLS FIRST"""
    )
    signups = SignUps()
    while batch := rows.fetchmany(_ROWS_AT_ONCE):
        signups.load(batch)
    signups.evaluate(calibrations)
    return signups
