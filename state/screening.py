"""The detectors over the log: what imports brought, or everything again. Finds what the live path would have found.

Only accounts with enough posts to reach a limit are selected, in SQL, and gone through in order. `meta.unscreened`
holds the week from which on imports have changed the log, so that a killed process's work is taken up by the next one.
"""

import json
import sqlite3
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import chain, groupby
from operator import itemgetter
from typing import TYPE_CHECKING

from state.calibrations import read_calibrations
from state.duck import connect, literal
from state.flags import account_flags, expire_flags, replace_flags, wave_flags
from state.fold import EARLY_DAYS, UserState
from state.log import define_log, load_rows
from state.spam.calibration import Calibrations
from state.spam.detector import SIGNUPS_KEPT
from state.spam.lifecycle import ACCOUNT_RULES
from state.spam.posts import Post
from state.spam.texts import KNOWN_FOR, OF_ONE, Copy, Texts, crossings_of
from state.spam.track import FLAG_LIFE, Track, dormant, low_tenure
from state.spam.waves import SignUps, Wave
from state.store import Store, get_meta, set_meta
from state.users import load_users
from state.watch import changed
from state.weeks import DAY, HOUR, week_end, week_start

if TYPE_CHECKING:
    import duckdb

#: Key in `meta`: the first week that imports have touched and nobody has screened yet.
UNSCREENED = "unscreened"

#: Users loaded at a time.
_NAMES_AT_ONCE = 2_000

_ROWS_AT_ONCE = 20_000

#: DuckDB's share: Python holds the sign-ups beside it.
_MEMORY_LIMIT = "140MB"


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
    with connect(store.directory, _MEMORY_LIMIT) as duck:
        define_log(duck, conn, store.directory)
        define_posts(store, duck, start - SIGNUPS_KEPT)
        with ThreadPoolExecutor(max_workers=1) as pool:  # DuckDB works on the one while Python works on the other
            crowded = pool.submit(_crowded_days, duck.cursor(), calibrations, start - FLAG_LIFE)
            wanted = [flag for wave in _waves(duck.cursor(), calibrations, start) for flag in wave_flags(wave)]
            days = crowded.result()
        users = load_all(conn, [*days, *_flagged(conn, start)])
        texts, posters = _texts(conn, duck, start - FLAG_LIFE - KNOWN_FOR)
        users |= {name: state for name, state in posters.items() if texts.of(name)}
        away = {name for name in days if any(_came_back(users[name], day) for day in days[name])}
        for name, posts in _histories(duck, users, away):
            track = Track()
            track.posts = posts
            track.evaluate(users[name], calibrations)
            crossings = [*track.crossings, *crossings_of(track, texts.of(name), calibrations)]
            wanted += account_flags(name, users[name], crossings)
    replace_flags(conn, store.rules, wanted, users, waves=True, since=start)
    expire_flags(conn)
    changed(conn)


def define_posts(store: Store, duck: "duckdb.DuckDBPyConnection", since: int) -> None:
    """The views `acted` (content posts and sign-ups of everybody), and the table `early`: those of low tenure.

    Most of a log is from people of long standing: what is looked at more than once holds the others alone.
    """
    topics = [topic for (topic,) in duck.execute("SELECT DISTINCT topic FROM log").fetchall()]
    creating = set(store.rules.registration_topics(topics))
    kinds = [(topic, store.rules.kind_of(topic), topic in creating) for topic in topics]
    load_rows(duck, "topic_kind", {"topic": "VARCHAR", "kind": "TINYINT", "creates": "BOOLEAN"}, [kinds])
    fifth_days = store.conn.execute(
        f"SELECT name, early_days->>{EARLY_DAYS - 1} FROM user WHERE last_seen >= ?", (since,)
    )
    tenure = {"username": "VARCHAR", "fifth_day": "INTEGER"}
    load_rows(duck, "tenure", tenure, iter(lambda: fifth_days.fetchmany(_ROWS_AT_ONCE), []))
    bots = ", ".join(map(literal, sorted(store.rules.allowlist))) or "NULL"
    duck.execute(
        f"""CREATE VIEW acted AS
        SELECT username, sent_at, epoch_us(sent_at) AS sent, (sent // {DAY})::INTEGER AS day, msg_id, kind, creates,
            content_hash
        FROM log JOIN topic_kind USING (topic)
        WHERE role = 'actor' AND NOT is_bot AND username IS NOT NULL AND (username IN ({bots})) IS NOT TRUE
            AND (kind IS NOT NULL OR creates);
        CREATE TABLE early AS SELECT acted.* FROM acted JOIN tenure USING (username)
        WHERE (creates OR fifth_day IS NULL OR day <= fifth_day) AND {_from(since)}"""
    )


def _from(since: int) -> str:
    """SQL: from that event time on; on the stored column, so that whole files are passed over."""
    return f"sent_at >= make_timestamp({since})"


def _crowded_days(duck: "duckdb.DuckDBPyConnection", calibrations: Calibrations, since: int) -> dict[str, list[int]]:
    """Account -> days by whose end it posted enough, on that day and the one before, to cross a limit."""
    enough = []
    for version in calibrations.versions:
        _, weights = calibrations.in_force(version.since)
        thread, other = (max(pair) for pair in zip(weights.fast, weights.hand, strict=True))
        enough.append(f"threads * {thread} + others * {other} >= {version.limit} OR threads >= {version.cap}")
    hours = min(version.hours for version in calibrations.versions)
    counted = "username, day, count(*) FILTER (kind = 0) AS threads, count(*) FILTER (kind <> 0) AS others"
    days: dict[str, list[int]] = defaultdict(list)
    for posts, crowded in (
        # Of low tenure every rule, of the others (who may have been away) the burst alone.
        ("early", f"{' OR '.join(enough)} OR hours >= {hours}"),
        ("acted", " OR ".join(enough)),
    ):
        found = duck.execute(
            f"""WITH single AS (
                SELECT {counted}, bit_count(bit_or(1::UINTEGER << (sent // {HOUR} % 24)::UINTEGER)) AS hours
                FROM {posts} WHERE kind IS NOT NULL AND {_from(since)} GROUP BY username, day
            ), pair AS (
                SELECT today.username, today.day, today.threads + coalesce(eve.threads, 0) AS threads,
                    today.others + coalesce(eve.others, 0) AS others, today.hours + coalesce(eve.hours, 0) AS hours
                FROM single AS today
                LEFT JOIN single AS eve ON eve.username = today.username AND eve.day = today.day - 1
            ) SELECT username, day FROM pair WHERE {crowded}"""
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
    duck: "duckdb.DuckDBPyConnection", users: Mapping[str, UserState], away: Collection[str]
) -> Iterator[tuple[str, list[Post]]]:
    """The posts of each of the accounts, in order: all of those who were away, the ones of low tenure of the others."""
    names = [
        (name, None if name in away else (state.early_days[EARLY_DAYS - 1 :] or (None,))[0])
        for name, state in users.items()
    ]
    load_rows(duck, "candidate", {"username": "VARCHAR", "last_day": "INTEGER"}, [names] if names else [])
    rows = duck.cursor().execute(
        """SELECT username, sent, msg_id, kind, content_hash FROM acted JOIN candidate USING (username)
        WHERE kind IS NOT NULL AND (last_day IS NULL OR day <= last_day) ORDER BY username, sent, msg_id"""
    )
    fetched = iter(lambda: rows.fetchmany(_ROWS_AT_ONCE), [])
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
