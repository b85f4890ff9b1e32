"""The HTTP side as it is deployed: a real server on a real state."""

import hashlib
import re
import socket
from base64 import b64encode
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import requests
from prometheus_client import CollectorRegistry
from prometheus_client.parser import text_string_to_metric_families

from metrics.collector import StateCollector
from metrics.hotpath import HotPath
from metrics.readiness import Readiness, consuming, readable
from metrics.serving import HttpServer
from metrics.web import make_app
from state.errors import HomecomingError
from state.event import Event, service_of
from state.live import commit_batch
from state.store import DATABASE, open_store
from state.weeks import DAY, SECOND, WEEK, week_named, week_start

START = week_start(week_named("2024-06-03"))

Serve = Callable[[Readiness], "Client"]


class Client:
    """Asks one server, past any proxy."""

    def __init__(self, address: str) -> None:
        self.address = address
        self._session = requests.Session()
        self._session.trust_env = False

    def get(self, path: str, **headers: str) -> requests.Response:
        return self.ask("GET", path, **headers)

    def ask(self, method: str, path: str, **headers: str) -> requests.Response:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return self._session.request(method, f"http://{self.address}{path}", headers=named, timeout=30)

    def close(self) -> None:
        self._session.close()


def event(user: str, at: int, action: str = "pagure.issue.new") -> Event:
    topic = f"org.fedoraproject.prod.{action}"
    return Event(f"{user}-{at}-{action}", at, None, topic, user, "actor", service_of(topic))


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """A cohort of six, of whom three came back, and one of three; the third week has begun."""
    events = [event(f"zeb{n}", START + n, "fas.user.create") for n in range(6)]
    events += [event(f"zeb{n}", START + WEEK + DAY) for n in range(3)]
    events += [event(f"yan{n}", START + WEEK + n, "fas.user.create") for n in range(3)]
    events += [event("zeb0", START + 2 * WEEK + 2 * DAY)]
    store = open_store(tmp_path / "state")
    commit_batch(store, [[e] for e in events])
    store.close()
    return tmp_path / "state"


@pytest.fixture
def serve(directory: Path) -> Iterator[Serve]:
    running: list[tuple[HttpServer, Client]] = []

    def start(ready: Readiness) -> Client:
        registry = CollectorRegistry()
        registry.register(StateCollector(directory))
        server = HttpServer(make_app(directory, registry, ready))
        server.start("127.0.0.1", 0)
        client = Client(server.address)
        running.append((server, client))
        return client

    yield start
    for server, client in running:
        client.close()
        server.stop()


@pytest.fixture
def client(serve: Serve, directory: Path) -> Client:
    return serve(readable(directory))


def test_an_unknown_population_is_refused_with_the_valid_ones(client: Client) -> None:
    response = client.get("/?population=<script>alert(1)</script>")
    assert response.status_code == 422
    assert response.headers["Content-Type"] == "application/json"
    assert response.json()["error"].endswith("one of all, engaged, clean, engaged_clean")


@pytest.mark.parametrize(
    "path", ["/", "/metrics", "/live", "/ready", "/nowhere", "/?population=x", "/api/flags", "/api/flags?x=1"]
)
def test_every_answer_is_guarded(client: Client, path: str) -> None:
    headers = client.get(path).headers
    policy = headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "no-referrer"
    assert "Server" not in headers


@pytest.mark.parametrize("kind", ["style", "script"])
def test_the_policy_allows_the_page_s_own_style_and_script(client: Client, kind: str) -> None:
    response = client.get("/")
    (content,) = re.findall(rf"<{kind}>(.*?)</{kind}>", response.text, flags=re.DOTALL)
    digest = b64encode(hashlib.sha256(content.encode()).digest()).decode()
    assert f"{kind}-src 'sha256-{digest}'" in response.headers["Content-Security-Policy"]
    assert " style=" not in response.text
    assert not re.search(r"<[^>]* on\w+=", response.text)


def test_an_unchanged_page_is_not_sent_again(client: Client, directory: Path) -> None:
    etag = client.get("/").headers["ETag"]
    again = client.get("/", If_None_Match=etag)
    assert again.status_code == 304
    assert again.content == b""

    store = open_store(directory)
    commit_batch(store, [[event("zeb1", START + 2 * WEEK + SECOND)]])  # older than the watermark
    store.close()
    assert client.get("/", If_None_Match=etag).status_code == 200


def test_nobody_is_named(client: Client) -> None:
    for path in ("/", "/?population=clean", "/metrics", "/ready", "/api/flags"):
        assert not re.search(r"zeb\d|yan\d", client.get(path).text)


