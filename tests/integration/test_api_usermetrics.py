"""The UserMetrics API over HTTP: the guide's documented requests in shape and value, who sees what, jobs, bad input."""

import json
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI

from metrics.api.errors import tell_errors
from metrics.api.usermetrics import usermetrics_routes
from metrics.client import Client as MetricClient
from metrics.client import MetricError
from metrics.context import Context
from metrics.hotpath import wall_clock
from metrics.serving import HttpServer
from metrics.standard.registry import METRICS
from state.cohorts.definitions import Definitions, parse_definitions
from state.event import Event
from state.expiry import expire
from state.live import commit_batch
from state.rules import Rules
from state.segments import seal
from state.store import open_store
from state.weeks import DAY, HOUR, WEEK, event_time_of
from tests.support.program import call, good
from tests.support.served import BEARER, START, TOKEN, Client, served, signup
from tests.support.served import event as act
from tests.support.standard import event, make_state

RULES = Rules(registrations=frozenset({"wiki.account.create"}))
REGISTER, EDIT = "wiki.account.create", "wiki.article.edit"
BEGIN = event_time_of("2011-12-01")

#: What the guide's responses have; ours have more beside it.
GUIDE = {
    "time_of_response", "cohort_last_generated", "metric", "cohort", "type", "group", "aggregator", "namespace", "n",
    "t", "project", "slice_size", "datetime_start", "datetime_end", "header", "data",
}  # fmt: skip


def defined(**cohorts: list[str]) -> Definitions:
    text = "\n".join(f"[[cohort]]\nid = '{name}'\nusers = {json.dumps(users)}" for name, users in cohorts.items())
    return parse_definitions(text, "file")


@contextmanager
def asked_of(directory: Path, **cohorts: list[str]) -> Iterator[Client]:
    definitions = defined(**cohorts)
    with served(directory, TOKEN, definitions=lambda: definitions) as client:
        yield client


def get(client: Client, path: str, *, operator: bool = True) -> dict[str, Any]:
    answer = client.get(path, **({"Authorization": BEARER} if operator else {}))
    assert answer.status_code == 200, answer.text
    assert answer.headers["Cache-Control"] == "no-store"
    found: dict[str, Any] = answer.json()
    assert found.keys() >= GUIDE
    assert "null" not in answer.text
    return found


def refusal(client: Client, path: str, status: int, *, operator: bool = False) -> str:
    answer = client.get(path, **({"Authorization": BEARER} if operator else {}))
    assert answer.status_code == status, answer.text
    said: str = answer.json()["error"]
    assert "\n" not in said
    return said


@pytest.fixture
def kept(shared_data: Path) -> dict[str, dict[str, Any]]:
    found = json.loads((shared_data / "usermetrics_cases.json").read_text(encoding="utf-8"))
    return {case["id"]: case for case in found["documented"]}


# The guide's requests


def test_bytes_added(tmp_path: Path, kept: dict[str, dict[str, Any]]) -> None:
    case = kept["guide-bytes_added-raw-sum"]
    users = [*case["raw"]]
    log = [event(90 + n, BEGIN - 1, REGISTER, user) for n, user in enumerate(users)]
    for n, size in enumerate([500, 400, 8, -200, -25]):
        log.append(event(n, BEGIN + n, EDIT, "15972203", size=size, unit="bytes"))
    log.append(event(99, BEGIN + 9 * DAY, EDIT, "last"))
    make_state(tmp_path, log, RULES)
    with asked_of(tmp_path, test2=users) as client:
        raw = get(client, "/cohorts/test2/bytes_added")
        assert (raw["type"], raw["header"], raw["data"]) == ("raw", case["header"], case["raw"])
        assert set(raw["statuses"]) == set(users)
        found = get(client, "/cohorts/test2/bytes_added?aggregator=sum")
        assert (found["type"], found["aggregator"], found["data"]) == ("aggregator", "sum", case["expected"])
        assert "statuses" not in found


def test_threshold(tmp_path: Path, kept: dict[str, dict[str, Any]]) -> None:
    case = kept["guide-threshold-proportion"]
    log = [event(n, BEGIN, REGISTER, user) for n, user in enumerate(case["raw"])]
    log += [event(10, BEGIN + HOUR, EDIT, "15972203"), event(11, BEGIN + 9 * DAY, EDIT, "somebody")]
    make_state(tmp_path, log, RULES)
    with asked_of(tmp_path, test2=[*case["raw"]]) as client:
        assert get(client, "/cohorts/test2/threshold?t=24&n=1")["data"] == case["raw"]
        found = get(client, "/cohorts/test2/threshold?t=24&n=1&aggregator=proportion")
        assert (found["header"], found["data"]) == (case["header"], case["expected"])
        assert (found["t"], found["n"], found["group"]) == (24, 1, "registration")


