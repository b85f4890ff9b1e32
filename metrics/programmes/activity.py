"""Who did what, when: the log as relations that everything in this package counts from."""

import sqlite3
from pathlib import Path
from typing import TYPE_CHECKING

from metrics.standard.topics import topics_of
from state.cells import Gap
from state.coverage import gaps
from state.event import action_of, service_of
from state.log import DAYS, files, load_rows, parquet_sql
from state.rules import Rules
from state.store import get_meta

if TYPE_CHECKING:
    import duckdb

#: The service of what a website counted of its visitors: no message of a bus, and nobody's activity.
TRACK = "track"

#: Before any event time, microseconds.
_EVER = -(2**62)

_TOPIC = {"topic": "VARCHAR", "action": "VARCHAR", "service": "VARCHAR", "contributes": "BOOLEAN"}


def define_activity(duck: "duckdb.DuckDBPyConnection", conn: sqlite3.Connection, rules: Rules) -> None:
    """Define, out of the view `log`, what users did by the rules of attribution; tracked visits are left out.

    activity(username, acted_at, service, action, contributes): acted_at is event time in microseconds; account
    events do not contribute. activity_day(username, day, service, contributes): the same by days, expired weeks too.
    """
    define_topics(duck, conn, rules)
    counted = f"username IS NOT NULL AND topic_kind.service <> '{TRACK}'"
    if rules.attribution == "actor":
        counted += " AND role = 'actor'"
    duck.execute(
        f"""CREATE OR REPLACE TEMP VIEW activity AS
        SELECT username, epoch_us(sent_at) AS acted_at, topic_kind.service, action, contributes
        FROM log JOIN topic_kind USING (topic) WHERE {counted}"""
    )
    duck.execute(
        f"""CREATE OR REPLACE TEMP VIEW activity_day AS
        SELECT username, day, topic_kind.service, contributes
        FROM ({_days(conn)}) JOIN topic_kind USING (topic) WHERE {counted}"""
    )


def define_topics(duck: "duckdb.DuckDBPyConnection", conn: sqlite3.Connection, rules: Rules) -> None:
    """Create the DuckDB table topic_kind(topic, action, service, contributes): each topic is judged once."""
    topics = [topic for (topic,) in duck.execute(f"SELECT DISTINCT topic FROM ({_days(conn)})").fetchall()]
    account = set(topics_of(topics, rules).account)
    rows = [(topic, action_of(topic), service_of(topic), topic not in account) for topic in topics]
    load_rows(duck, "topic_kind", _TOPIC, [rows])


def unheard(duck: "duckdb.DuckDBPyConnection", conn: sqlite3.Connection) -> list[Gap]:
    """When nobody listened: the known gaps, and everything before the day on which the log begins."""
    (first,) = duck.execute(f"SELECT epoch_us(min(day)::TIMESTAMP) FROM ({_days(conn)})").fetchall()[0]
    return [*([] if first is None else [(_EVER, first)]), *gaps(conn)]


def directory_of(conn: sqlite3.Connection) -> Path:
    """The state directory whose database this is."""
    return Path(conn.execute("PRAGMA database_list").fetchone()[2]).parent


def _days(conn: sqlite3.Connection) -> str:
    """SQL: the log and what remains of its expired weeks, by days."""
    parts = ["SELECT username, sent_at::DATE AS day, role, topic FROM log"]
    if summaries := files(conn, DAYS):
        parts.append(f"SELECT username, day, role, topic FROM {parquet_sql(directory_of(conn), summaries)}")
    return " UNION ALL ".join(parts)


def rules_of(conn: sqlite3.Connection) -> Rules:
    """The definitions under which this state's views were derived."""
    fingerprint, detection = get_meta(conn, "rules"), get_meta(conn, "detection")
    rules = Rules() if fingerprint is None else Rules.from_fingerprint(fingerprint)
    return rules if detection is None else rules.detecting(detection)
