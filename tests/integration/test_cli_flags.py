"""Flags, decisions and calibration at the command line."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.support.program import call, good, refused

#: What scripts depend on.
KEYS = ["id", "user", "rule", "severity", "state", "raised_at", "posts", "reason", "evidence", "config"]


@pytest.fixture(scope="module")
def history(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with ten weeks of a community that has every attack."""
    folder = tmp_path_factory.mktemp("history")
    good(call("simulate", "--seed", "31", "--weeks", "10", "--evaluation", "--output", folder))
    return folder


@pytest.fixture(scope="module")
def fed(history: Path) -> Path:
    """A state that has been fed with it."""
    state = history / "state"
    good(call("backfill", history / "events.parquet", "--state", state))
    return state


def flags(state: Path) -> list[dict[str, Any]]:
    """What `flags --format json` prints."""
    found = json.loads(good(call("flags", "--state", state, "--format", "json")).out)
    assert isinstance(found, list)
    return found


def clean(state: Path) -> int:
    """Users of the clean population, over all cohorts."""
    table = json.loads(good(call("retention", "--state", state, "--population", "clean", "--format", "json")).out)
    return sum(cohort["size"] for cohort in table["cohorts"])


def test_flags_have_what_scripts_depend_on(fed: Path) -> None:
    found = flags(fed)
    assert all(list(flag) == KEYS for flag in found)
    assert {flag["severity"] for flag in found} == {"info", "warning", "critical"}
    assert {flag["state"] for flag in found} <= {"suspect", "raised", "confirmed", "cleared", "expired"}
    assert any(flag["user"] is None and flag["rule"] == "wave-name" for flag in found)
    burst = next(flag for flag in found if flag["rule"] == "burst")
    assert "score" in str(burst["reason"])
    assert burst["evidence"]


def test_most_of_those_flagged_are_spam_and_most_spam_is_flagged(fed: Path, history: Path) -> None:
    truth = {
        line.split(",")[0]: line.split(",")[1:3]
        for line in (history / "truth.csv").read_text(encoding="utf-8").splitlines()[1:]
    }
    flagged = {str(f["user"]) for f in flags(fed) if f["user"] and f["severity"] == "warning"}
    spam = {name for name in flagged if truth[name][0] == "spam"}
    assert len(spam) > 0.85 * len(flagged)
    bursts = {name for name, (label, style) in truth.items() if style == "fast_burst"}
    assert len(bursts & flagged) >= len(bursts) - 1  # one may have begun as the history ended


def test_the_table_says_why(fed: Path) -> None:
    printed = good(call("flags", "--state", fed)).out
    assert "earlier active days; score" in printed
    assert "sign-ups in 24 h named like" in printed


def test_a_cleared_flag_gives_its_account_back_to_the_clean_and_stays_cleared(fed: Path) -> None:
    before = clean(fed)
    # One flag of an account that has no other.
    found = [f for f in flags(fed) if f["severity"] == "warning"]
    users = [f["user"] for f in found]
    flag = next(f for f in found if users.count(f["user"]) == 1 and f["rule"] == "burst")
    done = good(call("flags", "clear", flag["id"], "--reason", "imports their own tracker", "--state", fed))
    assert "cleared" in done.err
    assert not done.out
    assert clean(fed) == before + 1
    good(call("rebuild", "--state", fed))
    assert clean(fed) == before + 1
    assert next(f for f in flags(fed) if f["id"] == flag["id"])["state"] == "cleared"
    good(call("flags", "--state", fed, "confirm", flag["id"], "--reason", "no, it is spam after all"))
    assert clean(fed) == before
    good(call("verify", "--state", fed))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("clear", "nothing", "--reason", "why not"), "there is no flag nothing"),
        (("clear", "nothing", "--reason", "  "), "needs a reason"),
        (("clear", "nothing"), "--reason"),
        (("confirm",), "FLAG"),
    ],
)
def test_a_decision_that_cannot_be_taken_says_so_in_one_line(
    tmp_path: Path, arguments: tuple[str, ...], said: str
) -> None:
    assert said in refused(call("flags", *arguments, "--state", tmp_path / "state"))


def test_a_calibration_of_nothing_says_what_is_missing(tmp_path: Path) -> None:
    assert "the state is empty" in refused(call("calibrate", "--state", tmp_path / "state"))
    assert not list((tmp_path / "state").glob("calibration/*"))


def test_a_calibration_is_a_version_that_the_next_one_stays_near(fed: Path) -> None:
    for _ in range(3):  # the third within one week, too, is a version of its own
        good(call("calibrate", "--state", fed, "--budget", "0.5"))
    versions = [json.loads(path.read_text(encoding="utf-8")) for path in (fed / "calibration").glob("*.json")]
    assert len({version["version"] for version in versions}) == 3
    first, second, _ = sorted(versions, key=lambda version: (version["since"], version["version"]))
    assert first["since"] == 0, "the first one holds for the past too"
    assert second["since"] > 0
    assert abs(second["limit"] / first["limit"] - 1) <= 0.1
    assert len(first["signups"]) == 168
    good(call("rebuild", "--state", fed))
    assert {flag["config"] for flag in flags(fed)} == {first["version"]}


def test_a_broken_calibration_is_named(tmp_path: Path) -> None:
    state = tmp_path / "state"
    good(call("status", "--state", state))
    (state / "calibration").mkdir()
    (state / "calibration" / "2024w01.json").write_text("{}[", encoding="utf-8")
    assert "2024w01.json" in refused(call("rebuild", "--state", state))