def test_time_series(tmp_path: Path, kept: dict[str, dict[str, Any]]) -> None:
    case, expected = kept["guide-timeseries-slices"], kept["guide-timeseries-threshold"]["expected"]
    log = [event(n, BEGIN + n * DAY, REGISTER, user) for n, user in enumerate(("a", "b"))]
    log += [event(5, BEGIN + HOUR, EDIT, "a"), event(6, BEGIN + 200 * DAY, EDIT, "b")]
    make_state(tmp_path, log, RULES)
    asked = f"time_series&slice={case['slice_hours']}&start={case['start']}&end={case['end']}&aggregator=proportion"
    with asked_of(tmp_path, test2=["a", "b"]) as client:
        found = get(client, f"/cohorts/test2/threshold?{asked}")
        assert [*found["data"]] == case["expected_labels"]
        assert (found["type"], found["data"]) == ("time_series", expected)
        assert (found["slice_size"], found["datetime_end"]) == (case["slice_hours"], "2012-03-01 00:00:00")
        assert found["header"] == ["slice", "total_users", "threshold_reached", "rate"]
        raw = get(client, f"/cohorts/test2/threshold?{asked.removesuffix('&aggregator=proportion')}")
        assert raw["data"]["2011-12-01 00:00:00"] == {"a": [1], "b": [0]}


@pytest.mark.parametrize(
    ("name", "aggregator"), [("code-list_sum_by_group", "sum"), ("code-list_average_by_group", "mean")]
)
def test_by_group(tmp_path: Path, kept: dict[str, dict[str, Any]], name: str, aggregator: str) -> None:
    """Groups are slices here: users who registered on one day, with so many edits."""
    case = kept[name]
    log: list[Event] = []
    for place, (day, count) in enumerate(case["input"]):
        at = BEGIN + (day - 1) * DAY
        log += [event(100 * place, at, REGISTER, f"u{place}")]
        log += [event(100 * place + 1 + n, at + 1 + n, EDIT, f"u{place}") for n in range(count)]
    make_state(tmp_path, [*log, event(999, BEGIN + 30 * DAY, EDIT, "last")], RULES)
    asked = f"time_series&start=20111201&end=20111203&aggregator={aggregator}"
    with asked_of(tmp_path, us=["u0", "u1", "u2"]) as client:
        data = get(client, f"/cohorts/us/edits?{asked}")["data"]
    assert [[day, *values] for day, values in enumerate(data.values(), 1)] == case["expected"]


def test_live_account(tmp_path: Path, kept: dict[str, dict[str, Any]]) -> None:
    case = kept["test-live_account"]
    log = [
        event(1, event_time_of(case["registration"]), REGISTER, "u"),
        event(2, event_time_of(case["first_edit_click"]), "track.attempt", "u"),
    ]
    make_state(tmp_path, log, RULES)
    with asked_of(tmp_path) as client:
        found = get(client, f"/cohorts/u/live_account?is_user=True&t={case['t_hours']}")
    assert (found["cohort"], found["data"]) == ("u", {"u": [case["expected"]]})
    assert found["notes"] == ["an attempt is: track.attempt"]


def test_blocks(tmp_path: Path, kept: dict[str, dict[str, Any]]) -> None:
    log: list[Event] = []
    rows = kept["code-blocks-docstring"]["expected_rows"]
    for user, _, first, last, _ in rows:
        log.append(event(len(log), event_time_of("20110101"), REGISTER, user))
        for n, at in enumerate(sorted({first, last})):
            time = event_time_of(f"{at[:8]}T{at[8:]}")
            log.append(event(100 + 10 * len(log) + n, time, "wiki.user.block", user, role="affected"))
    make_state(tmp_path, log, RULES)
    with asked_of(tmp_path, blocked=[row[0] for row in rows]) as client:
        found = get(client, "/cohorts/blocked/blocks?group=activity")
    assert found["data"] == {user: [1, times, first, last, -1] for user, times, first, last, _ in rows}


# Who sees what

