"""The sealed log: writing Parquet segments, naming them in the manifest, sweeping what no manifest names."""

import os
import re
import shutil
import sqlite3
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from state.duck import connect, literal
from state.log import DAYS, EVENTS, FOLDED, NAMES, PENDING, files, load_hot, parquet_sql
from state.store import Store, get_meta, set_meta
from state.weeks import DAY, week_end, week_name, week_named

if TYPE_CHECKING:
    import duckdb

#: A week is sealed once the watermark is this far past its end.
SEAL_AFTER = 3 * DAY

#: So many files of one week are merged into one at the next sealing.
MERGE_AT = 5

#: zstd at its lowest level: 4 % larger than the default and a third faster to write. The second version's encoding of
#: texts that do not repeat, as ids do, is a tenth smaller and faster. Small row groups stay in the processor's cache.
PARQUET = "FORMAT parquet, PARQUET_VERSION v2, COMPRESSION zstd, COMPRESSION_LEVEL 1, ROW_GROUP_SIZE 20480"

#: No step takes as long; seconds.
SCRATCH_KEPT_S = 24 * 3600

_NUMBERED = re.compile(r"/(?P<week>\d{4}-\d\d-\d\d)\.(?P<number>\d+)\.parquet$")


def sealable(week: int, watermark: int) -> bool:
    """Whether the week lies far enough behind the watermark to be sealed."""
    return week_end(week) + SEAL_AFTER <= watermark


def write_segments(
    store: Store, duck: "duckdb.DuckDBPyConnection", relation: str, folded: int, kind: str = EVENTS
) -> None:
    """Write the relation's rows (columns of the log and `week`) as one segment a week, and name them.

    Inside a writing step: files are synced before the step commits, so that the manifest never names what
    a crash could lose. A crash before the commit leaves an orphan, which `sweep` takes away.
    """
    target = store.directory / kind
    target.mkdir(exist_ok=True)
    found = duck.execute(
        f"SELECT week, count(*), epoch_us(max(sent_at)) FROM {relation} GROUP BY week ORDER BY week"
    ).fetchall()
    staging = store.directory / "tmp"

    def write(week: int) -> Path:
        path = staging / f"{kind}-{week}.parquet"
        with duck.cursor() as cursor:  # two files at a time: half the time of DuckDB's own PARTITION_BY
            rows = f"SELECT * EXCLUDE (week) FROM {relation} WHERE week = {week}"
            cursor.execute(f"COPY ({rows}) TO {literal(str(path))} ({PARQUET})")
        sync(path)
        return path

    with ThreadPoolExecutor(max_workers=2) as pool:
        written = pool.map(write, (week for week, _, _ in found))
        for (week, rows, last_at), path in zip(found, written, strict=True):
            name = next_name(store.conn, kind, week)
            path.rename(store.directory / name)
            _enter(store.conn, store.directory, name, week, folded, rows, last_at)
    sync(target)


def seal(store: Store) -> int:
    """Seal every week that is due, and merge weeks of many files; how many weeks were written.

    One writing step a week; a merged week's old files go after the commit, readers look again.
    """
    sealed = 0
    for week in _weeks_due(store):
        with store.writing() as conn, connect(store.directory) as duck:
            old = files(conn, EVENTS, [week], folded=FOLDED)
            load_hot(duck, conn, "week = ?", (week,))
            (is_hot,) = duck.execute("SELECT EXISTS (FROM hot)").fetchall()[0]
            merge = len(old) + is_hot >= MERGE_AT
            if not is_hot and not merge:
                continue  # another process was here first
            rows = f"SELECT {NAMES} FROM hot"
            if merge:
                rows += f" UNION ALL SELECT {NAMES} FROM {parquet_sql(store.directory, old)}"
            duck.execute(f"CREATE TABLE sealed AS SELECT {week} AS week, * FROM ({rows}) ORDER BY sent_at, msg_id")
            write_segments(store, duck, "sealed", FOLDED)
            conn.execute("DELETE FROM event WHERE week = ?", (week,))
            conn.execute("DELETE FROM message WHERE week = ?", (week,))
            if merge:
                forget_files(conn, old)
        if merge:
            remove_files(store.directory, old)
        sealed += 1
    return sealed


def forget_files(conn: sqlite3.Connection, names: Sequence[str]) -> None:
    """Take the files out of the manifest, inside a writing step."""
    conn.executemany("DELETE FROM segment WHERE file = ?", [(name,) for name in names])


def remove_files(directory: Path, names: Sequence[str]) -> None:
    """Remove files that the manifest named until the last commit."""
    for name in names:
        with suppress(FileNotFoundError):
            (directory / name).unlink()


