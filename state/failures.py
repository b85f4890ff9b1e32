"""What SQLite, DuckDB and the disk refuse, as errors of ours: which state, and what to do."""

import errno
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from state.errors import HomecomingError, StateBusyError, StateError


@contextmanager
def as_ours(database: Path) -> Iterator[None]:
    """Raise StateBusyError where trying again helps, StateError where it does not; other errors pass."""
    try:
        yield
    except sqlite3.Error as error:
        if found := _of_sqlite(error, database):
            raise found from error
        raise
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise StateBusyError(f"{database.parent} cannot grow: the disk is full; free some space") from error
        raise
    except Exception as error:
        if found := _of_duckdb(error, database):
            raise found from error
        raise


def _of_sqlite(error: sqlite3.Error, database: Path) -> HomecomingError | None:
    code = getattr(error, "sqlite_errorname", "") or ""
    directory = database.parent
    if code.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
        return StateBusyError(f"{database} is locked by another process: {error}")
    if code.startswith("SQLITE_FULL"):
        return StateBusyError(f"{database} cannot grow: the disk is full; free some space")
    if code.startswith("SQLITE_IOERR"):
        return StateBusyError(f"{database} cannot be written: {error} ({code}); check the disk")
    if code.startswith(("SQLITE_READONLY", "SQLITE_CANTOPEN", "SQLITE_PERM")):
        return StateError(f"{database} cannot be opened for writing ({error}): check the owner and mode of {directory}")
    if code.startswith(("SQLITE_CORRUPT", "SQLITE_NOTADB")):
        return StateError(
            f"{database} is damaged ({error}): move it away and run `homecoming rebuild --state {directory}`; "
            "`homecoming catch-up` brings back what was not yet sealed"
        )
    return None


def _of_duckdb(error: Exception, database: Path) -> HomecomingError | None:
    duckdb = sys.modules.get("duckdb")  # not loaded where it is not used
    if duckdb is not None and isinstance(error, duckdb.OutOfMemoryException):
        what = str(error).partition("\n")[0]
        return StateError(f"{database.parent} holds more than this step has memory for ({what}): nothing was changed")
    if duckdb is None or not isinstance(error, duckdb.IOException):
        return None
    what = str(error).partition("\n")[0]
    if "No files found" in what or "No such file" in what:
        return StateError(f"a log file that {database} names is gone: {what}; restore it from a backup")
    return StateBusyError(f"{database.parent} cannot be written: {what}; check the disk and its free space")
