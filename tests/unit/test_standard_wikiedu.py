"""Sessions, returns and survival as WikiEdu's dashboard counts them.

Deliberate differences:

- a value is final as soon as its window has passed; theirs waits another day (`.stage`): as_of is a day earlier here;
- a share of nobody is 0 with a total of 0, not a blank: the total says that there was nobody;
- who is long-term, or took an earlier course, is a question of the cohort: such members are left out of it beforehand.
  `long_term_wikipedians`, `*_returning`, `editors_after_course` and `pct_active_editors_after` are no metric here;
- days_to_return gives 30 days to whoever never returned; time_to_threshold is undefined for them, in no mean.
"""

import json
from pathlib import Path
from typing import Any

import pytest

from metrics.standard.catalogue.edits import METRIC as EDITS
from metrics.standard.metric import Question
from metrics.standard.options import parse
from metrics.standard.topics import Topics
from state.duck import connect
from state.event import Event
from state.rules import Rules
from state.store import open_store
from state.weeks import DAY, HOUR, SECOND, event_time_of, iso
from tests.support.standard import Member, ask, by_user, event, make_state, statuses

EDIT = "wiki.article.edit"


@pytest.fixture
def cases(shared_data: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads((shared_data / "wikiedu_cases.json").read_text(encoding="utf-8"))["cases"]
    return found


def test_sessions(tmp_path: Path, cases: list[dict[str, Any]]) -> None:
    case = cases[0]
    log: list[Event] = []
    for project, times in case["edits"].items():
        log += [event(len(log) + n, event_time_of(at), EDIT, "u", project=project) for n, at in enumerate(times)]
    make_state(tmp_path, log, Rules())
    end = event_time_of(case["course_end"])
    windows = {"during": {"end": iso(end)}, "after": {"start": iso(end), "end": iso(end + 30 * DAY)}}
    for project, expected in case["expected"].items():
        only = {} if project == "all" else {"project": project}
        for name, window in windows.items():
            given: dict[str, Any] = {"group": "activity", "interval": "right", **only, **window}
            assert by_user(ask(tmp_path, ["u"], "sessions", **given))["u"] == expected[name], (project, name)
            if only:  # a member of one project alone is the same
                del given["project"]
                asked = ask(tmp_path, [Member("u", project)], "sessions", **given)
                assert by_user(asked)["u"] == expected[name]


def test_a_pause_of_just_the_gap_begins_a_session(tmp_path: Path) -> None:
    times = [0, HOUR - SECOND, 2 * HOUR - SECOND]
    start = event_time_of("2026-01-05")
    make_state(tmp_path, [event(n, start + at, EDIT, "u") for n, at in enumerate(times)], Rules())
    assert by_user(ask(tmp_path, ["u"], "sessions", group="activity"))["u"] == 2
    assert by_user(ask(tmp_path, ["u"], "sessions", group="activity", gap=2))["u"] == 1


def test_stages(tmp_path: Path, cases: list[dict[str, Any]]) -> None:
    end = event_time_of("2026-01-31")
    make_state(tmp_path, [event(0, end - DAY, EDIT, "u")], Rules())
    windows = [(end - 30 * DAY, end), (end, end + 30 * DAY), (end + 60 * DAY, end + 90 * DAY)]
    for moment, stage in cases[1]["expected"].items():
        after, unit = moment.removeprefix("end")[:-1], {"d": DAY, "h": HOUR, "y": 365 * DAY}[moment[-1]]
        as_of = end + int(after) * unit - DAY
        found = [
            statuses(ask(tmp_path, ["u"], "edits", None, as_of, group="activity", start=iso(low), end=iso(high)))["u"]
            for low, high in windows
        ]
        assert found.count("final") == stage, moment


#: Their column of the sum or mean of ours, to one digit.
AGGREGATES = {
    "sessions_during": ("sessions_during", "sum"),
    "avg_sessions_during": ("sessions_during", "mean"),
    "avg_days_to_return": ("days_to_return", "mean"),
    "avg_sessions_after": ("sessions_after", "mean"),
}


@pytest.mark.parametrize("place", range(2, 7))
def test_aggregates_leave_out_what_is_undefined(tmp_path: Path, cases: list[dict[str, Any]], place: int) -> None:
    case = cases[place]
    rows = [row for row in case["rows"] if not row.get("long_term_wikipedian")]
    store = open_store(tmp_path)
    with connect(tmp_path) as duck:
        question = Question(duck, store.conn, Rules(), parse("edits", {}), 0, Topics((), ()))
        for theirs, expected in case["expected"].items():
            if theirs not in AGGREGATES:
                continue
            column, aggregator = AGGREGATES[theirs]
            duck.execute("CREATE OR REPLACE TABLE value (slice INTEGER, uid INTEGER, edits BIGINT, status VARCHAR)")
            for uid, row in enumerate(rows):
                known = row.get(column)
                status = "undefined" if known is None else "final"
                duck.execute("INSERT INTO value VALUES (0, ?, ?, ?)", [uid, known, status])
            found = EDITS.aggregators[aggregator].rows(question, ("edits",))
            assert [round(float(values[0]), 1) for _, values, _ in found] == ([] if expected is None else [expected])
        if "survivors" in case["expected"]:
            survived = [row["edits_60_90"] >= 5 for row in rows if "edits_60_90" in row]
            assert (sum(survived) if survived else None) == case["expected"]["survivors"]
    store.close()


def test_survival_after_a_course(tmp_path: Path) -> None:
    """Five or more edits from 60 to 90 days after the end: `threshold` over that window."""
    end = event_time_of("2026-01-31")
    log = [event(n, end + 60 * DAY + n * HOUR, EDIT, "stays") for n in range(5)]
    log += [event(10 + n, end + 60 * DAY + n * HOUR, EDIT, "goes") for n in range(4)]
    make_state(tmp_path, [*log, event(99, end + 91 * DAY, EDIT, "goes")], Rules())
    given: dict[str, Any] = {"group": "activity", "n": 5, "start": iso(end + 60 * DAY), "end": iso(end + 90 * DAY)}
    assert by_user(ask(tmp_path, ["stays", "goes"], "threshold", **given)) == {"goes": 0, "stays": 1}
    found = ask(tmp_path, ["stays", "goes"], "threshold", aggregator="proportion", **given)
    assert found.rows == ((2, 1, 0.5),)
    nobody = ask(tmp_path, [], "threshold", aggregator="proportion", **given)
    assert (nobody.rows, nobody.status, nobody.sizes) == (((0, 0, 0.0),), "undefined", (0,))
