"""The oracle: everything recomputed in batch, by plain SQL over calendar functions.

It shares no code with the fold or the import on purpose: not the weeks, not the topics, not the keys.
"""

import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from state.errors import StateError
from state.flags import STANDING
from state.log import DAYS, files, parquet_sql
from state.rebuild import summarised_messages
from state.rules import POPULATIONS, Rules
from state.weeks import iso, week_name

if TYPE_CHECKING:
    import duckdb

#: An environment prefix as SQL sees it.
_PREFIX = r"^[^.]+\.[^.]+\.(prod|stg|dev)\."


class Difference(NamedTuple):
    """One figure of the views that the batch recomputation does not give."""

    where: str
    kept: object
    recomputed: object

    def __str__(self) -> str:
        return f"{self.where}: the views have {self.kept}, the log gives {self.recomputed}"


def verify(
    duck: "duckdb.DuckDBPyConnection", conn: sqlite3.Connection, directory: Path, relation: str
) -> list[Difference]:
    """Every difference between the views and the events of `relation` (msg_id, sent_at, topic, username, role, object).

    Day summaries are added. Standing flags are taken as given. Awards are looked at where the relation has the column
    `object`. Raises StateError while an import is not folded to its end.
    """
    if conn.execute("SELECT EXISTS (SELECT 1 FROM segment WHERE folded <> 2)").fetchone()[0]:
        raise StateError(f"{directory} holds an import that has not come to its end: run the same `backfill` again")
    rules = Rules.from_fingerprint(conn.execute("SELECT value FROM meta WHERE key = 'rules'").fetchone()[0])
    _recompute(duck, conn, directory, relation, rules)
    found = [*_counters(duck, conn, directory), *_user_sums(duck, conn), *_totals(duck, conn)]
    columns = {name for name, *_ in duck.execute(f"DESCRIBE ({relation})").fetchall()}
    return [*found, *_awards(duck, conn, directory, relation)] if "object" in columns else found


def _recompute(
    duck: "duckdb.DuckDBPyConnection", conn: sqlite3.Connection, directory: Path, relation: str, rules: Rules
) -> None:
    days = files(conn, DAYS)
    summaries = f"SELECT * FROM {parquet_sql(directory, days)}" if days else "SELECT * FROM no_days"
    duck.execute(
        """CREATE TABLE no_days (username VARCHAR, role VARCHAR, topic VARCHAR, first_at TIMESTAMP,
            last_at TIMESTAMP, events BIGINT);
        CREATE TABLE flagged (name VARCHAR)"""
    )
    standing = [name for (name,) in conn.execute(f"SELECT DISTINCT user FROM flag WHERE {STANDING} AND user NOT NULL")]
    duck.execute("INSERT INTO flagged SELECT unnest(?::JSON::VARCHAR[])", [json.dumps(standing)])
    duck.execute(
        f"""CREATE TABLE batch_event AS
        SELECT msg_id, username, min(sent_at) AS sent_at, min(topic) AS topic, min(role) AS role
        FROM ({relation}) GROUP BY msg_id, username, date_trunc('week', sent_at)"""
    )
    counted = "true" if rules.attribution == "any" else "role = 'actor'"
    duck.execute(
        f"""CREATE TABLE batch_row AS
        SELECT username, role = 'actor' AND list_contains($creating, regexp_replace(topic, '{_PREFIX}', '')) AS creates,
            first_at, last_at, events
        FROM (
            SELECT username, role, topic, sent_at AS first_at, sent_at AS last_at, 1 AS events FROM batch_event
            UNION ALL SELECT username, role, topic, first_at, last_at, events FROM ({summaries})
        ) WHERE username IS NOT NULL AND {counted}""",
        {"creating": sorted(rules.registrations)},
    )
    duck.execute(
        f"""CREATE TABLE batch_user AS
        SELECT username, sum(events) AS events, min(first_at) AS first_seen, max(last_at) AS last_seen,
            min(first_at) FILTER (creates) AS registered_at, sum(events) >= {rules.engaged_events} AS engaged,
            username NOT IN (FROM flagged) AS clean
        FROM batch_row GROUP BY username;
        CREATE TABLE batch_cell AS
        SELECT date_trunc('week', registered_at)::DATE AS cohort,
            (date_trunc('week', first_at)::DATE - date_trunc('week', registered_at)::DATE) // 7 AS step,
            count(DISTINCT username) AS "all", count(DISTINCT username) FILTER (engaged) AS engaged,
            count(DISTINCT username) FILTER (clean) AS clean,
            count(DISTINCT username) FILTER (engaged AND clean) AS engaged_clean
        FROM batch_row JOIN batch_user USING (username)
        WHERE date_trunc('week', first_at) >= date_trunc('week', registered_at)
        GROUP BY cohort, step"""
    )


