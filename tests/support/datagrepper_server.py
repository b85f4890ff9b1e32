"""A local server that answers as datagrepper's v2/search does, and fails on demand."""

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from math import ceil
from threading import Thread
from typing import Any, NamedTuple
from urllib.parse import parse_qs, urlsplit


class Fault(NamedTuple):
    """What one request gets instead of its page; status None hangs up without a word."""

    status: int | None
    body: bytes = b"{}"
    headers: tuple[tuple[str, str], ...] = ()


class Datagrepper:
    """The server's knowledge and memory.

    archive: messages as the bus carries them. faults: what the next requests get, in their order.
    asked: the parameters of every request, and the moment at which it came by `clock`.
    """

    def __init__(self, archive: Sequence[dict[str, Any]], clock: Callable[[], float] = lambda: 0.0) -> None:
        self.archive = list(archive)
        self.faults: list[Fault] = []
        self.asked: list[dict[str, str]] = []
        self.moments: list[float] = []
        self.url = ""
        self._clock = clock

    def answer(self, path: str, arguments: dict[str, str]) -> Fault:
        """The next fault, or the page."""
        self.moments.append(self._clock())
        self.asked.append(arguments)
        if self.faults:
            return self.faults.pop(0)
        if path != "/v2/search":
            return Fault(404, b'{"error": "not found"}')
        return Fault(200, json.dumps(self._page(arguments)).encode())

    def _page(self, arguments: dict[str, str]) -> dict[str, Any]:
        rows, page = int(arguments.get("rows_per_page", 25)), int(arguments.get("page", 1))
        assert 1 <= rows <= 100, "datagrepper gives no more than 100 rows a page"
        start, end = (_moment(arguments[name]) for name in ("start", "end"))
        found = [message for message in self.archive if start <= _moment(message["headers"]["sent-at"]) <= end]
        found.sort(key=lambda message: message["headers"]["sent-at"], reverse=arguments.get("order", "desc") == "desc")
        shown = found[(page - 1) * rows : page * rows]
        return {
            "arguments": arguments,
            "count": len(shown),
            "pages": ceil(len(found) / rows),
            "raw_messages": shown,
            "total": len(found),
        }


@contextmanager
def serving(datagrepper: Datagrepper) -> Iterator[Datagrepper]:
    """Serve it on a free port of 127.0.0.1."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            given = {name: values[0] for name, values in parse_qs(parts.query).items()}
            status, body, headers = datagrepper.answer(parts.path, given)
            if status is None:
                self.close_connection = True
                return
            self.send_response(status)
            for header in (("Content-Type", "application/json"), ("Content-Length", str(len(body))), *headers):
                self.send_header(*header)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    datagrepper.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield datagrepper
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _moment(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
