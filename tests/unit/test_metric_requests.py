"""Requests that mean the same are the same; what is kept is bounded, and true of the state as it is."""

from collections.abc import Callable
from pathlib import Path
from threading import Event as Signal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metrics.asking.cache import Cache, Version
from metrics.asking.desk import Desk
from metrics.asking.jobs import KEPT_US, BusyError, Job, Jobs
from metrics.asking.request import Request, read_request
from metrics.asking.work import Worked
from metrics.standard.registry import METRICS
from state.cohorts.definitions import NO_DEFINITIONS, parse_definitions
from state.errors import HomecomingError, StateError
from state.live import commit_batch
from state.store import open_store
from tests.support.program import PATIENCE_S
from tests.support.served import START, people, signup

ASKED = [
    ("t", "48"),
    ("n", "2"),
    ("start", "20240603"),
    ("end", "20240701000000"),
    ("namespace", "pagure,git"),
    ("aggregator", "proportion"),
    ("time_series", ""),
    ("slice", "24"),
]


def read(cohort: str = "all", metric: str = "threshold", *given: tuple[str, str]) -> Request:
    return read_request(cohort, metric, given)[0]


@given(st.permutations(ASKED), st.permutations(["1", "week:2024-06-03&all", "7"]))
def test_the_order_of_parameters_and_terms_means_nothing(asked: list[tuple[str, str]], terms: list[str]) -> None:
    assert read("~".join(terms), "threshold", *asked).key == read("1~7~all&week:2024-06-03", "threshold", *ASKED).key


@given(st.sampled_from(range(len(ASKED) - 3)))
def test_every_parameter_matters(place: int) -> None:
    fewer = [pair for number, pair in enumerate(ASKED) if number != place]
    if ASKED[place][0] in ("start", "end"):
        with pytest.raises(HomecomingError, match="needs start and end"):
            read("all", "threshold", *fewer)
    else:
        assert read("all", "threshold", *fewer).key != read("all", "threshold", *ASKED).key


def test_a_user_and_a_cohort_of_that_name_are_two_things() -> None:
    assert read("mentors").key != read("mentors", "threshold", ("is_user", "True")).key


def test_refresh_is_no_part_of_what_is_asked() -> None:
    asked, refresh = read_request("all", "edits", [("refresh", "")])
    assert refresh
    assert asked.key == read("all", "edits").key


@pytest.mark.parametrize(
    ("cohort", "metric", "given", "said"),
    [
        ("all", "treshold", [], "did you mean threshold"),
        ("all", "edits", [("tt", "1")], "one of aggregator, time_series, slice, group"),
        ("all", "edits", [("aggregator", "average")], "one of sum, mean"),
        ("all", "edits", [("t", "-1")], "whole number from 0"),
        ("all", "edits", [("t", "1"), ("t", "2")], "given twice"),
        ("all", "edits", [("start", "2024060")], "20240603120000"),
        ("all", "edits", [("start", "20240631")], "20240603120000"),
        ("all", "edits", [("start", "20240603250000")], "20240603120000"),
        ("all", "edits", [("start", "20240603"), ("end", "20240603")], "must lie after"),
        ("all", "edits", [("start", "20240603"), ("end", "20240604"), ("time_series", ""), ("slice", "48")], "longer"),
        ("all", "edits", [("is_user", "maybe")], "not true or false"),
        ("", "edits", [("is_user", "true")], "1 to 255 characters"),
        ("week:2024-06-04", "edits", [], "here week:2024-06-03"),
        ("~".join(map(str, range(10_000))) + "~", "edits", [], "character"),
    ],
)
def test_bad_input_is_one_line_that_says_what_is_valid(
    cohort: str, metric: str, given: list[tuple[str, str]], said: str
) -> None:
    with pytest.raises(HomecomingError) as refused:
        read_request(cohort, metric, given)
    assert said in str(refused.value)
    assert "\n" not in str(refused.value)


def test_ten_thousand_terms_are_read() -> None:
    assert read("~".join(map(str, range(10_000)))).cohort.count("~") == 9_999


@given(
    st.lists(st.tuples(st.integers(0, 9), st.integers(0, 2), st.integers(1, 8)), max_size=60),
    st.integers(1, 4),
    st.integers(1, 12),
)
def test_what_is_kept_is_of_this_version_and_bounded(
    steps: list[tuple[int, int, int]], most_answers: int, most_rows: int
) -> None:
    cache: Cache[tuple[int, int, int]] = Cache(most_answers, most_rows)
    rows: dict[tuple[int, int], int] = {}
    for number, version, size in steps:
        found = cache.get(str(number), version)
        assert found is None or found[:2] == (number, version)
        cache.keep(str(number), version, (number, version, size), size)
        rows[number, version] = size
        again = cache.get(str(number), version)
        assert again == ((number, version, size) if size <= most_rows else found)
        assert len(cache) <= most_answers


def test_an_answer_that_was_begun_before_a_change_is_not_kept() -> None:
    cache: Cache[str] = Cache()
    cache.get("one", 1)
    cache.get("another", 2)
    cache.keep("one", 1, "old", 1)
    assert cache.get("one", 2) is None


