"""Dead letters: what could not be taken in, kept whole with the reason, so that nothing is lost."""

import sqlite3
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from state.event import key_of


class DeadLetter(NamedTuple):
    """One message or archive row that was refused."""

    received_at: int  #: processing time, microseconds since 1970 UTC
    reason: str  #: a short word, the metric's label
    detail: str  #: one line for a person
    source: str  #: "amqp", or the archive's file name
    msg_id: str | None
    topic: str | None
    headers: str | None  #: JSON
    body: bytes

    def key(self) -> int:
        """The same letter delivered again has the same key."""
        return key_of(f"{self.reason}\x1f{self.msg_id}\x1f{self.topic}\x1f{self.headers}\x1f{self.body!r}")


def bury(conn: sqlite3.Connection, letters: Iterable[DeadLetter]) -> int:
    """Keep the letters, inside a writing step; how many of them are new."""
    before = conn.total_changes
    conn.executemany(
        "INSERT OR IGNORE INTO dead_letter VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        ((letter.key(), *letter) for letter in letters),
    )
    return conn.total_changes - before


def reasons(conn: sqlite3.Connection) -> dict[str, int]:
    """How many letters are kept for each reason, most first."""
    return dict(
        conn.execute("SELECT reason, count(*) AS letters FROM dead_letter GROUP BY reason ORDER BY letters DESC")
    )


def letters(conn: sqlite3.Connection, latest: int | None = None) -> Iterator[DeadLetter]:
    """The letters, oldest first; only so many of the latest where that is asked for."""
    rows = conn.execute(
        """SELECT received_at, reason, detail, source, msg_id, topic, headers, body FROM (
            SELECT * FROM dead_letter ORDER BY received_at DESC, key LIMIT ?) ORDER BY received_at, key""",
        (-1 if latest is None else latest,),
    )
    return (DeadLetter(*row) for row in rows)
