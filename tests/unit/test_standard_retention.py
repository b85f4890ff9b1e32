"""Definitions of retention, and the cases in which they part.

Cases that are no standard metric: `event-month-offset-half-even` and `campaign-months` belong to the pages of events
and campaigns. `seed1-two-event-filter` is the population `engaged`, whose size is filtered too; that part stands here.
"""

import json
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from metrics.standard.intervals import Intervals
from state.reading import retention
from state.rules import Rules
from state.store import read_store
from state.weeks import DAY, WEEK, event_time_of, iso, week_named, week_start
from tests.support.logs import START, logs, scratch
from tests.support.standard import ask, by_user, event, make_state

CREATE, POST = "fas.user.create", "wiki.article.edit"


@pytest.fixture
def cases(shared_data: Path) -> dict[str, dict[str, Any]]:
    found = json.loads((shared_data / "retention_definition_cases.json").read_text(encoding="utf-8"))
    return {case["id"]: case for case in found["cases"]}


def test_bounded_against_unbounded(tmp_path: Path, cases: dict[str, dict[str, Any]]) -> None:
    case = cases["posthog-13748-nday-vs-unbounded"]
    log, number = [event(999, START + 20 * DAY, POST, "later")], 0
    for user, days in case["users"].items():
        for day in days:
            log.append(event(number, START + day * DAY + number, CREATE if day == 0 else POST, user))
            number += 1
    make_state(tmp_path, log, Rules())
    for definition, name in (("bounded", "n_day"), ("unbounded", "unbounded")):
        given_: dict[str, Any] = {"definition": definition, "interval": "day", "horizon": 7}
        found = ask(tmp_path, [*case["users"]], "retention", aggregator="cohorts", **given_)
        counts = case["expected"][f"{name}_counts"]
        assert [row[3] for row in found.rows] == counts
        assert {(row[0], row[1]) for row in found.rows} == {(START, 3)}
        pooled = ask(tmp_path, [*case["users"]], "retention", aggregator="pooled", **given_)
        percent = case["expected"]["issue_percent_" + ("n_day" if name == "n_day" else name)]
        assert [int(100 * row[3]) for row in pooled.rows] == percent
        # A cell of "or later" may rise for as long as there is a later.
        assert {row[4] for row in found.rows} == {"final" if definition == "bounded" else "open"}


def test_days_of_the_calendar_against_24_hours(tmp_path: Path, cases: dict[str, dict[str, Any]]) -> None:
    case = cases["posthog-29958-calendar-vs-24h"]
    log = [
        event(0, event_time_of(case["signup"]), CREATE, "u"),
        event(1, event_time_of(case["last_activity"]), POST, "u"),
    ]
    make_state(tmp_path, log, Rules())
    calendar = by_user(ask(tmp_path, ["u"], "retention", interval="day"))["u"][1]
    rolling = by_user(ask(tmp_path, ["u"], "retention", interval="24h"))["u"][1]
    assert (1 in calendar) == case["expected"]["calendar_day_1_retained"]
    assert (1 in rolling) == case["expected"]["rolling_24h_day_1_retained"]


def test_weeks_begin_on_monday_or_sunday(cases: dict[str, dict[str, Any]]) -> None:
    weeks = Intervals("week")
    for instant, monday in cases["week-start"]["instants"].items():
        assert weeks.start(weeks.number(event_time_of(instant))) == week_start(week_named(monday))
    sundays = Intervals("week", "sunday")
    border = event_time_of("2024-12-01")
    assert [sundays.start(sundays.number(border + shift)) for shift in (-1, 0)] == [border - WEEK, border]


def test_two_events_make_engaged(tmp_path: Path, cases: dict[str, dict[str, Any]]) -> None:
    case = cases["seed1-two-event-filter"]
    log, number = [], 0
    for user, events in case["user_events"].items():
        for kind in events:
            log.append(event(number, START + number, CREATE if kind == "create" else POST, user))
            number += 1
    make_state(tmp_path, log, Rules())
    users = [*case["user_events"]]
    creations_count = case["expected"]["code(event_count>=2 incl. creation)"]
    with closing(read_store(tmp_path)) as conn:
        assert retention(conn, "engaged").cohorts[0].size == len(creations_count)
    more = by_user(ask(tmp_path, users, "edits", group="activity"))
    assert [user for user, edits in more.items() if edits >= 1] == creations_count
    assert [user for user, edits in more.items() if edits >= 2] == case["expected"]["text(>=2 events after creation)"]


@settings(max_examples=10)
@given(logs(), st.sampled_from((Rules(), Rules(attribution="any"))))
def test_weeks_are_the_table_of_weeks(log: Any, rules: Rules) -> None:
    """Asked by week, bounded, it is the table that the fold keeps, in every cell and its state."""
    with scratch() as directory:
        events = [one for message in log for one in message]
        make_state(directory, events, rules, sealed=True)
        users = sorted({one.user for one in events if one.user})
        found = ask(directory, users, "retention", rules, aggregator="cohorts")
        with closing(read_store(directory)) as conn:
            kept = retention(conn)
        assert list(found.rows) == [
            (week_start(cohort.week), cohort.size, *cell) for cohort in kept.cohorts for cell in cohort.cells
        ]


@settings(max_examples=15)
@given(
    st.lists(st.tuples(st.sampled_from("abcd"), st.integers(0, 90 * DAY - 1)), min_size=1, max_size=40),
    st.sampled_from(("day", "week", "month", "24h")),
    st.sampled_from(("monday", "sunday")),
    st.sampled_from(("bounded", "unbounded")),
    st.none() | st.integers(1, 200),
)
def test_cohorts_agree_with_loops(
    rows: list[tuple[str, int]], interval: str, week_start_: str, definition: str, horizon: int | None
) -> None:
    intervals = Intervals(interval, week_start_)
    first: dict[str, int] = {}
    for user, after in rows:
        first[user] = min(after, first.get(user, after))
    log = [event(n, START + after, POST, user) for n, (user, after) in enumerate(rows)]
    log += [event(100 + n, START + after, CREATE, user) for n, (user, after) in enumerate(first.items())]
    as_of = max(e.at for e in log)
    cells: dict[tuple[int, int], set[str]] = {}
    for user, after in rows:
        reg, at = START + first[user], START + after
        cohort = intervals.number(reg)
        reached = (at - reg) // DAY if interval == "24h" else intervals.number(at) - cohort
        for offset in range(reached + 1) if definition == "unbounded" else (reached,):
            cells.setdefault((cohort, offset), set()).add(user)
    with scratch() as directory:
        make_state(directory, log, Rules())
        given_: dict[str, Any] = {"interval": interval, "week_start": week_start_, "definition": definition}
        if horizon:
            given_["horizon"] = horizon
        found = ask(directory, [*first], "retention", aggregator="cohorts", **given_)
        asked: dict[int, int] = {}
        for start, size, offset, users, state in found.rows:
            cohort = intervals.number(start)
            assert intervals.start(cohort) == start
            assert size == sum(intervals.number(START + at) == cohort for at in first.values())
            assert (users is None) == (state == "future") == (intervals.start(cohort + offset) > as_of)
            if users is not None:
                assert users == len(cells.get((cohort, offset), ())), (iso(start), offset)
            asked[cohort] = asked.get(cohort, 0) + 1
        for cohort, count in asked.items():
            assert count == (horizon or intervals.number(as_of) - cohort + 1)