#: Twelve people who sign up on three days, 6, 1 and 5 of them; the first two write an issue, the first nine a post.
PEOPLE = [f"zebulon{n:02}" for n in range(12)]
COHORTS = {
    "ten": PEOPLE[:10],
    "nine": PEOPLE[:9],
    "five": PEOPLE[:5],
    "four": PEOPLE[:4],
    "seven": PEOPLE[5:],
}


@pytest.fixture(scope="module")
def crowd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    directory = tmp_path_factory.mktemp("crowd") / "state"
    store = open_store(directory)
    days = [0] * 6 + [1] + [2] * 5
    joined = {name: START + day * DAY for name, day in zip(PEOPLE, days, strict=True)}
    commit_batch(store, [[signup(name, at)] for name, at in joined.items()])
    commit_batch(store, [[act(name, joined[name] + HOUR)] for name in PEOPLE[:2]])
    commit_batch(store, [[act(name, joined[name] + HOUR, "discourse.post.post_created")] for name in PEOPLE[:9]])
    commit_batch(store, [[act("zoe", START + WEEK)]])
    store.close()
    with asked_of(directory, **COHORTS) as client:
        yield client


@pytest.mark.parametrize("cohort", ["ten", "five", "ten~five", "five~seven", "all&ten~five", "nine&nine"])
def test_the_public_is_told_of_enough_people(crowd: Client, cohort: str) -> None:
    asked = f"/cohorts/{cohort.replace('&', '%26')}/threshold?aggregator=proportion"
    if cohort == "all&ten~five":  # 13 are in all, 10 in the whole: 3 are between
        assert "fewer than 5 users are in this cohort and not in a part of it" in refusal(crowd, asked, 403)
    else:
        public, operator = (get(crowd, asked, operator=operator) for operator in (False, True))
        assert public["data"] == operator["data"]
        assert not [name for name in PEOPLE if name in json.dumps(public)]


@pytest.mark.parametrize("cohort", ["four", "ten&four", "ten~nine", "ten&nine", "five~four", "five&seven"])
def test_and_of_too_few_it_is_not(crowd: Client, cohort: str) -> None:
    asked = f"/cohorts/{cohort.replace('&', '%26')}/threshold?aggregator=proportion"
    assert refusal(crowd, asked, 403).startswith("hidden: ")
    assert get(crowd, asked)["type"] == "aggregator"


def test_a_window_isolates_people_as_a_cohort_does(crowd: Client) -> None:
    asked = "/cohorts/all/threshold?aggregator=proportion&start=20240604&end=20240605"
    assert "fewer than 5 people stand behind this" in refusal(crowd, asked, 403)
    assert get(crowd, asked)["data"] == [1, 1, 1.0]


def test_a_slice_about_few_is_withheld_with_another_one(crowd: Client) -> None:
    asked = "/cohorts/all/threshold?aggregator=proportion&start=20240603&end=20240607&time_series&slice=24"
    assert [*get(crowd, asked)["data"].values()] == [[6, 6, 1.0], [1, 1, 1.0], [5, 2, 0.4], [0, 0, 0.0]]
    public = get(crowd, asked, operator=False)
    assert public["withheld"] == 2
    assert [*public["data"].values()] == [[6, 6, 1.0], [-1, -1, -1], [-1, -1, -1], [0, 0, 0.0]]


def test_a_distribution_tells_no_rare_value(crowd: Client) -> None:
    asked = "/cohorts/all/edits?aggregator=dist"
    assert get(crowd, asked)["data"] == [[0, 3], [1, 7], [2, 2]]
    public = get(crowd, asked, operator=False)
    assert (public["data"], public["withheld"]) == ([[1, 7]], 2)


def test_a_breakdown_by_service_tells_nothing_of_few(crowd: Client) -> None:
    asked = "/cohorts/all/threshold?aggregator=proportion&namespace=pagure"
    assert get(crowd, asked)["data"][:2] == [12, 2]
    refusal(crowd, asked, 403)


@pytest.mark.parametrize(
    "path",
    ["/cohorts/all/edits", "/cohorts/zebulon01/edits?is_user=True", "/cohorts/zebulon01/edits?is_user&aggregator=sum"],
)
def test_names_are_the_operators(crowd: Client, path: str) -> None:
    refusal(crowd, path, 401)
    assert crowd.get(path, Authorization="Bearer wrong").status_code == 401
    get(crowd, path)


def test_without_a_token_there_are_no_names(tmp_path: Path) -> None:
    open_store(tmp_path).close()
    with served(tmp_path) as client:
        assert "names people" in refusal(client, "/cohorts/all/edits", 404)
        refusal(client, "/cohorts/all/edits?aggregator=sum", 403)


