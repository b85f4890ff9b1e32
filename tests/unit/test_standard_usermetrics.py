"""The metrics hold in the documented and derived cases of UserMetrics.

Deliberate differences:

- time series: their last slice overshoots the window's end (to 2012-03-30 in the guide's example), ours is cut there;
  a registration on a border is in two of their slices, in one of ours;
- undefined values are a status, and -1 only where the compatible API writes them; they are in no denominator;
- time_to_threshold: theirs has its arguments swapped; ours is the guide's definition;
- live_account: -1 is given until t has passed, as their code has it; the guide gives it to whoever never tried;
- blocks: a ban cannot be told from events, so that it is undefined always;
- the intersection of tags and the cache's keys are no part of a metric.
"""

import json
from pathlib import Path
from typing import Any

import pytest

from metrics.standard.options import parse
from metrics.standard.slices import slices_of
from state.event import Event
from state.rules import Rules
from state.weeks import DAY, HOUR, event_time_of, iso
from tests.support.standard import ask, by_user, event, make_state, statuses

RULES = Rules(registrations=frozenset({"wiki.account.create"}))
REGISTER, EDIT = "wiki.account.create", "wiki.article.edit"
START = event_time_of("2013-01-01")


@pytest.fixture
def kept(shared_data: Path) -> dict[str, dict[str, Any]]:
    found = json.loads((shared_data / "usermetrics_cases.json").read_text(encoding="utf-8"))
    return {case["id"]: case for case in (*found["documented"], *found["derived"])}


def edits(user: str, times: list[int], first: int = 0, **fields: Any) -> list[Event]:
    return [event(first + n, at, EDIT, user, **fields) for n, at in enumerate(times)]


def test_no_case_is_forgotten(kept: dict[str, dict[str, Any]]) -> None:
    source = Path(__file__).read_text(encoding="utf-8")
    assert [name for name in kept if f'"{name}"' not in source] == []


def test_bytes_added(tmp_path: Path, kept: dict[str, dict[str, Any]]) -> None:
    case = kept["guide-bytes_added-raw-sum"]
    sizes = [500, 400, 8, -200, -25]
    log = [
        event(n, START + n, EDIT, "15972203", size=size, unit="bytes", project="enwiki") for n, size in enumerate(sizes)
    ]
    log += [event(90 + n, START - 1, REGISTER, user) for n, user in enumerate(case["raw"])]
    make_state(tmp_path, log, RULES)
    for group in ("activity", "registration"):
        raw = ask(tmp_path, [*case["raw"]], "bytes_added", RULES, group=group)
        assert raw.header[1:-1] == (
            "bytes_added_net",
            "bytes_added_absolute",
            "bytes_added_pos",
            "bytes_added_neg",
            "edit_count",
        )
        assert {user: list(values) for user, values in by_user(raw).items()} == case["raw"]
    found = ask(tmp_path, [*case["raw"]], "bytes_added", RULES, group="activity", aggregator="sum")
    assert [*found.rows[0]] == case["expected"]
    assert found.unit == "bytes"


def test_threshold_proportion(tmp_path: Path, kept: dict[str, dict[str, Any]]) -> None:
    case = kept["guide-threshold-proportion"]
    log = [event(n, START, REGISTER, user) for n, user in enumerate(case["raw"])]
    log += [event(10, START + HOUR, EDIT, "15972203"), event(11, START + 9 * DAY, EDIT, "somebody")]
    make_state(tmp_path, log, RULES)
    assert {u: [v] for u, v in by_user(ask(tmp_path, [*case["raw"]], "threshold", RULES)).items()} == case["raw"]
    found = ask(tmp_path, [*case["raw"]], "threshold", RULES, aggregator="proportion")
    assert [*found.header] == case["header"]
    assert [*found.rows[0]] == case["expected"]
    assert found.status == "final"