def test_the_version_changes_with_every_commit_and_with_the_file(tmp_path: Path) -> None:
    people(tmp_path / "state")
    people(tmp_path / "other")
    version = Version(tmp_path / "state")
    first = version()
    assert version() == first
    store = open_store(tmp_path / "state")
    commit_batch(store, [[signup("zebulon-new", START)]])
    second = version()
    assert second != first
    store.close()
    (tmp_path / "state").rename(tmp_path / "gone")
    with pytest.raises(StateError, match="put it back"):
        version()
    (tmp_path / "other").rename(tmp_path / "state")
    assert version() not in (first, second)
    version.close()


class Gate:
    """Work that waits until it is let through; `seen` in the order in which it began."""

    def __init__(self, **settings: Any) -> None:
        self.now = 0
        self.open = Signal()
        self.seen: list[str] = []
        self.jobs: Jobs[str] = Jobs(self._work, len, self._clock, **settings)

    def _clock(self) -> int:
        return self.now

    def _work(self, job: Job[str]) -> str:
        self.seen.append(job.request.cohort)
        assert self.open.wait(PATIENCE_S)
        if job.request.cohort == "99":
            raise HomecomingError("no cohort has the id 99")
        return job.request.cohort


def result(job: Job[Any]) -> Any:
    return job.future.result(PATIENCE_S)


def test_jobs_are_first_in_first_out_and_say_how_far_they_are() -> None:
    gate = Gate()
    jobs = [gate.jobs.submit(read(str(number)), 1) for number in (3, 1, 99, 2)]
    assert [job.status for job in jobs[1:]] == ["queued"] * 3
    gate.open.set()
    assert [result(job) for job in (jobs[0], jobs[1], jobs[3])] == ["3", "1", "2"]
    assert gate.seen == ["3", "1", "99", "2"]
    assert [job.status for job in jobs] == ["done", "done", "failed", "done"]
    assert gate.jobs.find(jobs[0].id) is jobs[0]


def test_the_same_request_is_one_job_while_it_is_under_way() -> None:
    gate = Gate()
    first = gate.jobs.submit(read("1"), 1)
    assert gate.jobs.submit(read("1"), 1) is first
    assert gate.jobs.submit(read("1"), 2) is not first
    gate.open.set()
    result(first)
    assert gate.jobs.submit(read("1"), 1) is not first


def test_too_many_waiting_are_refused() -> None:
    gate = Gate(most_waiting=2)
    running = gate.jobs.submit(read("1"), 1)
    while not gate.seen:  # else it would still take a place
        running.future.running()
    for number in (2, 3):
        gate.jobs.submit(read(str(number)), 1)
    with pytest.raises(BusyError, match="2 requests are waiting"):
        gate.jobs.submit(read("4"), 1)
    gate.open.set()
    result(running)


def test_a_job_is_forgotten_after_a_while() -> None:
    gate = Gate()
    gate.open.set()
    job = gate.jobs.submit(read("1"), 1)
    result(job)
    gate.now = KEPT_US
    assert gate.jobs.find(job.id) is job
    gate.now = KEPT_US + 1
    assert gate.jobs.find(job.id) is None


@pytest.fixture
def desk_of(tmp_path: Path) -> Callable[..., Desk]:
    people(tmp_path / "state")
    return lambda definitions=lambda: NO_DEFINITIONS: Desk(tmp_path / "state", definitions, lambda: 7)


def answered(desk: Desk, asked: Request, **how: Any) -> tuple[Worked, bool]:
    """The answer, and whether it was kept."""
    found = desk.ask(asked, **how)
    return (result(found), False) if isinstance(found, Job) else (found, True)


def test_the_same_is_kept_until_the_state_changes(desk_of: Callable[..., Desk], tmp_path: Path) -> None:
    desk = desk_of()
    asked = read("all", "edits", ("aggregator", "sum"), ("group", "activity"))
    again = read("all", "edits", ("group", "activity"), ("aggregator", "sum"))
    first, was_kept = answered(desk, asked)
    assert not was_kept
    assert answered(desk, again) == (first, True)
    assert not answered(desk, again, refresh=True)[1]
    store = open_store(tmp_path / "state")
    commit_batch(store, [[signup("zebulon-new", START)]])
    store.close()
    later, was_kept = answered(desk, asked)
    assert not was_kept
    assert later.users == first.users + 1
    assert [one.times for one in desk.asked()] == [4]
    desk.close()


def test_definitions_are_part_of_the_state(desk_of: Callable[..., Desk]) -> None:
    defined = [parse_definitions(f"[[cohort]]\nid = 'us'\nusers = {users}", "file") for users in (["a"], ["zebulon1"])]
    desk = desk_of(lambda: defined[0])
    asked = read("us", "edits", ("aggregator", "sum"))
    assert answered(desk, asked)[0].users == 0
    defined.pop(0)
    found, was_kept = answered(desk, asked)
    assert (found.users, was_kept) == (1, False)
    desk.close()


def test_what_is_asked_of_single_users_or_cannot_be_answered_is_not_remembered(desk_of: Callable[..., Desk]) -> None:
    desk = desk_of()
    answered(desk, read("zebulon1", "edits", ("is_user", "true")))
    with pytest.raises(HomecomingError, match="no cohort 'nobody'"):
        answered(desk, read("nobody", "edits"))
    assert desk.asked() == []
    desk.close()


def test_every_metric_can_be_read_without_parameters() -> None:
    assert {read("all", name).options.metric for name in METRICS} == set(METRICS)
