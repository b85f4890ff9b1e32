"""How far a cell can be trusted: precedence and boundaries."""

from hypothesis import given
from hypothesis import strategies as st

from state.cells import cell_state, weeks_touched
from state.weeks import DAY, SECOND, WEEK, week_end, week_named, week_of, week_start

THE_WEEK = week_named("2024-06-03")
TOUCHED = frozenset({THE_WEEK})

spans = st.tuples(st.integers(0, 6 * WEEK), st.integers(0, 3 * WEEK)).map(
    lambda pair: (week_start(THE_WEEK) + pair[0], week_start(THE_WEEK) + pair[0] + pair[1])
)


def test_a_week_begins_with_its_first_instant() -> None:
    assert cell_state(THE_WEEK, week_start(THE_WEEK) - 1) == "future"
    assert cell_state(THE_WEEK, week_start(THE_WEEK)) == "open"


def test_a_week_is_final_a_day_of_lateness_after_its_end() -> None:
    due = week_end(THE_WEEK) + DAY
    assert cell_state(THE_WEEK, week_end(THE_WEEK)) == "open"
    assert cell_state(THE_WEEK, due - 1) == "open"
    assert cell_state(THE_WEEK, due) == "final"


def test_a_gap_outranks_open_and_final_but_not_future() -> None:
    assert cell_state(THE_WEEK, week_start(THE_WEEK) - 1, TOUCHED) == "future"
    assert cell_state(THE_WEEK, week_start(THE_WEEK), TOUCHED) == "partial"
    assert cell_state(THE_WEEK, week_end(THE_WEEK) + DAY, TOUCHED) == "partial"
    assert cell_state(THE_WEEK, week_end(THE_WEEK) + DAY, frozenset({THE_WEEK + 1})) == "final"


@given(st.integers(-3 * WEEK, 3 * WEEK), st.integers(0, 3 * WEEK), st.booleans())
def test_a_cell_never_goes_back(ahead: int, later: int, touched: bool) -> None:
    order = ("future", "partial", "open", "final")
    watermark = week_start(THE_WEEK) + ahead
    gaps = TOUCHED if touched else frozenset()
    before, after = (order.index(cell_state(THE_WEEK, at, gaps)) for at in (watermark, watermark + later))
    assert before <= after


def test_a_gap_that_ends_as_a_week_begins_leaves_that_week_whole() -> None:
    monday = week_start(THE_WEEK)
    assert weeks_touched([(monday - 1, monday)]) == {THE_WEEK - 1}
    assert weeks_touched([(monday, monday + 1)]) == {THE_WEEK}
    assert weeks_touched([(monday, monday)]) == frozenset()
    assert weeks_touched([(monday - SECOND, monday + 2 * WEEK)]) == {THE_WEEK - 1, THE_WEEK, THE_WEEK + 1}


@given(st.lists(spans, max_size=4), st.integers(0, 9 * WEEK - 1))
def test_a_week_is_touched_where_an_instant_of_it_was_missed(gaps: list[tuple[int, int]], after: int) -> None:
    at = week_start(THE_WEEK) + after
    if any(start <= at < end for start, end in gaps):
        assert week_of(at) in weeks_touched(gaps)
    week = week_of(at)
    hidden = any(max(start, week_start(week)) < min(end, week_end(week)) for start, end in gaps)
    assert hidden == (week in weeks_touched(gaps))
