"""/api/flags on a real server: what the public sees, what the operator sees, and what a decision does at once."""

import json
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, suppress
from pathlib import Path
from typing import Any

import pytest
import requests
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry
from starlette.exceptions import HTTPException

from metrics.api import decisions as api
from metrics.readiness import readable
from metrics.serving import HttpServer
from metrics.web import make_app
from state.event import Event, service_of
from state.live import commit_batch
from state.spam.lifecycle import FLAG_STATES, SEVERITIES
from state.store import DATABASE, open_store
from state.weeks import DAY, HOUR, SECOND, iso, week_named, week_start
from tests.support.program import call, good

START = week_start(week_named("2024-06-03"))
TOKEN = "a-token-of-the-tests-0123456789"
BEARER = f"Bearer {TOKEN}"

#: Who signs up in the fixture's week besides those of the wave.
PEOPLE = ("zeb0", "zeb1", "zeb2", "mallory", "mortimer")
WAVE = [f"cheapbags{1001 + n}" for n in range(8)]

Start = Callable[[str | None], "Api"]


class Api:
    """Asks one server, past any proxy."""

    def __init__(self, address: str) -> None:
        self._root = f"http://{address}/api/flags"
        self._session = requests.Session()
        self._session.trust_env = False

    def get(self, query: str = "", credentials: str | None = None, **headers: str) -> requests.Response:
        return self._ask("GET", query, credentials, None, headers)

    def decide(self, known_as: str, said: object, credentials: str | None = BEARER) -> requests.Response:
        body = said if isinstance(said, bytes) else json.dumps(said).encode()
        return self._ask("POST", f"/{known_as}", credentials, body, {})

    def flags(self, query: str = "") -> list[dict[str, Any]]:
        answer = self.get(query, BEARER)
        assert answer.status_code == 200, answer.text
        listed: list[dict[str, Any]] = answer.json()
        return listed

    def flag_of(self, user: str | None, rule: str) -> dict[str, Any]:
        """The latest flag of the account and rule."""
        return next(flag for flag in self.flags() if flag["user"] == user and flag["rule"] == rule)

    def _ask(
        self, method: str, path: str, credentials: str | None, body: bytes | None, headers: dict[str, str]
    ) -> requests.Response:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        if credentials is not None:
            named["Authorization"] = credentials
        return self._session.request(method, self._root + path, headers=named, data=body, timeout=30)

    def close(self) -> None:
        self._session.close()


def event(user: str, at: int, action: str = "pagure.issue.new") -> Event:
    topic = f"org.fedoraproject.prod.{action}"
    return Event(f"{user}-{at}-{action}", at, None, topic, user, "actor", service_of(topic))


def burst(user: str, at: int) -> list[list[Event]]:
    """Six issues in half a minute, which no newcomer writes."""
    return [[event(user, at + n * 5 * SECOND)] for n in range(6)]


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """Five people, of whom mallory and mortimer burst, and a wave of eight sign-ups with names of one pattern."""
    store = open_store(tmp_path / "state")
    commit_batch(store, [[event(name, START + n * HOUR, "fas.user.create")] for n, name in enumerate(PEOPLE)])
    commit_batch(store, [*burst("mallory", START + DAY), *burst("mortimer", START + DAY + HOUR)])
    commit_batch(store, [[event(name, START + 2 * DAY + n * SECOND, "fas.user.create")] for n, name in enumerate(WAVE)])
    store.close()
    return tmp_path / "state"


@pytest.fixture
def start(directory: Path) -> Iterator[Start]:
    """Starts servers over the directory, with this token or with none."""
    with ExitStack() as running:

        def begin(token: str | None) -> Api:
            server = HttpServer(make_app(directory, CollectorRegistry(), readable(directory), token=token))
            server.start("127.0.0.1", 0)
            running.callback(server.stop)
            return running.enter_context(closing(Api(server.address)))

        yield begin


@pytest.fixture
def served(start: Start) -> Api:
    return start(TOKEN)


def clean(directory: Path) -> int:
    """Size of the week's cohort in the population `clean`."""
    said = good(call("retention", "--state", directory, "--population", "clean", "--format", "json"))
    (cohort,) = json.loads(said.out)["cohorts"][:1]
    return int(cohort["size"])


def decisions(directory: Path) -> list[tuple[str, str, str]]:
    with closing(sqlite3.connect(directory / DATABASE)) as conn:
        return conn.execute("SELECT user, verdict, reason FROM decision ORDER BY id").fetchall()


