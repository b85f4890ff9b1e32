"""Event contributors: the badge notebook recomputed, its rounding, and who counts as new."""

import json
from fractions import Fraction
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from metrics.programmes.events import GROUPS, MONTH, NEWCOMER_DAYS, OFFSETS, Events, events
from metrics.programmes.found import chosen_events, found_events
from state.cohorts.definitions import Definition, Definitions, parse_definitions
from state.errors import HomecomingError
from state.expiry import expire
from state.log import with_log
from state.segments import seal
from state.store import open_store
from state.weeks import DAY, SECOND, event_time_of, week_end, week_of
from tests.support.logs import scratch
from tests.support.programmes import AWARD, CREATE, ISSUE, WIKI, Community, Said, ask, community, state_of

FLOCK = event_time_of("2024-06-03T10:00")
DEFINED = parse_definitions(
    '[[event]]\nid = "flock"\nbadge = "flock"\nsuccessor = "next"\n[[event]]\nid = "next"\nbadge = "next"\n', "x"
)
ONE = [DEFINED.events["flock"]]


@pytest.fixture(scope="module")
def simulated(tmp_path_factory: pytest.TempPathFactory) -> Community:
    return community(tmp_path_factory.getbasetemp())


def after(said: Said, days: int = 400) -> None:
    """Somebody else goes on, so that every month has passed."""
    said(FLOCK + days * DAY, ISSUE, "somebody", "later")


def months_of(found: Events) -> dict[int, int | None]:
    row = found.events[0].row("all")
    assert row is not None
    return {cell.offset: cell.messages for cell in row.cells}


def test_months_round_half_to_even(shared_data: Path) -> None:
    cases = json.loads((shared_data / "retention_definition_cases.json").read_text(encoding="utf-8"))["cases"]
    case = next(case for case in cases if case["id"] == "event-month-offset-half-even")
    assert case["symmetric"]
    said, expected = Said(), dict.fromkeys(OFFSETS, 0)
    said(FLOCK - 300 * DAY, ISSUE, "somebody", "before")
    said(FLOCK, AWARD, "ada", "flock")
    for days, offset in case["days_to_offset"].items():
        for sign in (1, -1):
            said(FLOCK + sign * int(days) * DAY, WIKI, "ada", f"{sign * int(days)}")
            if offset:
                expected[sign * offset] += 1
    after(said)
    with scratch() as directory:
        assert months_of(ask(state_of(directory, said.events), events, DEFINED, ONE)) == expected


_distances = st.integers(-5 * MONTH, 5 * MONTH) | st.builds(
    lambda halves, off: halves * MONTH // 2 + off, st.integers(-9, 9), st.sampled_from((-1, 0, 1))
)


@settings(max_examples=25)
@given(st.lists(_distances, min_size=1, max_size=40))
def test_any_distance_is_where_exact_fractions_put_it(distances: list[int]) -> None:
    said, expected = Said(), dict.fromkeys(OFFSETS, 0)
    said(FLOCK - 300 * DAY, ISSUE, "somebody", "before")
    said(FLOCK, AWARD, "ada", "flock")
    for distance in distances:
        said(FLOCK + distance, WIKI, "ada", "page")
        exact = round(Fraction(distance, MONTH))  # Python's rounds half to even
        if exact in expected:
            expected[exact] += 1
    after(said)
    with scratch() as directory:
        assert months_of(ask(state_of(directory, said.events), events, DEFINED, ONE)) == expected


def test_the_notebook_agrees_in_every_cell(simulated: Community) -> None:
    definitions = simulated.definitions
    found = ask(simulated.directory, events, definitions, list(definitions.events.values()))
    assert [event.id for event in found.events] == [
        "harbour-days-1", "meadow-summit-1", "harbour-days-2", "meadow-summit-2"
    ]  # fmt: skip
    cells = 0
    for event in found.events:
        badge = definitions.events[event.id].badge
        assert badge
        awarded = simulated.awarded(badge)
        happened, people = awarded["sent_at"].min(), awarded["username"].unique()
        assert event.at == happened.value // 1_000
        age = (happened - simulated.registered.reindex(people)).dt.days
        newcomers = {name for name, days in age.items() if days <= NEWCOMER_DAYS}
        assert (event.attendees, event.newcomers) == (len(people), len(newcomers))
        successor = event.successor
        came = set(simulated.awarded(successor)["username"]) if successor else set()
        assert event.returned == (len(came & set(people)) if successor else None)
        messages = simulated.log[simulated.log["username"].isin(people)]
        offset = ((messages["sent_at"] - happened) / pd.Timedelta(days=30)).round().astype(int)
        counted = messages.assign(offset=offset, newcomer=messages["username"].isin(newcomers))
        for group, chosen in (
            ("all", counted),
            ("newcomers", counted[counted["newcomer"]]),
            ("existing", counted[~counted["newcomer"]]),
        ):
            heads = {"all": len(people), "newcomers": len(newcomers)}.get(group, len(people) - len(newcomers))
            for service in (None, *sorted(set(counted[counted["offset"].isin(OFFSETS)]["service"]))):
                rows = chosen if service is None else chosen[chosen["service"] == service]
                row = event.row(group, service)  # type: ignore[arg-type]
                assert row is not None
                for cell in row.cells:
                    these = rows[rows["offset"] == cell.offset]
                    if cell.state == "future":
                        assert cell.users is None
                        assert these.empty
                        continue
                    assert (cell.users, cell.messages) == (these["username"].nunique(), len(these))
                    assert cell.mean == pytest.approx(len(these) / heads)
                    cells += 1
    assert cells > 500


