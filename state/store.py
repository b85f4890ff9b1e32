"""A state directory: opening it, one writing step at a time, read-only readers."""

import fcntl
import importlib
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from state.errors import StateError
from state.failures import as_ours
from state.rules import Rules

if TYPE_CHECKING:
    from sqlite_utils import Database

    from state.watch import Watch

DATABASE = "homecoming.sqlite"

#: The newest schema this program knows (the number of migrations), kept in the file as PRAGMA user_version.
SCHEMA_VERSION = 4

#: The schema that has awards first: an older state's are read from its log once.
AWARDS_SINCE = 4

#: Key in `meta`: the database was made anew beside a sealed log, and no rebuild has come to its end since.
LOST = "lost"

OLDEST_SQLITE = (3, 37, 0)

#: How long a writer waits for another process's step (an import's chunk takes about two seconds).
BUSY_TIMEOUT_MS = 30_000

#: How long a reader waits: writers hold readers up for moments only, and a scrape has ten seconds.
READER_TIMEOUT_MS = 2_000

#: File systems on which WAL's shared memory does not work between hosts.
_NETWORK_FILE_SYSTEMS = {"nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "afs", "ceph", "fuse.sshfs"}


class Store:
    """One community's state, open for writing. Not thread-safe: one thread uses it at a time."""

    def __init__(self, directory: Path, db: "Database", rules: Rules) -> None:
        self.directory = directory
        self.db = db
        self.conn: sqlite3.Connection = db.conn
        self.rules = rules
        self.watch: Watch | None = None  #: the live detector, once a batch was committed

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """One writing step: everything inside is one transaction, and no other process writes meanwhile.

        Raises StateBusyError where the step can be tried again (locked, disk full), StateError where it
        cannot; in both cases nothing of the step remains.
        """
        with as_ours(self.directory / DATABASE):
            self.conn.execute("BEGIN IMMEDIATE")
            try:
                yield self.conn
                self.conn.execute("COMMIT")
            except BaseException:
                # A full disk rolls back by itself; a second ROLLBACK would hide the first error.
                with suppress(sqlite3.Error):
                    self.conn.execute("ROLLBACK")
                raise

    def check_rules(self) -> None:
        """Raise StateError where the views are derived under other rules than this process has.

        A fold asks before it begins: another process may have rebuilt the views since the state was opened.
        """
        stored = get_meta(self.conn, "rules")
        if stored != self.rules.fingerprint():
            raise StateError(
                f"the views in {self.directory} were derived under other definitions ({stored}) than configured "
                f"({self.rules.fingerprint()}): run `homecoming rebuild --state {self.directory}`, or change them back"
            )

    def close(self) -> None:
        """Release the database; the WAL is merged when the last connection closes."""
        self.conn.close()


def open_store(directory: Path, rules: Rules | None = None, *, rebuilding: bool = False) -> Store:
    """The state in `directory`, created where it is absent, migrated where it is older.

    Without rules, those the views were derived under are taken. Raises StateError where the state is
    newer than this program, corrupt, read-only, on a network file system, or (unless it is being rebuilt)
    derived under other rules.
    """
    if sqlite3.sqlite_version_info < OLDEST_SQLITE:
        raise StateError(f"SQLite {sqlite3.sqlite_version} is too old: 3.37 or newer is needed")
    _make_directory(directory)
    path = directory / DATABASE
    with as_ours(path), ExitStack() as refused:
        conn = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        refused.callback(conn.close)
        store = Store(directory, _prepared(conn, path), rules or Rules())
        if not rebuilding:
            _refuse_lost(directory, conn)
        _migrate(store)
        if rules is None or not rebuilding:
            _check_rules(store, given=rules is not None)
        _keep_detection(store, given=rules is not None)
        refused.pop_all()
    return store


def read_store(directory: Path) -> sqlite3.Connection:
    """A read-only connection to the state in `directory`, which is created where it is absent."""
    path = directory / DATABASE
    if not path.exists():
        open_store(directory).close()
    with as_ours(path), ExitStack() as refused:
        conn = sqlite3.connect(
            f"{path.absolute().as_uri()}?mode=ro", uri=True, isolation_level=None, check_same_thread=False
        )
        refused.callback(conn.close)
        conn.execute(f"PRAGMA busy_timeout = {READER_TIMEOUT_MS}")
        if _version(conn) < SCHEMA_VERSION:
            open_store(directory).close()  # an older state, or one that another process is just creating
        _refuse_newer(conn, path)
        _refuse_lost(directory, conn)
        refused.pop_all()
    return conn


@contextmanager
def reading(directory: Path, conn: sqlite3.Connection) -> Iterator[sqlite3.Connection]:
    """One consistent snapshot of the views."""
    with as_ours(directory / DATABASE):
        conn.execute("BEGIN")
        try:
            yield conn
        finally:
            with suppress(sqlite3.Error):
                conn.execute("ROLLBACK")


@contextmanager
def only_consumer(directory: Path) -> Iterator[None]:
    """Hold the place of the one live consumer of this state; StateError where it is taken."""
    _make_directory(directory)
    with (directory / "consume.lock").open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise StateError(
                f"another `homecoming consume` already feeds {directory}: stop it, or name another --state"
            ) from None
        yield


def get_meta(conn: sqlite3.Connection, key: str, default: int | None = None) -> Any:
    """The stored value, or the default where there is none."""
    row = conn.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
    return row[0] if row else default


def set_meta(conn: sqlite3.Connection, key: str, value: int | str) -> None:
    """Store the value under the key."""
    conn.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (key, value))


