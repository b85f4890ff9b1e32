"""What the public may see: nothing about a few, and nothing that a subtraction would tell about them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metrics.programmes.campaigns import campaigns
from metrics.programmes.discussions import discussions
from metrics.programmes.events import OFFSETS, events
from metrics.programmes.funnel import funnel
from metrics.programmes.suppression import (
    hidden,
    public_campaigns,
    public_discussions,
    public_events,
    public_funnel,
)
from tests.support.programmes import Community, ask, community

K = 5


@pytest.fixture(scope="module")
def simulated(tmp_path_factory: pytest.TempPathFactory) -> Community:
    return community(tmp_path_factory.getbasetemp())


#: A table of groups by services with all its sums.
_tables = st.integers(1, 4).flatmap(
    lambda columns: st.lists(st.lists(st.integers(0, 12), min_size=columns, max_size=columns), min_size=1, max_size=4)
)


@given(_tables)
def test_no_small_figure_is_shown_and_no_line_has_one_unknown(rows: list[list[int]]) -> None:
    people = {(r, c): count for r, row in enumerate(rows) for c, count in enumerate(row)}
    width = len(rows[0])
    people |= {(r, width): sum(row) for r, row in enumerate(rows)}
    people |= {(len(rows), c): sum(people[r, c] for r in range(len(rows))) for c in range(width + 1)}
    lines = [[(r, c) for c in range(width + 1)] for r in range(len(rows) + 1)]
    lines += [[(r, c) for r in range(len(rows) + 1)] for c in range(width + 1)]
    gone = hidden(people, lines, K)
    assert {key for key, count in people.items() if 0 < count < K} <= gone
    assert not {key for key in gone if people[key] == 0}, "that nobody was there tells of nobody"
    for line in lines:
        unknown = [key for key in line if key in gone]
        others = [key for key in line if people[key] and key not in gone]
        assert len(unknown) != 1 or not others


@given(st.dictionaries(st.integers(0, 9), st.integers(K, 100)))
def test_nothing_is_hidden_for_nothing(people: dict[int, int]) -> None:
    assert hidden(people, [list(people)], K) == set()


def test_events(simulated: Community) -> None:
    chosen = list(simulated.definitions.events.values())
    whole = ask(simulated.directory, events, simulated.definitions, chosen)
    shown = public_events(whole, K)
    assert len(shown.events) == len(whole.events)
    withheld = 0
    for event in shown.events:
        cells = {(row.group, row.service, cell.offset): cell for row in event.rows for cell in row.cells}
        for row in event.rows:
            assert not [cell for cell in row.cells if cell.users is not None and 0 < cell.users < K]
            withheld += sum(cell.users is None and cell.state != "future" for cell in row.cells)
        for group in ("all", "newcomers", "existing"):
            for offset in OFFSETS:
                line = [c for (g, _, k), c in cells.items() if (g, k) == (group, offset) and c.state != "future"]
                assert sum(c.users is None for c in line) != 1 or not any(c.users for c in line)
    assert withheld > 10
    assert public_events(whole, 1) == whole
    assert public_events(whole, 10_000).events == ()


def test_campaigns(simulated: Community) -> None:
    chosen = list(simulated.definitions.campaigns.values())
    for by in ("campaign", "year", "service", "country"):
        whole = ask(simulated.directory, campaigns, simulated.definitions, chosen, by)
        for k in (K, 30):
            for row in public_campaigns(whole, k).rows:
                for cell in row.cells:
                    assert not 0 < (cell.users or 0) < k
                    assert not 0 < (cell.newcomers or 0) < k
                    if cell.users is not None and cell.newcomers is not None:
                        assert not 0 < cell.users - cell.newcomers < k
        assert public_campaigns(whole, 1) == whole


def test_discussions(simulated: Community) -> None:
    whole = ask(simulated.directory, discussions)
    assert public_discussions(whole, 1) == whole
    fewest, *_ = sorted(row.participants or 0 for row in whole.rows)
    shown = public_discussions(whole, fewest + 1)
    assert sum(row.topics is None for row in shown.rows) == 2, "one, and the one that goes with it"
    assert {row.state for row in shown.rows} == {row.state for row in whole.rows}


def test_funnels(simulated: Community) -> None:
    whole = ask(simulated.directory, funnel, simulated.definitions, "all")
    assert public_funnel(whole, 1) == whole
    nothing = public_funnel(whole, 10**6)
    assert nothing.members is None
    assert {step.users for step in nothing.steps} == {None}
    registered, contributed = whole.steps[2], whole.steps[3]
    assert contributed.drop is not None
    shown = public_funnel(whole, contributed.drop + 1)
    by_name = {step.name: step for step in shown.steps}
    known = (by_name["registered"].users, by_name["contributed"].users)
    assert known != (registered.users, contributed.users), "their difference would tell"
    assert by_name["contributed"].drop is None


def test_a_funnel_is_hidden_where_a_part_of_its_cohort_would_tell_of_few(simulated: Community) -> None:
    whole = ask(simulated.directory, funnel, simulated.definitions, "month:2024-04~month:2024-05")
    assert whole.apart
    assert public_funnel(whole, whole.apart).members == whole.members
    assert public_funnel(whole, whole.apart + 1).members is None
    assert ask(simulated.directory, funnel, simulated.definitions, "all").apart is None
