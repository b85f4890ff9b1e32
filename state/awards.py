"""Badge awards: who has which badge, and since when. A view of the log, kept in the step that logs the award."""

import sqlite3
from collections.abc import Collection, Iterable
from typing import TYPE_CHECKING, NamedTuple

from state.duck import connect, literal
from state.event import Event, action_of
from state.log import DAYS, EVENTS, files, load_hot, parquet_sql
from state.store import Store

if TYPE_CHECKING:
    import duckdb

#: The actions whose actor gets the badge that its object names: today's, and what it was called until 2020.
AWARDS = ("badges.badge.award", "fedbadges.badge.award")

_ENDING = "badges.badge.award"

#: SQL: every topic of those actions, and few others.
MAYBE_AWARD = f"ends_with(topic, {literal(_ENDING)})"

_ROWS_AT_ONCE = 20_000


class Award(NamedTuple):
    """The user has the badge from event time `at` on; of several awards of one badge the earliest counts."""

    badge: str
    user: str
    at: int


def awards_among(events: Iterable[Event]) -> list[Award]:
    """The awards among the events."""
    return [
        Award(event.object, event.user, event.at)
        for event in events
        if event.object is not None
        and event.user is not None
        and event.role == "actor"
        and action_of(event.topic) in AWARDS
    ]


def add_awards(conn: sqlite3.Connection, awards: Collection[Award]) -> None:
    """Add the awards, inside a writing step; each badge is a tag too, whose id stays."""
    conn.executemany(
        """INSERT INTO award VALUES (?, ?, ?)
        ON CONFLICT DO UPDATE SET at = excluded.at WHERE excluded.at < award.at""",
        awards,
    )
    badges = sorted({award.badge for award in awards})
    conn.executemany(
        "INSERT INTO tag (name, badge) SELECT 'badge:' || ?1, ?1 WHERE NOT EXISTS (SELECT 1 FROM tag WHERE badge = ?1)",
        [(badge,) for badge in badges],
    )


def take_awards(conn: sqlite3.Connection, duck: "duckdb.DuckDBPyConnection", relation: str) -> None:
    """Add the awards of a relation with the log's columns, inside a writing step."""
    found = duck.execute(f"SELECT DISTINCT topic FROM {relation} WHERE {MAYBE_AWARD}").fetchall()
    topics = ", ".join(literal(topic) for (topic,) in found if action_of(topic) in AWARDS)
    if not topics:
        return
    rows = duck.execute(
        f"""SELECT object, username, epoch_us(min(sent_at)) FROM {relation}
        WHERE topic IN ({topics}) AND role = 'actor' AND username IS NOT NULL AND object IS NOT NULL
        GROUP BY ALL ORDER BY ALL"""
    )
    while batch := rows.fetchmany(_ROWS_AT_ONCE):
        add_awards(conn, [Award(*row) for row in batch])


def derive_awards(store: Store) -> None:
    """Every award from log and day summaries again, inside a writing step. Tags of badges stay: their ids are used."""
    conn = store.conn
    conn.execute("DELETE FROM award")
    with connect(store.directory) as duck:
        load_hot(duck, conn, "topic LIKE '%' || ?", (_ENDING,))
        take_awards(conn, duck, "hot")
        for kind, rows in ((EVENTS, "{}"), (DAYS, summarised_awards("{}"))):
            if names := files(conn, kind):
                take_awards(conn, duck, rows.format(parquet_sql(store.directory, names)))


def summarised_awards(days: str) -> str:
    """SQL: what awards are read from, of a relation of day summaries. Older ones have no column `object`."""
    return f"""(SELECT topic, username, role, object, first_at AS sent_at
        FROM (SELECT NULL::VARCHAR AS object WHERE FALSE UNION ALL BY NAME FROM {days}))"""
