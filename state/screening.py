"""The detectors over the log: what imports brought, or everything again. Finds what the live path would have found.

Only accounts with enough posts to reach a limit are selected, in SQL, and gone through in order. `meta.unscreened`
holds the week from which on imports have changed the log, so that a killed process's work is taken up by the next one.
"""

import json
import sqlite3
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import chain, groupby, product
from math import inf
from operator import itemgetter
from typing import TYPE_CHECKING, NamedTuple

from state.calibrations import read_calibrations
from state.duck import connect, literal
from state.flags import account_flags, expire_flags, replace_flags, wave_flags
from state.fold import EARLY_DAYS, UserState
from state.log import define_log, load_json, load_rows
from state.spam.calibration import SCORE_CAP, Calibrations, Weights
from state.spam.detector import SIGNUPS_KEPT
from state.spam.lifecycle import ACCOUNT_RULES, Flagged
from state.spam.posts import Post
from state.spam.texts import OF_ONE, REACH, Copy, Texts, crossings_of
from state.spam.track import DORMANT_WEEKS, FLAG_LIFE, Track, dormant, low_tenure
from state.spam.waves import SignUps, Wave
from state.store import Store, get_meta, set_meta
from state.users import load_users
from state.watch import changed
from state.weeks import DAY, HOUR, week_end, week_of, week_start

if TYPE_CHECKING:
    import duckdb

#: Key in `meta`: the first week that imports have touched and nobody has screened yet.
UNSCREENED = "unscreened"

#: Users loaded at a time.
_NAMES_AT_ONCE = 2_000

_ROWS_AT_ONCE = 20_000

#: DuckDB's share in megabytes, up to so many accounts and for each thousand more: Python holds the sign-ups beside it,
#: and whoever is new is looked at post by post. With less it writes to disk what it needs again at once, then gives up.
_MEMORY_MB, _FOR_USERS, _MB_A_THOUSAND = 140, 150_000, 0.5

#: Posts of low tenure that are grouped at a time: groups and their join must fit into that share.
_POSTS_AT_ONCE = 1_000_000


def touch(conn: sqlite3.Connection, week: int) -> None:
    """Note that an import has brought events of that week or later, inside its writing step."""
    set_meta(conn, UNSCREENED, min(week, get_meta(conn, UNSCREENED, week)))
    changed(conn)


def screen_pending(store: Store) -> None:
    """Screen what imports have touched, in one writing step."""
    if get_meta(store.conn, UNSCREENED) is None:
        return
    with store.writing() as conn:
        found = get_meta(conn, UNSCREENED)
        if found is None:
            return  # another process was here first
        screen(store, week_start(found))
        conn.execute("DELETE FROM meta WHERE key = ?", (UNSCREENED,))


def screen(store: Store, start: int) -> None:
    """Derive the flags raised at `start` or later from the log again, inside a writing step.

    Without an end: events make accounts older and names usual, so that what was flagged long after them may no
    longer hold.
    """
    conn, calibrations = store.conn, read_calibrations(store.directory)
    expired_through = get_meta(conn, "expired_through")
    if expired_through is not None:
        start = max(start, week_end(expired_through))  # day summaries have no order: what was found there stays
    users_more = max(0, get_meta(conn, "users", 0) - _FOR_USERS)
    with connect(store.directory, f"{_MEMORY_MB + users_more * _MB_A_THOUSAND // 1000:.0f}MB") as duck:
        define_log(duck, conn, store.directory)
        define_posts(store, duck, start - SIGNUPS_KEPT)
        with ThreadPoolExecutor(max_workers=1) as pool:  # Python goes through the waves while DuckDB selects accounts
            waves = pool.submit(_waves, duck.cursor(), calibrations, start)
            users, flagged = _accounts(conn, duck, calibrations, start)
            wanted = [*(flag for wave in waves.result() for flag in wave_flags(wave)), *flagged]
    replace_flags(conn, store.rules, wanted, users, waves=True, since=start)
    expire_flags(conn)
    changed(conn)


