"""`homecoming cohort`: lists brought, shown, archived; every refusal one line."""

import json
from pathlib import Path
from typing import Any

import pytest

from state.event import Event
from state.live import commit_batch
from state.store import open_store
from state.weeks import week_named, week_start
from tests.support.program import call, good, refused

START = week_start(week_named("2024-06-03"))

DEFINITIONS = """
[[event]]
id = "flock"
badge = "flock-attendee"
[[cohort]]
id = "founders"
users = ["ada", "nobody"]
"""


@pytest.fixture
def state(tmp_path: Path) -> Path:
    store = open_store(tmp_path / "state")
    events = [
        Event("1", START, None, "fas.user.create", "ada", "actor", "fas"),
        Event("2", START, None, "git.receive", "bob", "actor", "git", project="enwiki"),
        Event("3", START, None, "badges.badge.award", "bob", "actor", "badges", object="flock-attendee"),
    ]
    commit_batch(store, [(event,) for event in events])
    store.close()
    return tmp_path / "state"


@pytest.fixture
def config(tmp_path: Path) -> Path:
    (tmp_path / "definitions.toml").write_text(DEFINITIONS)
    path = tmp_path / "config.toml"
    path.write_text(f'[consumer_config.cohorts]\ndefinitions = "{tmp_path}/definitions.toml"\n')
    return path


def told(*arguments: str | Path) -> Any:
    return json.loads(good(call(*arguments, "--format", "json")).out)


def test_a_list_becomes_a_cohort_with_a_report(state: Path, tmp_path: Path) -> None:
    names = tmp_path / "names.csv"
    names.write_bytes(b'\xef\xbb\xbfuser,project\r\nada\rada\nbob,enwiki\nzoe\nbob,xx\n"\n\n')
    report = told("cohort", "add", "team", names, "--state", state, "--notes", "ours")
    assert {key: report[key] for key in ("cohort", "valid", "duplicates", "unknown", "invalid")} == {
        "cohort": "team",
        "valid": 2,
        "duplicates": 1,
        "unknown": 1,
        "invalid": 2,
    }
    assert report["unknown_users"] == ["zoe"]
    assert [(row["line"], row["reason"]) for row in report["invalid_rows"]] == [
        (6, "no project 'xx'"),
        (7, "a quotation mark is not closed, or text follows it"),
    ]
    shown = told("cohort", "show", "team", "--state", state)
    assert shown["members"] == [{"user": "ada", "project": None}, {"user": "bob", "project": "enwiki"}]
    assert "never changes" in refused(call("cohort", "add", "team", names, "--state", state))
    said = good(call("cohort", "add", "again", names, "--state", state)).out
    assert "members: 2" in said
    assert "zoe: has not been seen here" in said
    assert "line 6: no project 'xx': bob,xx" in said


def test_what_may_be_named_is_listed(state: Path, config: Path, tmp_path: Path) -> None:
    (tmp_path / "names").write_text("ada\n")
    good(call("cohort", "add", "team", tmp_path / "names", "--state", state))
    good(call("cohort", "add", "gone", tmp_path / "names", "--state", state))
    assert "there as 3" in good(call("cohort", "archive", "gone", "--state", state)).err
    listed = told("cohort", "list", "--state", state, "--config", config)
    assert [(row["cohort"], row["kind"], row["members"]) for row in listed] == [
        ("badge:flock-attendee", "badge", 1),
        ("team", "uploaded", 1),
        ("event:flock", "event", None),
        ("founders", "cohort", None),
    ]
    tags = told("cohort", "tags", "--state", state)
    assert [(tag["id"], tag["name"], tag["enabled"]) for tag in tags] == [
        (1, "badge:flock-attendee", True),
        (2, "team", True),
        (3, "gone", False),
    ]
    for verb in ("list", "tags"):
        assert "team" in good(call("cohort", verb, "--state", state)).out


def test_any_expression_can_be_shown(state: Path, config: Path) -> None:
    shown = told("cohort", "show", "founders~event:flock&all", "--state", state, "--config", config)
    assert (shown["users"], shown["unknown_users"]) == (2, ["nobody"])
    said = good(call("cohort", "show", "week:2024-06-03", "--state", state)).out
    assert said.splitlines() == ["ada", "week:2024-06-03: 1 users"]


def test_every_refusal_is_one_line(state: Path, config: Path, tmp_path: Path) -> None:
    names = tmp_path / "names"
    names.write_text("ada\n")
    assert "letters, digits" in refused(call("cohort", "add", "a b", names, "--state", state))
    assert "definitions" in refused(call("cohort", "add", "founders", names, "--state", state, "--config", config))
    assert "No such file" in refused(call("cohort", "add", "x", tmp_path / "absent", "--state", state))
    assert "no project 'xx'" in refused(call("cohort", "add", "x", names, "--state", state, "--project", "xx"))
    assert "character 3" in refused(call("cohort", "show", "a~", "--state", state))
    assert "no cohort 'x'" in refused(call("cohort", "show", "x", "--state", state))
    assert "no cohort 'x'" in refused(call("cohort", "archive", "x", "--state", state))
    (tmp_path / "definitions.toml").write_text("[[event]]\nid = 1\n")
    assert "[[event]] 1.id" in refused(call("cohort", "list", "--state", state, "--config", config))
    names.write_bytes(b"\xff\xfe")
    assert "UTF-8" in refused(call("cohort", "add", "x", names, "--state", state))
    names.write_bytes(b"a" * (16 * 1024 * 1024 + 1))
    assert "16,777,216" in refused(call("cohort", "add", "x", names, "--state", state))
    assert told("cohort", "tags", "--state", state)[-1]["name"] == "badge:flock-attendee"
