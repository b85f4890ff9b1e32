"""Pictures show the figures that they were given: read back from what is drawn."""

import re
from html import unescape
from math import isnan

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.patches import Rectangle

from metrics.pictures import (
    before_after,
    campaigns,
    composition,
    curves,
    discussions,
    funnel,
    months,
    retention,
    returned,
)
from metrics.pictures.document import retention_html
from metrics.pictures.files import figure
from metrics.pictures.picture import Picture
from metrics.rate import percent, pooled
from state.cells import CellState
from state.reading import Cell, Cohort, Retention
from tests.support.pictures import (
    AS_OF,
    CAMPAIGNS,
    DISCUSSIONS,
    EVENTS,
    FIRST,
    FUNNEL,
    NO_EVENTS,
    axes_of,
    bars,
    cells,
    said,
    texts,
    ys,
)

STATES: tuple[CellState, ...] = ("final", "open", "partial", "future")


@st.composite
def tables(draw: st.DrawFn) -> Retention:
    """Any triangle: ragged or padded, cells of any state, future ones without users."""
    cohorts = []
    for week in range(draw(st.integers(1, 3))):
        size = draw(st.integers(1, 1_000))
        row = [Cell(0, size, "final")]
        for offset in range(1, draw(st.integers(1, 5))):
            state = draw(st.sampled_from(STATES))
            row.append(Cell(offset, None if state == "future" else draw(st.integers(0, size)), state))
        cohorts.append(Cohort(FIRST + week, size, tuple(row)))
    return Retention(AS_OF, "all", tuple(cohorts))


def expected(found: Retention) -> dict[tuple[int, int], list[str]]:
    columns = max(len(cohort.cells) for cohort in found.cohorts)
    return {
        (y, x): ["N/A"]
        if (users := cohort.cells[x].users if x < len(cohort.cells) else None) is None
        else [percent(users, cohort.size), f"{users}/{cohort.size}"]
        for y, cohort in enumerate(found.cohorts)
        for x in range(columns)
    }


@settings(deadline=None, max_examples=25)
@given(tables())
def test_every_cell_of_the_heat_map_says_its_figure(found: Retention) -> None:
    axes = axes_of(retention.picture(found))
    assert cells(axes) == expected(found)
    hatched = sorted(
        (int(patch.get_y()), int(patch.get_x()), patch.get_gid())
        for patch in axes.patches
        if isinstance(patch, Rectangle) and patch.get_hatch()
    )
    assert hatched == [
        (y, cell.offset, cell.state)
        for y, cohort in enumerate(found.cohorts)
        for cell in cohort.cells
        if cell.state in ("open", "partial")
    ]
    assert [label.get_text() for label in axes.get_xticklabels()] == [
        f"W{x}" for x in range(max(len(cohort.cells) for cohort in found.cohorts))
    ]


@settings(deadline=None, max_examples=25)
@given(tables())
def test_every_cell_of_the_html_says_its_figure(found: Retention) -> None:
    body = retention_html(found).split("<tbody>")[1].split("</tbody>")[0]
    rows = [re.findall(r"<td.*?</td>", row)[1:] for row in body.split("</tr>")[:-1]]
    shown = {
        (y, x): [unescape(figure_said) for figure_said in re.findall(r"(?:<b>|<small>|future\">)([^<]+)", cell)]
        for y, row in enumerate(rows)
        for x, cell in enumerate(row)
    }
    assert shown == expected(found)


@settings(deadline=None, max_examples=25)
@given(tables())
def test_curves_are_the_final_weeks_and_their_pooled_mean(found: Retention) -> None:
    means = [pooled(found, x) for x in range(1, max(len(cohort.cells) for cohort in found.cohorts))]
    known = [mean.share for mean in means if mean is not None]
    axes = axes_of(curves.picture(found))
    if not known:
        assert texts(axes) == ["No week of return is over yet."]
        return
    *lines, mean = axes.lines
    assert ys(mean) == known
    for cohort, line in zip(found.cohorts, lines, strict=True):
        drawn = [None if isnan(y) else y for y in ys(line)]
        assert drawn == [
            (cell.users or 0) / cohort.size if cell.state == "final" else None for cell in cohort.cells[1:]
        ]


