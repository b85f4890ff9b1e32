"""How fresh the state is: lag, silence, times in which nobody listened, what could not be taken in."""

import sqlite3
from typing import NamedTuple

from metrics.context import Context
from state.cells import Gap
from state.coverage import gaps, last_covered
from state.dead_letters import reasons
from state.store import get_meta
from state.weeks import SECOND


class Health(NamedTuple):
    """Seconds are against processing time; None is what cannot be known."""

    lag_s: float | None  #: how far the newest event is behind; None for an empty state
    last_message_age_s: float | None  #: None before the first, and where this process does not listen itself
    connected: bool | None  #: None where this process does not listen itself
    listened_until: int | None  #: processing time, microseconds since 1970 UTC
    gaps: list[Gap]  #: times in which nobody listened, ascending
    dead_letters: dict[str, int]  #: by reason, most first


def health(conn: sqlite3.Connection, context: Context) -> Health:
    """The state's health by the context's clock, and the stream's where this process listens to it."""
    watermark: int | None = get_meta(conn, "watermark")
    stream = context.hot_path
    return Health(
        lag_s=None if watermark is None else max(0, context.clock() - watermark) / SECOND,
        last_message_age_s=None if stream is None else stream.last_message_age(),
        connected=None if stream is None else stream.is_connected(),
        listened_until=last_covered(conn),
        gaps=gaps(conn),
        dead_letters=reasons(conn),
    )