def test_a_user_whose_name_has_a_slash(tmp_path: Path) -> None:
    make_state(tmp_path, [event(1, START, EDIT, "host/a b")], Rules())
    with asked_of(tmp_path) as client:
        found = get(client, "/cohorts/host%2Fa%20b/edits?is_user=true&group=activity")
    assert found["data"] == {"host/a b": [1]}


# Kept answers, jobs, and the list of requests


def test_kept_until_the_state_changes(tmp_path: Path) -> None:
    make_state(tmp_path, [event(1, START, EDIT, "a")], Rules())
    with asked_of(tmp_path) as client:
        path = "/cohorts/all/edits?group=activity&aggregator=sum"
        first = get(client, path)
        made = first["cohort_last_generated"]
        assert get(client, "/cohorts/all/edits?aggregator=sum&group=activity")["cohort_last_generated"] == made
        again = get(client, f"{path}&refresh")
        assert again["cohort_last_generated"] > made
        with closing(open_store(tmp_path)) as store:
            commit_batch(store, [[event(2, START + 1, EDIT, "b")]])
        later = get(client, path)
        assert (first["data"], later["data"]) == ([1], [2])
        listed = client.get("/all_requests", Authorization=BEARER).json()["requests"]
    assert [(one["metric"], one["cohort"], one["times"], one["status"]) for one in listed] == [
        ("edits", "all", 4, "done")
    ]


def test_a_request_that_is_listed_can_be_asked_again(crowd: Client) -> None:
    get(crowd, "/cohorts/seven~five/edits?aggregator=sum&start=20240603&end=20240607T120000.5&group=activity")
    listed = crowd.get("/all_requests").json()["requests"]
    again = get(crowd, listed[0]["request"])
    assert again["request"] == listed[0]["request"]
    assert crowd.get("/all_requests").json()["requests"][0]["times"] == listed[0]["times"] + 1


def test_what_takes_longer_is_a_job(tmp_path: Path) -> None:
    make_state(tmp_path, [event(n, START, EDIT, f"u{n}") for n in range(6)], Rules())
    app = FastAPI()
    tell_errors(app)
    app.include_router(usermetrics_routes(Context(tmp_path, TOKEN, 5, wall_clock), patience_s=0))
    server = HttpServer(app)
    server.start("127.0.0.1", 0)
    try:
        with closing(Client(server.address)) as client:
            answer = client.get("/cohorts/all/edits?group=activity&aggregator=sum")
            assert (answer.status_code, answer.headers["Retry-After"]) == (202, "5")
            job = answer.json()
            assert job["status"] in {"queued", "running", "done"}
            with MetricClient(client.url, session=client.session) as asking:
                found = asking.metric("edits", "all", group="activity", aggregator="sum", refresh=True)
            assert found.data == [6]
            told = client.get(job["url"]).json()
            assert (told["status"], told["error"]) == ("done", "")
            assert told["queued_at"] <= told["started_at"] <= told["done_at"]
            assert get(client, f"{job['url']}/answer", operator=False)["data"] == [6]
            raw = client.get("/cohorts/all/edits", Authorization=BEARER).json()
            for path in (raw["url"], f"{raw['url']}/answer"):
                refusal(client, path, 401)
            assert "no job 'nope'" in refusal(client, "/jobs/nope", 404)
    finally:
        server.stop()


# The client and the command line


def test_the_client(crowd: Client) -> None:
    with MetricClient(crowd.url, TOKEN, crowd.session) as client:
        found = client.metric("threshold", "nine&all", aggregator="proportion", t=48)
        assert (found.header[0], found.data, found.is_exact) == ("total_users", [9, 9, 1.0], True)
        assert {one["name"] for one in client.metrics()} == set(METRICS)
        assert client.all_requests()[0]["cohort"] == "all&nine"
        assert client.metric("edits", "zebulon00", is_user=True).data == {"zebulon00": [2]}
        with pytest.raises(MetricError, match="did you mean edits") as refused:
            client.metric("edit", "all")
        assert refused.value.status == 422


def test_the_command_line_says_the_same(tmp_path: Path) -> None:
    make_state(tmp_path, [event(n, START + n, EDIT, f"u{n % 3}") for n in range(6)], Rules())
    said = good(call("metric", "edits", "all", "--option", "group=activity", "--format", "json", "--state", tmp_path))
    with asked_of(tmp_path) as client:
        told = get(client, "/cohorts/all/edits?group=activity")
    moments = {"time_of_response", "cohort_last_generated"}
    assert {k: v for k, v in json.loads(said.out).items() if k not in moments} == {
        k: v for k, v in told.items() if k not in moments
    }


