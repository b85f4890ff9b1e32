"""Visits and attempts to edit, as a website counts them: what comes before an account is on no bus."""

from pathlib import Path
from tempfile import TemporaryDirectory

from consumer.archive import open_archive, reading_archive
from state.duck import connect, literal
from state.errors import ArchiveError
from state.importer import Imported, import_source
from state.store import Store

#: Topics `track.visit` and `track.attempt`.
STEPS = ("visit", "attempt")

_REQUIRED = ("sent_at", "step")

#: The archive that such a file is: whoever is named is affected, not acting, so that nobody becomes active by a visit.
#: Equal rows are counted through, so that each has an id, and the same file twice changes nothing.
_ARCHIVE = """
    SELECT sent_at, 'track.' || lower(trim(step)) AS topic, {username} AS username, 'affected' AS role,
        'track-' || md5(concat_ws(chr(31), sent_at, lower(trim(step)), coalesce({username}, ''), row_number()
            OVER (PARTITION BY sent_at, lower(trim(step)), {username}))) AS msg_id
    FROM {reader}"""


def track(store: Store, path: Path, now: int) -> tuple[Imported, int]:
    """Bring the CSV (sent_at, step, and username where it is known) into the log; what was new, and dead letters.

    now: processing time, microseconds since 1970 UTC. Raises ArchiveError where the file cannot be read, where it
    names another step, and where the state's rules count everybody a message names, so that visits would be activity.
    """
    if store.rules.attribution == "any":
        raise ArchiveError(f"{path}: under attribution any a visit would count as activity; use attribution actor")
    with TemporaryDirectory(prefix="homecoming-track-") as folder, connect(store.directory) as duck:
        archive = Path(folder) / f"{path.stem}.csv"
        with reading_archive(path):
            reader = f"read_csv({literal(str(path))}, header = true, all_varchar = true, delim = ',', quote = '\"')"
            columns = [name for name, *_ in duck.execute(f"DESCRIBE FROM {reader}").fetchall()]
            if missing := [name for name in _REQUIRED if name not in columns]:
                raise ArchiveError(f"{path} has no column {', '.join(missing)}: found {', '.join(columns)}")
            wrong = duck.execute(
                f"SELECT step FROM {reader} WHERE coalesce(lower(trim(step)), '') NOT IN {STEPS} LIMIT 1"
            ).fetchall()
            if wrong:
                raise ArchiveError(f"{path}: no step {wrong[0][0]!r:.60}: one of {', '.join(STEPS)}")
            username = "nullif(trim(username), '')" if "username" in columns else "NULL::VARCHAR"
            rows = _ARCHIVE.format(username=username, reader=reader)
            duck.execute(f"COPY ({rows}) TO {literal(str(archive))} (HEADER, DELIMITER ',')")
        source = open_archive(duck, archive, now)
        return import_source(store, duck, source), len(source.dead)
