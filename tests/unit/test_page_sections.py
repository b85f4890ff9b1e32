"""The page's figures: what the curves and the bars stand for."""

import re
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from metrics.page.curves import curves
from metrics.page.signups import signups
from metrics.page.triangle import triangle
from metrics.page.view import View
from metrics.rate import pooled
from state.cells import CellState
from state.reading import Cell, Cohort, Retention
from state.signups import SignupHour, Signups, Wave
from state.spam.lifecycle import SEVERITIES, WAVE_RULES
from state.weeks import DAY, HOUR, week_named, week_start

FIRST = week_named("2024-06-03")
START = week_start(FIRST)
STATES: tuple[CellState, ...] = ("final", "open", "partial", "future")


@st.composite
def tables(draw: st.DrawFn) -> Retention:
    """Any triangle: cohorts of any size, cells of any state, future ones without users."""
    cohorts = []
    for week in range(draw(st.integers(1, 6))):
        size = draw(st.integers(1, 1_000))
        cells = [Cell(0, size, "final")]
        for offset in range(1, 13):
            state = draw(st.sampled_from(STATES))
            cells.append(Cell(offset, None if state == "future" else draw(st.integers(0, size)), state))
        cohorts.append(Cohort(FIRST + week, size, tuple(cells)))
    return Retention(START, "all", tuple(cohorts))


@st.composite
def hours(draw: st.DrawFn) -> Signups:
    first = START + draw(st.integers(0, 50)) * HOUR
    known = draw(st.booleans())
    counts = draw(st.lists(st.integers(0, 500), min_size=1, max_size=80))
    usual = st.floats(0, 300)
    found = [SignupHour(first + n * HOUR, count, draw(usual) if known else None) for n, count in enumerate(counts)]
    return Signups(found[-1].start + 5, tuple(found))


waves = st.lists(
    st.builds(
        lambda rule, state, start, length: Wave(
            f"{start}", rule, SEVERITIES[rule], state, START + start, START + start + length, 5
        ),
        st.sampled_from(WAVE_RULES),
        st.sampled_from(("raised", "cleared", "expired")),
        st.integers(0, 5 * DAY),
        st.integers(0, 2 * DAY),
    ),
    max_size=5,
)


@given(tables(), st.integers(1, 12))
def test_the_mean_lies_among_the_cohorts_it_is_made_of(table: Retention, offset: int) -> None:
    rates = [
        (cohort.cells[offset].users or 0) / cohort.size
        for cohort in table.cohorts
        if cohort.cells[offset].state == "final"
    ]
    found = pooled(table, offset)
    assert (found is None) == (not rates)
    if found:
        assert min(rates) - 1e-9 <= found.share <= max(rates) + 1e-9


@given(tables(), st.integers(1, 1_100))
def test_curves_draw_the_final_cells_of_the_cohorts_shown(table: Retention, k: int) -> None:
    shown = [cohort for cohort in table.cohorts if cohort.size >= k]
    final = [[cell.offset for cell in cohort.cells[1:] if cell.state == "final"] for cohort in shown]
    found = curves(View(), [table], k)
    assert (found is None) == (not any(final))
    if found:
        drawn = [[int(x) + 1 for x in re.findall(r"[ML](\d+),", line.path)] for line in found.lines]
        assert drawn == [offsets for offsets in final if offsets]
        (mean,) = found.means
        assert [int(offset) for offset in re.findall(r"W(\d+) ", mean.said)] == sorted({o for f in final for o in f})
        ages = [line.age for line in found.lines]
        assert ages == sorted(ages), "the newer the stronger"


@given(tables(), tables(), st.integers(1, 1_100))
def test_side_by_side_has_two_means_and_no_cohorts(table: Retention, clean: Retention, k: int) -> None:
    both = [table, clean._replace(population="clean")]
    found = curves(View(beside=True), both, k)
    if found:
        assert found.lines == ()
        assert {mean.name for mean in found.means} <= {"with spam", "without spam"}
    for one, whole in zip(triangle(View(beside=True), both, k).tables, both, strict=True):
        assert len(one.rows) + one.hidden == len(whole.cohorts)


@given(hours(), waves)
def test_bars_days_and_total_are_the_same_sign_ups(found: Signups, seen: list[Wave]) -> None:
    shown = signups(found, seen)
    assert shown is not None
    assert shown.total == sum(hour.signups for hour in found.hours) == sum(day.signups for day in shown.days)
    assert len(shown.bars) == len(found.hours)
    assert all(0 <= bar.height <= 100 for bar in shown.bars)
    assert [bar.height == 0 for bar in shown.bars] == [hour.signups == 0 for hour in found.hours]
    assert (shown.expected is None) == (shown.usual == "")
    assert len({day.name for day in shown.days}) == len(shown.days)


@given(hours(), waves)
def test_waves_that_overlap_are_one_mark_and_cleared_ones_none(found: Signups, seen: list[Wave]) -> None:
    first, end = found.hours[0].start, found.hours[-1].start + HOUR
    seen = [wave for wave in seen if wave.start < end and wave.end > first]
    shown = signups(found, seen)
    assert shown is not None
    rules = {wave.rule for wave in seen if wave.state != "cleared"}
    assert max((len(mark.reasons) for mark in shown.marks), default=0) <= len(rules)
    assert len({reason for mark in shown.marks for reason in mark.reasons}) == len(rules)
    assert [mark.number for mark in shown.marks] == [*range(1, len(shown.marks) + 1)]
    places = [(mark.left, mark.left + mark.width) for mark in shown.marks]
    assert all(0 <= left <= right <= 100.01 for left, right in places)
    assert all(a[1] <= b[0] + 0.01 for a, b in pairwise(places))


def test_nothing_is_drawn_of_an_empty_state() -> None:
    assert signups(Signups(None, ()), []) is None
    assert curves(View(), [Retention(None, "all", ())], 5) is None
