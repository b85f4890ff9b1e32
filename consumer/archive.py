"""Archive files as relations of the log's columns: Parquet and CSV by DuckDB, JSON through the decoder."""

import csv
import gzip
import json
import re
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from consumer.delivery import Poison, printable
from consumer.records import BadLine, records_of
from state.dead_letters import DeadLetter
from state.duck import literal
from state.errors import ArchiveError
from state.importer import Source
from state.log import COLUMNS, load_log_rows

if TYPE_CHECKING:
    import duckdb

_REQUIRED = ("sent_at", "topic", "username")

#: Rows decoded in Python before DuckDB takes them.
_ROWS_AT_ONCE = 20_000

#: What is no part of any name or topic: control characters and line separators.
_UNPRINTABLE = "[\\x00-\\x1f\\x7f-\\x9f\\x{2028}\\x{2029}]"

#: Seconds since 1970 as a time; a double holds today's microseconds exactly.
_SECONDS = "TRY(make_timestamp((TRY_CAST(sent_at AS DOUBLE) * 1000000)::BIGINT))"

#: DuckDB types of sent_at, and how each becomes UTC. Text without an offset is UTC; plain numbers are seconds.
_TIMES: dict[str, str] = {
    "TIMESTAMP.*|DATE": "sent_at::TIMESTAMP",
    "VARCHAR": f"coalesce(TRY_CAST(sent_at AS TIMESTAMPTZ)::TIMESTAMP, {_SECONDS})",
    "DOUBLE|FLOAT|DECIMAL.*|U?(BIG|HUGE|SMALL|TINY)?INT(EGER)?": _SECONDS,
}

#: What may separate the columns of a CSV, and the longest header that there is (characters).
_DELIMITERS = ",;\t|"
_LONGEST_HEADER = 1_000_000

#: Progress through a file that is read in Python: bytes done, bytes in all (packed ones, where it is packed).
Progress = Callable[[int, int], None]


def open_archive(
    duck: "duckdb.DuckDBPyConnection",
    path: Path,
    now: int,
    name: str = "archive",
    progress: Progress = lambda _done, _all: None,
) -> Source:
    """The archive as an importable source, its relation being `name`; unusable rows become its dead letters.

    now: processing time, microseconds since 1970 UTC. Raises ArchiveError where the file cannot be read, or
    where none of its rows can be used.
    """
    with reading_archive(path):
        stat = path.stat()
        if not path.is_file():
            raise ArchiveError(f"{path} is no file")
        if stat.st_size == 0:
            raise ArchiveError(f"{path} is empty")
        match "".join(path.suffixes[-2:]).lower():
            case suffix if suffix.endswith(".parquet"):
                lacks, dead = _table(duck, path, f"read_parquet({literal(str(path))})", name, now, keep=False)
            case suffix if suffix.endswith((".csv", ".csv.gz")):
                lacks, dead = _table(duck, path, _csv_reader(path), name, now, keep=True)
            case suffix if suffix.endswith((".json", ".jsonl", ".ndjson", ".json.gz", ".jsonl.gz", ".ndjson.gz")):
                lacks, dead = [], _records(duck, path, name, now, lambda done: progress(done, stat.st_size))
            case _:
                raise ArchiveError(f"{path}: expected .parquet, .csv, .json or .jsonl")
    return Source(f"{path.name} {stat.st_size} {stat.st_mtime_ns}", name, dead, lacks)


@contextmanager
def reading_archive(path: Path, what: str = "read") -> Iterator[None]:
    """Whatever goes wrong while the archive is read as ArchiveError. A damaged page of a Parquet file shows late."""
    import duckdb as engine  # noqa: PLC0415 - loaded only when used

    try:
        yield
    except engine.InterruptException:
        raise KeyboardInterrupt from None
    except engine.Error as error:
        raise ArchiveError(f"{path} cannot be {what}: {_said(error)}") from error
    except (OSError, EOFError, zlib.error) as error:
        raise ArchiveError(f"{path} cannot be {what}: {getattr(error, 'strerror', None) or error}") from None


def _said(error: Exception) -> str:
    """What DuckDB says, without the line itself (an open quote makes it very long) and advice about its options."""
    text = re.sub(
        r"\nOriginal Line:.*?\n+(?=Expected Number|Value with|Invalid unicode)", ": ", str(error), flags=re.DOTALL
    )
    return re.split(r"\nPossible|\nThis can happen|\n *\n", text.strip())[0][:300]


def _csv_reader(path: Path) -> str:
    """The table function for a CSV, every column a text.

    The dialect is fixed by the header alone: DuckDB's sniffer takes `#` in a name for a comment, and names no line
    where a row is too short.
    """
    opened = gzip.open if path.suffix.lower() == ".gz" else open
    with opened(path, "rt", encoding="utf-8-sig", errors="replace", newline="") as file:
        skip, header = 0, file.readline(_LONGEST_HEADER)
        while header and not header.strip():
            skip, header = skip + 1, file.readline(_LONGEST_HEADER)
    delimiter = max(_DELIMITERS, key=header.count)
    try:
        names = next(csv.reader([header], delimiter=delimiter), [])
    except csv.Error as error:
        raise ArchiveError(f"{path} has no header that can be read: {error}") from None
    columns = ", ".join(f"{literal(name or f'column{place}')}: 'VARCHAR'" for place, name in enumerate(names))
    if not columns:
        raise ArchiveError(f"{path} has no header: needed are {', '.join(_REQUIRED)}")
    return (
        f"read_csv({literal(str(path))}, auto_detect = false, header = true, skip = {skip}, columns = {{{columns}}}, "
        f"delim = {literal(delimiter)}, quote = '\"', escape = '\"', comment = '', null_padding = false)"
    )


