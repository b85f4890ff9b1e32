"""The command line's contract: exit codes, one line for bad input, results alone on standard output."""

import csv
import gzip
import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

import homecoming
from consumer import simulator
from state.rules import POPULATIONS
from state.store import SCHEMA_VERSION
from state.weeks import event_time, to_datetime, week_named, week_start
from tests.support.program import PATIENCE_S, PROGRAM, Said, call, good, refused, run

VERBS = sorted(homecoming.cli.commands)
SIZE = simulator.Scenario(seed=3, weeks=4, end=week_start(week_named("2024-06-03")), signups_per_week=20, core_users=10)


@pytest.fixture(scope="session")
def simulated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small community's events.parquet and messages.jsonl."""
    folder = tmp_path_factory.mktemp("simulated")
    simulator.write(simulator.simulate(SIZE), folder, messages=True)
    return folder


@pytest.fixture(scope="session")
def fed(simulated: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A state fed from events.parquet; tests only read it."""
    state = tmp_path_factory.mktemp("fed") / "state"
    good(call("backfill", simulated / "events.parquet", "--state", state))
    return state


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """Where a state of the test's own would be."""
    return tmp_path / "state"


def status(state: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(good(call("status", "--state", state, "--format", "json")).out)
    return found


def table(state: Path, *options: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(good(call("retention", "--state", state, "--format", "json", *options)).out)
    return found


def content(state: Path) -> tuple[Any, ...]:
    """Everything that two states fed with the same must agree on."""
    return (status(state), *(table(state, "--population", population) for population in POPULATIONS))


def counted(found: dict[str, Any]) -> dict[str, Any]:
    """A retention table as the expected files have it: zeros left out."""
    return {
        cohort["week"]: {
            "size": cohort["size"],
            "users": {str(cell["offset"]): cell["users"] for cell in cohort["cells"] if cell["users"]},
        }
        for cohort in found["cohorts"]
    }


def cell_states(state: Path) -> dict[str, set[str]]:
    """Week of activity -> the states of its cells."""
    found: dict[str, set[str]] = {}
    for cohort in table(state)["cohorts"]:
        for cell in cohort["cells"]:
            at = week_start(week_named(cohort["week"]) + cell["offset"])
            found.setdefault(to_datetime(at).date().isoformat(), set()).add(cell["state"])
    return found


def rows_of(parquet: Path, *leave_out: str) -> tuple[list[str], list[tuple[Any, ...]]]:
    found = pq.read_table(parquet)
    names = [name for name in found.column_names if name not in leave_out]
    return names, list(zip(*(found[name].to_pylist() for name in names), strict=True))


def write_csv(path: Path, names: Sequence[str], rows: Sequence[Sequence[Any]], **dialect: Any) -> Path:
    with path.open("w", encoding="utf-8", newline="") as file:
        out = csv.writer(file, **dialect)
        out.writerow(names)
        out.writerows(rows)
    return path


# --- archives ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["jellyfin", "github_humans_a"])
def test_real_archives_give_the_table_of_the_notebook(name: str, state: Path, shared_data: Path) -> None:
    archive = shared_data / f"{name}.parquet"
    expected = json.loads((shared_data / f"{name}.retention.json").read_text(encoding="utf-8"))
    good(call("backfill", archive, "--state", state))
    assert counted(table(state)) == expected.get("cohorts", expected)
    before = content(state)
    assert " 0 new events" in good(call("backfill", archive, "--state", state)).err
    assert content(state) == before
    good(call("verify", "--state", state))
    good(call("verify", archive, "--state", state))


@pytest.mark.parametrize("form", ["plain", "gz", "crlf", "quoted"])
def test_a_csv_of_the_same_rows_gives_the_same_state(
    form: str, fed: Path, simulated: Path, state: Path, tmp_path: Path
) -> None:
    dialect: dict[str, Any] = {
        "lineterminator": "\r\n" if form == "crlf" else "\n",
        "quoting": csv.QUOTE_ALL if form == "quoted" else csv.QUOTE_MINIMAL,
    }
    path = write_csv(tmp_path / "events.csv", *rows_of(simulated / "events.parquet"), **dialect)
    if form == "gz":
        path = tmp_path / "events.csv.gz"
        path.write_bytes(gzip.compress((tmp_path / "events.csv").read_bytes()))
    good(call("backfill", path, "--state", state))
    assert content(state) == content(fed)


def test_rows_without_ids_change_nothing_the_second_time(
    fed: Path, simulated: Path, state: Path, tmp_path: Path
) -> None:
    path = write_csv(tmp_path / "events.csv", *rows_of(simulated / "events.parquet", "msg_id"))
    again = tmp_path / "again.csv"
    again.write_bytes(path.read_bytes())
    good(call("backfill", path, "--state", state))
    before = content(state)
    for copy in (path, again):
        assert " 0 new events" in good(call("backfill", copy, "--state", state)).err
    assert content(state) == before
    assert before[1:] == content(fed)[1:], "ids do not matter to the tables"
    good(call("verify", path, "--state", state))
    good(call("verify", "--state", state))


def test_rows_without_ids_double_nothing_that_has_one(fed: Path, simulated: Path, state: Path, tmp_path: Path) -> None:
    with_ids = simulated / "events.parquet"
    good(call("backfill", with_ids, "--state", state))
    path = write_csv(tmp_path / "events.csv", *rows_of(with_ids, "msg_id"))
    assert " 0 new events" in good(call("backfill", path, "--state", state)).err
    assert content(state) == content(fed)
    good(call("verify", path, with_ids, "--state", state))


@pytest.mark.parametrize("form", ["lines", "gz", "v2 page", "v2 pages", "v1 page"])
def test_messages_give_the_same_state_in_every_form(
    form: str, fed: Path, simulated: Path, state: Path, tmp_path: Path
) -> None:
    lines = (simulated / "messages.jsonl").read_text(encoding="utf-8")
    messages = [json.loads(line) for line in lines.splitlines()]
    half = len(messages) // 2
    path = tmp_path / "messages.json"
    match form:
        case "lines":
            path = simulated / "messages.jsonl"
        case "gz":
            path = tmp_path / "messages.jsonl.gz"
            path.write_bytes(gzip.compress(lines.encode()))
        case "v2 page":
            path.write_text(json.dumps({"raw_messages": messages, "pages": 1}, indent=1), encoding="utf-8")
        case "v2 pages":
            pages = ({"raw_messages": part, "pages": 2} for part in (messages[:half], messages[half:]))
            path.write_text("\n".join(map(json.dumps, pages)), encoding="utf-8")
        case "v1 page":
            old = [
                {
                    "i": 1,
                    "msg": message["body"],
                    "msg_id": message["id"],
                    "topic": message["topic"],
                    "timestamp": event_time(_moment(message["headers"]["sent-at"])) / 1e6,
                    "headers": {key: value for key, value in message["headers"].items() if key != "sent-at"},
                }
                for message in messages
            ]
            path.write_text(json.dumps({"raw_messages": old, "pages": 1}), encoding="utf-8")
    good(call("backfill", path, "--state", state))
    found, expected = content(state), content(fed)
    assert found[1:] == expected[1:]
    # Messages that name nobody are in no table of (message, user) rows.
    assert found[0] == expected[0] | {"messages": len(messages)}
    good(call("verify", path, "--state", state))


def test_archives_may_overlap_and_come_in_any_order(fed: Path, simulated: Path, state: Path, tmp_path: Path) -> None:
    names, rows = rows_of(simulated / "events.parquet")
    third = len(rows) // 3
    older = write_csv(tmp_path / "older.csv", names, rows[: 2 * third])
    newer = write_csv(tmp_path / "newer.csv", names, rows[third:])
    good(call("backfill", newer, older, simulated / "messages.jsonl", "--state", state))
    assert content(state)[1:] == content(fed)[1:]
    assert status(state)["events"] == status(fed)["events"]
    good(call("verify", newer, older, simulated / "messages.jsonl", "--state", state))


def test_covers_heals_a_gap(simulated: Path, state: Path) -> None:
    archive = simulated / "events.parquet"
    good(call("backfill", archive, "--state", state, "--covers", "2024-05-06..2024-05-15"))
    good(call("backfill", archive, "--state", state, "--covers", "2024-05-17..2024-06-03"))
    before = cell_states(state)
    assert before["2024-05-13"] == {"partial"}
    assert before["2024-05-06"] == before["2024-05-20"] == {"final"}
    good(call("backfill", archive, "--state", state, "--covers", "2024-05-15T00:00:00Z..2024-05-17T02:00:00+02:00"))
    assert cell_states(state) == before | {"2024-05-13": {"final"}}


def test_a_refused_archive_covers_nothing(simulated: Path, state: Path, tmp_path: Path) -> None:
    good(call("backfill", simulated / "events.parquet", "--state", state, "--covers", "2024-05-06..2024-05-15"))
    good(call("backfill", simulated / "events.parquet", "--state", state, "--covers", "2024-05-17..2024-06-03"))
    before = cell_states(state)
    refused(call("backfill", tmp_path / "absent.csv", "--state", state, "--covers", "2024-05-15..2024-05-17"))
    assert cell_states(state) == before


@pytest.mark.parametrize("span", ["2024-05-06", "a..b", "2024-05-06..2024-05-06", "2024-05-07..2024-05-06", ".."])
def test_a_span_that_makes_no_sense_is_refused(span: str, simulated: Path, state: Path) -> None:
    refused(call("backfill", simulated / "events.parquet", "--state", state, "--covers", span))
    assert status(state)["messages"] == 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_an_interrupted_backfill_goes_on_where_it_was(
    number: signal.Signals, fed: Path, simulated: Path, state: Path
) -> None:
    archive = simulated / "events.parquet"
    # A chunk a week and a fold of a few users a step: the signal finds the import in the middle.
    small = "import state.importer as i, state.bulk as b, homecoming; i.CHUNK_ROWS = 1; homecoming.main()"
    command = [sys.executable, "-c", small, "backfill", str(archive), "--state", str(state)]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    weeks = _until(lambda: process.poll() is not None or _imported(state))
    process.send_signal(number)
    _, said = process.communicate(timeout=PATIENCE_S)
    assert weeks
    assert process.returncode == (130 if number == signal.SIGINT else -number), said
    assert "Traceback" not in said
    assert 0 < _imported(state) < SIZE.weeks, "the signal came too late to test anything"

    good(call("backfill", archive, "--state", state))
    assert content(state) == content(fed)
    good(call("verify", "--state", state))
    good(call("verify", archive, "--state", state))
    assert not list((state / "tmp").glob("*.parquet"))


# --- verify -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("tampering", "place"),
    [
        ("UPDATE cohort_week SET users = users + 1 WHERE rowid_ = 0", "cohort"),
        ("UPDATE user SET events = events + 1 WHERE name = (SELECT min(name) FROM user)", "events"),
        ("UPDATE user SET registered_at = registered_at + 1 WHERE registered_at NOT NULL", "registered_at"),
        ("DELETE FROM user WHERE name = (SELECT min(name) FROM user)", "users"),
        ("UPDATE meta SET value = value + 1 WHERE key = 'messages'", "messages"),
        ("UPDATE meta SET value = value + 1 WHERE key = 'watermark'", "watermark"),
    ],
)
def test_verify_names_what_differs(tampering: str, place: str, simulated: Path, state: Path) -> None:
    archive = simulated / "events.parquet"
    good(call("backfill", archive, "--state", state))
    first = "(cohort, offset, population) = (SELECT min(cohort), 0, 'engaged' FROM cohort_week)"
    with closing(sqlite3.connect(state / "homecoming.sqlite")) as conn, conn:
        assert conn.execute(tampering.replace("rowid_ = 0", first)).rowcount > 0
    for archives in ((), (archive,)):
        said = call("verify", *archives, "--state", state)
        assert said.code == 1
        assert place in said.out
        if place == "cohort":
            assert "cohort 2024-05-06, offset 0, population engaged" in said.out
    good(call("rebuild", "--state", state))
    good(call("verify", "--state", state))


def test_verify_misses_an_archive_that_is_not_named(simulated: Path, state: Path, tmp_path: Path) -> None:
    names, rows = rows_of(simulated / "events.parquet")
    half = write_csv(tmp_path / "half.csv", names, rows[: len(rows) // 2])
    good(call("backfill", simulated / "events.parquet", "--state", state))
    assert call("verify", half, "--state", state).code == 1


# --- bad input --------------------------------------------------------------------------------------------------


def test_a_refused_archive_leaves_the_state_as_it_was(simulated: Path, fed: Path, state: Path, tmp_path: Path) -> None:
    good(call("backfill", simulated / "events.parquet", "--state", state))
    short = tmp_path / "short.csv"
    short.write_text("sent_at,topic,username\n2024-06-03,x,y\n2024-06-03,x\n", encoding="utf-8")
    latin = tmp_path / "latin.csv"
    latin.write_bytes("sent_at,topic,username\n2024-06-03,x,Jörg\n".encode("latin-1"))
    cut = tmp_path / "cut.parquet"
    cut.write_bytes((simulated / "events.parquet").read_bytes()[:-100])
    for path in (short, latin, cut, tmp_path, tmp_path / "absent.parquet", tmp_path / ("x" * 300 + ".csv")):
        assert str(path) in refused(call("backfill", path, "--state", state))
        refused(call("verify", path, "--state", state))
    assert content(state) == content(fed)


def test_a_damaged_page_of_a_parquet_file_is_one_line(simulated: Path, state: Path, tmp_path: Path) -> None:
    whole = simulated / "events.parquet"
    content_ = bytearray(whole.read_bytes())
    column = pq.ParquetFile(whole).metadata.row_group(0).column(5)
    assert column.path_in_schema == "object"
    for place in range(column.dictionary_page_offset or column.data_page_offset, column.data_page_offset + 200):
        content_[place] ^= 0xFF
    damaged = tmp_path / "damaged.parquet"
    damaged.write_bytes(content_)
    assert str(damaged) in refused(call("backfill", damaged, "--state", state))
    good(call("verify", "--state", state))


def test_dead_letters_are_counted_and_move_no_watermark(state: Path, tmp_path: Path) -> None:
    bad = ["", "soon", "1980-01-01", "2999-01-01T00:00:00"]
    rows = [("2024-06-03T10:00:00", "x", "alice"), *((at, "x", "bob") for at in bad), ("2024-06-03", "x", "b\nb")]
    path = write_csv(tmp_path / "t.csv", ("sent_at", "topic", "username"), rows)
    assert "5 dead letters" in good(call("backfill", path, "--state", state)).err
    good(call("backfill", path, "--state", state))
    found = status(state)
    assert (found["events"], found["dead_letters"]) == (1, 5)
    assert found["watermark"] == "2024-06-03T10:00:00Z"
    good(call("verify", "--state", state))
    good(call("verify", path, "--state", state))


def test_one_broken_line_takes_no_other_with_it(fed: Path, simulated: Path, state: Path, tmp_path: Path) -> None:
    lines = (simulated / "messages.jsonl").read_bytes().splitlines()
    path = tmp_path / "messages.jsonl"
    path.write_bytes(b"\n".join([b"{broken", *lines[:100], b'{"id": "a', *lines[100:], b"\xff"]))
    assert "3 dead letters" in good(call("backfill", path, "--state", state)).err
    assert status(state)["dead_letters"] == 3
    assert content(state)[1:] == content(fed)[1:]


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_explains_itself(verb: str) -> None:
    for option in ("--help", "-h"):
        said = good(call(verb, option))
        assert said.out.startswith("Usage: ")
        assert "--help" in said.out
        assert said.err == ""
    assert verb in good(call("--help")).out


def test_the_version_is_said() -> None:
    assert "0." in good(call("--version")).out


@pytest.mark.parametrize(
    "arguments",
    [
        ("nonsense",),
        ("--nonsense",),
        ("backfill",),
        ("retention", "--format", "xml"),
        ("retention", "--weeks", "0"),
        ("retention", "--weeks", "many"),
        ("retention", "extra"),
        ("expire", "--ttl-days", "7"),
        ("serve", "--listen", "nowhere"),
        ("serve", "--listen", "127.0.0.1:99999"),
        ("simulate", "--seed", "1"),
        ("simulate", "--seed", "1", "--weeks", "0", "--output", "x"),
        ("simulate", "--seed", "1", "--weeks", "1", "--output", "x", "--end", "soon"),
        ("simulate", "--seed", "1", "--weeks", "1000", "--output", "x", "--end", "1991-01-01"),
        ("simulate", "--seed", "1", "--weeks", "1", "--output", "x", "--end", "9999-12-31T23:59-12:00"),
        ("demo", "--weeks", "0"),
    ],
    ids=" ".join,
)
def test_wrong_use_is_one_line(arguments: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    refused(run(*arguments) if arguments[0] == "demo" else call(*arguments))


def test_no_verb_at_all_shows_the_verbs() -> None:
    said = call()
    assert said.code == 2
    assert "retention" in said.out + said.err


def test_a_population_that_there_is_not_names_those_that_are(fed: Path) -> None:
    line = refused(call("retention", "--state", fed, "--population", "nonsense"))
    assert all(population in line for population in POPULATIONS)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("nonsense = 1", "nonsense"),
        ("[consumer_config.state]\nnonsense = 1", "consumer_config.state.nonsense"),
        ("[consumer_config.nonsense]", "consumer_config.nonsense"),
        ("[consumer_config.state]\nengaged_events = '2'", "expected an integer"),
        ("[consumer_config.state]\nevent_ttl_days = 7", "135"),
        ("[consumer_config]\nstate = 1", "expected a table"),
        ("not TOML", "expected TOML"),
        ("\udcff", "UTF-8"),
    ],
)
@pytest.mark.parametrize("verb", ["status", "check-config", "backfill"])
def test_a_bad_configuration_is_one_line(verb: str, text: str, said: str, tmp_path: Path) -> None:
    config = tmp_path / "config.toml"
    config.write_bytes(text.encode("utf-8", "surrogateescape"))
    line = refused(call(verb, "--config", config, *([tmp_path / "a.csv"] if verb == "backfill" else [])))
    assert str(config) in line
    assert said in line


def test_an_absent_configuration_is_one_line(tmp_path: Path) -> None:
    for path in (tmp_path / "absent.toml", tmp_path):
        assert str(path) in refused(call("check-config", "--config", path))


def test_the_shipped_configuration_is_good_but_for_the_certificates(tmp_path: Path) -> None:
    """In a process of its own: fedora-messaging keeps what it has read."""
    shipped = Path(homecoming.__file__).with_name("config.toml").read_text(encoding="utf-8")
    without = tmp_path / "config.toml"
    without.write_text(re.sub(r"\[tls\]\n(\w+ = .*\n)+", "", shipped), encoding="utf-8")
    assert str(without) in good(run("check-config", "--config", without)).out
    absent = tmp_path / "absent.toml"
    absent.write_text(shipped.replace('"certs/', f'"{tmp_path}/certs/'), encoding="utf-8")
    assert "tls.ca_cert" in refused(run("check-config", "--config", absent))


def test_the_state_of_the_configuration_is_taken_and_the_option_wins(fed: Path, state: Path, tmp_path: Path) -> None:
    config = tmp_path / "config.toml"
    config.write_text(f"[consumer_config.state]\ndirectory = {json.dumps(str(fed))}\n", encoding="utf-8")
    by_config = json.loads(good(call("status", "--config", config, "--format", "json")).out)
    assert by_config == status(fed)
    by_both = json.loads(good(call("status", "--config", config, "--state", state, "--format", "json")).out)
    assert by_both["events"] == 0


# --- states that cannot be used ---------------------------------------------------------------------------------

READERS = (("status",), ("retention",))
WRITERS = (("backfill", "ARCHIVE"), ("verify",), ("rebuild",), ("seal",), ("expire", "--ttl-days", "200"))


def every_verb(state: Path, archive: Path, verbs: Sequence[Sequence[str]]) -> list[Said]:
    return [
        call(verb, *(archive if word == "ARCHIVE" else word for word in rest), "--state", state)
        for verb, *rest in verbs
    ]


def test_an_absent_state_is_created(tmp_path: Path) -> None:
    for place, (verb, *rest) in enumerate((*READERS, *WRITERS[1:])):
        state = tmp_path / str(place) / "deep"
        good(call(verb, *rest, "--state", state))
        assert (state / "homecoming.sqlite").exists()
        assert status(state)["messages"] == 0
    assert json.loads(call("retention", "--state", tmp_path / "new", "--format", "json").out) == {
        "as_of": None,
        "population": "all",
        "cohorts": [],
    }


def test_a_newer_state_is_refused(simulated: Path, state: Path) -> None:
    good(call("status", "--state", state))
    with closing(sqlite3.connect(state / "homecoming.sqlite")) as conn:
        conn.execute("PRAGMA user_version = 999")
    for said in every_verb(state, simulated / "events.parquet", READERS + WRITERS):
        assert "newer Homecoming" in refused(said)


@pytest.mark.parametrize("damage", [b"no database" * 1_000, b"SQLite format 3\0" + b"\xff" * 5_000])
def test_a_damaged_state_is_refused(damage: bytes, simulated: Path, state: Path) -> None:
    state.mkdir()
    (state / "homecoming.sqlite").write_bytes(damage)
    for said in every_verb(state, simulated / "events.parquet", READERS + WRITERS):
        assert "damaged" in refused(said)
    assert (state / "homecoming.sqlite").read_bytes() == damage


def test_a_state_that_is_no_directory_is_refused(simulated: Path, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("x", encoding="utf-8")
    for place in (file, file / "below", tmp_path / ("x" * 300)):
        for said in every_verb(place, simulated / "events.parquet", READERS + WRITERS):
            refused(said)


def test_a_locked_state_is_one_line_to_writers_and_nothing_to_readers(
    simulated: Path, state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    good(call("backfill", simulated / "events.parquet", "--state", state))
    before = content(state)
    monkeypatch.setattr("state.store.BUSY_TIMEOUT_MS", 50)
    with closing(sqlite3.connect(state / "homecoming.sqlite", isolation_level=None)) as conn:
        conn.execute("BEGIN IMMEDIATE")
        for said in every_verb(state, simulated / "messages.jsonl", [*WRITERS[:1], *WRITERS[2:3]]):
            assert "locked" in refused(said)
        assert content(state) == before
        conn.execute("ROLLBACK")
    good(call("backfill", simulated / "messages.jsonl", "--state", state))


def test_other_definitions_than_the_views_have_are_refused(simulated: Path, state: Path, tmp_path: Path) -> None:
    good(call("backfill", simulated / "events.parquet", "--state", state))
    config = tmp_path / "config.toml"
    config.write_text("[consumer_config.state]\nengaged_events = 5\n", encoding="utf-8")
    archive = simulated / "messages.jsonl"
    assert "rebuild" in refused(call("backfill", archive, "--state", state, "--config", config))
    engaged = table(state, "--population", "engaged")
    good(call("rebuild", "--state", state, "--config", config))
    good(call("backfill", archive, "--state", state, "--config", config))
    assert table(state, "--population", "engaged") != engaged
    good(call("verify", "--state", state))


# --- what is printed --------------------------------------------------------------------------------------------


def test_retention_has_the_promised_shape(fed: Path) -> None:
    found = table(fed)
    assert list(found) == ["as_of", "population", "cohorts"]
    assert found["as_of"] == status(fed)["watermark"]
    weeks = [week_named(cohort["week"]) for cohort in found["cohorts"]]
    assert weeks == sorted(weeks)
    newest = week_named("2024-05-27")
    for week, cohort in zip(weeks, found["cohorts"], strict=True):
        assert list(cohort) == ["week", "size", "cells"]
        assert [cell["offset"] for cell in cohort["cells"]] == list(range(newest - week + 1))
        assert cohort["cells"][0]["users"] == cohort["size"]
        assert {tuple(cell) for cell in cohort["cells"]} == {("offset", "users", "state")}
        assert all(cell["users"] is not None for cell in cohort["cells"])


@pytest.mark.parametrize("weeks", [1, 3, 60])
def test_weeks_gives_so_many_cells(weeks: int, fed: Path) -> None:
    plain = {cohort["week"]: cohort["cells"] for cohort in table(fed)["cohorts"]}
    for cohort in table(fed, "--weeks", str(weeks))["cohorts"]:
        cells = cohort["cells"]
        assert [cell["offset"] for cell in cells] == list(range(weeks))
        begun = plain[cohort["week"]][:weeks]
        assert cells[: len(begun)] == begun
        assert all(cell == {"offset": cell["offset"], "users": None, "state": "future"} for cell in cells[len(begun) :])


@pytest.mark.parametrize("population", POPULATIONS)
def test_every_format_has_the_same_figures(population: str, fed: Path) -> None:
    found = table(fed, "--population", population, "--weeks", "6")
    said = good(call("retention", "--state", fed, "--population", population, "--weeks", "6", "--format", "csv"))
    assert said.err == ""
    rows = list(csv.DictReader(said.out.splitlines()))
    expected = [
        {"week": cohort["week"], "size": str(cohort["size"])}
        | {key: "" if value is None else str(value) for key, value in cell.items()}
        for cohort in found["cohorts"]
        for cell in cohort["cells"]
    ]
    assert rows == expected
    printed = good(call("retention", "--state", fed, "--population", population)).out
    assert all(cohort["week"] in printed for cohort in found["cohorts"])


def test_a_terminal_gets_colour_unless_it_wants_none(fed: Path) -> None:
    forced = {"FORCE_COLOR": "1", "TERM": "xterm-256color", "COLUMNS": "80"}
    plain = run("retention", "--state", fed)
    assert "\x1b" not in good(plain).out
    assert "\x1b[" in good(run("retention", "--state", fed, env=forced)).out
    without = good(run("retention", "--state", fed, env=forced | {"NO_COLOR": "1"})).out
    assert "\x1b[3" not in without
    assert "\x1b[4" not in without


@pytest.mark.parametrize("form", ["table", "json", "csv"])
def test_output_goes_to_the_file(form: str, fed: Path, tmp_path: Path) -> None:
    path = tmp_path / "out"
    said = good(call("retention", "--state", fed, "--format", form, "--output", path))
    assert (said.out, said.err) == ("", "")
    assert path.read_text(encoding="utf-8") == good(call("retention", "--state", fed, "--format", form)).out


@pytest.mark.parametrize("path", [".", "absent/out", "/dev/full", "x" * 300])
def test_an_output_that_cannot_be_written_is_one_line(
    path: str, fed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert path in refused(call("retention", "--state", fed, "--format", "json", "--output", path))


@pytest.mark.parametrize("path", ["/dev/full/x", "x" * 300])
def test_a_simulation_that_cannot_be_written_is_one_line(path: str) -> None:
    assert path in refused(call("simulate", "--seed", "1", "--weeks", "1", "--output", path))


def test_a_full_standard_output_is_one_line(fed: Path) -> None:
    with Path("/dev/full").open("w", encoding="utf-8") as full:
        done = subprocess.run(
            [*PROGRAM, "status", "--state", str(fed)], stdout=full, stderr=subprocess.PIPE, text=True, check=False
        )
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "No space left" in done.stderr


@pytest.mark.parametrize(
    "arguments", [("retention", "--format", "csv", "--weeks", "2000"), ("status",), ("retention",)]
)
def test_a_reader_that_leaves_is_no_error(arguments: tuple[str, ...], fed: Path) -> None:
    source, sink = os.pipe()
    os.close(source)
    done = subprocess.run(
        [*PROGRAM, *arguments, "--state", str(fed)], stdout=sink, stderr=subprocess.PIPE, text=True, check=False
    )
    os.close(sink)
    assert done.stderr == ""
    assert done.returncode != 2


def test_status_says_how_much_there_is(fed: Path, simulated: Path) -> None:
    found = status(fed)
    names, rows = rows_of(simulated / "events.parquet")
    users = {row[names.index("username")] for row in rows if row[names.index("role")] == "actor"}
    assert found == {
        "messages": len({row[names.index("msg_id")] for row in rows}),
        "events": len(rows),
        "users": len(users),
        "dead_letters": 0,
        "watermark": max(row[names.index("sent_at")] for row in rows).isoformat() + "Z",
        "flags_open": found["flags_open"],
        "schema_version": SCHEMA_VERSION,
    }
    assert f"{len(rows):,}" in good(call("status", "--state", fed)).out


def test_expire_needs_a_time_to_live(fed: Path) -> None:
    assert "event_ttl_days" in refused(call("expire", "--state", fed))


def test_simulate_is_a_function_of_its_seed(tmp_path: Path) -> None:
    for name, seed in (("a", "1"), ("b", "1"), ("c", "2")):
        good(run("simulate", "--seed", seed, "--weeks", "1", "--output", tmp_path / name))
    files = sorted(path.name for path in (tmp_path / "a").iterdir())
    assert files == ["events.parquet", "truth.csv", "truth.json"]
    for name in files:
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
        assert (tmp_path / "a" / name).read_bytes() != (tmp_path / "c" / name).read_bytes()


def _imported(state: Path) -> int:
    """Weeks that an import has entered in the manifest."""
    try:
        with closing(sqlite3.connect(f"file:{state / 'homecoming.sqlite'}?mode=ro", uri=True)) as conn:
            return int(conn.execute("SELECT count(*) FROM segment").fetchone()[0])
    except sqlite3.Error:
        return 0


def _until(condition: Callable[[], Any]) -> Any:
    give_up = time.monotonic() + PATIENCE_S
    while not (found := condition()):
        assert time.monotonic() < give_up
        time.sleep(0.001)
    return found


def _moment(text: str) -> Any:
    from datetime import datetime

    return datetime.fromisoformat(text)