# Bad input


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("/cohorts/all/treshold", "did you mean threshold"),
        ("/cohorts/all/edits?aggregator=average", "one of sum, mean"),
        ("/cohorts/all/edits?tt=1", "is_user, refresh"),
        ("/cohorts/all/edits?t=-1&aggregator=sum", "whole number from 0"),
        ("/cohorts/all/edits?start=2024060&aggregator=sum", "20240603120000"),
        ("/cohorts/all/edits?start=20240230&aggregator=sum", "20240603120000"),
        (
            "/cohorts/all/edits?start=20240603&end=20240604&time_series&slice=48&aggregator=sum",
            "longer than the window",
        ),
        ("/cohorts/all/edits?t=1&t=2&aggregator=sum", "given twice"),
        ("/cohorts/tenn/edits?aggregator=sum", "ten"),
        ("/cohorts/ten~/edits?aggregator=sum", "character 5"),
        ("/cohorts/(ten~nine)%26five/edits?aggregator=sum", "character 1"),
        ("/cohorts/nobody/edits?is_user=true", "no user 'nobody'"),
    ],
)
def test_bad_input_is_refused_with_what_is_valid(crowd: Client, path: str, said: str) -> None:
    assert said in refusal(crowd, path, 422, operator=True)


def test_ten_thousand_terms(tmp_path: Path) -> None:
    make_state(tmp_path, [event(1, START, EDIT, "a")], Rules())
    expression = "~".join(
        ["all", *(f"month:{year}-{month:02}" for year in range(1980, 2130) for month in range(1, 13))]
    )
    several = "~".join([expression, *(f"badge:b{n}" for n in range(8_200))])
    found = call("metric", "edits", several, "--aggregator", "sum", "--state", tmp_path)
    assert (found.code, found.err.count("\n")) == (2, 1)
    assert "no badge 'b" in found.err
    good(call("metric", "edits", expression, "--aggregator", "sum", "--state", tmp_path))
    with asked_of(tmp_path) as client:
        assert client.get(f"/cohorts/{several}/edits?aggregator=sum").status_code == 414


def test_more_terms_than_the_public_may_ask_of(crowd: Client) -> None:
    months = "~".join(["all", *(f"month:{year}-01" for year in range(1990, 2015))])
    assert "at most 24 terms" in refusal(crowd, f"/cohorts/{months}/edits?aggregator=sum", 403)


def test_what_has_expired_is_refused_or_inexact(tmp_path: Path) -> None:
    users = [f"u{n}" for n in range(6)]
    log = [event(n, START + HOUR, REGISTER, user) for n, user in enumerate(users)]
    log += [event(10 + n, START + 2 * HOUR, EDIT, user) for n, user in enumerate(users)]
    make_state(tmp_path, [*log, event(99, START + 40 * WEEK, EDIT, "last")], RULES)
    with closing(open_store(tmp_path)) as store:
        seal(store)
        assert expire(store, 135)
    with asked_of(tmp_path, us=users) as client:
        asked = "/cohorts/us/threshold?aggregator=proportion"
        assert "exact=false" in refusal(client, asked, 422)
        spread = get(client, f"{asked}&exact=false", operator=False)
        assert (spread["exact"], spread["data"][0]) == (False, 6)
        days = get(client, "/cohorts/us/edits?aggregator=sum&group=activity&start=20240603&end=20240604")
        assert (days["exact"], days["data"]) == (True, [6])


def test_every_metric_is_told_and_answers(crowd: Client) -> None:
    told = crowd.get("/api/metrics").json()["metrics"]
    assert [one["name"] for one in told] == [*METRICS]
    for metric in told:
        asking = metric["parameters"][0]
        assert asking["name"] == "aggregator"
        for aggregator in metric["aggregators"]:
            found = get(crowd, f"/cohorts/all/{metric['name']}?aggregator={aggregator['name']}")
            assert found["header"] == aggregator["header"]


def test_a_state_that_went_missing(tmp_path: Path) -> None:
    make_state(tmp_path / "state", [event(1, START, EDIT, "a")], Rules())
    with asked_of(tmp_path / "state") as client:
        get(client, "/cohorts/all/edits?aggregator=sum")
        (tmp_path / "state").rename(tmp_path / "gone")
        refusal(client, "/cohorts/all/edits?aggregator=sum", 503, operator=True)
