"""Archives into the log: vectorised, chunk by chunk, each chunk one writing step, resumable."""

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, NamedTuple

from state.awards import take_awards
from state.bulk import Progress, fold_pending, fold_rows, no_progress
from state.dead_letters import DeadLetter, bury
from state.event import service_of
from state.log import (
    COLUMNS,
    KEY_SQL,
    MESSAGE_KEY_SQL,
    NAMES,
    PENDING,
    WEEK_SQL,
    files,
    load_hot,
    parquet_sql,
)
from state.screening import touch
from state.segments import write_segments
from state.store import Store, add_meta, get_meta, raise_watermark
from state.weeks import week_of, week_start

if TYPE_CHECKING:
    import duckdb

#: Rows a chunk: the writing step then takes about two seconds, and live batches come between.
CHUNK_ROWS = 500_000

#: Rows of the week that is not over, up to which they stay hot with those that live batches bring: a file for each
#: hour that is caught up would be many, and more hot rows would take ten times as long as a file.
HOT_ROWS = 50_000

#: SQL: the second of a table's event time.
_SECOND = "epoch_us({}.sent_at) // 1000000"

#: SQL: whether the id is the message's own.
_OWN_ID = "NOT starts_with({}, 'derived-')"

#: SQL: what tells events of `fresh` apart, but for accidents. hash() differs between versions of DuckDB and is nothing
#: to keep; within one query it is a cheap test.
_EVENT = "hash(msg_id, username)"

#: SQL: columns that the log has of every row, and the value of those that a source may do without.
_DERIVED = {
    "msg_id": "coalesce(source.msg_id, 'derived-' || "
    "md5(concat_ws(chr(31), epoch_us(sent_at), topic, coalesce(username, ''))))",
    "service": "topic_service.service",
}
_OTHERWISE = {"role": "'actor'", "is_bot": "false"}

_ROWS_AT_ONCE = 20_000


class Imported(NamedTuple):
    """What an import did."""

    rows: int  #: valid rows read
    events: int  #: of which new events
    messages: int  #: new message ids
    expired: int  #: rows of weeks that day summaries have replaced: counted and dropped


class Source(NamedTuple):
    """An archive as a DuckDB relation with the log's columns: sent_at valid, msg_id null where it has none."""

    name: str | None  #: identifies the archive's content, so that an interrupted import goes on where it was
    relation: str  #: SQL of the relation
    dead: Sequence[DeadLetter] = ()
    lacks: Collection[str] = ()  #: columns that are null in every row


def import_source(
    store: Store,
    duck: "duckdb.DuckDBPyConnection",
    source: Source,
    progress: Progress = no_progress,
    folding: Progress = no_progress,
) -> Imported:
    """Bring the archive's rows into log and views; the same rows again change nothing.

    progress: rows that are in the log; folding: users who have gained from them.
    Raises StateBusyError with whole chunks done: the same call goes on from there.
    """
    with store.writing() as conn:
        bury(conn, source.dead)
        (through,) = conn.execute(
            "SELECT coalesce(max(through), -1e9) FROM imported WHERE source = ?", (source.name,)
        ).fetchone()
    duck.execute(f"CREATE OR REPLACE VIEW source AS FROM ({source.relation})")
    _classify_topics(duck)
    found = duck.execute(
        f"SELECT {WEEK_SQL} AS week, count(*), epoch_us(max(sent_at)) FROM source GROUP BY week ORDER BY week"
    ).fetchall()
    weeks = [(week, rows) for week, rows, _ in found]
    newest = max((last for _, _, last in found), default=0)
    total = sum(rows for _, rows in weeks)
    done = sum(rows for week, rows in weeks if week <= through)
    progress(done, total)
    result = Imported(total, 0, 0, 0)
    for chunk in _chunks([(week, rows) for week, rows in weeks if week > through]):
        first, last = chunk[0][0], chunk[-1][0]
        events, messages, expired = _import_chunk(store, duck, source, first, last, newest)
        done += sum(rows for _, rows in chunk)
        progress(done, total)
        result = result._replace(
            events=result.events + events,
            messages=result.messages + messages,
            expired=result.expired + expired,
        )
    fold_pending(store, progress=folding)
    return result


def _chunks(weeks: Sequence[tuple[int, int]]) -> list[list[tuple[int, int]]]:
    chunks: list[list[tuple[int, int]]] = []
    filled = CHUNK_ROWS
    for week, rows in weeks:
        if filled + rows > CHUNK_ROWS:
            chunks.append([])
            filled = 0
        chunks[-1].append((week, rows))
        filled += rows
    return chunks