def add_meta(conn: sqlite3.Connection, key: str, amount: int) -> None:
    """Add to the counter under the key."""
    if amount:
        set_meta(conn, key, get_meta(conn, key, 0) + amount)


def raise_watermark(conn: sqlite3.Connection, at: int) -> None:
    """The greatest event time accepted; never lowered."""
    if at > get_meta(conn, "watermark", at - 1):
        set_meta(conn, "watermark", at)


def _prepared(conn: sqlite3.Connection, path: Path) -> "Database":
    conn.execute(f"PRAGMA busy_timeout = {BUSY_TIMEOUT_MS}")
    _refuse_newer(conn, path)
    conn.execute("PRAGMA journal_mode = WAL")
    # NORMAL does not sync on commit: an acknowledged message could be lost in a power cut.
    conn.execute("PRAGMA synchronous = FULL")
    db: Database = _sqlite_utils().Database(conn)
    return db


def _sqlite_utils() -> Any:
    """sqlite_utils without pandas and numpy.

    It imports both wherever they are installed, for column types that are not used here: 100 MB.
    """
    if "sqlite_utils" in sys.modules:
        return sys.modules["sqlite_utils"]
    unwanted = [name for name in ("pandas", "numpy") if name not in sys.modules]
    sys.modules.update(dict.fromkeys(unwanted))  # type: ignore[arg-type]  # None makes an import fail
    try:
        return importlib.import_module("sqlite_utils")
    finally:
        for name in unwanted:
            del sys.modules[name]


def _migrate(store: Store) -> None:
    from state.schema import migrations  # noqa: PLC0415 - needs sqlite_utils as loaded above

    if _version(store.conn) == SCHEMA_VERSION:
        return
    with store.writing() as conn:
        before = _version(conn)
        lost = _is_lost(store.directory, conn)
        migrations.apply(store.db)
        if 0 < before < AWARDS_SINCE:
            from state.awards import derive_awards  # noqa: PLC0415 - it reads the log, which reads this module

            derive_awards(store)
        conn.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
        if lost:
            set_meta(conn, LOST, 1)


def _check_rules(store: Store, *, given: bool) -> None:
    stored = get_meta(store.conn, "rules")
    if stored is None or (given and stored != store.rules.fingerprint()):
        with store.writing() as conn:
            if get_meta(conn, "watermark") is None:  # nothing is derived yet: whoever feeds it first decides
                set_meta(conn, "rules", store.rules.fingerprint())
    if not given:
        store.rules = Rules.from_fingerprint(get_meta(store.conn, "rules"))
    store.check_rules()


def _keep_detection(store: Store, *, given: bool) -> None:
    """What the detectors go by is kept with the state, for whoever names no configuration."""
    kept = get_meta(store.conn, "detection")
    if not given:
        if kept is not None:
            store.rules = store.rules.detecting(kept)
    elif kept != store.rules.detection():
        with store.writing() as conn:
            set_meta(conn, "detection", store.rules.detection())


def _refuse_newer(conn: sqlite3.Connection, path: Path) -> None:
    from_file = _version(conn)
    if from_file > SCHEMA_VERSION:
        raise StateError(
            f"{path} has schema version {from_file}, this program knows up to {SCHEMA_VERSION}: use a newer Homecoming"
        )


def _version(conn: sqlite3.Connection) -> int:
    """The schema version of the file; 0 where it has just been created."""
    return int(conn.execute("PRAGMA user_version").fetchone()[0])


def _refuse_lost(directory: Path, conn: sqlite3.Connection) -> None:
    if _is_lost(directory, conn):
        raise StateError(
            f"{directory} holds a sealed log but no views of it in {DATABASE}: "
            f"`homecoming rebuild --state {directory}` makes them again"
        )


def _is_lost(directory: Path, conn: sqlite3.Connection) -> bool:
    """Whether the database is new beside a sealed log, which then is no orphan: nothing may sweep it."""
    if _version(conn) == 0:
        return any(any((directory / kind).glob("*.parquet")) for kind in ("events", "days"))
    return get_meta(conn, LOST) is not None


def _make_directory(directory: Path) -> None:
    try:
        (directory / "tmp").mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StateError(f"cannot create the state directory {directory}: {error.strerror}") from None
    kind = _file_system(directory)
    if kind in _NETWORK_FILE_SYSTEMS:
        raise StateError(
            f"{directory} is on {kind}: SQLite's WAL needs shared memory on one host, use a local directory"
        )


def _file_system(directory: Path) -> str:
    """Type of the file system that holds the directory; empty where it cannot be told."""
    try:
        mounts = Path("/proc/mounts").read_text(encoding="utf-8").splitlines()
    except OSError:
        return ""
    target = str(directory.resolve())
    best, kind = "", ""
    for line in mounts:
        point, name = line.split()[1:3]
        point = point.replace("\\040", " ")
        if len(point) > len(best) and (target == point or target.startswith(point.rstrip("/") + "/")):
            best, kind = point, name
    return kind
