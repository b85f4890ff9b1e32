"""Events, campaigns, discussions and funnels over HTTP, and by the command line: the same figures, some withheld."""

import csv
import io
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import requests
from fastapi import APIRouter, FastAPI
from fastapi.routing import APIRoute

from metrics.api.errors import tell_errors
from metrics.api.programmes import programme_routes
from metrics.context import Context
from metrics.hotpath import wall_clock
from metrics.serving import HttpServer
from tests.support.program import PATIENCE_S, call, good, refused
from tests.support.programmes import Community, community

TOKEN = "a-token-of-the-tests-0123456789"
BEARER = {"Authorization": f"Bearer {TOKEN}"}
ROUTES = (
    "/api/events",
    "/api/events?event=harbour-days-1&find=true",
    "/api/campaigns",
    "/api/campaigns?by=country",
    "/api/campaigns?campaign=first-patch&service=wiki&service=pagure",
    "/api/discussions",
    "/api/discussions?by=month&since=2023-10-01&until=2024-01-01&service=discourse",
    "/api/funnel?cohort=event:harbour-days-1",
    "/api/funnel?cohort=all&after_hours=48&within_hours=720&n=2",
)


@pytest.fixture(scope="module")
def simulated(tmp_path_factory: pytest.TempPathFactory) -> Community:
    return community(tmp_path_factory.getbasetemp())


class Client:
    """Asks one server, past any proxy."""

    def __init__(self, address: str, router: APIRouter) -> None:
        self.shapes = {route.path: route.response_model for route in router.routes if isinstance(route, APIRoute)}
        self._root = f"http://{address}"
        self._session = requests.Session()
        self._session.trust_env = False

    def get(self, path: str, headers: Mapping[str, str] | None = None) -> requests.Response:
        return self._session.get(self._root + path, headers=headers, timeout=PATIENCE_S)


@pytest.fixture(scope="module")
def client(simulated: Community) -> Iterator[Client]:
    app = FastAPI()
    tell_errors(app)
    context = Context(simulated.directory, TOKEN, 5, wall_clock)
    router = programme_routes(context, lambda: simulated.definitions)
    app.include_router(router)
    server = HttpServer(app)
    server.start("127.0.0.1", 0)
    yield Client(server.address, router)
    server.stop()


@pytest.mark.parametrize("path", ROUTES)
def test_the_answers_have_the_shapes_that_openapi_tells(client: Client, path: str) -> None:
    shape = client.shapes[path.partition("?")[0]]
    for headers in (None, BEARER):
        answer = client.get(path, headers=headers)
        assert answer.status_code == 200, answer.text
        shape.model_validate_json(answer.text)
        assert answer.headers["Cache-Control"] == ("no-store" if headers else "no-cache")


@pytest.mark.parametrize("path", ROUTES)
def test_nobody_is_named(client: Client, simulated: Community, path: str) -> None:
    said = client.get(path).text + client.get(path, headers={"Accept": "text/csv"}).text
    words = set(said.replace('"', " ").replace(",", " ").replace(":", " ").split())
    assert not words & set(simulated.log["username"])


def small(found: Any) -> list[int]:
    """Figures about people from 1 to 4, anywhere in the answer."""
    if isinstance(found, dict):
        about = [v for k, v in found.items() if k in {"users", "newcomers", "existing", "participants", "attendees"}]
        return [n for n in about if isinstance(n, int) and 0 < n < 5] + [n for v in found.values() for n in small(v)]
    return [n for v in found for n in small(v)] if isinstance(found, list) else []


@pytest.mark.parametrize("path", ROUTES)
def test_the_public_sees_no_figure_about_a_few(client: Client, path: str) -> None:
    assert small(client.get(path).json()) == []


def test_the_operator_sees_them_all(client: Client) -> None:
    whole = client.get("/api/events", headers=BEARER).json()
    assert small(whole)
    assert client.get("/api/events", headers={"Authorization": "Bearer wrong"}).status_code == 401


def test_the_command_line_tells_the_same(client: Client, simulated: Community, tmp_path: Path) -> None:
    defined = tmp_path / "definitions.toml"
    defined.write_text(simulated.toml, encoding="utf-8")
    state = ["--state", str(simulated.directory), "--definitions", str(defined)]
    for verb, path in (
        (["events", "harbour-days-1"], "/api/events?event=harbour-days-1"),
        (["campaigns", "--by", "year"], "/api/campaigns?by=year"),
        (["discussions", "--by", "month"], "/api/discussions?by=month"),
        (["funnel", "all"], "/api/funnel?cohort=all"),
    ):
        told = good(call(*verb, *state, "--format", "json")).out
        assert json.loads(told) == client.get(path, headers=BEARER).json()
        table = good(call(*verb, *state)).out
        assert table.count("\n") >= 2
        lines = list(csv.reader(io.StringIO(good(call(*verb, *state, "--format", "csv")).out)))
        by_http = client.get(path, headers={**BEARER, "Accept": "text/csv"})
        assert lines == list(csv.reader(io.StringIO(by_http.text)))
        assert by_http.headers["Content-Type"].startswith("text/csv")


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("/api/events?event=nope", "no event 'nope': one of harbour-days-1"),
        ("/api/events?evnt=x", "no parameter 'evnt': one of format, event, find, exact"),
        ("/api/campaigns?by=moon", "no by 'moon': one of campaign, year, service, country"),
        ("/api/campaigns?service=nope", "no service 'nope': one of"),
        ("/api/discussions?since=yesterday", "since: expected an ISO 8601 time"),
        ("/api/discussions?service=irc", "no discussions on 'irc'"),
        ("/api/funnel?cohort=week:2024-06-04", "2024-06-04"),
        ("/api/funnel?cohort=" + "~" * 10, "expected"),
        ("/api/funnel?cohort=all&n=0", "n: expected"),
        ("/api/funnel?cohort=all&after_hours=-1", "after_hours: expected"),
    ],
)
def test_bad_requests_say_what_is_valid(client: Client, path: str, said: str) -> None:
    answer = client.get(path)
    assert answer.status_code == 422, answer.text
    assert said in answer.json()["error"]


def test_a_second_answer_need_not_be_sent_again(client: Client) -> None:
    first = client.get("/api/discussions")
    again = client.get("/api/discussions", headers={"If-None-Match": first.headers["ETag"]})
    assert again.status_code == 304


def test_wrong_use_at_the_command_line_is_one_line(simulated: Community, tmp_path: Path) -> None:
    state = ["--state", str(simulated.directory)]
    for verb in (["events", "nope"], ["campaigns", "nope"], ["funnel", "no such"], ["discussions", "--since", "x"]):
        refused(call(*verb, *state))
    assert "cannot be read" in refused(call("events", *state, "--definitions", tmp_path / "absent.toml"))