def _classify_topics(duck: "duckdb.DuckDBPyConnection") -> None:
    """The service of each topic, asked once per topic and not once per row."""
    topics = [topic for (topic,) in duck.execute("SELECT DISTINCT topic FROM source").fetchall()]
    duck.execute("CREATE OR REPLACE TABLE topic_service (topic VARCHAR, service VARCHAR)")
    if topics:
        duck.executemany("INSERT INTO topic_service VALUES (?, ?)", [(topic, service_of(topic)) for topic in topics])


def _import_chunk(
    store: Store, duck: "duckdb.DuckDBPyConnection", source: Source, first: int, last: int, newest: int
) -> tuple[int, int, int]:
    own_ids = _read_chunk(duck, source.lacks, first, last)
    with store.writing() as conn:
        expired_through = get_meta(conn, "expired_through")
        expired = 0
        if expired_through is not None and first <= expired_through:
            (expired,) = duck.execute(
                "SELECT count(DISTINCT msg_id) FROM fresh WHERE week <= ?", [expired_through]
            ).fetchall()[0]
            duck.execute("DELETE FROM fresh WHERE week <= ?", [expired_through])
        hot = _hot_week(duck, max(newest, get_meta(conn, "watermark", newest)))
        anything_known = _drop_known(store, duck, first, last, hot)
        rows, events, newest_here = duck.execute(
            "SELECT count(*), count(username), epoch_us(max(sent_at)) FROM fresh"
        ).fetchall()[0]
        messages = rows if own_ids and not anything_known else _new_messages(duck)
        if rows:
            touch(conn, first)
            raise_watermark(conn, newest_here)
            _write_log(store, duck, hot)
            take_awards(conn, duck, "log")
        add_meta(conn, "messages", messages)
        add_meta(conn, "events", events)
        add_meta(conn, "expired_messages", expired)
        if source.name is not None:
            conn.execute("INSERT OR REPLACE INTO imported VALUES (?, ?)", (source.name, last))
    duck.execute("DROP VIEW log; DROP TABLE fresh; DROP TABLE known")
    return events, messages, expired


def _read_chunk(duck: "duckdb.DuckDBPyConnection", lacks: Collection[str], first: int, last: int) -> bool:
    """The chunk's rows as the table `fresh`, each event once; whether each row is a message of its own.

    The view `log` has them in the log's columns: what the archive lacks is not stored row by row.
    Nothing of the state is looked at yet.
    """
    absent = {name: f"{_OTHERWISE.get(name, 'NULL')}::{COLUMNS[name]}" for name in lacks if name not in _DERIVED}
    stored = [name for name in COLUMNS if name not in absent]
    found = {name: f"coalesce(source.{name}, {value})" for name, value in _OTHERWISE.items()} | _DERIVED
    low, high = (f"make_timestamp({week_start(week)})" for week in (first, last + 1))
    duck.execute(
        f"""CREATE OR REPLACE TABLE fresh AS
        SELECT {WEEK_SQL} AS week, {", ".join(f"{found.get(name, f'source.{name}')} AS {name}" for name in stored)}
        FROM source JOIN topic_service USING (topic) WHERE sent_at >= {low} AND sent_at < {high}"""
    )
    own_ids = not _any_twice(duck, "hash(msg_id)")
    if not own_ids and _any_twice(duck, _EVENT):
        # The strongest role wins: "actor" sorts before "affected". Most rows need no such comparison, which is slow.
        order = ", ".join(name for name in ("msg_id", "username", "role", "sent_at") if name in stored)
        duck.execute(
            f"""CREATE OR REPLACE TABLE twice AS SELECT {_EVENT} AS event FROM fresh GROUP BY event HAVING count(*) > 1;
            CREATE OR REPLACE TABLE once AS SELECT DISTINCT ON (msg_id, username) * FROM fresh
            WHERE {_EVENT} IN (FROM twice) ORDER BY {order};
            DELETE FROM fresh WHERE {_EVENT} IN (FROM twice);
            INSERT INTO fresh FROM once;
            DROP TABLE once; DROP TABLE twice"""
        )
    columns = ", ".join(f"{absent[name]} AS {name}" if name in absent else name for name in COLUMNS)
    duck.execute(f"CREATE OR REPLACE VIEW log AS SELECT week, {columns} FROM fresh")
    return own_ids


