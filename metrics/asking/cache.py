"""Answers that are kept until the state behind them changes."""

from collections import OrderedDict
from collections.abc import Hashable
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Generic, TypeVar

from state.errors import StateError
from state.store import DATABASE, read_store

if TYPE_CHECKING:
    import sqlite3

#: Answers, and rows of them all together: what names a hundred thousand people is worked out again each time.
MOST_ANSWERS, MOST_ROWS = 512, 100_000

_T = TypeVar("_T")


class Version:
    """What differs once anything was committed to the state: any thread may ask, at the price of one look.

    SQLite counts the commits of others for a connection that stays open; a state that was replaced is another file.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._lock = Lock()
        self._open: tuple[int, sqlite3.Connection] | None = None
        self._opened = 0

    def __call__(self) -> tuple[int, int]:
        """StateError where there is no state: one that went missing must not pass for an empty one."""
        path = self._directory / DATABASE
        with self._lock:
            try:
                inode = path.stat().st_ino
            except OSError:
                said = f"there is no {DATABASE} in {self._directory}: put it back, or name another --state"
                raise StateError(said) from None
            if self._open is None or self._open[0] != inode:
                if self._open is not None:
                    self._open[1].close()
                self._open = inode, read_store(self._directory)
                self._opened += 1
            (commits,) = self._open[1].execute("PRAGMA data_version").fetchone()
            return self._opened, commits

    def close(self) -> None:
        """Let go of the state."""
        with self._lock:
            if self._open is not None:
                self._open[1].close()
                self._open = None


class Cache(Generic[_T]):
    """The answers last used, of one version of the state: those of an older one go at once, and the names in them."""

    def __init__(self, most_answers: int = MOST_ANSWERS, most_rows: int = MOST_ROWS) -> None:
        self._most = most_answers, most_rows
        self._lock = Lock()
        self._version: Hashable = None
        self._kept: OrderedDict[str, tuple[_T, int]] = OrderedDict()
        self._rows = 0

    def get(self, key: str, version: Hashable) -> _T | None:
        """The answer to this, if there is one of this version."""
        with self._lock:
            self._turn(version)
            found = self._kept.get(key)
            if found is None:
                return None
            self._kept.move_to_end(key)
            return found[0]

    def keep(self, key: str, version: Hashable, value: _T, rows: int) -> None:
        """Keep what was worked out since the state had this version, unless it has another one by now."""
        most_answers, most_rows = self._most
        with self._lock:
            if version != self._version or rows > most_rows:
                return
            self._rows += rows - self._kept.pop(key, (value, 0))[1]
            self._kept[key] = value, rows
            while len(self._kept) > most_answers or self._rows > most_rows:
                _, (_, gone) = self._kept.popitem(last=False)
                self._rows -= gone

    def __len__(self) -> int:
        return len(self._kept)

    def _turn(self, version: Hashable) -> None:
        if version != self._version:
            self._version, self._rows = version, 0
            self._kept.clear()
