"""POST /api/cohorts/{name}: for the operator alone, within bounds, and told what became of every line."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import requests
from fastapi import FastAPI

from metrics.api.errors import tell_errors
from metrics.api.uploads import upload_routes
from metrics.context import Context
from metrics.serving import HttpServer
from state.cohorts.definitions import parse_definitions
from state.cohorts.kept import tags
from state.event import Event
from state.live import commit_batch
from state.store import DATABASE, open_store, read_store
from state.weeks import week_named, week_start
from tests.support.program import PATIENCE_S

START = week_start(week_named("2024-06-03"))
TOKEN = "a-token-of-the-tests-0123456789"
BEARER = {"Authorization": f"Bearer {TOKEN}"}
DEFINED = parse_definitions("[[cohort]]\nid = 'founders'\nusers = ['ada']", "file")


@pytest.fixture
def state(tmp_path: Path) -> Path:
    store = open_store(tmp_path)
    for number, user in enumerate(("ada", "bob")):
        commit_batch(store, [(Event(f"{number}", START, None, "git.receive", user, "actor", "git", project="enwiki"),)])
    store.close()
    return tmp_path


class Api:
    """Asks one server, past any proxy."""

    def __init__(self, address: str) -> None:
        self._root = f"http://{address}/api/cohorts/"
        self._session = requests.Session()
        self._session.trust_env = False

    def post(self, path: str, content: bytes, headers: dict[str, str]) -> requests.Response:
        return self._session.post(self._root + path, data=content, headers=headers, timeout=PATIENCE_S)

    def close(self) -> None:
        self._session.close()


@contextmanager
def asking(state: Path, token: str | None) -> Iterator[Api]:
    app = FastAPI()
    tell_errors(app)
    app.include_router(upload_routes(Context(state, token, 5, lambda: 7_000_000), lambda: DEFINED))
    server = HttpServer(app)
    server.start("127.0.0.1", 0)
    api = Api(server.address)
    try:
        yield api
    finally:
        api.close()
        server.stop()


@pytest.fixture
def api(state: Path) -> Iterator[Api]:
    with asking(state, TOKEN) as client:
        yield client


def names(state: Path) -> list[str]:
    conn = read_store(state)
    found = [tag.name for tag in tags(conn)]
    conn.close()
    return found


def test_a_list_becomes_a_cohort_once(api: Api, state: Path) -> None:
    content = b"\xef\xbb\xbfuser\r\nada\r\nada\r\nbob,xx\r\nzoe\r\n"
    answer = api.post("team?notes=ours&project=ENWIKI", content, BEARER)
    assert answer.status_code == 201, answer.text
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.json() == {
        "cohort": "team",
        "id": 1,
        "valid": 1,
        "duplicates": 1,
        "unknown": 1,
        "unknown_users": ["zoe"],
        "invalid": 1,
        "invalid_rows": [{"line": 4, "text": "bob,xx", "reason": "no project 'xx'"}],
    }
    again = api.post("team", b"ada\n", BEARER)
    assert again.status_code == 409
    assert "never changes" in again.json()["error"]
    assert names(state) == ["team"]


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Bearer wrong-token-0123456789"}])
def test_nobody_else_may(api: Api, state: Path, headers: dict[str, str]) -> None:
    answer = api.post("team", b"ada\n", headers)
    assert answer.status_code == 401
    assert names(state) == []


def test_without_a_token_it_is_off(state: Path) -> None:
    with asking(state, None) as client:
        assert client.post("team", b"ada\n", BEARER).status_code == 404


@pytest.mark.parametrize(
    ("path", "content", "code", "said"),
    [
        ("a%20b", b"ada\n", 422, "letters, digits"),
        ("20", b"ada\n", 422, "means the cohort with that id"),
        ("team", b"zoe\n", 422, "none of its 1 users"),
        ("team", b"", 422, "the list is empty"),
        ("team", b"\xff\xfe", 422, "UTF-8"),
        ("team?project=xx", b"ada\n", 422, "no project 'xx'"),
        ("founders", b"ada\n", 409, "in the definitions"),
        ("team", b"a" * (16 * 1024 * 1024 + 1), 413, "16,777,216"),
    ],
)
def test_what_is_wrong_is_said_and_nothing_made(
    api: Api, state: Path, path: str, content: bytes, code: int, said: str
) -> None:
    answer = api.post(path, content, BEARER)
    assert answer.status_code == code
    assert said in answer.json()["error"]
    assert names(state) == []


def test_a_state_that_went_missing_is_not_made_anew(api: Api, state: Path) -> None:
    (state / DATABASE).unlink()
    assert api.post("team", b"ada\n", BEARER).status_code == 503
    assert not (state / DATABASE).exists()
