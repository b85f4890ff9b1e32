"""Retention, cohorts, sign-ups and status over HTTP: the numbers, the formats, what is hidden, what is refused."""

import csv
import io
import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, get_args

import pytest
from prometheus_client import CollectorRegistry

from metrics.api.asked import Population
from metrics.hotpath import HotPath
from state.coverage import cover
from state.dead_letters import DeadLetter
from state.live import commit_batch
from state.rules import POPULATIONS
from state.store import DATABASE, open_store
from state.weeks import DAY, HOUR, SECOND, iso
from tests.support.program import call, good
from tests.support.served import BEARER, HARMFUL, START, TOKEN, WAVE, Client, event, people, served

RESOURCES = ("retention", "cohorts", "signups", "status", "flags")

#: The watermark of `people`, and a processing time three hours after it.
WATERMARK = START + 9 * DAY
NOW = WATERMARK + 3 * HOUR


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return people(tmp_path / "state")


@pytest.fixture
def client(directory: Path) -> Iterator[Client]:
    with served(directory, TOKEN, clock=lambda: NOW) as client:
        yield client


def rows(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def test_populations_are_those_of_the_state() -> None:
    assert get_args(Population) == POPULATIONS


@pytest.mark.parametrize("population", POPULATIONS)
@pytest.mark.parametrize("weeks", [None, 1, 4])
def test_retention_is_the_command_s_without_small_cohorts(
    client: Client, directory: Path, population: str, weeks: int | None
) -> None:
    options = () if weeks is None else ("--weeks", str(weeks))
    said = good(call("retention", "--state", directory, "--population", population, "--format", "json", *options))
    whole = json.loads(said.out)
    shown = [cohort for cohort in whole["cohorts"] if cohort["size"] >= 5]
    query = f"?population={population}" + ("" if weeks is None else f"&weeks={weeks}")
    assert client.get(f"/api/retention{query}").json() == whole | {"cohorts": shown}
    if population == "all":
        assert [cohort["size"] for cohort in whole["cohorts"]] == [7 + len(HARMFUL) + len(WAVE), 1]


def test_retention_as_csv_has_a_row_a_cell(client: Client) -> None:
    answer = client.get("/api/retention?weeks=3&format=csv")
    assert answer.headers["Content-Type"] == "text/csv; charset=utf-8"
    cells = client.get("/api/retention?weeks=3").json()["cohorts"][0]["cells"]
    assert [
        {"offset": int(row["offset"]), "users": int(row["users"]) if row["users"] else None, "state": row["state"]}
        for row in rows(answer.text)
    ] == cells
    assert cells[2] == {"offset": 2, "users": None, "state": "future"}


def test_latest_takes_the_newest_cohorts(directory: Path) -> None:
    with served(directory, min_cohort=1) as client:
        weeks = [cohort["week"] for cohort in client.get("/api/retention").json()["cohorts"]]
        assert weeks == ["2024-06-03", "2024-06-10"]
        assert [c["week"] for c in client.get("/api/retention?latest=1").json()["cohorts"]] == weeks[1:]
        assert [c["week"] for c in client.get("/api/cohorts?latest=1").json()["cohorts"]] == weeks[1:]


def test_cohorts_stand_side_by_side(client: Client) -> None:
    found = client.get("/api/cohorts").json()
    assert found["as_of"] == iso(WATERMARK)
    (cohort,) = found["cohorts"]
    assert cohort["week"] == "2024-06-03"
    assert list(cohort["populations"]) == list(POPULATIONS)
    for population in POPULATIONS:
        table = client.get(f"/api/retention?population={population}&weeks=13").json()["cohorts"]
        side = cohort["populations"][population]
        assert side["size"] == table[0]["size"]
        for rate in side["rates"]:
            cell = table[0]["cells"][rate["offset"]]
            assert {key: rate[key] for key in cell} == cell
            expected = None if cell["users"] is None else pytest.approx(cell["users"] / side["size"], abs=1e-6)
            assert rate["rate"] == expected
        assert [rate["offset"] for rate in side["rates"]] == [1, 4, 8, 12]


def test_a_population_s_small_part_of_a_cohort_is_hidden(directory: Path) -> None:
    with served(directory, min_cohort=16) as client:
        (cohort,) = client.get("/api/cohorts").json()["cohorts"]
        assert cohort["populations"]["all"]["size"] == 20
        assert cohort["populations"]["clean"] is None, "fifteen are"
        (row,) = rows(client.get("/api/cohorts?format=csv").text)
        assert row["all_size"] == "20"
        assert {row[name] for name in row if name.startswith("clean_")} == {""}


def test_cohorts_as_csv_have_a_row_each(client: Client) -> None:
    (row,) = rows(client.get("/api/cohorts", Accept="text/csv").text)
    sides = client.get("/api/cohorts").json()["cohorts"][0]["populations"]
    for population in POPULATIONS:
        assert int(row[f"{population}_size"]) == sides[population]["size"]
        for rate in sides[population]["rates"]:
            name = f"{population}_w{rate['offset']}"
            assert row[f"{name}_state"] == rate["state"]
            assert row[name] == ("" if rate["rate"] is None else str(rate["rate"]))


def test_signups_tell_hours_and_waves(client: Client) -> None:
    found = client.get("/api/signups?hours=217").json()
    by_hour = {hour["start"]: hour for hour in found["hours"]}
    assert len(found["hours"]) == 217
    usual = round(20 / (4 * 168), 3)
    assert found["hours"][-1] == {"start": iso(WATERMARK), "signups": 1, "expected": usual, "waves": []}
    assert [by_hour[iso(START + n * HOUR)]["signups"] for n in range(14)] == [1] * 12 + [0, 0]
    crowded = by_hour[iso(START + 2 * DAY)]
    assert crowded["signups"] == len(WAVE)
    wave = found["waves"][-1]
    assert (wave["rule"], wave["start"][:10]) == ("wave-name", iso(START + 2 * DAY)[:10])
    assert wave["id"] in crowded["waves"]
    assert wave["id"] not in found["hours"][-1]["waves"]
    hours = rows(client.get("/api/signups?hours=217&format=csv").text)
    assert [hour["start"] for hour in hours] == list(by_hour)
    assert [int(hour["signups"]) for hour in hours] == [hour["signups"] for hour in found["hours"]]
    assert [hour["waves"].split() for hour in hours] == [hour["waves"] for hour in found["hours"]]


def test_a_cleared_wave_marks_no_hour(client: Client) -> None:
    wave = client.get("/api/signups?hours=217").json()["waves"][-1]
    said = json.dumps({"decision": "cleared", "reason": "a class"}).encode()
    assert client.ask("POST", f"/api/flags/{wave['id']}", said, Authorization=BEARER).ok
    found = client.get("/api/signups?hours=217").json()
    assert found["waves"][-1] == wave | {"state": "cleared"}
    assert not [hour for hour in found["hours"] if wave["id"] in hour["waves"]]


def test_a_week_of_hours_unless_asked(client: Client) -> None:
    assert len(client.get("/api/signups").json()["hours"]) == 168


def test_status_is_the_command_s_and_the_stream_s(directory: Path) -> None:
    store = open_store(directory)
    letters = [
        DeadLetter(NOW, reason, "d", "amqp", f"zebulon-{n}", None, None, b"zebulon")
        for n, reason in enumerate(("json", "topic", "json"))
    ]
    commit_batch(store, [], letters)
    with store.writing() as conn:
        cover(conn, "amqp", START, START + DAY)
        cover(conn, "amqp", START + 2 * DAY, WATERMARK)
    store.close()
    figures = json.loads(good(call("status", "--state", directory, "--format", "json")).out)
    stream = {
        "lag_s": 3 * 3600.0,
        "last_message_age_s": None,
        "connected": None,
        "listened_until": iso(WATERMARK),
        "gaps": [{"start": iso(START + DAY), "end": iso(START + 2 * DAY)}],
        "gaps_total": 1,
        "dead_letters": {"json": 2, "topic": 1},
    }
    with served(directory, clock=lambda: NOW) as client:
        assert client.get("/api/status").json() == figures | {"stream": stream}
    now = [NOW]
    hot_path = HotPath(CollectorRegistry(), lambda: now[0])
    hot_path.connected(True)
    hot_path.batch(["accepted"], seconds=0.1, lags=[0.1], dead=[])
    now[0] += 5 * SECOND
    with served(directory, clock=lambda: NOW, hot_path=hot_path) as client:
        told = client.get("/api/status").json()["stream"]
        assert told == stream | {"last_message_age_s": 5.0, "connected": True}


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("retention?population=everybody", "one of all, engaged, clean, engaged_clean"),
        ("retention?format=xml", "one of json, csv"),
        ("retention?week=3", "one of format, population, weeks, latest"),
        ("retention?weeks=0", "weeks: expected a number greater than or equal to 1, got '0'"),
        ("retention?weeks=521", "weeks: expected a number less than or equal to 520"),
        ("retention?weeks=three", "weeks: expected a valid integer, got 'three'"),
        ("retention?latest=", "latest: expected a valid integer"),
        ("retention?weeks=9e99", "weeks: expected a valid integer"),
        ("cohorts?population=all", "one of format, latest"),
        ("signups?hours=673", "hours: expected a number less than or equal to 672"),
        ("signups?hours=-1", "hours: expected a number greater than or equal to 1"),
        ("signups?days=7", "one of format, hours"),
        ("status?format=csv", "no parameter 'format': there is none"),
        ("flags?format=html", "one of json, csv"),
    ],
)
def test_what_cannot_be_asked_is_told_with_what_can(client: Client, query: str, said: str) -> None:
    answer = client.get(f"/api/{query}")
    assert answer.status_code == 422
    assert said in answer.json()["error"]
    assert "\n" not in answer.json()["error"]
    assert answer.headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize(
    "path", ["/api", "/api/", "/api/retention/", "/api/users", "/docs", "/redoc", "/api/flags/x/y"]
)
def test_unknown_paths_are_not_found(client: Client, path: str) -> None:
    answer = client.get(path)
    assert answer.status_code == 404
    assert answer.json() == {"error": "Not Found"}