def sweep(store: Store) -> int:
    """Remove the orphans of a crash: files that no manifest names; how many there were.

    Inside a writing step, so that no other process has a file between its rename and its commit.
    """
    with store.writing() as conn:
        named = {*files(conn, EVENTS), *files(conn, DAYS)}
        orphans = [
            f"{kind}/{path.name}"
            for kind in (EVENTS, DAYS)
            for path in (store.directory / kind).glob("*.parquet")
            if f"{kind}/{path.name}" not in named
        ]
        remove_files(store.directory, orphans)
    _sweep_scratch(store.directory / "tmp")
    return len(orphans)


def _sweep_scratch(folder: Path) -> None:
    """Remove what crashed processes left; what is younger may be in use by a living one."""
    newest = time.time() - SCRATCH_KEPT_S
    for path in folder.iterdir():
        with suppress(OSError):
            if path.stat().st_mtime < newest:
                shutil.rmtree(path) if path.is_dir() else path.unlink()


def adopt_files(store: Store, duck: "duckdb.DuckDBPyConnection") -> None:
    """Name the files of the sealed log, for a database that was lost; inside a writing step.

    Which of them are orphans is lost too. A day summary stands for all of its week; of several files of a
    week that hold the same event, one file is made.
    """
    summarised = _numbered_files(store.directory, DAYS)
    for week, names in summarised.items():
        for name in names:
            enter_file(store.conn, duck, store.directory, name, week, PENDING)
    if summarised:
        set_meta(store.conn, "expired_through", max(summarised))
    for week, names in _numbered_files(store.directory, EVENTS).items():
        if week in summarised:
            continue
        for name in names:
            enter_file(store.conn, duck, store.directory, name, week, PENDING)
        log = parquet_sql(store.directory, names)
        rows, events = duck.execute(f"SELECT count(*), count(DISTINCT (msg_id, username)) FROM {log}").fetchall()[0]
        if events < rows:
            duck.execute(
                f"""CREATE OR REPLACE TABLE once AS SELECT DISTINCT ON (msg_id, username) {week} AS week, {NAMES}
                FROM {log} ORDER BY msg_id, username, role"""
            )
            write_segments(store, duck, "once", PENDING)
            forget_files(store.conn, names)


def _numbered_files(directory: Path, kind: str) -> dict[int, list[str]]:
    """The files of that kind by week, whether the manifest names them or not."""
    found: dict[int, list[str]] = {}
    for path in sorted((directory / kind).glob("*.parquet")):
        if match := _NUMBERED.search(f"/{path.name}"):
            found.setdefault(week_named(match["week"]), []).append(f"{kind}/{path.name}")
    return found


def _weeks_due(store: Store) -> list[int]:
    """Weeks that are over and have hot rows, or as many files as are merged."""
    watermark = get_meta(store.conn, "watermark")
    if watermark is None:
        return []
    found = store.conn.execute(
        """SELECT week FROM event UNION SELECT week FROM segment
        WHERE kind = ? AND folded = ? GROUP BY week HAVING count(*) >= ? ORDER BY week""",
        (EVENTS, FOLDED, MERGE_AT),
    )
    return [week for (week,) in found if sealable(week, watermark)]


def next_name(conn: sqlite3.Connection, kind: str, week: int) -> str:
    """A name that no file of the week has in the manifest."""
    used = [int(found["number"]) for name in files(conn, kind, [week]) if (found := _NUMBERED.search(name))]
    return f"{kind}/{week_name(week)}.{max(used, default=0) + 1}.parquet"


def enter_file(
    conn: sqlite3.Connection,
    duck: "duckdb.DuckDBPyConnection",
    directory: Path,
    name: str,
    week: int,
    folded: int,
) -> None:
    """Enter the file in the manifest, by what is in it."""
    at = "sent_at" if name.startswith(f"{EVENTS}/") else "last_at"
    found = duck.execute(f"SELECT count(*), epoch_us(max({at})) FROM read_parquet(?)", [str(directory / name)])
    _enter(conn, directory, name, week, folded, *found.fetchall()[0])


def _enter(
    conn: sqlite3.Connection, directory: Path, name: str, week: int, folded: int, rows: int, last_at: int | None
) -> None:
    conn.execute(
        "INSERT INTO segment (file, week, kind, rows, bytes, folded, last_at) VALUES (?, ?, ?, ?, ?, ?, ?)",
        (name, week, name.partition("/")[0], rows, (directory / name).stat().st_size, folded, last_at),
    )


def sync(path: Path) -> None:
    """Make the file, or the folder's entries, survive a power cut."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
