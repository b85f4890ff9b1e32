"""Catching up from a server of datagrepper's shape: everything once, whatever the server does, and politely."""

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Event
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from consumer import datagrepper as client
from consumer import simulator
from consumer.decode import Delivery
from consumer.pipeline import Pipeline
from metrics.hotpath import HotPath
from state.coverage import cover, gaps
from state.store import open_store
from state.weeks import DAY, SECOND, iso, week_named, week_start
from tests.support.datagrepper_server import Datagrepper, Fault, serving
from tests.support.program import PATIENCE_S, Said, call, good, refused

START = week_start(week_named("2024-06-03"))
END = START + 2 * DAY

Catching = Callable[..., Said]


class Pauses:
    """Time that passes by waiting alone."""

    def __init__(self) -> None:
        self.now = 1_000.0
        self.waited: list[float] = []

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.waited.append(seconds)
        self.now += seconds


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> Pauses:
    pauses = Pauses()
    monkeypatch.setattr(client, "time", pauses)
    monkeypatch.setattr("tenacity.nap.time", pauses)
    return pauses


@pytest.fixture(scope="session")
def messages() -> list[dict[str, Any]]:
    """Two days of a small community, as the bus carried them; more than one page in some windows."""
    scenario = simulator.Scenario(seed=5, weeks=1, end=END, signups_per_week=150, core_users=60)
    return [simulator.wire(message) for message in simulator.simulate(scenario).messages if message.at >= START]


@pytest.fixture
def server(messages: list[dict[str, Any]], pauses: Pauses) -> Iterator[Datagrepper]:
    with serving(Datagrepper(messages, pauses.monotonic)) as datagrepper:
        yield datagrepper


@pytest.fixture
def catch_up(server: Datagrepper, tmp_path: Path) -> Catching:
    def run(*options: str, since: int = START, until: int = END) -> Said:
        span = () if "--gaps" in options else ("--since", iso(since), "--until", iso(until))
        return call("catch-up", *span, "--url", server.url, "--state", tmp_path / "state", *options)

    return run


@pytest.fixture(scope="session")
def whole(messages: list[dict[str, Any]], tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Any]:
    """What a state says that was fed all messages by archive."""
    folder = tmp_path_factory.mktemp("whole")
    (folder / "all.jsonl").write_text("".join(json.dumps(message) + "\n" for message in messages), encoding="utf-8")
    good(call("backfill", folder / "all.jsonl", "--state", folder / "state"))
    return content(folder / "state")


def content(state: Path) -> tuple[Any, Any]:
    """Status and retention, cell states aside: these depend on coverage."""
    table = json.loads(good(call("retention", "--state", state, "--format", "json")).out)
    for cohort in table["cohorts"]:
        for cell in cohort["cells"]:
            del cell["state"]
    return json.loads(good(call("status", "--state", state, "--format", "json")).out), table


def cell_states(state: Path) -> set[str]:
    table = json.loads(good(call("retention", "--state", state, "--format", "json")).out)
    return {cell["state"] for cohort in table["cohorts"] for cell in cohort["cells"]}


def known_gaps(state: Path) -> list[tuple[int, int]]:
    store = open_store(state)
    try:
        return gaps(store.conn)
    finally:
        store.close()


def covered(state: Path, *spans: tuple[int, int]) -> None:
    store = open_store(state)
    with store.writing() as conn:
        for span in spans:
            cover(conn, "test", *span)
    store.close()


def test_every_page_of_every_window_comes_in(
    catch_up: Catching, server: Datagrepper, whole: Any, tmp_path: Path
) -> None:
    said = good(catch_up())
    assert said.out == ""
    assert content(tmp_path / "state") == whole
    assert f"{len(server.archive)} new messages" in said.err
    assert max(int(asked["page"]) for asked in server.asked) > 1, "the test wants windows of several pages"
    assert {asked["rows_per_page"] for asked in server.asked} == {"100"}
    assert {asked["order"] for asked in server.asked} == {"asc"}
    good(call("verify", "--state", tmp_path / "state"))


def test_the_same_again_changes_nothing(catch_up: Catching, tmp_path: Path, whole: Any) -> None:
    good(catch_up())
    assert "0 new messages, 0 new events" in good(catch_up()).err
    assert content(tmp_path / "state") == whole