def test_time_series(tmp_path: Path, kept: dict[str, dict[str, Any]]) -> None:
    case, expected = kept["guide-timeseries-slices"], kept["guide-timeseries-threshold"]["expected"]
    series: dict[str, Any] = {
        "time_series": "true",
        "slice": str(case["slice_hours"]),
        "start": case["start"],
        "end": case["end"],
    }
    bounds = slices_of(parse("threshold", series)).bounds
    assert [iso(begin) for begin, _ in bounds] == [label.replace(" ", "T") + "Z" for label in case["expected_labels"]]
    assert iso(bounds[-1][1]) == "2012-03-01T00:00:00Z"  # and not the last_slice_end
    begin = event_time_of("2011-12-01")
    log = [event(n, begin + n * DAY, REGISTER, user) for n, user in enumerate(("a", "b"))]
    log += [event(5, begin + HOUR, EDIT, "a"), event(6, begin + 200 * DAY, EDIT, "b")]
    make_state(tmp_path, log, RULES)
    found = ask(tmp_path, ["a", "b"], "threshold", RULES, aggregator="proportion", **series)
    assert {iso(label)[:10]: values for label, *values in found.rows} == {at[:10]: row for at, row in expected.items()}
    assert found.sizes == (2, 0, 0, 0)


@pytest.mark.parametrize(
    ("name", "aggregator"), [("code-list_sum_by_group", "sum"), ("code-list_average_by_group", "mean")]
)
def test_by_group(tmp_path: Path, kept: dict[str, dict[str, Any]], name: str, aggregator: str) -> None:
    """Groups are slices here: users who registered on one day, with so many edits."""
    case = kept[name]
    log: list[Event] = []
    for place, (day, count) in enumerate(case["input"]):
        registered = START + (day - 1) * DAY
        log.append(event(100 * place, registered, REGISTER, f"u{place}"))
        log += edits(f"u{place}", [registered + 1 + n for n in range(count)], 100 * place + 1)
    log.append(event(999, START + 30 * DAY, EDIT, "last"))
    make_state(tmp_path, log, RULES)
    found = ask(
        tmp_path,
        ["u0", "u1", "u2"],
        "edits",
        RULES,
        aggregator=aggregator,
        time_series="1",
        start="20130101",
        end="20130103",
    )
    assert [[1 + (label - START) // DAY, value] for label, value in found.rows] == case["expected"]


def test_live_account(tmp_path: Path, kept: dict[str, dict[str, Any]]) -> None:
    case = kept["test-live_account"]
    log = [
        event(1, event_time_of(case["registration"]), REGISTER, "u"),
        event(2, event_time_of(case["first_edit_click"]), "track.attempt", "u"),
    ]
    make_state(tmp_path, log, RULES)
    found = ask(tmp_path, ["u"], "live_account", RULES, t=case["t_hours"])
    assert by_user(found) == {"u": case["expected"]}
    assert found.notes == ("an attempt is: track.attempt",)


@pytest.mark.parametrize("interval", ["left", "right"])
def test_live_account_has_three_values(tmp_path: Path, kept: dict[str, dict[str, Any]], interval: str) -> None:
    case = kept["live_account-tri-state"]
    for number, row in enumerate(case["cases"]):
        log = [event(1, START, REGISTER, "u")]
        if row["first_try_h"] is not None:
            log.append(event(2, START + int(row["first_try_h"] * HOUR), EDIT, "u"))
        make_state(tmp_path / str(number), log, RULES)
        as_of = START + row["reg_age_h"] * HOUR
        found = ask(tmp_path / str(number), ["u"], "live_account", RULES, as_of, t=case["t_hours"], interval=interval)
        assert by_user(found) == {"u": None if row["expected"] == -1 else row["expected"]}, row
        assert statuses(found) == {"u": "undefined" if row["expected"] == -1 else "final"}
        assert "no attempts are measured" in found.notes[0]


def test_blocks(tmp_path: Path, kept: dict[str, dict[str, Any]]) -> None:
    case = kept["code-blocks-docstring"]
    log: list[Event] = []
    for user, _, first, last, _ in case["expected_rows"]:
        log.append(event(len(log), event_time_of("20110101"), REGISTER, user))
        log += [
            event(len(log) + n, event_time_of(f"{at[:8]}T{at[8:]}"), "wiki.user.block", user, role="affected")
            for n, at in enumerate(sorted({first, last}))
        ]
    make_state(tmp_path, log, RULES)
    users = [row[0] for row in case["expected_rows"]]
    found = by_user(ask(tmp_path, [*users, "nobody"], "blocks", RULES, group="activity"))
    for user, times, first, last, _ban in case["expected_rows"]:
        instants = [iso(at).translate(str.maketrans("", "", "-:TZ")) for at in found[user][2:4]]
        assert [found[user][0], found[user][1], *instants, found[user][4]] == [1, times, first, last, None]
    assert found["nobody"] == (0, 0, None, None, None)


def revisions(rows: list[tuple[str, str]]) -> list[Event]:
    return [
        event(n, START + n, EDIT, user, object="page", content_hash=sha1, project="enwiki")
        for n, (user, sha1) in enumerate(rows)
    ]


def test_reverts(tmp_path: Path, kept: dict[str, dict[str, Any]]) -> None:
    case = kept["revert-identity"]
    make_state(tmp_path, revisions([(row["user"], row["sha1"]) for row in case["revisions"]]), RULES)
    limits: dict[str, Any] = {"look_ahead": case["look_ahead"], "look_back": case["look_back"], "group": "activity"}
    expected = case["expected"]
    found = ask(tmp_path, [case["user"]], "revert_rate", RULES, **limits)
    assert by_user(found) == {case["user"]: (expected["rate"], expected["edits"], expected["reverted_edits"])}
    assert "content hashes" in found.notes[0]
    for place, row in enumerate(case["revisions"]):  # which ones, too
        at = START + place
        one = ask(tmp_path, [case["user"]], "revert_rate", RULES, **limits, start=iso(at), end=iso(at + 1))
        if row["user"] == case["user"]:
            assert by_user(one)[case["user"]][2] == (row["rev"] in expected["reverted_revs"])


@pytest.mark.parametrize("between", [14, 15])
def test_a_revert_comes_within_look_ahead(tmp_path: Path, kept: dict[str, dict[str, Any]], between: int) -> None:
    expected = kept["revert-lookahead-limit"]["expected"][f"{between}_between"]
    rows = [("B", "s0"), ("V", "v"), *((f"o{n}", f"x{n}") for n in range(between)), ("C", "s0")]
    make_state(tmp_path, revisions(rows), RULES)
    assert by_user(ask(tmp_path, ["V"], "revert_rate", RULES, group="activity", look_back=1))["V"][2] == expected


def test_edit_rate(tmp_path: Path, kept: dict[str, dict[str, Any]]) -> None:
    case = kept["edit_rate"]
    log = [event(99, START, REGISTER, "u"), *edits("u", [START + n * HOUR for n in range(case["edits"])])]
    make_state(tmp_path, [*log, event(100, START + 9 * DAY, EDIT, "last")], RULES)
    for unit in ("HOUR", "DAY"):
        found = ask(tmp_path, ["u"], "edit_rate", RULES, t=case["t_hours"], unit=unit.lower())
        assert [*by_user(found)["u"]] == case["expected"][f"time_unit={unit}"]


def test_time_to_threshold(tmp_path: Path, kept: dict[str, dict[str, Any]]) -> None:
    case = kept["time_to_threshold-correct"]
    log = [event(99, event_time_of(case["registration"]), REGISTER, "u")]
    make_state(tmp_path, [*log, *edits("u", [event_time_of(at) for at in case["edits"]])], RULES)
    for asked, expected in case["expected"].items():
        given: dict[str, Any] = {pair.split("_edit=")[0]: pair.split("=")[1] for pair in asked.split(",")}
        found = ask(tmp_path, ["u"], "time_to_threshold", RULES, **given)
        assert by_user(found)["u"] == (None if expected == -1 else expected)
        assert statuses(found)["u"] == ("undefined" if expected == -1 else "final")
