"""Archive files as relations of the log's columns: Parquet and CSV by DuckDB, JSON through the decoder."""

import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from consumer.decode import Poison, decode_record
from consumer.records import records_of
from state.dead_letters import DeadLetter
from state.duck import literal
from state.errors import ArchiveError
from state.importer import Source
from state.log import COLUMNS, first_line, load_log_rows

if TYPE_CHECKING:
    import duckdb

_REQUIRED = ("sent_at", "topic", "username")

#: Rows decoded in Python before DuckDB takes them.
_ROWS_AT_ONCE = 20_000

#: What is no part of any name or topic: control characters and line separators.
_UNPRINTABLE = "[\\x00-\\x1f\\x7f-\\x9f\\x{2028}\\x{2029}]"

#: DuckDB types of sent_at, and how each becomes UTC. Text without an offset is UTC; plain numbers are seconds.
_TIMES: dict[str, str] = {
    "VARCHAR": "TRY_CAST(sent_at AS TIMESTAMPTZ)::TIMESTAMP",
    "DATE": "sent_at::TIMESTAMP",
    "DOUBLE": "TRY(make_timestamp((sent_at * 1000000)::BIGINT))",
    "BIGINT": "TRY(make_timestamp(sent_at * 1000000))",
    "INTEGER": "TRY(make_timestamp(sent_at::BIGINT * 1000000))",
}

#: Progress through a file that is read in Python: bytes done.
Progress = Callable[[int], None]


def open_archive(
    duck: "duckdb.DuckDBPyConnection",
    path: Path,
    now: int,
    name: str = "archive",
    progress: Progress = lambda _: None,
) -> Source:
    """The archive as an importable source, its relation being `name`; unusable rows become its dead letters.

    now: processing time, microseconds since 1970 UTC. Raises ArchiveError where the file cannot be read, or
    where none of its rows can be used.
    """
    import duckdb as engine  # noqa: PLC0415 - loaded only when used

    try:
        stat = path.stat()
        if not path.is_file():
            raise ArchiveError(f"{path} is no file")
        if stat.st_size == 0:
            raise ArchiveError(f"{path} is empty")
        match "".join(path.suffixes[-2:]).lower():
            case suffix if suffix.endswith(".parquet"):
                dead = _table(duck, path, f"read_parquet({literal(str(path))})", name, now, keep=False)
            case suffix if suffix.endswith((".csv", ".csv.gz")):
                reader = f"read_csv({literal(str(path))}, all_varchar = true, header = true, null_padding = false)"
                dead = _table(duck, path, reader, name, now, keep=True)
            case suffix if suffix.endswith((".json", ".jsonl", ".ndjson", ".json.gz", ".jsonl.gz")):
                dead = _records(duck, path, name, now, progress)
            case _:
                raise ArchiveError(f"{path}: expected .parquet, .csv, .json or .jsonl")
    except OSError as error:
        raise ArchiveError(f"{path} cannot be read: {error.strerror or error}") from None
    except engine.Error as error:
        raise ArchiveError(f"{path} cannot be read: {first_line(error)}") from error
    return Source(f"{path.name} {stat.st_size} {stat.st_mtime_ns}", name, dead)


def _table(
    duck: "duckdb.DuckDBPyConnection", path: Path, reader: str, name: str, now: int, *, keep: bool
) -> list[DeadLetter]:
    """Define the relation over a table of rows; the rows that cannot be used."""
    kinds = {column: kind for column, kind, *_ in duck.execute(f"DESCRIBE FROM {reader}").fetchall()}
    if missing := [column for column in _REQUIRED if column not in kinds]:
        raise ArchiveError(
            f"{path} has no column {', '.join(missing)}: needed are {', '.join(_REQUIRED)}; found {', '.join(kinds)}"
        )
    time = "sent_at::TIMESTAMP" if kinds["sent_at"].startswith("TIMESTAMP") else _TIMES.get(kinds["sent_at"])
    if time is None:
        raise ArchiveError(f"{path}: sent_at is of type {kinds['sent_at']}; expected a time, a text or seconds")
    columns = ", ".join(
        f"{time if column == 'sent_at' else _column(column, kind, kinds)} AS {column}"
        for column, kind in COLUMNS.items()
    )
    duck.execute(
        f"CREATE OR REPLACE {'TABLE' if keep else 'VIEW'} {name}_rows AS "
        f"SELECT {columns}, sent_at::VARCHAR AS sent_at_text FROM {reader}"
    )
    good = _usable(duck, name, now)
    duck.execute(f"CREATE OR REPLACE VIEW {name} AS SELECT {', '.join(COLUMNS)} FROM {name}_rows WHERE {good}")
    bad, rows = duck.execute(
        f"SELECT count(*) FILTER (NOT coalesce({good}, false)), count(*) FROM {name}_rows"
    ).fetchall()[0]
    if bad and bad == rows:
        (first,) = duck.execute(f"SELECT to_json(r)::VARCHAR FROM {name}_rows AS r LIMIT 1").fetchall()[0]
        raise ArchiveError(
            f"{path}: none of its {rows} rows has a usable sent_at, topic and username; first: {first:.200}"
        )
    return list(_dead_rows(duck, path, name, good, now)) if bad else []