def test_since_and_until_bound_what_comes_in(catch_up: Catching, server: Datagrepper, tmp_path: Path) -> None:
    good(catch_up(since=START + DAY // 2, until=START + DAY))
    margin = 300 * SECOND
    times = [message["headers"]["sent-at"][:19] for message in server.archive]
    low, high = (iso(at)[:19] for at in (START + DAY // 2 - margin, START + DAY + margin))
    assert content(tmp_path / "state")[0]["messages"] == sum(low <= at <= high for at in times)


@pytest.mark.parametrize(
    "fault",
    [
        Fault(500),
        Fault(502, b"<html>"),
        Fault(429),
        Fault(None),
        Fault(200, b'{"raw_messages": ['),
        Fault(200, b"<html>"),
    ],
    ids=["500", "502", "429", "hang up", "broken JSON", "no JSON"],
)
def test_a_fault_that_passes_is_tried_again(
    fault: Fault, catch_up: Catching, server: Datagrepper, pauses: Pauses, whole: Any, tmp_path: Path
) -> None:
    server.faults = [fault] * 3
    good(catch_up())
    assert content(tmp_path / "state") == whole
    waits = sorted(pause for pause in pauses.waited if pause)
    assert waits[-1] >= 4, "the waits grow"


def test_a_silent_server_is_not_waited_for_without_end(
    catch_up: Catching, server: Datagrepper, whole: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "_TIMEOUT_S", 1)
    answer, released = server.answer, Event()

    def silent(path: str, arguments: dict[str, str]) -> Fault:
        if not server.asked:
            answer(path, arguments)
            released.wait(PATIENCE_S)
        elif not released.is_set():
            released.set()  # the second attempt: the client has given the first one up
        return answer(path, arguments)

    server.answer = silent  # type: ignore[method-assign]  # hangs once
    good(catch_up())
    assert released.is_set()
    assert content(tmp_path / "state") == whole


def test_a_server_that_names_its_pause_gets_it(catch_up: Catching, server: Datagrepper) -> None:
    server.faults = [Fault(429, b"", (("Retry-After", "120"),))]
    good(catch_up())
    first, second = server.moments[:2]
    assert second - first >= 120


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (Fault(404, b"nothing here"), "HTTP 404"),
        (Fault(403, b"x" * 10_000), "HTTP 403"),
        (Fault(200, b"[]"), "no page of datagrepper"),
        (Fault(200, b'{"error": "no"}'), "no page of datagrepper"),
        (Fault(200, b'{"raw_messages": [], "pages": "many"}'), "no page of datagrepper"),
    ],
)
def test_a_fault_that_stays_is_said_at_once(
    fault: Fault, said: str, catch_up: Catching, server: Datagrepper, tmp_path: Path
) -> None:
    server.faults = [fault]
    line = refused(catch_up())
    assert said in line
    assert len(line) < 1_000
    assert len(server.asked) == 1
    assert content(tmp_path / "state")[0]["messages"] == 0


def test_a_broken_server_is_given_up_and_gone_on_with(
    catch_up: Catching, server: Datagrepper, whole: Any, tmp_path: Path
) -> None:
    """What came in stays, covered up to there; nothing after it is called covered."""
    state = tmp_path / "state"
    answer = server.answer

    def worse(path: str, arguments: dict[str, str]) -> Fault:
        return answer(path, arguments) if len(server.asked) < 4 else Fault(500)

    server.answer = worse  # type: ignore[method-assign]  # the server goes down for good
    line = refused(catch_up())
    assert "HTTP 500" in line
    assert "--since" in line
    some = content(state)[0]["messages"]
    assert 0 < some < len(server.archive)
    store = open_store(state)
    (reached,) = store.conn.execute("SELECT max(end) FROM coverage").fetchone()
    store.close()
    assert START < reached < END

    server.answer = answer  # type: ignore[method-assign]
    since = line.partition("--since ")[2].split()[0].rstrip(".;")
    good(call("catch-up", "--since", since, "--until", iso(END), "--url", server.url, "--state", state))
    assert content(state) == whole
    assert known_gaps(state) == []


@pytest.mark.usefixtures("pauses")
def test_no_server_is_one_line(tmp_path: Path) -> None:
    with serving(Datagrepper([])) as gone:
        url = gone.url
    line = refused(call("catch-up", "--since", iso(START), "--url", url, "--state", tmp_path / "state"))
    assert url in line
    assert "gave up" in line


@pytest.mark.parametrize("url", ["nonsense", "ftp://x", "http://", "http://[", "file:///etc/passwd"])
def test_what_is_no_address_is_not_asked_again(url: str, tmp_path: Path, pauses: Pauses) -> None:
    refused(call("catch-up", "--since", iso(START), "--url", url, "--state", tmp_path / "state"))
    assert sum(pauses.waited) == 0


@pytest.mark.parametrize("rate", [1, 30, 600])
def test_the_server_is_never_asked_faster_than_configured(rate: int, server: Datagrepper, tmp_path: Path) -> None:
    config = tmp_path / "config.toml"
    config.write_text(
        f'[consumer_config.catch_up]\nurl = "{server.url}"\nrequests_per_minute = {rate}\n', encoding="utf-8"
    )
    server.faults = [Fault(500), Fault(429)]
    options = ("--since", iso(START), "--until", iso(END), "--state", tmp_path / "state", "--config", config)
    good(call("catch-up", *options))
    assert len(server.moments) > 5
    between = [after - before for before, after in zip(server.moments, server.moments[1:], strict=False)]
    assert min(between) >= 60 / rate * 0.999


def test_gaps_are_filled_and_their_weeks_heal(
    catch_up: Catching, server: Datagrepper, messages: list[dict[str, Any]], whole: Any, tmp_path: Path
) -> None:
    state = tmp_path / "state"
    hole = (START + DAY // 2, START + DAY)
    low, high = (iso(at)[:19] for at in hole)
    heard = [message for message in messages if not low <= message["headers"]["sent-at"][:19] < high]
    (tmp_path / "heard.jsonl").write_text("".join(json.dumps(m) + "\n" for m in heard), encoding="utf-8")
    good(call("backfill", tmp_path / "heard.jsonl", "--state", state))
    covered(state, (START, hole[0]), (hole[1], END))
    assert "partial" in cell_states(state)

    good(catch_up("--gaps"))
    assert content(state) == whole
    assert known_gaps(state) == []
    assert "partial" not in cell_states(state)
    asked = len(server.asked)
    good(catch_up("--gaps"))
    assert len(server.asked) == asked, "nothing is left to ask for"


def test_what_came_live_is_not_counted_again(
    catch_up: Catching, messages: list[dict[str, Any]], whole: Any, tmp_path: Path
) -> None:
    state = tmp_path / "state"
    store = open_store(state)
    pipeline = Pipeline(store, HotPath(CollectorRegistry(), _now), _now)
    pipeline.take_in(
        [Delivery(m["topic"], m["headers"], json.dumps(m["body"]).encode(), m["id"], "utf-8") for m in messages[::3]]
    )
    store.close()
    live = content(state)[0]["messages"]
    assert f"{len(messages) - live} new messages" in good(catch_up()).err
    assert content(state) == whole


def test_what_cannot_be_decoded_is_a_dead_letter(catch_up: Catching, server: Datagrepper, tmp_path: Path) -> None:
    broken = {**server.archive[0], "id": "broken", "body": None}
    server.archive.append(broken)
    good(catch_up())
    found = content(tmp_path / "state")[0]
    assert (found["dead_letters"], found["messages"]) == (1, len(server.archive) - 1)


def test_the_future_is_not_covered_by_asking_now(catch_up: Catching, tmp_path: Path) -> None:
    now = time.time_ns() // 1000
    good(catch_up(since=now - 60 * SECOND, until=now + 7 * DAY))
    store = open_store(tmp_path / "state")
    (reached,) = store.conn.execute("SELECT max(end) FROM coverage").fetchone()
    store.close()
    assert now - 60 * SECOND < reached < now + DAY


@pytest.mark.parametrize(
    "options",
    [
        (),
        ("--gaps", "--since", "2024-06-03"),
        ("--gaps", "--until", "2024-06-03"),
        ("--until", "2024-06-03"),
        ("--since", "yesterday"),
        ("--since", "0001-01-01"),
        ("--since", "9999-12-31T23:59:59-12:00"),
        ("--since", "2999-01-01"),
        ("--since", "2024-06-04", "--until", "2024-06-03"),
    ],
)
def test_a_span_that_makes_no_sense_is_refused(options: tuple[str, ...], tmp_path: Path, server: Datagrepper) -> None:
    refused(call("catch-up", *options, "--url", server.url, "--state", tmp_path / "state"))
    assert server.asked == []


def _now() -> int:
    return END
