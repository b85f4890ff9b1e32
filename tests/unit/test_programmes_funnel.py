"""The funnel: who registers, contributes, stays; and what a website counted before that."""

from pathlib import Path
from typing import Any

import pytest

from consumer.track import track
from metrics.programmes.funnel import Funnel, Step, funnel
from state.cohorts.definitions import NO_DEFINITIONS, Definitions, parse_definitions
from state.errors import ArchiveError, HomecomingError
from state.expiry import expire
from state.reading import retention, status
from state.rules import Rules
from state.segments import seal
from state.store import open_store
from state.weeks import DAY, event_time_of
from tests.support.programmes import AWARD, CREATE, ISSUE, WIKI, Said, ask, state_of

JUNE = "month:2024-06"
NOW = event_time_of("2025-01-01")


def step_of(found: Funnel, name: str) -> Step:
    return next(step for step in found.steps if step.name == name)


def people(found: Funnel) -> dict[str, int | None]:
    return {step.name: step.users for step in found.steps}


def of(directory: Path, cohort: str = JUNE, definitions: Definitions = NO_DEFINITIONS, **options: Any) -> Funnel:
    return ask(directory, funnel, definitions, cohort, **options)


def june() -> Said:
    """Four register; one does nothing, one contributes once, two stay."""
    said = Said()
    for name in ("ada", "bob", "cyd", "dee"):
        said("2024-06-03T10:00:00", CREATE, name)
    said("2024-06-03T10:30:00", "org.fedoraproject.prod.fas.user.update", "dee")
    said("2024-06-03T11:00:00", ISSUE, "ada", "issue/1")
    said("2024-06-03T12:00:00", ISSUE, "bob", "issue/2")
    said("2024-06-04T10:00:00", ISSUE, "bob", "issue/3")
    said("2024-07-20T00:00:00", WIKI, "cyd", "page")
    said("2024-08-30T00:00:00", WIKI, "cyd", "page")
    return said


def test_who_gets_how_far(tmp_path: Path) -> None:
    found = of(state_of(tmp_path, june().events))
    assert people(found) == {"visited": None, "attempted": None, "registered": 4, "contributed": 3, "stayed": 2}
    assert [step.drop for step in found.steps] == [None, None, None, 1, 1]
    assert step_of(found, "contributed").share == 0.75
    assert found.members == 4


@pytest.mark.parametrize(
    ("options", "stayed"),
    [
        ({}, 2),
        ({"n": 2}, 1),
        ({"t_h": 25}, 1),
        ({"sunset_h": 24}, 1),
        ({"t_h": 0}, 3),
        ({"t_h": 24 * 50}, 1),
    ],
    ids=str,
)
def test_what_staying_takes(tmp_path: Path, options: dict[str, Any], stayed: int) -> None:
    assert people(of(state_of(tmp_path, june().events), **options))["stayed"] == stayed


def test_who_has_not_had_the_time_is_neither_kept_nor_lost(tmp_path: Path) -> None:
    said = june()
    said("2024-08-30T10:00:00", CREATE, "eve")
    said("2024-08-30T11:00:00", WIKI, "eve", "page")
    found = of(state_of(tmp_path, said.events), "month:2024-08")
    stayed = step_of(found, "stayed")
    assert (stayed.users, stayed.of, stayed.undecided, stayed.drop, stayed.state) == (0, 0, 1, 0, "open")


def test_a_step_that_nothing_can_change_is_final(tmp_path: Path) -> None:
    said = Said()
    said("2024-06-03", CREATE, "ada")
    said("2024-06-03T01:00:00", ISSUE, "ada", "issue/1")
    said("2024-09-03", ISSUE, "somebody", "later")
    state = state_of(tmp_path, said.events)
    assert step_of(of(state), "contributed").state == "final"
    assert step_of(of(state), "stayed").state == "open", "ada may come back at any time"
    assert step_of(of(state, sunset_h=24), "stayed").state == "final"