def listed(directory: Path) -> Any:
    return json.loads(good(call("flags", "--state", directory, "--format", "json")).out)


def _open_files() -> Iterator[Path]:
    for link in Path("/proc/self/fd").iterdir():
        with suppress(FileNotFoundError):  # the server closes sockets meanwhile
            yield link.readlink()


def test_the_public_sees_counts_and_waves(served: Api) -> None:
    answer = served.get()
    assert answer.status_code == 200
    assert answer.headers["Content-Type"] == "application/json"
    found = answer.json()
    assert found.keys() == {"counts", "waves"}
    everything = served.flags()
    assert {(row["rule"], row["severity"], row["state"]): row["flags"] for row in found["counts"]} == {
        kind: sum((flag["rule"], flag["severity"], flag["state"]) == kind for flag in everything)
        for kind in ((flag["rule"], flag["severity"], flag["state"]) for flag in everything)
    }
    waves = [flag for flag in everything if flag["user"] is None]
    assert "wave-name" in {wave["rule"] for wave in waves}
    assert [wave["id"] for wave in found["waves"]] == [wave["id"] for wave in waves]
    for told, wave in zip(found["waves"], waves, strict=True):
        assert told.keys() == {"id", "rule", "severity", "state", "raised_at", "posts", "reason"}
        assert {key: told[key] for key in told if key != "reason"} == {k: wave[k] for k in told if k != "reason"}


def test_the_public_sees_no_name_and_nothing_of_one(served: Api) -> None:
    assert "cheapb" in json.dumps(served.flags()), "the operator does"
    for answer in (served.get(), served.get(credentials="Basic bWFsbG9yeTp4")):
        assert answer.status_code == 200
        for name in ("zeb", "mallory", "mortimer", "cheapb", "gs10", "evidence"):
            assert name not in answer.text


def test_an_unchanged_public_answer_is_not_sent_again(served: Api) -> None:
    first = served.get()
    assert first.headers["Cache-Control"] == "no-cache"
    assert "Authorization" in first.headers["Vary"]
    again = served.get(If_None_Match=first.headers["ETag"])
    assert again.status_code == 304
    assert again.content == b""
    assert "Authorization" in again.headers["Vary"]
    flag = served.flag_of("mallory", "burst")
    assert served.decide(flag["id"], {"decision": "cleared", "reason": "a friend"}).status_code == 200
    assert served.get(If_None_Match=first.headers["ETag"]).status_code == 200


def test_the_operator_sees_what_the_command_line_shows(served: Api, directory: Path) -> None:
    answer = served.get(credentials=BEARER)
    assert answer.headers["Cache-Control"] == "no-store"
    assert "ETag" not in answer.headers
    assert answer.json() == listed(directory)
    assert {"mallory", "mortimer", None, *WAVE} <= {flag["user"] for flag in answer.json()}


@pytest.mark.parametrize(
    ("query", "wanted"),
    [
        ("?state=raised", lambda flag: flag["state"] == "raised"),
        ("?rule=burst&rule=wave-name", lambda flag: flag["rule"] in {"burst", "wave-name"}),
        ("?rule=burst", lambda flag: flag["rule"] == "burst"),
        ("?since=2024-06-04T00:30", lambda flag: flag["raised_at"] >= "2024-06-04T00:30"),
        ("?since=2024-06-04T02:30%2B02:00", lambda flag: flag["raised_at"] >= "2024-06-04T00:30"),
        ("?since=2024-06-05&rule=wave-member", lambda flag: flag["rule"] == "wave-member"),
        ("?rule=burst&state=confirmed", lambda _flag: False),
    ],
)
def test_the_operator_may_ask_for_some(served: Api, query: str, wanted: Callable[[dict[str, Any]], bool]) -> None:
    everything = served.flags()
    some = served.flags(query)
    assert some == [flag for flag in everything if wanted(flag)]
    assert some != everything


@pytest.mark.parametrize(
    ("query", "valid"),
    [
        ("?state=open", FLAG_STATES),
        ("?state=", FLAG_STATES),
        ("?state=raised&state=x", FLAG_STATES),
        ("?rule=wave", SEVERITIES),
        ("?since=yesterday", ["ISO 8601"]),
        ("?since=", ["ISO 8601"]),
        ("?stat=raised", ["state, rule, since"]),
    ],
)
def test_what_cannot_be_asked_is_told_with_what_can(served: Api, query: str, valid: list[str]) -> None:
    answer = served.get(query, BEARER)
    assert answer.status_code == 422
    for value in valid:
        assert value in answer.json()["error"]


