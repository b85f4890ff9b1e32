"""Every view from the log again, in one transaction: readers see the old views until the new ones stand."""

from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from state.awards import derive_awards
from state.bulk import begin_folding, fold_range, fold_rows
from state.duck import connect
from state.flags import restand
from state.log import DAYS, EVENTS, PENDING, WEEK_SQL, files, load_hot, parquet_sql
from state.rules import Rules
from state.screening import screen
from state.segments import adopt_files
from state.store import LOST, Store, get_meta, open_store, set_meta

if TYPE_CHECKING:
    import duckdb


def rebuild(directory: Path, rules: Rules | None = None) -> Store:
    """Derive users, totals and counters from log and day summaries under these rules; the open store.

    Without rules, those of the state are kept. A database that was lost is made anew around the sealed log.
    The step holds the write lock throughout (about two seconds a million events): it is atomic that way,
    where a swapped file would strand every process that has the old one open.
    """
    with ExitStack() as failed:
        store = open_store(directory, rules, rebuilding=True)
        failed.callback(store.close)
        _derive(store)
        failed.pop_all()
    return store


def _derive(store: Store) -> None:
    with store.writing() as conn, connect(store.directory) as duck:
        if get_meta(conn, LOST):
            adopt_files(store, duck)
            conn.execute("DELETE FROM meta WHERE key = ?", (LOST,))
        conn.execute("DELETE FROM user")
        conn.execute("DELETE FROM cohort_week")
        conn.execute("DELETE FROM meta WHERE key = 'folding'")
        set_meta(conn, "users", 0)
        set_meta(conn, "rules", store.rules.fingerprint())
        conn.execute("UPDATE segment SET folded = ?", (PENDING,))
        load_hot(duck, conn)
        _count(store, duck)
        fold_rows(store, duck, "hot")
        if begin_folding(store):
            while fold_range(store):
                pass
        derive_awards(store)
        restand(conn, store.rules)
        screen(store, 0)


def _count(store: Store, duck: "duckdb.DuckDBPyConnection") -> None:
    """Watermark and counters from the log; those of what is not kept (dead letters, expired) stay."""
    conn = store.conn
    messages = events = 0
    newest = None
    hot = duck.execute(f"SELECT DISTINCT {WEEK_SQL} FROM hot").fetchall()
    sealed = conn.execute("SELECT DISTINCT week FROM segment WHERE kind = ?", (EVENTS,)).fetchall()
    for (week,) in sorted({*hot, *sealed}):  # week by week, which bounds the memory of DISTINCT
        parts = [f"SELECT msg_id, username, sent_at FROM hot WHERE {WEEK_SQL} = {week}"]
        if names := files(conn, EVENTS, [week]):
            parts.append(f"SELECT msg_id, username, sent_at FROM {parquet_sql(store.directory, names)}")
        ids, users, last = duck.execute(
            f"SELECT count(DISTINCT msg_id), count(username), epoch_us(max(sent_at)) FROM ({' UNION ALL '.join(parts)})"
        ).fetchall()[0]
        messages, events, newest = messages + ids, events + users, max(newest or last, last)
    for name in files(conn, DAYS):
        days = parquet_sql(store.directory, [name])
        more_events, last = duck.execute(
            f"SELECT sum(events) FILTER (username IS NOT NULL)::BIGINT, epoch_us(max(last_at)) FROM {days}"
        ).fetchall()[0]
        messages += summarised_messages(duck, store.directory / name)
        events += more_events or 0
        newest = max(newest or last, last)
    set_meta(conn, "messages", messages)
    set_meta(conn, "events", events)
    if newest is not None:
        set_meta(conn, "watermark", newest)


def summarised_messages(duck: "duckdb.DuckDBPyConnection", path: Path) -> int:
    """Distinct message ids of the week that the day summary stands for."""
    found = duck.execute(
        "SELECT decode(value) FROM parquet_kv_metadata(?) WHERE decode(key) = 'messages'", [str(path)]
    ).fetchall()
    return int(found[0][0])
