"""Where requests come in: answered at once from what is kept, or worked out as a job."""

from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from pathlib import Path
from threading import Lock

from metrics.asking.cache import Cache, Version
from metrics.asking.jobs import Job, Jobs
from metrics.asking.request import Request
from metrics.asking.work import Worked, work_out
from state.cohorts.definitions import Definitions

#: Requests that are remembered, those last asked.
MOST_ASKED = 500


@dataclass(frozen=True, slots=True)
class Asked:
    """What was asked, how often, when last (processing time, microseconds), and the job that last worked it out."""

    request: Request
    times: int
    last_at: int
    job: str | None


class Desk:
    """Requests to one state; any thread may ask."""

    def __init__(self, directory: Path, definitions: Callable[[], Definitions], clock: Callable[[], int]) -> None:
        self._directory = directory
        self._definitions = definitions
        self._clock = clock
        self._version = Version(directory)
        self._cache: Cache[Worked] = Cache()
        self.jobs: Jobs[Worked] = Jobs(self._work, _rows, clock)
        self._lock = Lock()
        self._asked: OrderedDict[str, Asked] = OrderedDict()
        self._defined: tuple[int, Definitions | None] = 0, None

    def ask(self, request: Request, *, refresh: bool = False) -> Worked | Job[Worked]:
        """The answer that is kept, else the job that will have it. refresh: work it out, whatever is kept.

        Raises BusyError where too many requests are waiting, StateError where there is no state.
        """
        version = self._now()
        found = None if refresh else self._cache.get(request.key, version)
        job = None
        if found is None:
            self._cache.get("", version)  # what is kept from here on is of this version
            job = self.jobs.submit(request, version)
        self._remember(request, job)
        return found or job  # type: ignore[return-value]  # one of them is there

    def asked(self) -> list[Asked]:
        """What was asked, the latest first; what was asked of single users is not remembered."""
        with self._lock:
            return list(reversed(self._asked.values()))

    def close(self) -> None:
        """Let go of the state and of the worker."""
        self.jobs.close()
        self._version.close()

    def _now(self) -> Hashable:
        """The version of everything that an answer depends on."""
        definitions = self._definitions()
        with self._lock:
            if definitions is not self._defined[1]:
                self._defined = self._defined[0] + 1, definitions
            return *self._version(), self._defined[0]

    def _work(self, job: Job[Worked]) -> Worked:
        compare = not job.request.names_people
        try:
            found = work_out(self._directory, self._definitions(), job.request, self._clock(), compare=compare)
        except BaseException:
            with self._lock:
                self._asked.pop(job.request.key, None)  # what cannot be answered may be any text
            raise
        self._cache.keep(job.request.key, job.version, found, _rows(found))
        return found

    def _remember(self, request: Request, job: Job[Worked] | None) -> None:
        if request.is_user:
            return  # whom the operator looks at is written down nowhere
        with self._lock:
            before = self._asked.pop(request.key, None)
            times, known_as = (1, None) if before is None else (before.times + 1, before.job)
            self._asked[request.key] = Asked(request, times, self._clock(), known_as if job is None else job.id)
            if len(self._asked) > MOST_ASKED:
                self._asked.popitem(last=False)


def _rows(worked: Worked) -> int:
    """At least one: an answer is no smaller than its request."""
    return 1 + len(worked.answer.rows)