def test_bars_of_an_event_are_its_newcomers_and_the_others() -> None:
    axes = axes_of(composition.picture(EVENTS))
    assert [(x, width) for x, _, width, _ in bars(axes)] == [(0, 10), (10, 30), (0, 5), (5, 45)]
    assert "40 people, 25% newcomers" in texts(axes)


def test_who_came_again_is_a_share_and_nothing_without_a_successor() -> None:
    axes = axes_of(returned.picture(EVENTS))
    assert [width for _, _, width, _ in bars(axes)] == [100, 20]
    assert texts(axes) == ["20%: 8 of 40 came to Flock-Again", "N/A: no successor"]


def test_before_and_after_pool_events_and_leave_out_what_is_not_final() -> None:
    axes = axes_of(before_after.picture(EVENTS))
    heights = [height for *_, height in bars(axes)]
    assert heights == pytest.approx([40, 30, 20, 10, 10, 20, 4, 3, 2, 1, 1, 2])
    assert texts(axes).count("N/A") == 4
    levels = [ys(line)[0] for line in axes.lines if line.get_linestyle() == ":"]
    assert levels == pytest.approx([25, 15, 2.5, 1.5])


def test_before_and_after_weigh_events_by_their_people() -> None:
    quiet = EVENTS.events[0]
    row = quiet.rows[1]
    silent = row._replace(cells=tuple(cell._replace(messages=0) for cell in row.cells))
    found = EVENTS._replace(events=(quiet._replace(rows=(quiet.rows[0], silent, quiet.rows[2])), EVENTS.events[1]))
    assert before_after.mean(found, "newcomers", -1) == (50, 15)


def test_months_of_an_event() -> None:
    axes = axes_of(months.picture(EVENTS))
    found = cells(axes)
    assert found[0, 0] == ["4.0", "3 active"]
    assert found[0, 7] == ["N/A"]
    assert [label.get_text() for label in axes.get_xticklabels()][3:5] == ["M-1", "M+1"]
    assert [patch.get_gid() for patch in axes.patches if patch.get_hatch()] == ["open", "open"]


def test_campaigns_tell_what_has_not_begun_from_what_is_hidden() -> None:
    found = cells(axes_of(campaigns.picture(CAMPAIGNS)))
    assert [found[0, x] for x in range(4)] == [["50%", "20/40"], ["12%", "5/40"], ["too few"], ["N/A"]]


def test_discussions_are_shares_of_what_was_opened() -> None:
    axes = axes_of(discussions.picture(DISCUSSIONS))
    assert [width for _, _, width, _ in bars(axes)] == [100, 75, 100, 100]
    assert texts(axes) == [
        "75%",
        "200 opened, 90 people\n2.5 replies each, first reply after 1.5 h",
        "nothing opened",
        "too few people to tell",
    ]


def test_the_funnel_shows_each_step_in_front_of_the_one_before() -> None:
    axes = axes_of(funnel.picture(FUNNEL))
    assert [width for _, _, width, _ in bars(axes)] == [100, 100, 60, 60, 15]
    assert texts(axes) == [
        "not measured",
        "not measured",
        "100",
        "60, 60% of those before; 40 dropped out",
        "15, 25% of those before; 45 dropped out, 7 not yet known",
    ]


EMPTY = [
    retention.picture(Retention(None, "all", ())),
    curves.picture(Retention(None, "all", ())),
    *(module.picture(NO_EVENTS) for module in (composition, returned, before_after, months)),
    campaigns.picture(CAMPAIGNS._replace(as_of=None, rows=())),
    discussions.picture(DISCUSSIONS._replace(as_of=None, rows=())),
    funnel.picture(FUNNEL._replace(as_of=None, members=0, steps=())),
]


@pytest.mark.parametrize("picture", EMPTY, ids=lambda picture: picture.name)
def test_without_figures_a_picture_says_so(picture: Picture) -> None:
    drawn = figure(picture)
    (told,) = texts(drawn.axes[0])
    assert told.endswith(".")
    assert said(drawn)[-1] == "Homecoming, no event yet"


def test_title_note_and_footer() -> None:
    picture = composition.picture(EVENTS)
    note, title, footer = said(figure(picture))
    assert (title, note) == (picture.title, picture.note)
    assert footer == "Homecoming, as of 2024-09-02 00:00 UTC"
