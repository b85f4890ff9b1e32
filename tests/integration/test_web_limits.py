"""What a client may not do to us: ask too much, too often, too slowly; and what the others notice of it."""

import json
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import pytest

from metrics import limits, patience
from metrics.api import retention as api_retention
from state import reading
from state.live import commit_batch
from state.reading import status
from state.store import open_store, read_store
from state.weeks import WEEK
from tests.support.program import PATIENCE_S
from tests.support.served import BEARER, START, TOKEN, Client, event, people, served, signup
from tests.support.waiting import until


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return people(tmp_path / "state")


@pytest.fixture
def client(directory: Path) -> Iterator[Client]:
    with served(directory, TOKEN) as client:
        yield client


def connect(client: Client, *, receives: int | None = None) -> socket.socket:
    """A connection of our own, with so small a receive buffer."""
    host, port = client.url.removeprefix("http://").split(":")
    made = socket.socket()
    made.settimeout(PATIENCE_S)
    if receives is not None:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receives)
    made.connect((host, int(port)))
    return made


def rest(connection: socket.socket) -> bytes:
    """Everything until the other side closes."""
    parts = []
    while part := connection.recv(1 << 16):
        parts.append(part)
    return b"".join(parts)


def test_a_long_address_is_refused(client: Client) -> None:
    fits = "/api/status?x=" + "x" * (limits.LONGEST_ADDRESS - len("/api/status") - len("x="))
    assert client.get(fits).status_code == 422
    answer = client.get(f"{fits}x")
    assert answer.status_code == 414
    assert "8,192 bytes" in answer.json()["error"]
    assert "Content-Security-Policy" in answer.headers


def test_large_headers_are_refused(client: Client) -> None:
    assert client.get("/api/status", X_Padding="x" * 15_000).status_code == 200
    answer = client.get("/api/status", X_Padding="x" * 17_000)
    assert answer.status_code == 431
    assert "16,384 bytes" in answer.json()["error"]


@pytest.mark.parametrize("told", [True, False])
def test_a_large_body_is_refused(client: Client, monkeypatch: pytest.MonkeyPatch, told: bool) -> None:
    monkeypatch.setattr(limits, "LARGEST_BODY", 5_000)
    content = b"x" * 5_001
    answer = client.session.post(
        f"{client.url}/api/flags/x",
        data=content if told else iter((content[:3_000], content[3_000:])),
        headers={"Authorization": BEARER},
        timeout=PATIENCE_S,
    )
    assert answer.status_code == 413
    assert "5,000 bytes" in answer.json()["error"]


def test_a_body_that_nobody_wants_is_not_read(client: Client) -> None:
    with closing(connect(client)) as connection:
        connection.sendall(b"POST /api/flags/x HTTP/1.1\r\nHost: x\r\nContent-Length: 999999999\r\n\r\n")
        assert connection.recv(1 << 16).startswith(b"HTTP/1.1 401 ")


def test_who_asks_too_often_waits_and_nobody_else_does(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "RATE", 0.001)
    monkeypatch.setattr(limits, "BURST", 3)
    with served(Path("nowhere")) as small:
        codes = [small.get("/api/nothing", X_Forwarded_For="192.0.2.1").status_code for _ in range(5)]
        assert codes == [404, 404, 404, 429, 429]
        refused = small.get("/metrics", X_Forwarded_For="192.0.2.1")
        assert refused.status_code == 429
        assert 0 < int(refused.headers["Retry-After"]) <= 1_000
        assert "at once" in refused.json()["error"]
        assert small.get("/api/nothing", X_Forwarded_For="192.0.2.2").status_code == 404
        assert small.get("/live", X_Forwarded_For="192.0.2.1").status_code == 200
        assert small.get("/ready", X_Forwarded_For="192.0.2.1").status_code == 503, "of the state, which is nowhere"


def test_headers_without_an_end_are_not_waited_for(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "HEAD_S", 0.05)
    with served(directory) as client, closing(connect(client)) as silent, closing(connect(client)) as slow:
        slow.sendall(b"GET /live HTTP/1.1\r\nHost:")
        assert rest(silent) == b""
        assert rest(slow) == b""
        assert client.get("/live").ok


def test_a_body_without_an_end_is_not_waited_for(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "LONGEST_S", 0.2)
    with closing(connect(client)) as slow:
        head = f"POST /api/flags/x HTTP/1.1\r\nHost: x\r\nAuthorization: {BEARER}\r\nContent-Length: 100\r\n\r\n"
        slow.sendall(head.encode() + b'{"decision"')
        answer = b""
        while b"longer than 0.2 s" not in answer:
            part = slow.recv(1 << 16)
            assert part, answer
            answer += part
        assert answer.startswith(b"HTTP/1.1 408 ")


def wide(directory: Path) -> None:
    """Two years of cohorts: hundreds of kilobytes of retention."""
    store = open_store(directory)
    commit_batch(store, [[signup(f"w{w}-{n}", START + w * WEEK + n)] for w in range(2, 104) for n in range(5)])
    store.close()