def test_of_an_event_whose_people_were_here_before_only_registrations_count(tmp_path: Path) -> None:
    definitions = parse_definitions('[[event]]\nid = "flock"\nbadge = "flock"\n', "x")
    said = june()
    for name in ("ada", "bob", "old-hand"):
        said("2024-06-20", AWARD, name, "flock")
    found = of(state_of(tmp_path, said.events), "event:flock", definitions)
    assert (found.members, people(found)["registered"], people(found)["stayed"]) == (3, 2, 1)


def brought(directory: Path, csv: str, rules: Rules | None = None) -> int:
    """The CSV through the real import; how many rows were new."""
    path = directory.parent / "visits.csv"
    path.write_text(csv, encoding="utf-8")
    store = open_store(directory, rules)
    try:
        found, dead = track(store, path, NOW)
    finally:
        store.close()
    assert not dead
    return found.messages


VISITS = """sent_at,step,username
2024-05-31T23:59:59,visit,
2024-06-01T00:00:00,visit,
2024-06-01T00:00:00,visit,
2024-06-02T08:00:00,visit,ada
2024-06-02T09:00:00,Visit,ada
2024-06-02T10:00:00,attempt,ada
2024-06-03T10:00:00,attempt,
"""


def test_tracked_visits_come_before_the_account(tmp_path: Path) -> None:
    state = state_of(tmp_path / "state", june().events)
    assert brought(state, VISITS) == 7
    found = of(state)
    assert people(found) == {"visited": 3, "attempted": 2, "registered": 4, "contributed": 3, "stayed": 2}
    assert step_of(found, "attempted").drop == 1
    assert step_of(found, "registered").drop is None, "not every visitor was counted"
    assert brought(state, VISITS) == 0, "the same file twice"
    assert people(of(state, "all"))["visited"] is None, "everybody has no time of visits"


def test_a_visit_is_nobodys_activity(tmp_path: Path) -> None:
    state = state_of(tmp_path / "state", june().events)
    store = open_store(state)
    before = retention(store.conn), status(store.conn).users
    store.close()
    brought(state, "sent_at,step,username\n2024-06-12,visit,ada\n2024-06-13,attempt,nobody\n")
    store = open_store(state)
    assert (retention(store.conn), status(store.conn).users) == before
    store.close()
    assert people(of(state))["contributed"] == 3


@pytest.mark.parametrize(
    ("csv", "said"),
    [
        ("sent_at,what\n2024-06-01,visit\n", "no column step: found sent_at, what"),
        ("sent_at,step\n2024-06-01,look\n", "no step 'look': one of visit, attempt"),
        ("sent_at,step\nyesterday,visit\n", "none of its 1 rows"),
    ],
)
def test_wrong_files_of_visits_are_refused(tmp_path: Path, csv: str, said: str) -> None:
    state = state_of(tmp_path / "state", june().events)
    with pytest.raises(ArchiveError, match=said):
        brought(state, csv)


def test_visits_are_refused_where_they_would_count(tmp_path: Path) -> None:
    rules = Rules(attribution="any")
    open_store(tmp_path / "state", rules).close()
    with pytest.raises(ArchiveError, match="attribution any"):
        brought(tmp_path / "state", VISITS, rules)


def test_expired_registrations_are_refused_unless_that_is_asked_for(tmp_path: Path) -> None:
    said = june()
    said(event_time_of("2024-06-03") + 200 * DAY, ISSUE, "somebody", "later")
    state = state_of(tmp_path, said.events)
    store = open_store(state)
    seal(store)
    expire(store, 135)
    store.close()
    with pytest.raises(HomecomingError, match=r"funnel of month:2024-06 reaches back to .* have expired"):
        of(state)
    assert not of(state, exact=False).exact


def test_an_unknown_cohort_is_refused(tmp_path: Path) -> None:
    with pytest.raises(HomecomingError, match="nope"):
        of(state_of(tmp_path, june().events), "nope")