@pytest.mark.parametrize("credentials", [f"Bearer {TOKEN[:-1]}", f"{BEARER}x", "Bearer ", "Bearer", "bearer é" + TOKEN])
def test_a_wrong_token_is_refused(served: Api, directory: Path, credentials: str) -> None:
    shown = credentials.encode().decode("latin-1")
    flag = served.flag_of("mallory", "burst")
    answers = [served.get("", shown), served.decide(flag["id"], {"decision": "cleared", "reason": "x"}, shown)]
    for answer in answers:
        assert answer.status_code == 401
        assert answer.headers["WWW-Authenticate"] == 'Bearer realm="homecoming", error="invalid_token"'
        assert answer.headers["Cache-Control"] == "no-store"
        assert "mallory" not in answer.text
    assert decisions(directory) == []


@pytest.mark.parametrize("credentials", [None, f"Basic {TOKEN}", TOKEN])
def test_without_the_token_nothing_is_decided_or_filtered(served: Api, directory: Path, credentials: str) -> None:
    flag = served.flag_of("mallory", "burst")
    said = {"decision": "cleared", "reason": "x"}
    for answer in (served.decide(flag["id"], said, credentials), served.get("?state=raised", credentials)):
        assert answer.status_code == 401
        assert answer.headers["WWW-Authenticate"] == 'Bearer realm="homecoming"'
    assert decisions(directory) == []


def test_without_a_token_configured_what_names_people_is_off(start: Start, directory: Path) -> None:
    known_as = start(TOKEN).flag_of("mallory", "burst")["id"]
    off = start(None)
    said = {"decision": "cleared", "reason": "x"}
    for answer in (
        off.get("", BEARER),
        off.get("", "Bearer "),
        off.get("?state=raised"),
        off.decide(known_as, said),
        off.decide(known_as, said, None),
        off.decide(known_as, said, "Bearer None"),
    ):
        assert answer.status_code == 404
        assert "HOMECOMING_TOKEN" in answer.json()["error"]
        assert "consumer_config.http.token_file" in answer.json()["error"]
    assert off.get().status_code == 200
    assert decisions(directory) == []


def test_clearing_moves_the_clean_population_at_once_and_for_good(served: Api, directory: Path) -> None:
    flag = served.flag_of("mallory", "burst")
    size = clean(directory)
    assert size == len(PEOPLE) + len(WAVE) - 2

    answer = served.decide(flag["id"], {"decision": "cleared", "reason": " imports their\nown tracker "})
    assert answer.status_code == 200
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.json() == flag | {"state": "cleared"}
    assert clean(directory) == size + 1
    assert decisions(directory) == [("mallory", "cleared", "imports their own tracker")]

    good(call("rebuild", "--state", directory))
    assert served.flag_of("mallory", "burst") == flag | {"state": "cleared"}
    assert clean(directory) == size + 1
    assert decisions(directory) == [("mallory", "cleared", "imports their own tracker")]

    confirmed = served.decide(flag["id"], {"decision": "confirmed", "reason": "it was spam after all"})
    assert confirmed.json()["state"] == "confirmed"
    assert clean(directory) == size
    assert served.flag_of("mortimer", "burst")["state"] == "raised"


def test_a_wave_can_be_decided_too(served: Api) -> None:
    wave = served.flag_of(None, "wave-name")
    assert served.decide(wave["id"], {"decision": "cleared", "reason": "a class"}).status_code == 200
    assert served.flag_of(None, "wave-name")["state"] == "cleared"
    assert {"rule": "wave-name", "severity": "critical", "state": "cleared", "flags": 1} in served.get().json()[
        "counts"
    ]