def test_slow_readers_stall_neither_ingestion_nor_others(directory: Path) -> None:
    wide(directory)
    store = open_store(directory)
    known = status(store.conn).users
    with served(directory) as client, ExitStack() as open_ones:
        size = len(client.get("/api/retention", Accept_Encoding="identity").content)
        assert size > 200_000
        readers = [open_ones.enter_context(closing(connect(client, receives=2_048))) for _ in range(12)]
        for reader in readers:  # many answers each, none of which is ever read
            reader.sendall(b"GET /api/retention HTTP/1.1\r\nHost: x\r\n\r\n" * 10)
        for reader in [open_ones.enter_context(closing(connect(client))) for _ in range(20)]:
            reader.sendall(b"GET /metr")
        for reader in readers:
            assert reader.recv(1, socket.MSG_PEEK) == b"H", "they are all being answered"
        for n in range(50):
            commit_batch(store, [[signup(f"late{n}", START + 104 * WEEK + n)]])
            if n % 10 == 0:
                assert client.get("/api/status").json()["users"] == known + n + 1
        assert client.get("/metrics").ok
    store.close()
    with closing(read_store(directory)) as conn:
        assert status(conn).users == known + 50


def test_an_answer_that_is_not_taken_is_cut_off(
    directory: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    wide(directory)
    with served(directory, reuse_s=3600) as client, closing(connect(client, receives=2_048)) as reader:
        whole = len(client.get("/api/retention", Accept_Encoding="identity").content)
        monkeypatch.setattr(limits, "LONGEST_S", 0.5)  # from here on the answer is kept: to make it may take longer
        asked = 40
        reader.sendall(b"GET /api/retention HTTP/1.1\r\nHost: x\r\n\r\n" * asked)
        until(lambda: "ASGI callable returned without" in caplog.text, lambda: caplog.text)
        assert len(rest(reader)) < asked * whole
        assert client.get("/live").ok


@pytest.mark.parametrize("seconds", [0.0, 3600.0])
def test_a_public_answer_may_be_given_again(directory: Path, seconds: float) -> None:
    with served(directory, TOKEN, reuse_s=seconds) as client:
        first = client.get("/api/status")
        store = open_store(directory)
        commit_batch(store, [[event("new-here", START + WEEK, "fas.user.create")]])
        store.close()
        again = client.get("/api/status")
        assert (again.json() == first.json()) == bool(seconds)
        unchanged = client.get("/api/status", If_None_Match=first.headers["ETag"])
        assert unchanged.status_code == (304 if seconds else 200)
        assert unchanged.content == b"" or not seconds
        assert client.get("/api/status", Authorization="Basic x").json() != first.json(), "not with credentials"
        assert client.get("/api/status?x=1").status_code == 422


def test_many_readers_at_once_share_one_answer(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wide(directory)
    made = []

    def counted(*arguments: Any) -> Any:
        made.append(arguments)
        return reading.retention(*arguments)

    monkeypatch.setattr(api_retention, "retention", counted)
    with served(directory, reuse_s=3600) as client, ThreadPoolExecutor(8) as readers:
        answers = list(
            readers.map(lambda _: client.session.get(f"{client.url}/api/retention", timeout=PATIENCE_S), range(24))
        )
    assert len({answer.text for answer in answers}) == 1
    assert len(made) == 1


def test_readers_at_once_of_what_cannot_be_shared_each_get_theirs(directory: Path) -> None:
    with served(directory, reuse_s=3600) as client, ThreadPoolExecutor(8) as readers:
        paths = ["/metrics", "/api/retention?weeks=0", "/nowhere", "/live"] * 6
        answers = readers.map(lambda path: client.session.get(client.url + path, timeout=PATIENCE_S).status_code, paths)
        assert list(answers) == [200, 422, 404, 200] * 6


def test_a_decision_shows_at_once(directory: Path) -> None:
    with served(directory, TOKEN, reuse_s=3600) as client:
        before = client.get("/api/flags").json()
        flag = next(f for f in client.get("/api/flags", Authorization=BEARER).json() if f["rule"] == "burst")
        said = json.dumps({"decision": "cleared", "reason": "a friend"}).encode()
        assert client.ask("POST", f"/api/flags/{flag['id']}", said, Authorization=BEARER).ok
        assert client.get("/api/flags").json() != before


def test_formats_and_encodings_are_kept_apart(directory: Path) -> None:
    with served(directory, TOKEN, reuse_s=3600) as client:
        plain = client.get("/api/signups", Accept_Encoding="identity")
        assert client.get("/api/signups", Accept="text/csv").text.startswith("start,")
        assert client.get("/api/signups", Accept_Encoding="gzip").headers["Content-Encoding"] == "gzip"
        again = client.get("/api/signups", Accept_Encoding="identity")
        assert again.content == plain.content
        assert "Content-Encoding" not in again.headers
        assert client.get("/api/flags", Authorization=BEARER).json() != client.get("/api/flags").json()


def test_what_failed_is_asked_for_again(tmp_path: Path) -> None:
    with served(tmp_path / "state", reuse_s=3600) as client:
        assert client.get("/api/status").status_code == 503
        people(tmp_path / "state")
        assert client.get("/api/status").status_code == 200


def test_no_answer_outlives_its_state(directory: Path) -> None:
    with served(directory, reuse_s=3600) as client:
        before = client.get("/api/status")
        away = directory.rename(directory.with_name("away"))
        assert client.get("/api/status").status_code == 503
        open_store(directory).close()
        assert client.get("/api/status").json()["users"] == 0, "another state took its place"
        directory.rename(directory.with_name("other"))
        away.rename(directory)
        assert client.get("/api/status").json() == before.json()