def define_posts(store: Store, duck: "duckdb.DuckDBPyConnection", since: int) -> None:
    """The view `acted` (content posts and sign-ups of everybody), and the table `early`: those of low tenure.

    Most of a log is from people of long standing: what is looked at more than once holds the others alone.
    """
    topics = [topic for (topic,) in duck.execute("SELECT DISTINCT topic FROM log").fetchall()]
    creating = set(store.rules.registration_topics(topics))
    kinds = [(topic, store.rules.kind_of(topic), topic in creating) for topic in topics]
    load_rows(duck, "topic_kind", {"topic": "VARCHAR", "kind": "TINYINT", "creates": "BOOLEAN"}, [kinds])
    fifth_days = store.conn.execute(
        f"SELECT name, early_days->>{EARLY_DAYS - 1} FROM user WHERE last_seen >= ?", (since,)
    )
    load_rows(duck, "tenure", {"username": "VARCHAR", "fifth_day": "INTEGER"}, _fetched(fifth_days))
    bots = ", ".join(map(literal, sorted(store.rules.allowlist))) or "NULL"
    duck.execute(
        f"""CREATE VIEW acted AS
        SELECT username, sent_at, epoch_us(sent_at) AS sent, (sent // {DAY})::INTEGER AS day, msg_id, kind, creates,
            content_hash
        FROM log JOIN topic_kind USING (topic)
        WHERE role = 'actor' AND NOT is_bot AND username IS NOT NULL AND (username IN ({bots})) IS NOT TRUE
            AND (kind IS NOT NULL OR creates);
        CREATE TABLE early AS SELECT acted.* EXCLUDE (sent_at, content_hash) FROM acted JOIN tenure USING (username)
        WHERE (creates OR fifth_day IS NULL OR day <= fifth_day) AND {_from(since)}"""
    )


def _accounts(
    conn: sqlite3.Connection, duck: "duckdb.DuckDBPyConnection", calibrations: Calibrations, start: int
) -> tuple[dict[str, UserState], list[Flagged]]:
    """The accounts that may have crossed a limit at `start` or later, or once seemed to; and the flags of all of them.

    Only those who posted enough to reach a limit are gone through.
    """
    needed = _needed(calibrations)
    _define_returned(conn, duck, start - FLAG_LIFE, needed.posts)
    days = _crowded_days(duck, needed, start - FLAG_LIFE)
    users = load_all(conn, [*days, *_flagged(conn, start)])
    texts, posters = _texts(conn, duck, start - FLAG_LIFE - REACH)
    users |= {name: state for name, state in posters.items() if texts.of(name)}
    away = {name for name in days if any(_came_back(users[name], day) for day in days[name])}
    found: list[Flagged] = []
    for name, posts in _histories(duck, users, away, start - SIGNUPS_KEPT):
        track = Track()
        track.posts = posts
        track.evaluate(users[name], calibrations)
        crossings = [*track.crossings, *crossings_of(track, texts.of(name), calibrations)]
        found += account_flags(name, users[name], crossings)
    return users, found


def _define_returned(conn: sqlite3.Connection, duck: "duckdb.DuckDBPyConnection", since: int, fewest: float) -> None:
    """The table `returned`: posts of people of long standing, in a week of so many events after weeks without any."""
    away = " AND ".join(f"""instr(weeks, '"' || (key - {back}) || '":') = 0""" for back in range(1, DORMANT_WEEKS + 1))
    # One row: for each of them SQLite would wait for the other thread's Python.
    (weeks,) = conn.execute(
        f"""SELECT json_group_array(json_array(name, key * 7 - 3)) FROM user, json_each(weeks)
        WHERE last_seen >= :since AND value >= :fewest AND key + 0 >= :week
            AND key * 7 + 3 > early_days->>{EARLY_DAYS - 1} AND {away}""",
        {"since": since, "fewest": fewest, "week": week_of(since)},
    ).fetchone()
    load_json(duck, "return_week", {"username": "VARCHAR", "monday": "INTEGER"}, [weeks])
    duck.execute(
        f"""CREATE TABLE returned AS SELECT username, sent, kind FROM acted JOIN return_week USING (username)
        WHERE day BETWEEN monday AND monday + 6 AND kind IS NOT NULL AND {_from(since)}"""
    )


