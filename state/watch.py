"""The live detector: what a batch of events raises, in the batch's own writing step.

The detector is memory that can be lost: it is read from the log again after a start, after a batch that failed, and
whenever another process has added to the log or changed the parameters (`meta.detector` counts these).
"""

import sqlite3
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from state.calibrations import read_calibrations
from state.duck import connect
from state.event import Event
from state.flags import Fresh, account_flags, expire_flags, replace_flags, settled, wave_flags
from state.fold import UserState
from state.log import files, parquet_sql
from state.spam.detector import KEPT, LATENESS, SIGNUPS_KEPT, Detector, Seen
from state.spam.lifecycle import Flagged
from state.spam.texts import REACH
from state.spam.track import Crossing
from state.store import Store, add_meta, get_meta
from state.users import load_users
from state.weeks import week_of

#: Key in `meta`: how often the log or the parameters were changed by anybody but the live path.
CHANGES = "detector"

#: Names asked for at a time.
_NAMES_AT_ONCE = 5_000

#: What the detector needs of a log row.
_WANTED = "msg_id, sent_at, topic, username, content_hash"


class Looked(NamedTuple):
    """What the detector made of a batch."""

    flags: Sequence[Fresh] = ()
    tracked: int = 0  #: accounts it keeps an eye on
    evicted: int = 0  #: accounts, posts and sign-ups it gave up in this batch
    late: int = 0  #: events too late for it


class Watch:
    """The detector of one store, and what it was read from."""

    def __init__(self, store: Store, changes: int) -> None:
        self.changes = changes
        conn = store.conn
        watermark = get_meta(conn, "watermark")
        final = 0 if watermark is None else watermark - LATENESS
        self.detector = Detector(
            store.rules,
            read_calibrations(store.directory),
            # A flag that can change no more stays open, though what made it may not be read again.
            lambda name, before: settled(conn, name, max(before, final)),
        )
        if watermark is not None:
            self.detector.whole_since = watermark - KEPT
            events = _recent(store, watermark)
            (self.detector.texts.begins,) = conn.execute("SELECT min(first_seen) FROM user").fetchone()
            for _ in self.detector.take(events, _users(conn, events)):
                pass  # its flags are kept already


def changed(conn: sqlite3.Connection) -> None:
    """Tell the live path of every process that the log or the parameters have changed, inside a writing step."""
    add_meta(conn, CHANGES, 1)


def watch_of(store: Store, watch: Watch | None) -> Watch:
    """The watch, read anew where it is out of date; inside a writing step, before anything new is logged."""
    changes = get_meta(store.conn, CHANGES, 0)
    return watch if watch is not None and watch.changes == changes else Watch(store, changes)


def look(store: Store, watch: Watch, events: Sequence[Event], users: Mapping[str, UserState]) -> Looked:
    """Show the detector new events, logged and folded already, inside their writing step."""
    conn, detector = store.conn, watch.detector
    evicted, late = detector.evictions, detector.late
    fresh: list[Fresh] = []
    for seen in detector.take(events, users):
        if seen.accounts or seen.waves:
            wanted = _wanted(store, detector, seen, users)
            fresh += replace_flags(conn, store.rules, wanted, seen.accounts, seen.waves, seen.since)
    expire_flags(conn)
    return Looked(fresh, len(detector.tracks), detector.evictions - evicted, detector.late - late)


def _wanted(store: Store, detector: Detector, seen: Seen, users: Mapping[str, UserState]) -> list[Flagged]:
    others = load_users(store.conn, seen.accounts - users.keys())  # whoever posted the same text before
    wanted = [
        flag
        for name in seen.accounts
        for state in (users.get(name) or others[name],)
        for flag in account_flags(name, state, _crossings(store, detector, name, state))
    ]
    if seen.waves:
        wanted += [flag for wave in detector.waves() for flag in wave_flags(wave)]
    return wanted