@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        ("", "application/json"),
        ("*/*", "application/json"),
        ("text/html, */*;q=0.8", "application/json"),
        ("text/csv", "text/csv"),
        ("Text/CSV;q=0.9, application/json;q=0.1", "text/csv"),
        ("application/json, text/csv", "application/json"),
    ],
)
@pytest.mark.parametrize("resource", ["retention", "cohorts", "signups", "flags"])
def test_the_format_follows_what_is_accepted_unless_it_is_named(
    client: Client, resource: str, accept: str, kind: str
) -> None:
    answer = client.get(f"/api/{resource}", Accept=accept)
    assert answer.headers["Content-Type"].partition(";")[0] == kind
    assert "Accept" in answer.headers["Vary"]
    other = "json" if kind == "text/csv" else "csv"
    assert other in client.get(f"/api/{resource}?format={other}", Accept=accept).headers["Content-Type"]


@pytest.mark.parametrize("resource", RESOURCES)
def test_an_unchanged_answer_is_not_sent_again(client: Client, directory: Path, resource: str) -> None:
    first = client.get(f"/api/{resource}")
    assert first.headers["Cache-Control"] == "no-cache"
    for known in (
        first.headers["ETag"],
        f'"other", {first.headers["ETag"]}',
        "*",
        first.headers["ETag"].removeprefix("W/"),
    ):
        again = client.get(f"/api/{resource}", If_None_Match=known)
        assert (again.status_code, again.content) == (304, b"")
        assert again.headers["ETag"] == first.headers["ETag"]
    assert client.get(f"/api/{resource}", If_None_Match='"other"').status_code == 200
    store = open_store(directory)
    later = WATERMARK + 2 * DAY  # somebody new bursts
    commit_batch(store, [[event("bursting", WATERMARK + DAY, "fas.user.create")]])
    commit_batch(store, [[event("bursting", later + n * 5 * SECOND)] for n in range(6)])
    store.close()
    assert client.get(f"/api/{resource}", If_None_Match=first.headers["ETag"]).status_code == 200


