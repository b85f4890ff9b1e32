"""Figures that a page shows, worked out one after the other and kept, so that no reader waits long for them."""

import sqlite3
import time
from collections.abc import Callable, Hashable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, TypeVar

from metrics.asking.cache import Cache, Version
from metrics.programmes.activity import rules_of
from state.cohorts.definitions import Definitions
from state.log import with_log
from state.rules import Rules

if TYPE_CHECKING:
    import duckdb

#: Figures are kept for so many times what they took, however often a live stream commits meanwhile: nobody's reading
#: takes more than a thirtieth of a core from the ingestion. Seconds at most.
_TIMES, _LONGEST_S = 30, 300.0

#: Questions that may wait; of more the page says that they are being worked out, and they are not.
_MOST_WAITING = 16

_T = TypeVar("_T")

#: (duck, conn, rules, definitions) -> figures, over the view `log`
Question = Callable[["duckdb.DuckDBPyConnection", sqlite3.Connection, Rules, Definitions], _T]


class _Kept(NamedTuple):
    figures: Any
    version: Hashable
    good_until: float


class Ordered(Generic[_T]):
    """What was asked for: kept from before, on its way, or both."""

    def __init__(self, kept: _T | None, coming: "Future[_T] | None") -> None:
        self._kept = kept
        self._coming = coming

    def get(self, patience_s: float) -> _T | None:
        """The figures, after so long those from before; None where there are none yet. Raises what went wrong."""
        if self._coming is None:
            return self._kept
        try:
            return self._coming.result(timeout=max(0.0, patience_s))
        except TimeoutError:
            return self._kept


class Shelf:
    """Figures of the state in `directory` by key, worked out by one thread; any thread may ask."""

    def __init__(
        self, directory: Path, definitions: Callable[[], Definitions], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._directory = directory
        self._definitions = definitions
        self._clock = clock
        self._version = Version(directory)
        self._cache: Cache[_Kept] = Cache()
        self._lock = Lock()
        self._coming: dict[str, tuple[Hashable, Future[Any]]] = {}
        self._worker = ThreadPoolExecutor(1, thread_name_prefix="programmes")

    def ask(self, key: str, question: Question[_T]) -> Ordered[_T]:
        """The answer to the question of this key. Raises StateError where there is no state."""
        definitions = self._definitions()
        opened, commits = self._version()
        # Neither another state in this one's place nor what was defined otherwise is ever shown.
        state = opened, definitions
        kept = self._cache.get(key, state)
        if kept is not None and (kept.version == commits or self._clock() < kept.good_until):
            return Ordered(kept.figures, None)
        with self._lock:
            of, coming = self._coming.get(key, (None, None))
            if coming is None or of != state:
                coming = None
                if len(self._coming) < _MOST_WAITING:
                    coming = self._worker.submit(self._work, key, question, state, commits)
                    self._coming[key] = state, coming
        return Ordered(None if kept is None else kept.figures, coming)

    def close(self) -> None:
        """Let go of the state and, once it is done with what it does, of the worker."""
        self._worker.shutdown(wait=False, cancel_futures=True)
        self._version.close()

    def _work(self, key: str, question: Question[_T], state: tuple[int, Definitions], commits: int) -> _T:
        try:
            began = self._clock()
            found = with_log(self._directory, lambda duck, conn: question(duck, conn, rules_of(conn), state[1]))
            now = self._clock()
            kept = _Kept(found, commits, now + min(_LONGEST_S, _TIMES * (now - began)))
            self._cache.keep(key, state, kept, 1)
            return found
        finally:
            with self._lock:
                if self._coming.get(key, (None, None))[0] == state:
                    del self._coming[key]
