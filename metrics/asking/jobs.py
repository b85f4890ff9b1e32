"""Requests that are worked out one after the other, first in first out, at most so many waiting."""

import logging
from collections import OrderedDict
from collections.abc import Callable, Hashable
from concurrent.futures import Future
from contextlib import suppress
from queue import Full, Queue
from secrets import token_hex
from threading import Lock, Thread
from typing import Generic, Literal, TypeVar

from metrics.asking.request import Request
from state.errors import HomecomingError

#: Requests that may wait, and jobs that are remembered once they are done.
MOST_WAITING, MOST_DONE = 32, 128

#: Rows that all remembered answers may have together; one alone may have more.
_MOST_ROWS = 100_000

#: Microseconds for which a job is remembered once it is done: its answer may name people who ask to be forgotten.
KEPT_US = 15 * 60 * 1_000_000

Status = Literal["queued", "running", "done", "failed"]

_T = TypeVar("_T")

_log = logging.getLogger(__name__)


class BusyError(HomecomingError):
    """So many requests are waiting that another one is not taken."""


class Job(Generic[_T]):
    """One request on its way. `future` has the answer, or the error; times are processing time in microseconds."""

    def __init__(self, request: Request, version: Hashable, queued_at: int) -> None:
        self.id = token_hex(8)
        self.request = request
        self.version = version
        self.future: Future[_T] = Future()
        self.queued_at = queued_at
        self.started_at: int | None = None
        self.done_at: int | None = None
        self.rows = 0

    @property
    def status(self) -> Status:
        if not self.future.done():
            return "queued" if self.started_at is None else "running"
        return "failed" if self.future.exception() else "done"


class Jobs(Generic[_T]):
    """One worker for all; any thread may submit. work: the answer to a job; rows: how large one is."""

    def __init__(
        self,
        work: Callable[[Job[_T]], _T],
        rows: Callable[[_T], int],
        clock: Callable[[], int],
        most_waiting: int = MOST_WAITING,
    ) -> None:
        self._work = work
        self._rows = rows
        self._clock = clock
        self._lock = Lock()
        self._queue: Queue[Job[_T] | None] = Queue(most_waiting)
        self._known: OrderedDict[str, Job[_T]] = OrderedDict()
        self._open: dict[tuple[str, Hashable], Job[_T]] = {}
        self._worker: Thread | None = None

    def submit(self, request: Request, version: Hashable) -> Job[_T]:
        """The job for this request; the one that is under way for the same request and version, if there is one.

        Raises BusyError where too many are waiting.
        """
        with self._lock:
            self._forget()
            if (same := self._open.get((request.key, version))) is not None:
                return same
            job: Job[_T] = Job(request, version, self._clock())
            try:
                self._queue.put_nowait(job)
            except Full:
                raise BusyError(
                    f"{self._queue.maxsize} requests are waiting already: ask again when some are done"
                ) from None
            self._open[request.key, version] = job
            self._known[job.id] = job
            if self._worker is None:
                # A daemon: the process does not wait for what nobody will read.
                self._worker = Thread(target=self._run, name="metrics", daemon=True)
                self._worker.start()
            return job

    def find(self, known_as: str) -> Job[_T] | None:
        """The job of this id, if it is remembered."""
        with self._lock:
            self._forget()
            return self._known.get(known_as)

    def close(self) -> None:
        """Let the worker end after what is waiting; where too much is, the process ends it."""
        with suppress(Full):
            self._queue.put_nowait(None)

    def _run(self) -> None:
        while (job := self._queue.get()) is not None:
            self._do(job)
            del job  # else its answer stays until the next one comes

    def _do(self, job: Job[_T]) -> None:
        job.started_at = self._clock()
        try:
            found = self._work(job)
        except Exception as error:  # noqa: BLE001 - whoever asked gets it; the worker goes on with the next one
            if not isinstance(error, HomecomingError):
                _log.exception("the metric %s could not be worked out", job.request.options.metric)
            self._done(job, 0)
            error.__context__ = None
            # The job is remembered; what its frames hold need not be.
            job.future.set_exception(error.with_traceback(None))
        else:
            self._done(job, self._rows(found))
            job.future.set_result(found)

    def _done(self, job: Job[_T], rows: int) -> None:
        job.done_at, job.rows = self._clock(), rows
        with self._lock:
            del self._open[job.request.key, job.version]
            self._forget()

    def _forget(self) -> None:
        """Let go of what was done long ago, and of the oldest where they are too many or too large."""
        oldest = self._clock() - KEPT_US
        done = [job for job in self._known.values() if job.done_at is not None]
        rows = sum(job.rows for job in done)
        for left, job in zip(range(len(done), 0, -1), done, strict=True):
            is_old = job.done_at is not None and job.done_at < oldest
            if is_old or left > MOST_DONE or (rows > _MOST_ROWS and left > 1):
                del self._known[job.id]
                rows -= job.rows