def _counters(duck: "duckdb.DuckDBPyConnection", conn: sqlite3.Connection, directory: Path) -> Iterator[Difference]:
    messages, events, newest = duck.execute(
        "SELECT count(DISTINCT (msg_id, date_trunc('week', sent_at))), count(username), max(sent_at) FROM batch_event"
    ).fetchall()[0]
    for name in files(conn, DAYS):
        more, last = duck.execute(
            f"SELECT sum(events) FILTER (username IS NOT NULL), max(last_at) FROM {parquet_sql(directory, [name])}"
        ).fetchall()[0]
        messages += summarised_messages(duck, directory / name)
        events += more or 0
        newest = max(newest or last, last)
    (users,) = duck.execute("SELECT count(*) FROM batch_user").fetchall()[0]
    kept = dict(conn.execute("SELECT key, value FROM meta"))
    (user_rows,) = conn.execute("SELECT count(*) FROM user").fetchone()
    watermark = kept.get("watermark")
    yield from _compare(
        {
            "messages": (kept.get("messages", 0), messages),
            "events": (kept.get("events", 0), events),
            "users (counter)": (kept.get("users", 0), users),
            "users (rows)": (user_rows, users),
            "watermark": (
                watermark and iso(watermark),
                newest and f"{newest.isoformat()}Z",
            ),
        }
    )


def _user_sums(duck: "duckdb.DuckDBPyConnection", conn: sqlite3.Connection) -> Iterator[Difference]:
    """Users as sums modulo a prime: one pass on each side, and a difference in any row shows."""
    prime = 1_000_003
    columns = ("first_seen", "last_seen", "registered_at")
    ours = ", ".join(f"sum({column} % {prime})" for column in columns)
    theirs = ", ".join(f"sum(epoch_us({column}) % {prime})" for column in columns)
    kept = conn.execute(f"SELECT {ours}, sum(events) FROM user").fetchone()
    recomputed = duck.execute(f"SELECT {theirs}, sum(events) FROM batch_user").fetchall()[0]
    names = (*(f"users' {column}, summed modulo {prime}" for column in columns), "users' events, summed")
    yield from _compare(dict(zip(names, zip(kept, recomputed, strict=True), strict=True)))


def _totals(duck: "duckdb.DuckDBPyConnection", conn: sqlite3.Connection) -> Iterator[Difference]:
    kept = {
        (week_name(cohort), offset, population): users
        for cohort, offset, population, users in conn.execute("SELECT * FROM cohort_week")
    }
    recomputed: dict[tuple[str, int, str], int] = {}
    for cohort, step, *users in duck.execute("SELECT * FROM batch_cell").fetchall():
        for population, count in zip(POPULATIONS, users, strict=True):
            if count:
                recomputed[cohort.isoformat(), step, population] = count
    for cell in sorted(kept.keys() | recomputed.keys()):
        cohort, offset, population = cell
        name = f"cohort {cohort}, offset {offset}, population {population}"
        yield from _compare({name: (kept.get(cell, 0), recomputed.get(cell, 0))})


def _awards(
    duck: "duckdb.DuckDBPyConnection", conn: sqlite3.Connection, directory: Path, relation: str
) -> Iterator[Difference]:
    """Of each badge how many have it, and since when as a sum modulo a prime."""
    prime = 1_000_003
    days = files(conn, DAYS)
    summaries = f"UNION ALL BY NAME FROM {parquet_sql(directory, days)}" if days else ""
    found = duck.execute(
        f"""SELECT object, count(*), sum(epoch_us(since) % {prime}) FROM (
            SELECT object, username, min(coalesce(sent_at, first_at)) AS since
            FROM (SELECT NULL::TIMESTAMP AS first_at WHERE false UNION ALL BY NAME FROM ({relation}) {summaries})
            WHERE regexp_replace(topic, '{_PREFIX}', '') IN ('badges.badge.award', 'fedbadges.badge.award')
                AND role = 'actor' AND username IS NOT NULL AND object IS NOT NULL
            GROUP BY object, username
        ) GROUP BY object"""
    ).fetchall()
    recomputed = {badge: figures for badge, *figures in found}
    kept = {
        badge: figures
        for badge, *figures in conn.execute(f"SELECT badge, count(*), sum(at % {prime}) FROM award GROUP BY badge")
    }
    for badge in sorted(kept.keys() | recomputed.keys()):
        ours, theirs = kept.get(badge, [0, 0]), recomputed.get(badge, [0, 0])
        yield from _compare(
            {
                f"badge {badge}, users": (ours[0], theirs[0]),
                f"badge {badge}, times, summed modulo {prime}": (ours[1], theirs[1]),
            }
        )


def _compare(figures: dict[str, tuple[object, object]]) -> Iterator[Difference]:
    for where, (kept, recomputed) in figures.items():
        if kept != recomputed:
            yield Difference(where, kept, recomputed)