def test_metrics_are_prometheus_text(client: Client) -> None:
    response = client.get("/metrics")
    assert response.headers["Content-Type"].startswith("text/plain; version=")
    values = {f.name: f.samples[0].value for f in text_string_to_metric_families(response.text) if f.samples}
    assert values["homecoming_state_up"] == 1
    assert values["homecoming_users"] == 9


def test_metrics_are_openmetrics_where_asked(client: Client) -> None:
    response = client.get("/metrics", Accept="application/openmetrics-text; version=1.0.0")
    assert response.headers["Content-Type"].startswith("application/openmetrics-text")
    assert response.text.endswith("# EOF\n")


@pytest.mark.parametrize("path", ["/nowhere", "/metrics/x", "/static/../page.css"])
def test_unknown_paths_are_told_in_json(client: Client, path: str) -> None:
    response = client.get(path)
    assert response.status_code == 404
    assert response.json() == {"error": "Not Found"}


def test_nothing_can_be_written(client: Client) -> None:
    response = client.ask("POST", "/")
    assert response.status_code == 405
    assert set(response.headers["Allow"].split(", ")) == {"GET", "HEAD"}


def test_an_empty_state_says_what_to_do(client: Client, directory: Path) -> None:
    (directory / DATABASE).unlink()
    open_store(directory).close()
    response = client.get("/")
    assert response.status_code == 200
    assert "homecoming backfill" in response.text


@pytest.mark.parametrize("content", [b"no database at all " * 1000, None])
def test_an_unreadable_state_stops_the_page_and_nothing_else(
    client: Client, directory: Path, content: bytes | None
) -> None:
    for file in directory.glob(f"{DATABASE}*"):
        file.unlink()
    if content:
        (directory / DATABASE).write_bytes(content)
    page, ready, metrics = client.get("/"), client.get("/ready"), client.get("/metrics")
    assert page.status_code == 503
    assert str(directory) not in page.text
    assert ready.status_code == 503
    assert str(directory) in ready.json()["reason"]
    assert metrics.status_code == 200
    assert "homecoming_state_up 0.0" in metrics.text
    assert client.get("/live").status_code == 200


def test_ready_follows_the_channel_and_the_last_message(serve: Serve) -> None:
    now = [0]
    hot_path = HotPath(CollectorRegistry(), lambda: now[0])
    client = serve(consuming(hot_path, silence_s=900))

    def answer() -> tuple[int, dict[str, object]]:
        response = client.get("/ready")
        return response.status_code, response.json()

    assert answer() == (503, {"ready": False, "reason": "not connected to the bus"})
    hot_path.connected(True)
    assert answer() == (200, {"ready": True})
    now[0] = 900 * SECOND
    silent = {"ready": False, "reason": "no message for 900 s, ready_silence_s is 900"}
    assert answer() == (503, silent)
    hot_path.batch(["accepted"], seconds=0.1, lags=[0.1], dead=[])
    assert answer() == (200, {"ready": True})
    assert client.get("/live").text == "live\n"


def test_readers_and_the_writer_do_not_disturb_each_other(client: Client, directory: Path) -> None:
    store = open_store(directory)

    def ask(n: int) -> int:
        path = ("/", "/metrics", "/ready")[n % 3]
        response = requests.get(f"http://{client.address}{path}", timeout=30, proxies={"http": ""})
        return response.status_code if "homecoming_state_up 0" not in response.text else 0

    with ThreadPoolExecutor(4) as readers:
        answers = readers.map(ask, range(30))
        for n in range(30):
            commit_batch(store, [[event(f"new{n}", START + n * DAY, "fas.user.create")]])
        assert set(answers) == {200}
    store.close()


def test_a_taken_port_is_told(client: Client, directory: Path) -> None:
    host, port = client.address.split(":")
    server = HttpServer(make_app(directory, CollectorRegistry(), readable(directory)))
    with pytest.raises(HomecomingError) as caught:
        server.start(host, int(port))
    assert str(caught.value) == (
        f"cannot listen on {client.address}: address already in use; name another with --listen"
    )


def test_an_unknown_host_is_told(directory: Path) -> None:
    server = HttpServer(make_app(directory, CollectorRegistry(), readable(directory)))
    with pytest.raises(HomecomingError, match=r"^cannot listen on no-such-host\.invalid:0: .+ --listen$"):
        server.start("no-such-host.invalid", 0)


def test_a_stopped_server_gives_the_port_back(directory: Path) -> None:
    server = HttpServer(make_app(directory, CollectorRegistry(), readable(directory)))
    server.start("127.0.0.1", 0)
    host, port = server.address.split(":")
    client = Client(server.address)
    assert client.get("/live").status_code == 200
    client.close()
    server.stop()
    server.stop()
    socket.create_server((host, int(port))).close()
    server.start("127.0.0.1", 0)
    server.stop()