def _fetched(cursor: sqlite3.Cursor) -> Iterator[list[tuple[object, ...]]]:
    return iter(lambda: cursor.fetchmany(_ROWS_AT_ONCE), [])


def _from(since: int) -> str:
    """SQL: from that event time on; on the stored column, so that whole files are passed over."""
    return f"sent_at >= make_timestamp({since})"


class _Needed(NamedTuple):
    """What a crossing cannot do without, whichever version of the parameters holds."""

    posts: float  #: content posts of a burst
    span: int  #: of which so many lie in two spans of this length (microseconds) side by side
    burst: str  #: SQL: that their `threads` and `others` suffice
    crowd: str  #: SQL: the same for the other rules, by the `threads` and `hours` of two days side by side


def _needed(calibrations: Calibrations) -> _Needed:
    """A score that rises by so much within a span takes posts of that weight, and of the span's drift.

    It is at most SCORE_CAP limits before the span: where the drift takes as much, posts of one limit's weight lie
    within the span, and wherever its score was at zero in between, anyhow.
    """
    versions, floor = calibrations.versions, calibrations.floor
    drift = min(min(weights.fast_drift, weights.hand_drift) for weights in map(Weights.of, versions))
    thread, other = floor.weights
    return _Needed(
        floor.limit / max(floor.weights) if any(floor.weights) else inf,
        HOUR if drift * HOUR >= SCORE_CAP * max(version.limit for version in versions) else DAY,
        f"threads * {thread} + others * {other} >= {floor.limit}",
        f"threads >= {min(version.cap for version in versions)}"
        f" OR hours >= {min(version.hours for version in versions)}",
    )


def _crowded_days(duck: "duckdb.DuckDBPyConnection", needed: _Needed, since: int) -> dict[str, list[int]]:
    """Account -> days on which it may have crossed a limit, by how much it posted until then."""
    hours = f"bit_count(bit_or(1::UINTEGER << (sent // {HOUR} % 24)::UINTEGER))"
    days: dict[str, list[int]] = defaultdict(list)
    (rows,) = duck.execute("SELECT count(*) FROM early").fetchall()[0]
    parts = 1 + rows // _POSTS_AT_ONCE
    tests = (
        ("early", DAY, needed.crowd),
        ("early", needed.span, needed.burst),
        ("returned", needed.span, needed.burst),
    )
    for part, (posts, span, enough) in product(range(parts), tests):
        found = duck.execute(
            f"""WITH single AS (
                SELECT username, sent // {span} AS span, count(*) FILTER (kind = 0) AS threads,
                    count(*) FILTER (kind <> 0) AS others, {hours} AS hours
                FROM {posts} WHERE kind IS NOT NULL AND sent >= {since} AND hash(username) % {parts} = {part}
                GROUP BY ALL
            ), pair AS (
                SELECT today.username, today.span, today.threads + coalesce(eve.threads, 0) AS threads,
                    today.others + coalesce(eve.others, 0) AS others, today.hours + coalesce(eve.hours, 0) AS hours
                FROM single AS today
                LEFT JOIN single AS eve ON eve.username = today.username AND eve.span = today.span - 1
            ) SELECT username, span * {span} // {DAY} FROM pair WHERE {enough}"""
        )
        for name, day in found.fetchall():
            days[name].append(day)
    return days


def _texts(
    conn: sqlite3.Connection, duck: "duckdb.DuckDBPyConnection", since: int
) -> tuple[Texts, dict[str, UserState]]:
    """The texts that were posted often enough within two days, and who posted them."""
    posted = f"FROM acted WHERE content_hash IS NOT NULL AND kind IS NOT NULL AND {_from(since)}"
    copies = duck.execute(
        f"""WITH single AS (SELECT content_hash, day, count(*) AS posts {posted} GROUP BY content_hash, day),
        often AS (
            SELECT DISTINCT today.content_hash FROM single AS today
            LEFT JOIN single AS eve ON eve.content_hash = today.content_hash AND eve.day = today.day - 1
            WHERE today.posts + coalesce(eve.posts, 0) >= {OF_ONE}
        ) SELECT content_hash, sent, msg_id, username {posted} AND content_hash IN (FROM often)
        ORDER BY sent, msg_id, username"""
    ).fetchall()
    posters = load_all(conn, sorted({name for *_, name in copies}))
    (begins,) = conn.execute("SELECT min(first_seen) FROM user").fetchone()
    return Texts.of_all(((text, Copy(*copy)) for text, *copy in copies), posters, begins), posters