def _any_twice(duck: "duckdb.DuckDBPyConnection", value: str) -> bool:
    """Whether two rows of `fresh` have the same value."""
    query = f"SELECT count(*) < (SELECT count(*) FROM fresh) FROM (SELECT DISTINCT {value} FROM fresh)"
    return bool(duck.execute(query).fetchall()[0][0])


def _hot_week(duck: "duckdb.DuckDBPyConnection", watermark: int) -> int | None:
    """The week whose rows go to the hot end: the one that is not over, where the chunk has few of it."""
    week = week_of(watermark)
    (rows,) = duck.execute("SELECT count(*) FROM fresh WHERE week = ?", [week]).fetchall()[0]
    return week if 0 < rows <= HOT_ROWS else None


def _drop_known(store: Store, duck: "duckdb.DuckDBPyConnection", first: int, last: int, hot: int | None) -> bool:
    """Delete from `fresh` what the log has already; whether it has anything of these weeks, the table `known`.

    A row is known by id and user. Where one side has no id of its own (an archive of a notebook), it is known by
    the second, the topic and the user; where both have none, by the very time.
    """
    columns = "msg_id, sent_at, topic, coalesce(username, '') AS username"
    # Rows that go to the hot end must not clash with any row there, of whichever week.
    load_hot(duck, store.conn, f"week BETWEEN {first} AND {last}" if hot is None else "TRUE")
    parts = [f"SELECT {columns} FROM hot"]
    if sealed := files(store.conn, weeks=range(first, last + 1)):
        parts.append(f"SELECT {columns} FROM {parquet_sql(store.directory, sealed)}")
    duck.execute(
        f"""CREATE OR REPLACE TABLE known AS
        SELECT msg_id, sent_at, topic, username, {_OWN_ID.format("msg_id")} AS has_id
        FROM ({" UNION ALL ".join(parts)})"""
    )
    if not duck.execute("SELECT EXISTS (FROM known)").fetchall()[0][0]:
        return False
    has_id = f"({_OWN_ID.format('fresh.msg_id')})"
    duck.execute(
        f"""DELETE FROM fresh USING known
        WHERE fresh.msg_id = known.msg_id AND coalesce(fresh.username, '') = known.username;
        DELETE FROM fresh USING known
        WHERE {has_id} <> known.has_id AND {_SECOND.format("fresh")} = {_SECOND.format("known")}
            AND fresh.topic = known.topic AND coalesce(fresh.username, '') = known.username;
        DELETE FROM fresh USING known
        WHERE NOT {has_id} AND NOT known.has_id AND fresh.sent_at = known.sent_at
            AND fresh.topic = known.topic AND coalesce(fresh.username, '') = known.username"""
    )
    return True


def _new_messages(duck: "duckdb.DuckDBPyConnection") -> int:
    """How many message ids of `fresh` the log has not."""
    query = "SELECT count(DISTINCT msg_id) FROM fresh WHERE msg_id NOT IN (SELECT msg_id FROM known)"
    return int(duck.execute(query).fetchall()[0][0])


def _write_log(store: Store, duck: "duckdb.DuckDBPyConnection", hot: int | None) -> None:
    """The rows of `log` to Parquet, those of the hot week to the hot end."""
    duck.execute(f"CREATE OR REPLACE VIEW sealed AS FROM log WHERE {'TRUE' if hot is None else f'week <> {hot}'}")
    write_segments(store, duck, "sealed", folded=PENDING)
    if hot is None:
        return
    duck.execute(f"CREATE OR REPLACE VIEW open AS FROM log WHERE week = {hot}")
    names = NAMES.replace("sent_at", "epoch_us(sent_at)").replace("received_at", "epoch_us(received_at)")
    result = duck.execute(f"SELECT {KEY_SQL} AS key, week, {names} FROM open ORDER BY key")
    while rows := result.fetchmany(_ROWS_AT_ONCE):
        store.conn.executemany(f"INSERT INTO event VALUES ({', '.join('?' * 16)})", rows)
    result = duck.execute(f"SELECT DISTINCT {MESSAGE_KEY_SQL} AS key, week FROM open ORDER BY key")
    while rows := result.fetchmany(_ROWS_AT_ONCE):
        # The hot end may know the message by another of its users.
        store.conn.executemany("INSERT OR IGNORE INTO message VALUES (?, ?)", rows)
    fold_rows(store, duck, "open")