def test_the_consumer_respects_a_decision_with_its_next_batch(start: Start, directory: Path) -> None:
    store = open_store(directory)
    commit_batch(store, [[event("zeb0", START + 3 * DAY)]])  # the live detector is in memory from here on
    served = start(TOKEN)
    flag = served.flag_of("mallory", "burst")
    size = clean(directory)
    assert served.decide(flag["id"], {"decision": "cleared", "reason": "a friend"}).status_code == 200

    commit_batch(store, [[event("mallory", START + 3 * DAY + SECOND)]])
    assert served.flag_of("mallory", "burst")["state"] == "cleared"
    later = START + 10 * DAY  # another burst: the first flag's week is over, its decision holds for 30 days
    commit_batch(store, [*burst("mallory", later), *burst("zeb1", later)])
    again = served.flag_of("mallory", "burst")
    assert again["id"] != flag["id"]
    assert again["raised_at"] >= iso(later)
    assert again["state"] == "cleared"
    assert served.flag_of("zeb1", "burst")["state"] == "raised", "nobody has decided about them"
    assert clean(directory) == size, "mallory came back to it, zeb1 left it"
    store.close()


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"", "expected JSON"),
        (b"{", "expected JSON"),
        (b"\xff\xfe", "expected JSON"),
        (b"[" * 16_000, "expected JSON"),
        (b"[]", "expected JSON"),
        (b'"cleared"', "expected JSON"),
        (b"{}", "one of confirmed, cleared"),
        (b'{"decision": "maybe", "reason": "x"}', "one of confirmed, cleared"),
        (b'{"decision": ["cleared"], "reason": "x"}', "one of confirmed, cleared"),
        (b'{"decision": "cleared"}', "reason"),
        (b'{"decision": "cleared", "reason": " \\n"}', "reason"),
        (b'{"decision": "cleared", "reason": 7}', "reason"),
        (b'{"decision": "cleared", "reason": "\\ud800"}', "reason"),
    ],
)
def test_a_decision_that_is_none_is_told(served: Api, directory: Path, body: bytes, said: str) -> None:
    answer = served.decide(served.flag_of("mallory", "burst")["id"], body)
    assert answer.status_code == 422
    assert said in answer.json()["error"]
    assert decisions(directory) == []


def test_a_body_may_have_16_kb(served: Api, directory: Path) -> None:
    known_as = served.flag_of("mallory", "burst")["id"]
    frame = len(json.dumps({"decision": "cleared", "reason": ""}))
    fits = {"decision": "cleared", "reason": "x" * (16 * 1024 - frame)}
    assert served.decide(known_as, fits | {"reason": fits["reason"] + "x"}).status_code == 413
    assert decisions(directory) == []
    assert served.decide(known_as, fits).status_code == 200


def test_a_flag_that_there_is_not(served: Api, directory: Path) -> None:
    answer = served.decide("no-such-flag", {"decision": "cleared", "reason": "x"})
    assert answer.status_code == 404
    assert "no-such-flag" in answer.json()["error"]
    assert decisions(directory) == []


def test_a_busy_state_is_told_and_the_next_try_succeeds(
    served: Api, directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(api, "_BUSY_TIMEOUT_MS", 1)
    known_as = served.flag_of("mallory", "burst")["id"]
    said = {"decision": "cleared", "reason": "x"}
    with closing(sqlite3.connect(directory / DATABASE, isolation_level=None)) as conn:
        conn.execute("BEGIN IMMEDIATE")
        answer = served.decide(known_as, said)
        assert answer.status_code == 503
        assert int(answer.headers["Retry-After"]) > 0
        assert "locked" in answer.json()["error"]
        conn.execute("ROLLBACK")
    assert decisions(directory) == []
    assert served.decide(known_as, said).status_code == 200


def test_a_state_that_went_missing_is_not_made_anew(served: Api, directory: Path) -> None:
    known_as = served.flag_of("mallory", "burst")["id"]
    shutil.move(directory, directory.with_name("away"))
    assert served.decide(known_as, {"decision": "cleared", "reason": "x"}).status_code == 503
    assert served.get("", BEARER).status_code == 503
    assert not directory.exists()


def test_decisions_leave_no_connection_open(served: Api, directory: Path) -> None:
    known_as = served.flag_of("mallory", "burst")["id"]
    with closing(sqlite3.connect(directory / DATABASE)) as conn:
        conn.execute("SELECT 1 FROM flag")
        assert [path for path in _open_files() if path.is_relative_to(directory)], "they can be seen"
    for decision in ("cleared", "confirmed", "maybe"):
        served.decide(known_as, {"decision": decision, "reason": "x"})
    served.decide("no-such-flag", {"decision": "cleared", "reason": "x"})
    assert not [path for path in _open_files() if path.is_relative_to(directory)]


@given(st.binary())
def test_whatever_the_body_a_decision_is_one_or_is_refused(body: bytes) -> None:
    with pytest.raises(HTTPException) as caught:
        api._decision(body)
    assert caught.value.status_code == 422


@given(st.sampled_from(("cleared", "confirmed")), st.text(st.characters(codec="utf-8")).filter(str.strip))
def test_every_reason_in_words_is_taken_as_it_is(decision: str, reason: str) -> None:
    said = json.dumps({"decision": decision, "reason": reason}).encode()
    assert api._decision(said).model_dump() == {"decision": decision, "reason": reason}