def _flagged(conn: sqlite3.Connection, since: int) -> list[str]:
    """Accounts with a flag from that time on: it may no longer hold."""
    names = conn.execute(
        """SELECT DISTINCT user FROM flag WHERE raised_at >= ? AND user NOT NULL
            AND rule IN (SELECT value FROM json_each(?))""",
        (since, json.dumps(ACCOUNT_RULES)),
    )
    return [name for (name,) in names]


def load_all(conn: sqlite3.Connection, names: Sequence[str]) -> dict[str, UserState]:
    found: dict[str, UserState] = {}
    for first in range(0, len(names), _NAMES_AT_ONCE):
        found |= load_users(conn, names[first : first + _NAMES_AT_ONCE])
    return found


def _came_back(user: UserState, day: int) -> bool:
    """Whether the account is one of long standing that had been away before the day."""
    return not low_tenure(user, day * DAY) and dormant(user, day * DAY)


def _histories(
    duck: "duckdb.DuckDBPyConnection", users: Mapping[str, UserState], away: Collection[str], since: int
) -> Iterator[tuple[str, list[Post]]]:
    """The posts of each of the accounts, in order: all of those who were away, the ones of low tenure of the others.

    since: event time from which on `early` has them.
    """
    older = {name for name, state in users.items() if name in away or state.first_seen < since}
    names = [
        (name, name in older, None if name in away else (state.early_days[EARLY_DAYS - 1 :] or (None,))[0])
        for name, state in users.items()
    ]
    candidate = {"username": "VARCHAR", "is_older": "BOOLEAN", "last_day": "INTEGER"}
    load_rows(duck, "candidate", candidate, [names] if names else [])
    begins = min((users[name].first_seen for name in older), default=since)
    for posts, wanted, needed in (
        ("early", "NOT is_older", names),
        ("acted", f"is_older AND (last_day IS NULL OR day <= last_day) AND {_from(begins)}", older),
    ):
        if not needed:
            continue
        rows = duck.cursor().execute(
            f"""SELECT username, sent, msg_id, kind FROM {posts} JOIN candidate USING (username)
            WHERE kind IS NOT NULL AND {wanted} ORDER BY username, sent, msg_id"""
        )
        fetched = iter(partial(rows.fetchmany, _ROWS_AT_ONCE), [])
        for name, group in groupby(chain.from_iterable(fetched), key=itemgetter(0)):
            yield name, [Post(*post) for _, *post in group]


def _waves(duck: "duckdb.DuckDBPyConnection", calibrations: Calibrations, since: int) -> list[Wave]:
    """The waves that fired at `since` or later, among the sign-ups and the newcomers' first posts."""
    rows = duck.execute(
        """WITH created AS (
            SELECT username, min((sent, msg_id)) AS first FROM early WHERE creates GROUP BY username
        ), posted AS (
            SELECT username, min((sent, msg_id, kind)) AS first FROM early JOIN created USING (username)
            WHERE kind IS NOT NULL AND sent >= created.first[1] GROUP BY username
        ) SELECT first[1] AS sent, first[2] AS msg_id, username, NULL AS kind FROM created
        UNION ALL SELECT first[1], first[2], username, first[3] FROM posted
        ORDER BY sent, kind NULLS FIRST, msg_id"""
    )
    signups = SignUps()
    while batch := rows.fetchmany(_ROWS_AT_ONCE):
        signups.load(batch)
    signups.evaluate(calibrations, once=True)
    return [wave for wave in signups.waves if wave.until >= since]