@pytest.mark.parametrize("resource", RESOURCES)
def test_a_large_answer_is_compressed_and_a_head_has_no_body(client: Client, resource: str) -> None:
    query = "?hours=672" if resource == "signups" else ""
    plain = client.get(f"/api/{resource}{query}", Accept_Encoding="identity")
    small = client.get(f"/api/{resource}{query}", Accept_Encoding="gzip")
    assert plain.json() == small.json()
    assert "Content-Encoding" not in plain.headers
    assert small.headers.get("Content-Encoding") == ("gzip" if len(plain.content) >= 500 else None)
    assert small.headers["ETag"] == plain.headers["ETag"]
    head = client.ask("HEAD", f"/api/{resource}{query}", None, Accept_Encoding="identity")
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["Content-Length"] == plain.headers["Content-Length"]


@pytest.mark.parametrize("damage", [lambda directory: shutil.move(directory, directory.with_name("away")), None])
def test_a_state_that_vanishes_is_told_and_found_again(
    client: Client, directory: Path, damage: Callable[[Path], object] | None
) -> None:
    kept = directory.with_name("kept")
    shutil.copytree(directory, kept)
    before = {resource: client.get(f"/api/{resource}").json() for resource in RESOURCES}
    if damage:
        damage(directory)
    else:
        for file in directory.glob(f"{DATABASE}*"):
            file.write_bytes(b"no database at all " * 1000)
    for resource in RESOURCES:
        answer = client.get(f"/api/{resource}")
        assert answer.status_code == 503
        assert int(answer.headers["Retry-After"]) > 0
        assert str(directory) not in answer.text
    shutil.rmtree(directory, ignore_errors=True)
    shutil.move(kept, directory)
    assert {resource: client.get(f"/api/{resource}").json() for resource in RESOURCES} == before