def _crossings(store: Store, detector: Detector, name: str, user: UserState) -> Sequence[Crossing]:
    """The account's crossings; how often it posted before is asked of the log where the detector cannot know."""
    found = detector.crossings(name)
    track = detector.tracks.get(name)
    if found and track is not None and track.earlier is None:
        track.asked = True
        track.earlier = _posts_before(store, name, user, track.posts[0].at)
        track.stale()
        track.evaluate(user, detector.calibrations)
        found = detector.crossings(name)
    return found


def _posts_before(store: Store, name: str, user: UserState, at: int) -> int:
    kind_of = store.rules.kind_of
    where = "username = ? AND role = 'actor' AND NOT is_bot"
    found = store.conn.execute(
        f"SELECT topic, count(*) FROM event WHERE {where} AND sent_at < ? GROUP BY topic", (name, at)
    ).fetchall()
    if sealed := files(store.conn, weeks=user.weeks):
        with connect(store.directory) as duck:
            found += duck.execute(
                f"""SELECT topic, count(*) FROM {parquet_sql(store.directory, sealed)}
                WHERE {where} AND sent_at < make_timestamp(?) GROUP BY topic""",
                [name, at],
            ).fetchall()
    return sum(count for topic, count in found if kind_of(topic) is not None)


def _recent(store: Store, watermark: int) -> list[Event]:
    """Posts within the horizon, and sign-ups with their first posts of the past weeks, in event time order.

    One post may be there twice, which changes nothing.
    """
    rules, conn = store.rules, store.conn
    since, posts_since = watermark - SIGNUPS_KEPT, watermark - KEPT
    rows = conn.execute(
        f"""SELECT {_WANTED} FROM event
        WHERE role = 'actor' AND NOT is_bot AND username NOT NULL AND sent_at >= ?""",
        (since,),
    ).fetchall()
    if sealed := files(conn, weeks=range(week_of(since), week_of(watermark) + 1)):
        with connect(store.directory) as duck:
            log = parquet_sql(store.directory, sealed)
            topics = [topic for (topic,) in duck.execute(f"SELECT DISTINCT topic FROM {log}").fetchall()]
            creating = rules.registration_topics(topics)
            content = [topic for topic in topics if rules.kind_of(topic) is not None]
            rows += duck.execute(
                f"""WITH acted AS (
                    SELECT {_WANTED.replace("sent_at", "epoch_us(sent_at) AS sent_at")} FROM {log}
                    WHERE role = 'actor' AND NOT is_bot AND username IS NOT NULL AND sent_at >= make_timestamp($since)
                ), created AS (FROM acted WHERE list_contains($creating, topic)
                ), posted AS (FROM acted WHERE list_contains($content, topic))
                FROM created
                UNION ALL FROM posted WHERE sent_at >= $posts_since
                UNION ALL FROM posted WHERE sent_at >= $texts_since AND content_hash IS NOT NULL
                UNION ALL (SELECT posted.* FROM posted
                    JOIN (SELECT username, min(sent_at) AS joined FROM created GROUP BY username) USING (username)
                    WHERE sent_at >= joined
                    QUALIFY row_number() OVER (PARTITION BY username ORDER BY sent_at, msg_id) = 1)""",
                {
                    "since": since,
                    "posts_since": posts_since,
                    "texts_since": posts_since - REACH,
                    "creating": creating,
                    "content": content,
                },
            ).fetchall()
    return [
        Event(msg_id, sent_at, None, topic, user, "actor", "", content_hash=text)
        for msg_id, sent_at, topic, user, text in sorted(rows, key=lambda row: (row[1], row[0]))
    ]


def _users(conn: sqlite3.Connection, events: Sequence[Event]) -> dict[str, UserState]:
    names = sorted({event.user for event in events if event.user is not None})
    found: dict[str, UserState] = {}
    for first in range(0, len(names), _NAMES_AT_ONCE):
        found |= load_users(conn, names[first : first + _NAMES_AT_ONCE])
    return found
