"""The HTTP side over a state of the test's own, asked as anybody or as the operator."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import requests
from prometheus_client import CollectorRegistry

from metrics.readiness import readable
from metrics.serving import HttpServer
from metrics.web import make_app
from state.event import Event, service_of
from state.live import commit_batch
from state.store import open_store
from state.weeks import DAY, HOUR, SECOND, WEEK, week_named, week_start
from tests.support.program import PATIENCE_S

#: Event time of the first sign-up: a Monday.
START = week_start(week_named("2024-06-03"))

TOKEN = "a-token-of-the-tests-0123456789"
BEARER = f"Bearer {TOKEN}"

#: Names that would do harm where they are not taken for text.
HARMFUL = ("<script>alert(1)</script>", "=HYPERLINK(1)", "@mallory-of-old", '"quoted,and",split', "+1mortimer")

#: A wave of sign-ups with names of one pattern.
WAVE = tuple(f"cheapbags{1001 + n}" for n in range(8))

#: Parts by which each name of the state of `people` is known again.
TRACES = ("zebulon", "alert(1)", "HYPERLINK", "mallory", "quoted", "mortimer", "cheapb")


class Client:
    """Asks one server, past any proxy."""

    def __init__(self, address: str) -> None:
        self.url = f"http://{address}"
        self.session = requests.Session()
        self.session.trust_env = False

    def get(self, path: str, **headers: str) -> requests.Response:
        return self.ask("GET", path, None, **headers)

    def ask(self, method: str, path: str, body: bytes | None, **headers: str) -> requests.Response:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.session.request(method, self.url + path, headers=named, data=body, timeout=PATIENCE_S)

    def close(self) -> None:
        self.session.close()


@contextmanager
def served(directory: Path, token: str | None = None, **settings: Any) -> Iterator[Client]:
    """The directory's state on a free loopback port."""
    server = HttpServer(make_app(directory, CollectorRegistry(), readable(directory), token=token, **settings))
    server.start("127.0.0.1", 0)
    try:
        with closing(Client(server.address)) as client:
            yield client
    finally:
        server.stop()


def event(user: str, at: int, action: str = "pagure.issue.new") -> Event:
    """The user acts."""
    topic = f"org.fedoraproject.prod.{action}"
    return Event(f"{user}-{at}-{action}", at, None, topic, user, "actor", service_of(topic))


def signup(user: str, at: int) -> Event:
    """The user's account is created."""
    return event(user, at, "fas.user.create")


def burst(user: str, at: int) -> list[list[Event]]:
    """Six issues in half a minute, which no newcomer writes."""
    return [[event(user, at + n * 5 * SECOND)] for n in range(6)]


def people(directory: Path) -> Path:
    """Twelve people, of whom six came back and those with harmful names burst; and a wave of sign-ups."""
    store = open_store(directory)
    known = [f"zebulon{n}" for n in range(7)]
    commit_batch(store, [[signup(name, START + n * HOUR)] for n, name in enumerate((*known, *HARMFUL))])
    for n, name in enumerate(HARMFUL):
        commit_batch(store, burst(name, START + DAY + n * HOUR))
    commit_batch(store, [[signup(name, START + 2 * DAY + n * SECOND)] for n, name in enumerate(WAVE)])
    commit_batch(store, [[event(name, START + WEEK + DAY + n)] for n, name in enumerate(known[:6])])
    commit_batch(store, [[signup("zebulon-late", START + WEEK + 2 * DAY)]])
    store.close()
    return directory
