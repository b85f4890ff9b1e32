"""The state as one read sees it."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from state.errors import StateBusyError, StateError
from state.store import DATABASE, read_store, reading


@contextmanager
def snapshot(directory: Path) -> Iterator[sqlite3.Connection]:
    """One consistent, read-only view of the state in `directory`.

    Opened anew each time, so that a state that was replaced is seen. Raises StateError where it cannot be read, and
    where there is none: a state that went missing must not pass for an empty one.
    """
    try:
        if not (directory / DATABASE).exists():
            raise StateError(f"there is no {DATABASE} in {directory}: put it back, or name another --state")
        with closing(read_store(directory)) as conn, reading(directory, conn):
            yield conn
    except (sqlite3.Error, OSError, StateBusyError) as error:
        raise StateError(f"the state in {directory} cannot be read: {error}") from error
