"""Expired weeks: what adds up whole days stays as it was; anything finer is refused, or answered as inexact."""

from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from metrics.standard.options import parse
from metrics.standard.registry import METRICS
from state.errors import HomecomingError
from state.expiry import expire
from state.rules import Rules
from state.store import open_store
from state.weeks import DAY, WEEK, iso
from tests.support.logs import START, USERS, WEEKS, logs, scratch
from tests.support.standard import ask, ask_all, ask_options, by_user, event, make_state

#: Metrics that add up whole days, and whatever they are asked for here.
CALENDAR: dict[str, dict[str, str]] = {
    "edits": {},
    "edit_rate": {},
    "bytes_added": {},
    "pages_created": {},
    "namespace_edits": {},
    "threshold": {"n": "2"},
    "survival": {"n": "2"},
}


@settings(max_examples=15)
@given(logs(), st.integers(0, 5 * 7), st.integers(1, 40), st.integers(1, 20), st.booleans())
def test_whole_days_stay_as_they_were(log: Any, first: int, days: int, ttl_days: int, in_series: bool) -> None:
    events = [one for message in log for one in message]
    window = {"start": iso(START + first * DAY), "end": iso(START + (first + days) * DAY), "group": "activity"}
    requests = []
    for metric, more in CALENDAR.items():
        one = {**window, **more}
        if in_series:
            one |= {"time_series": "1", "slice": "24"}
        requests += [parse(metric, one), parse(metric, one | {"aggregator": next(iter(METRICS[metric].aggregators))})]
    for interval in ("day", "week", "month"):
        requests.append(parse("retention", {"interval": interval, "aggregator": "cohorts"}))
    with scratch() as directory:
        make_state(directory, events, Rules())
        before = ask_all(directory, USERS, requests, Rules())
        store = open_store(directory)
        expire(store, ttl_days)
        store.close()
        for found, kept in zip(ask_all(directory, USERS, requests, Rules()), before, strict=True):
            assert found.exact
            assert [str(row) for row in found.rows] == [str(row) for row in kept.rows]


@settings(max_examples=15)
@given(logs(), st.sampled_from(sorted(METRICS)), st.integers(0, WEEKS * 7), st.sampled_from((1, 12, 24)))
def test_finer_ones_are_refused_or_inexact(log: Any, metric: str, first: int, hours: int) -> None:
    events = [one for message in log for one in message]
    newest = event(10**5, START + WEEKS * WEEK, "git.receive", USERS[0])
    rules = Rules()
    low = START + first * DAY + DAY // 24 * hours
    given_ = {"start": iso(low)}
    if "group" in METRICS[metric].parameters:
        given_["group"] = "activity"
    if METRICS[metric].reach is not None:
        given_ = {"end": iso(low)}
    if metric == "retention":
        given_ = {"interval": "24h"}
    options = parse(metric, given_)
    with scratch() as directory:
        make_state(directory, [*events, newest], rules)
        before = ask_options(directory, USERS, options, rules)
        store = open_store(directory)
        expired = expire(store, 21)
        store.close()
        assume(expired > 0)
        try:
            found = ask_options(directory, USERS, options, rules)
        except HomecomingError as error:
            refusal = str(error)
        else:
            assert found.exact
            assert found.rows == before.rows
            refusal = ""
        if refusal:
            assert "exact=false" in refusal
            inexact = ask_options(directory, USERS, parse(metric, given_ | {"exact": "false"}), rules)
            assert not inexact.exact
            assert inexact.header == before.header
            if "start" in given_:  # from the day on that it names, it is answered
                later = parse(metric, given_ | {"start": refusal.partition("from before ")[2][:10]})
                assert ask_options(directory, USERS, later, rules).exact


def test_inexact_answers_keep_first_and_last_of_each_day(tmp_path: Any) -> None:
    times = [0, 5 * 3600_000_000, 20 * 3600_000_000]
    log = [event(n, START + at, "git.receive", "ada", size=n - 1, unit="lines") for n, at in enumerate(times)]
    log.append(event(9, START - DAY, "fas.user.create", "ada"))
    make_state(tmp_path, [*log, event(99, START + 9 * WEEK, "git.receive", "bob")], Rules())
    store = open_store(tmp_path)
    assert expire(store, 14) > 0
    store.close()
    with pytest.raises(HomecomingError, match="choose a start from 2024-06-10 on, or ask with exact=false"):
        ask(tmp_path, ["ada"], "time_to_threshold", threshold=3)
    found = ask(tmp_path, ["ada"], "time_to_threshold", threshold=3, exact="false")
    assert by_user(found) == {"ada": (24 + 20) * 60}
    assert not found.exact
    assert by_user(ask(tmp_path, ["ada"], "bytes_added", group="activity", end="20240604"))["ada"] == (0, 2, 1, -1, 3)
