"""Catching up: what datagrepper heard while we did not listen, page by page, politely."""

import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import requests
from tenacity import Retrying, retry_if_exception_type, stop_after_attempt, wait_exponential_jitter

from consumer.archive import decoded_rows
from consumer.settings import CatchUpSettings
from state.coverage import cover
from state.dead_letters import DeadLetter
from state.duck import connect
from state.errors import HomecomingError
from state.importer import Imported, Source, import_source
from state.log import load_log_rows
from state.store import Store
from state.weeks import SECOND, iso

if TYPE_CHECKING:
    import duckdb

#: A window is asked for, imported and recorded as covered before the next; microseconds.
WINDOW = 6 * 3600 * SECOND

#: A message may be archived a little after it was sent: windows overlap by so much. Ids take the doubles out.
MARGIN = 300 * SECOND

_ATTEMPTS = 6
_TIMEOUT_S = 60

#: A server that asks for more patience than this is as good as down.
_LONGEST_WAIT_S = 600

_NO_ADDRESS = (
    requests.exceptions.InvalidSchema,
    requests.exceptions.InvalidURL,
    requests.exceptions.MissingSchema,
)

#: Progress: event time reached, messages so far.
Progress = Callable[[int, int], None]


class UnavailableError(Exception):
    """The server did not answer as it should; the next attempt may."""


class Datagrepper:
    """A client of datagrepper's v2/search."""

    def __init__(self, settings: CatchUpSettings) -> None:
        self._settings = settings
        self._pause_s = 60 / settings.requests_per_minute
        self._next_request = 0.0
        self._session = requests.Session()
        self._session.headers.update({"Accept": "application/json", "User-Agent": "homecoming"})

    def messages(self, start: int, end: int) -> Iterator[dict[str, Any]]:
        """Every message with start <= event time <= end, oldest first; times in microseconds.

        Raises HomecomingError where the server does not answer after several attempts.
        """
        page, pages = 1, 1
        while page <= pages:
            found = self._page(start, end, page)
            yield from found["raw_messages"]
            pages = found.get("pages", 0)
            page += 1

    def _page(self, start: int, end: int, page: int) -> dict[str, Any]:
        attempts = Retrying(
            retry=retry_if_exception_type(UnavailableError),
            stop=stop_after_attempt(_ATTEMPTS),
            wait=wait_exponential_jitter(initial=1, max=60),
            reraise=True,
        )
        try:
            return attempts(self._ask, start, end, page)
        except UnavailableError as error:
            raise HomecomingError(
                f"{self._settings.url} gave up at page {page} from {iso(start)}: {error}; "
                f"what came before is in, go on with --since {iso(start)}"
            ) from error

    def _ask(self, start: int, end: int, page: int) -> dict[str, Any]:
        time.sleep(max(0.0, self._next_request - time.monotonic()))
        self._next_request = time.monotonic() + self._pause_s
        try:
            answer = self._session.get(
                f"{self._settings.url}/v2/search",
                params={
                    "start": iso(start),
                    "end": iso(end),
                    "page": str(page),
                    "rows_per_page": str(self._settings.page_rows),
                    "order": "asc",
                },
                timeout=_TIMEOUT_S,
            )
            if answer.status_code == 429 or answer.status_code >= 500:
                self._heed(answer.headers.get("Retry-After", ""))
                raise UnavailableError(f"HTTP {answer.status_code}")
            if not answer.ok:
                raise HomecomingError(f"{answer.url} answers HTTP {answer.status_code}: {answer.text[:200]!r}")
            found = answer.json()
        except _NO_ADDRESS as error:
            raise HomecomingError(f"{self._settings.url} is no address of datagrepper: {error}") from None
        except requests.RequestException as error:  # a broken JSON body too
            raise UnavailableError(str(error)) from error
        if not isinstance(found, dict) or not isinstance(found.get("raw_messages"), list):
            raise HomecomingError(f"{answer.url} is no page of datagrepper's v2/search: no raw_messages")
        if not isinstance(found.get("pages", 0), int):
            raise HomecomingError(
                f"{answer.url} is no page of datagrepper's v2/search: pages is {found['pages']!r:.60}"
            )
        return found

    def _heed(self, retry_after: str) -> None:
        """Wait as long as the server asks for, if it does so in seconds."""
        if retry_after.isdecimal():
            self._next_request = time.monotonic() + max(self._pause_s, min(int(retry_after), _LONGEST_WAIT_S))


def catch_up(
    store: Store,
    settings: CatchUpSettings,
    start: int,
    end: int,
    clock: Callable[[], int],
    progress: Progress = lambda _at, _messages: None,
) -> Imported:
    """Bring in everything from start to end (event times), window by window, and record it as covered."""
    client = Datagrepper(settings)
    total = Imported(0, 0, 0, 0)
    window = start
    with connect(store.directory) as duck:
        while window < end:
            until = min(window + WINDOW, end)
            found = _bring_in(store, duck, client.messages(window - MARGIN, until + MARGIN), clock())
            with store.writing() as conn:
                cover(conn, "catch-up", window, until)
            total = Imported(*(a + b for a, b in zip(total, found, strict=True)))
            progress(until, total.messages)
            window = until
    return total


def _bring_in(store: Store, duck: "duckdb.DuckDBPyConnection", records: Iterator[Any], now: int) -> Imported:
    dead: list[DeadLetter] = []
    load_log_rows(duck, "pages", decoded_rows(records, now, "datagrepper", dead))
    return import_source(store, duck, Source(None, "pages", dead))