def _column(column: str, kind: str, kinds: Mapping[str, str]) -> str:
    """SQL of a column that the archive may lack or hold in another type."""
    if column not in kinds:
        return f"NULL::{kind}"
    value = f'TRY_CAST("{column}" AS {kind})'
    if column == "role":
        return f"CASE WHEN {value} = 'affected' THEN 'affected' ELSE 'actor' END"
    # An empty text is how CSV writes that there is none.
    return f"nullif({value}, '')" if kind == "VARCHAR" else value


def _usable(duck: "duckdb.DuckDBPyConnection", name: str, now: int) -> str:
    """SQL: whether a row can be taken in. Names and topics are judged once each, not once per row."""
    bad = {}
    for column in ("username", "topic"):
        found = duck.execute(
            f"""SELECT value FROM (SELECT DISTINCT {column} AS value FROM {name}_rows WHERE {column} NOT NULL)
            WHERE length(value) > 255 OR regexp_matches(value, '{_UNPRINTABLE}')"""
        ).fetchall()
        bad[column] = ", ".join(literal(value) for (value,) in found)
    conditions = [
        "sent_at >= TIMESTAMP '1990-01-01'",
        f"sent_at <= make_timestamp({now + 600_000_000})",
        "topic IS NOT NULL",
    ]
    if bad["topic"]:
        conditions.append(f"topic NOT IN ({bad['topic']})")
    if bad["username"]:
        conditions.append(f"(username IS NULL OR username NOT IN ({bad['username']}))")
    return " AND ".join(conditions)


def _dead_rows(duck: "duckdb.DuckDBPyConnection", path: Path, name: str, good: str, now: int) -> Iterator[DeadLetter]:
    in_time = f"coalesce(sent_at BETWEEN TIMESTAMP '1990-01-01' AND make_timestamp({now + 600_000_000}), false)"
    result = duck.execute(
        f"""SELECT {in_time}, msg_id, topic, sent_at_text, to_json(r)::VARCHAR FROM {name}_rows AS r
        WHERE NOT coalesce({good}, false)"""
    )
    while rows := result.fetchmany(_ROWS_AT_ONCE):
        for timely, msg_id, topic, sent_at, row in rows:
            reason, detail = ("username", "user or topic is missing, too long or not printable")
            if not timely:
                reason, detail = "sent_at", f"not a time from 1990 to now: {sent_at}"
            yield DeadLetter(now, reason, detail, path.name, msg_id, topic, None, row.encode())


def _records(
    duck: "duckdb.DuckDBPyConnection", path: Path, name: str, now: int, progress: Progress
) -> list[DeadLetter]:
    """Decode the messages of a JSON archive into the relation; those that cannot be decoded."""
    dead: list[DeadLetter] = []
    load_log_rows(duck, name, decoded_rows(records_of(path, progress), now, path.name, dead))
    (rows,) = duck.execute(f"SELECT count(*) FROM {name}").fetchall()[0]
    if not rows:
        why = f"; the first: {dead[0].reason}, {dead[0].detail}" if dead else ""
        raise ArchiveError(f"{path} holds no message that can be used{why}")
    return dead


def decoded_rows(
    records: Iterator[Any], now: int, source: str, dead: list[DeadLetter]
) -> Iterator[list[tuple[Any, ...]]]:
    """Batches of log rows; records that cannot be decoded are appended to `dead`."""
    rows: list[tuple[Any, ...]] = []
    for record in records:
        try:
            if isinstance(record, Poison):
                raise record
            rows.extend(decode_record(record, now).events)
        except Poison as poison:
            dead.append(_dead_record(record, poison, now, source))
        if len(rows) >= _ROWS_AT_ONCE:
            yield rows
            rows = []
    if rows:
        yield rows


def _dead_record(record: Any, poison: Poison, now: int, source: str) -> DeadLetter:
    known = record if isinstance(record, dict) else {}
    msg_id, topic = (str(known[key]) if key in known else None for key in ("id", "topic"))
    body = str(record) if isinstance(record, Poison) else json.dumps(record)
    return DeadLetter(now, poison.reason, poison.detail, source, msg_id, topic, None, body.encode())
