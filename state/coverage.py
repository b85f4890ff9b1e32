"""When we listened, and the gaps between: what happened in a gap is missing from the log.

Intervals are processing times while a source was connected, in microseconds since 1970 UTC. They are
compared with event times: a message reaches the bus within seconds of what it tells.
"""

import sqlite3
from collections.abc import Iterable, Iterator

from state.cells import Gap


def listen(conn: sqlite3.Connection, source: str, now: int, bridged: int = 0) -> int:
    """Begin to listen at `now`, inside a writing step; the interval's id.

    bridged: how long the broker keeps messages for us while we are away, in microseconds; an absence no
    longer than that is no gap.
    """
    last = conn.execute("SELECT id, end FROM coverage WHERE source = ? ORDER BY end DESC LIMIT 1", (source,)).fetchone()
    if last and 0 <= now - last[1] <= bridged:
        return int(last[0])
    cursor = conn.execute("INSERT INTO coverage (source, start, end) VALUES (?, ?, ?)", (source, now, now))
    assert cursor.lastrowid is not None  # noqa: S101 - an INSERT always has one
    return cursor.lastrowid


def listen_until(conn: sqlite3.Connection, interval: int, now: int) -> None:
    """Extend the interval to `now`, inside a writing step."""
    conn.execute("UPDATE coverage SET end = max(end, ?) WHERE id = ?", (now, interval))


def cover(conn: sqlite3.Connection, source: str, start: int, end: int) -> None:
    """Record that everything between start and end is known, inside a writing step."""
    conn.execute("INSERT INTO coverage (source, start, end) VALUES (?, ?, ?)", (source, start, end))


def last_covered(conn: sqlite3.Connection) -> int | None:
    """Up to when anybody has listened; None where nobody ever did."""
    found: int | None = conn.execute("SELECT max(end) FROM coverage").fetchone()[0]
    return found


def gaps(conn: sqlite3.Connection) -> list[Gap]:
    """Times in which nobody listened, between times in which somebody did, ascending."""
    return list(gaps_between(conn.execute("SELECT start, end FROM coverage ORDER BY start, end")))


def gaps_between(intervals: Iterable[Gap]) -> Iterator[Gap]:
    """The gaps between intervals that come in the order of their starts."""
    covered: int | None = None
    for start, end in intervals:
        if covered is not None and start > covered:
            yield covered, start
        covered = end if covered is None else max(covered, end)