@pytest.mark.parametrize(
    ("created", "is_new"),
    [
        (FLOCK - 30 * DAY, True),
        (FLOCK - 31 * DAY + 1, True),
        (FLOCK - 31 * DAY, False),
        (FLOCK + 40 * DAY, True),
        (None, False),
    ],
    ids=["30 days", "30 whole days", "31 days", "after the event", "unknown"],
)
def test_who_is_new(tmp_path: Path, created: int | None, is_new: bool) -> None:
    said = Said()
    said(FLOCK, AWARD, "ada", "flock")
    if created is not None:
        said(created, CREATE, "ada")
    after(said)
    (event,) = ask(state_of(tmp_path, said.events), events, DEFINED, ONE).events
    assert (event.newcomers, event.existing) == ((1, 0) if is_new else (0, 1))


def test_returning_is_undefined_until_there_is_somewhere_to_return_to(tmp_path: Path) -> None:
    said = Said()
    for name in ("ada", "bob"):
        said(FLOCK, AWARD, name, "flock")
    state = state_of(tmp_path, said.events)
    (event,) = ask(state, events, DEFINED, ONE).events
    assert event.returned is None, "the successor has not taken place"
    said(FLOCK + 365 * DAY, AWARD, "zoë", "next")
    state_of(state, said.events)
    (event,) = ask(state, events, DEFINED, ONE).events
    assert event.returned == 0, "it has, and nobody came"
    said(FLOCK + 366 * DAY, AWARD, "bob", "next")
    state_of(state, said.events)
    both = ask(state, events, DEFINED, list(DEFINED.events.values()))
    assert {event.id: event.returned for event in both.events} == {"flock": 1, "next": None}


def test_a_month_is_final_once_it_has_passed_and_partial_before_the_log_begins(tmp_path: Path) -> None:
    said = Said()
    said(FLOCK - 50 * DAY, ISSUE, "bob", "first")
    said(FLOCK, AWARD, "ada", "flock")
    said(FLOCK + 60 * DAY, WIKI, "ada", "page")
    (event,) = ask(state_of(tmp_path, said.events), events, DEFINED, ONE).events
    row = event.row("all")
    assert row is not None
    assert [cell.state for cell in row.cells] == [
        "partial", "partial", "partial", "final", "final", "open", "future", "future"
    ]  # fmt: skip
    assert row.before == 0
    assert row.after == 0, "the open month is no part of it"


def test_nobody_was_there_yet(tmp_path: Path) -> None:
    said = Said()
    said(FLOCK, ISSUE, "ada", "thing")
    (event,) = ask(state_of(tmp_path, said.events), events, DEFINED, ONE).events
    assert (event.at, event.attendees, event.returned, event.rows) == (None, 0, None, ())


def test_an_empty_state_has_no_figures(tmp_path: Path) -> None:
    found = ask(tmp_path / "state", events, DEFINED, ONE)
    assert found.as_of is None
    assert found.events[0].attendees == 0


def test_expired_months_are_refused_unless_that_is_asked_for(tmp_path: Path) -> None:
    said = Said()
    said(FLOCK - 100 * DAY, WIKI, "ada", "page")
    said(FLOCK, AWARD, "ada", "flock")
    after(said, 150)
    state = state_of(tmp_path, said.events)
    store = open_store(state)
    seal(store)
    expire(store, 200)
    store.close()
    with pytest.raises(HomecomingError, match=r"event flock reaches back to .* have expired"):
        ask(state, events, DEFINED, ONE)
    assert not ask(state, events, DEFINED, ONE, exact=False).exact
    last = week_end(week_of(FLOCK + 150 * DAY - 200 * DAY) - 1)
    later = Definition("event", "later", "later", last + 150 * DAY, last + 151 * DAY, None, None, ("ada",), None, None)
    assert ask(state, events, Definitions({"later": later}, {}, {}), [later]).exact


def test_events_are_found_among_the_awards(simulated: Community) -> None:
    def found(definitions: Definitions) -> list[str]:
        return [one.id for one in with_log(simulated.directory, lambda _duck, conn: found_events(conn, definitions))]

    nothing = Definitions({}, {}, {})
    assert found(nothing) == ["harbour-days-1", "meadow-summit-1", "harbour-days-2", "meadow-summit-2"]
    assert found(simulated.definitions) == [], "definitions win"
    by_badge = with_log(
        simulated.directory, lambda _duck, conn: chosen_events(conn, nothing, "harbour-days-1", find=True)
    )
    (event,) = ask(simulated.directory, events, nothing, by_badge).events
    defined = simulated.definitions.events["harbour-days-1"]
    (same,) = ask(simulated.directory, events, simulated.definitions, [defined]).events
    assert event.rows == same.rows
    assert not event.defined


def test_an_unknown_event_lists_the_valid_ones(tmp_path: Path) -> None:
    with pytest.raises(HomecomingError, match="no event 'flok': one of flock, next"):
        with_log(tmp_path / "state", lambda _duck, conn: chosen_events(conn, DEFINED, "flok"))


def test_groups_and_months_are_those_of_the_notebook() -> None:
    assert GROUPS == ("all", "newcomers", "existing")
    assert OFFSETS == (-4, -3, -2, -1, 1, 2, 3, 4)
    assert MONTH == 30 * 86_400 * SECOND