def test_an_empty_state_has_nothing_to_tell(tmp_path: Path) -> None:
    open_store(tmp_path / "state").close()
    with served(tmp_path / "state") as client:
        assert client.get("/api/retention").json() == {"as_of": None, "population": "all", "cohorts": []}
        assert client.get("/api/cohorts").json() == {"as_of": None, "cohorts": []}
        assert client.get("/api/signups").json() == {"as_of": None, "hours": [], "waves": []}
        assert client.get("/api/flags").json() == {"counts": [], "waves": []}
        assert client.get("/api/status").json()["stream"]["lag_s"] is None
        for resource in ("retention", "cohorts", "signups", "flags"):
            assert len(client.get(f"/api/{resource}?format=csv").text.splitlines()) == 1


def test_the_operator_s_sheet_of_flags_runs_nothing(client: Client) -> None:
    answer = client.get("/api/flags?format=csv", Authorization=BEARER)
    assert answer.headers["Cache-Control"] == "no-store"
    flags: list[dict[str, Any]] = client.get("/api/flags", Authorization=BEARER).json()
    listed = rows(answer.text)
    assert len(listed) == len(flags)
    for row, flag in zip(listed, flags, strict=True):
        user = flag["user"] or ""
        assert row["user"] == (f"'{user}" if user.startswith(("=", "+", "-", "@")) else user)
        assert row["evidence"].removeprefix("'") == " ".join(flag["evidence"])
    assert {f"'{name}" for name in HARMFUL if name[0] in "=+@"} <= {row["user"] for row in listed}
    assert client.get("/api/flags?format=csv&state=raised").status_code == 401