def _table(
    duck: "duckdb.DuckDBPyConnection", path: Path, reader: str, name: str, now: int, *, keep: bool
) -> tuple[list[str], list[DeadLetter]]:
    """Define the relation over a table of rows; the log's columns that it lacks, and the rows that cannot be used."""
    kinds = {column: kind for column, kind, *_ in duck.execute(f"DESCRIBE FROM {reader}").fetchall()}
    if missing := [column for column in _REQUIRED if column not in kinds]:
        raise ArchiveError(
            f"{path} has no column {', '.join(missing)}: needed are {', '.join(_REQUIRED)}; found {', '.join(kinds)}"
        )
    for column in ("topic", "username"):
        if kinds[column].endswith("]") or "(" in kinds[column]:
            raise ArchiveError(f"{path}: {column} is of type {kinds[column]}; expected one text a row")
    time = next((sql for types, sql in _TIMES.items() if re.fullmatch(types, kinds["sent_at"])), None)
    if time is None:
        raise ArchiveError(f"{path}: sent_at is of type {kinds['sent_at']}; expected a time, a text or seconds")
    texts = {"username": _name_sql(duck, reader, name), "sent_at": time}
    columns = ", ".join(
        f"{texts.get(column) or _column(column, kind, kinds)} AS {column}" for column, kind in COLUMNS.items()
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
    lacks = [column for column in COLUMNS if column not in kinds]
    return lacks, list(_dead_rows(duck, path, name, good, now)) if bad else []


def _name_sql(duck: "duckdb.DuckDBPyConnection", reader: str, name: str) -> str:
    """SQL of the user name as consumer.people has it; the plain column where every name is clean already.

    Leaves the names as the table `{name}_username`: each is judged once and not once per row, which took two
    seconds of a backfill of 5 million rows.
    """
    clean = "nullif(nullif(trim(username::VARCHAR), ''), 'None')"  # str(None) is how some write that there is none
    duck.execute(
        f"""CREATE OR REPLACE TABLE {name}_username AS
        WITH found AS MATERIALIZED (SELECT DISTINCT username FROM {reader} WHERE username IS NOT NULL)
        SELECT {clean} AS value, value IS NOT DISTINCT FROM username::VARCHAR AS is_clean FROM found"""
    )
    (all_clean,) = duck.execute(f"SELECT coalesce(bool_and(is_clean), true) FROM {name}_username").fetchall()[0]
    return "username::VARCHAR" if all_clean else clean


def _column(column: str, kind: str, kinds: Mapping[str, str]) -> str:
    """SQL of a column that the archive may lack or hold in another type."""
    if column not in kinds:
        return "CASE WHEN starts_with(topic, 'track.') THEN 'affected' END" if column == "role" else f"NULL::{kind}"
    value = column if kinds[column] == kind else f'TRY_CAST("{column}" AS {kind})'
    if column == "role":
        # What a website tracks is no activity on the bus: see consumer/track.py.
        return f"CASE WHEN {value} = 'affected' OR starts_with(topic, 'track.') THEN 'affected' ELSE 'actor' END"
    # An empty text is how CSV writes that there is none.
    return f"nullif({value}, '')" if kind == "VARCHAR" else value


def _usable(duck: "duckdb.DuckDBPyConnection", name: str, now: int) -> str:
    """SQL: whether a row can be taken in. Names and topics are judged once each, not once per row."""
    conditions = [
        "sent_at >= TIMESTAMP '1990-01-01'",
        f"sent_at <= make_timestamp({now + 600_000_000})",
        "topic IS NOT NULL",
    ]
    duck.execute(f"CREATE OR REPLACE TABLE {name}_topic AS SELECT DISTINCT topic AS value FROM {name}_rows")
    for column in ("username", "topic"):
        bad = f"{name}_bad_{column}"
        duck.execute(
            f"""CREATE OR REPLACE TABLE {bad} AS SELECT value FROM {name}_{column}
            WHERE length(value) > 255 OR regexp_matches(value, '{_UNPRINTABLE}')"""
        )
        if duck.execute(f"SELECT count(*) FROM {bad}").fetchall()[0][0]:
            conditions.append(f"({column} IS NULL OR {column} NOT IN (FROM {bad}))")
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
    duck: "duckdb.DuckDBPyConnection", path: Path, name: str, now: int, progress: Callable[[int], None]
) -> list[DeadLetter]:
    """Decode the messages of a JSON archive into the relation; those that cannot be decoded."""
    dead: list[DeadLetter] = []
    load_log_rows(duck, name, decoded_rows(records_of(path, progress), now, path.name, dead))
    (rows,) = duck.execute(f"SELECT count(*) FROM {name}").fetchall()[0]
    if dead and not rows:
        raise ArchiveError(f"{path} holds no message that can be used; the first: {dead[0].reason}, {dead[0].detail}")
    return dead


def decoded_rows(
    records: Iterator[Any], now: int, source: str, dead: list[DeadLetter]
) -> Iterator[list[tuple[Any, ...]]]:
    """Batches of log rows; records that cannot be decoded are appended to `dead`."""
    from consumer.decode import decode_record  # noqa: PLC0415 - fedora-messaging loads in 0.3 s, tables go without it

    rows: list[tuple[Any, ...]] = []
    for record in records:
        try:
            if isinstance(record, BadLine):
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
    msg_id, topic = (printable(known.get(key)) for key in ("id", "topic"))
    body = record.line if isinstance(record, BadLine) else json.dumps(record).encode()
    return DeadLetter(now, poison.reason, poison.detail, source, msg_id, topic, None, body)
