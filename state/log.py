"""The event log as one relation: sealed Parquet files and the hot end in SQLite, read together."""

import json
import sqlite3
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from state.duck import MEMORY_LIMIT, connect, literal
from state.errors import StateError
from state.store import DATABASE, read_store, reading
from state.weeks import SECOND

if TYPE_CHECKING:
    import duckdb

#: The log's columns with their DuckDB types: a superset of the notebooks' layout.
COLUMNS: dict[str, str] = {
    "msg_id": "VARCHAR",
    "sent_at": "TIMESTAMP",
    "received_at": "TIMESTAMP",
    "topic": "VARCHAR",
    "username": "VARCHAR",
    "role": "VARCHAR",
    "service": "VARCHAR",
    "project": "VARCHAR",
    "namespace": "VARCHAR",
    "object": "VARCHAR",
    "size": "BIGINT",
    "unit": "VARCHAR",
    "content_hash": "VARCHAR",
    "is_bot": "BOOLEAN",
}
NAMES = ", ".join(COLUMNS)

#: DuckDB: the key of an event, and the week of its event time, exactly as state.event and state.weeks have them.
KEY_SQL = "(md5_number_lower(msg_id || chr(31) || coalesce(username, '')) & 9223372036854775807)::BIGINT"
MESSAGE_KEY_SQL = "(md5_number_lower(msg_id) & 9223372036854775807)::BIGINT"
WEEK_SQL = "((epoch_us(sent_at) // 86400000000 + 3) // 7)::INTEGER"

#: Kinds of files, which are also their folders.
EVENTS, DAYS = "events", "days"

#: segment.folded: whether the users have gained from the file: not yet, by the job under way, yes.
PENDING, UNDER_WAY, FOLDED = 0, 1, 2

#: The event times of one message, from the bus and from an archive that rounds, differ by less.
SAME_TIME = 60 * SECOND

#: A merge or an expiry may take files away under a reader; each time it looks again.
_ATTEMPTS = 5

#: Rows handed from SQLite to DuckDB at a time.
_ROWS_AT_ONCE = 20_000

_T = TypeVar("_T")


def files(
    conn: sqlite3.Connection,
    kind: str | None = EVENTS,
    weeks: Iterable[int] | None = None,
    folded: int | None = None,
) -> list[str]:
    """Files that the manifest names, relative to the state directory: of that kind, weeks and state of folding."""
    found = conn.execute(
        """SELECT file FROM segment WHERE (:kind IS NULL OR kind = :kind) AND (:folded IS NULL OR folded = :folded)
            AND (:weeks IS NULL OR week IN (SELECT value FROM json_each(:weeks))) ORDER BY week, file""",
        {"kind": kind, "folded": folded, "weeks": None if weeks is None else json.dumps(sorted(set(weeks)))},
    )
    return [row[0] for row in found]


def files_reaching(conn: sqlite3.Connection, earliest: Mapping[int, int]) -> list[str]:
    """Files that may hold an event which is no earlier than its week's entry of {week: event time}.

    What came after everything in a file is not in it: live batches do not ask files that end before them.
    """
    found = conn.execute(
        """SELECT file FROM segment JOIN json_each(?) AS asked ON week = CAST(asked.key AS INTEGER)
        WHERE kind = ? AND (last_at IS NULL OR last_at >= asked.value - ?) ORDER BY week, file""",
        (json.dumps(earliest), EVENTS, SAME_TIME),
    )
    return [row[0] for row in found]


def parquet_sql(directory: Path, names: Sequence[str]) -> str:
    """A table function that reads exactly these files, never a glob."""
    listed = ", ".join(literal(str(directory / name)) for name in names)
    return f"read_parquet([{listed}], union_by_name = true)"


def load_rows(
    duck: "duckdb.DuckDBPyConnection",
    table: str,
    columns: Mapping[str, str],
    batches: Iterable[Sequence[Any]],
) -> None:
    """Create the DuckDB table of these columns out of batches of rows.

    By way of JSON, which both sides write and read in C: as fast as Arrow, without a dependency of 150 MB.
    """
    load_json(duck, table, columns, map(json.dumps, batches))


def load_json(
    duck: "duckdb.DuckDBPyConnection", table: str, columns: Mapping[str, str], batches: Iterable[str]
) -> None:
    """The same where each batch is a JSON array of arrays already."""
    listed = ", ".join(f"{name} {kind}" for name, kind in columns.items())
    fields = ", ".join(f"(r->>{place})::{kind}" for place, kind in enumerate(columns.values()))
    insert = f"INSERT INTO {table} SELECT {fields} FROM (SELECT unnest(?::JSON::JSON[]) AS r)"
    duck.execute(f"CREATE OR REPLACE TABLE {table} ({listed})")
    for rows in batches:
        duck.execute(insert, [rows])


def load_log_rows(duck: "duckdb.DuckDBPyConnection", name: str, batches: Iterable[Sequence[Any]]) -> None:
    """Create the DuckDB relation `name` of the log's columns out of batches of rows with times in microseconds."""
    micros = {column: "BIGINT" if kind == "TIMESTAMP" else kind for column, kind in COLUMNS.items()}
    load_rows(duck, f"{name}_micros", micros, batches)
    columns = ", ".join(
        f"make_timestamp({column}) AS {column}" if kind == "TIMESTAMP" else column for column, kind in COLUMNS.items()
    )
    duck.execute(f"CREATE OR REPLACE VIEW {name} AS SELECT {columns} FROM {name}_micros")


def load_hot(
    duck: "duckdb.DuckDBPyConnection",
    conn: sqlite3.Connection,
    where: str = "TRUE",
    parameters: Sequence[Any] = (),
) -> None:
    """Create the DuckDB relation `hot`: the hot rows, with the log's columns."""
    cursor = conn.execute(f"SELECT {NAMES} FROM event WHERE {where}", parameters)
    load_log_rows(duck, "hot", iter(lambda: cursor.fetchmany(_ROWS_AT_ONCE), []))


def define_log(duck: "duckdb.DuckDBPyConnection", conn: sqlite3.Connection, directory: Path) -> None:
    """Define the view `log` (the log's columns, rows of users and of none) as it stands in this snapshot."""
    load_hot(duck, conn)
    parts = [f"SELECT {NAMES} FROM hot"]
    if sealed := files(conn):
        parts.append(f"SELECT {NAMES} FROM {parquet_sql(directory, sealed)}")
    duck.execute(f"CREATE OR REPLACE VIEW log AS {' UNION ALL '.join(parts)}")


def with_log(
    directory: Path,
    use: "Callable[[duckdb.DuckDBPyConnection, sqlite3.Connection], _T]",
    memory_limit: str = MEMORY_LIMIT,
) -> _T:
    """Call `use` with the view `log` and the views' connection, both of one snapshot; again where a file has gone."""
    import duckdb  # noqa: PLC0415 - loaded only when used

    conn = read_store(directory)
    try:
        for attempt in range(_ATTEMPTS):
            with connect(directory, memory_limit) as duck, reading(directory, conn):
                try:
                    define_log(duck, conn, directory)
                    return use(duck, conn)
                except duckdb.IOException as error:
                    if attempt == _ATTEMPTS - 1:
                        raise StateError(
                            f"{directory / DATABASE} names a log file that cannot be read: {first_line(error)}"
                        ) from error
    finally:
        conn.close()
    raise AssertionError  # the last attempt returns or raises


def first_line(error: Exception) -> str:
    """What the error says, without its trailing hints."""
    return str(error).strip().partition("\n")[0]
