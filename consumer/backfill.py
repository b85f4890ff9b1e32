"""Archives and datagrepper into a state, with progress on the terminal; and archives against a state."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from consumer.archive import open_archive, reading_archive
from consumer.settings import CatchUpSettings
from state import verify as oracle
from state.bulk import fold_pending
from state.duck import ROOMY, connect
from state.importer import Imported, import_source
from state.log import with_log
from state.screening import screen_pending
from state.segments import seal, sweep
from state.store import Store, reading
from state.weeks import SECOND

if TYPE_CHECKING:
    import duckdb

_COLUMNS = "msg_id, sent_at, topic, username, role, object"

#: SQL: a row without an id is no message of its own where another archive has one with an id in that second.
_NO_TWIN = """has_id OR NOT EXISTS (
    SELECT 1 FROM archive_row AS twin
    WHERE twin.has_id AND twin.place <> archive_row.place AND twin.topic = archive_row.topic
        AND date_trunc('second', twin.sent_at) = date_trunc('second', archive_row.sent_at)
        AND twin.username IS NOT DISTINCT FROM archive_row.username)"""


class Backfilled(NamedTuple):
    """What one archive brought."""

    found: Imported
    dead: int  #: rows that became dead letters


def backfill(store: Store, paths: Sequence[Path], now: int) -> Iterator[tuple[Path, Backfilled]]:
    """Import the archives one after the other; interrupted, the same call goes on where it was."""
    sweep(store)
    fold_pending(store)
    for path in paths:
        with connect(store.directory) as duck:
            with _bars(f"reading {path.name}") as (show,):
                source = open_archive(duck, path, now, progress=show)
            with (
                _bars(f"{path.name}: events", f"{path.name}: users") as (rows, users),
                reading_archive(path, "imported"),
            ):
                found = import_source(store, duck, source, rows, users)
        yield path, Backfilled(found, len(source.dead))
    screen_pending(store)
    seal(store)


def catch_up(
    store: Store, settings: CatchUpSettings, url: str | None, start: int, end: int, clock: Callable[[], int]
) -> Imported:
    """Fill the time from start to end from datagrepper (or from another `url`)."""
    from consumer.datagrepper import catch_up as fill  # noqa: PLC0415 - archives go without HTTP

    sweep(store)
    fold_pending(store)
    chosen = replace(settings, url=url.rstrip("/")) if url else settings
    with _bars("datagrepper") as (show,):
        found = fill(
            store, chosen, start, end, clock, lambda at, _: show((at - start) // SECOND, (end - start) // SECOND)
        )
    screen_pending(store)
    seal(store)
    return found


def verify(store: Store, paths: Sequence[Path], now: int) -> list[oracle.Difference]:
    """Every difference between the views and a batch recomputation, from the log or from these archives."""
    fold_pending(store)
    if not paths:
        query = f"SELECT {_COLUMNS} FROM log"
        return with_log(store.directory, lambda duck, conn: oracle.verify(duck, conn, store.directory, query), ROOMY)
    with connect(store.directory, ROOMY) as duck, reading(store.directory, store.conn):
        parts = [_archive_rows(duck, path, now, place) for place, path in enumerate(paths)]
        duck.execute(f"CREATE TABLE archive_row AS {' UNION ALL '.join(parts)}")
        return oracle.verify(duck, store.conn, store.directory, f"SELECT {_COLUMNS} FROM archive_row WHERE {_NO_TWIN}")


def _archive_rows(duck: "duckdb.DuckDBPyConnection", path: Path, now: int, place: int) -> str:
    """SQL: the archive's rows; one without an id is the same message where time, topic and user are the same."""
    name = f"archive_{place}"
    open_archive(duck, path, now, name)
    msg_id = "coalesce(msg_id, concat_ws('|', sent_at, topic, coalesce(username, '')))"
    return f"""SELECT {msg_id} AS msg_id, sent_at, topic, username, coalesce(role, 'actor') AS role, object,
        {place} AS place, msg_id IS NOT NULL AND NOT starts_with(msg_id, 'derived-') AS has_id FROM {name}"""


@contextmanager
def _bars(*titles: str) -> Iterator[list[Callable[[int, int], None]]]:
    """A progress bar a title on standard error, with rate and remaining time, where that is a terminal."""
    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, disable=not console.is_terminal, transient=True) as progress:

        def bar(title: str) -> Callable[[int, int], None]:
            task = progress.add_task(title, total=None, rate="", visible=False)

            def show(done: int, total: int) -> None:
                speed = progress.tasks[task].speed
                rate = f"{speed:,.0f}/s" if speed else ""
                progress.update(task, completed=done, total=total, rate=rate, visible=True)

            return show

        yield [bar(title) for title in titles]
