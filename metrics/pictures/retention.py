"""The retention heat map: sign-up cohorts by weeks since sign-up."""

from functools import partial

from matplotlib.axes import Axes

from metrics.page.view import MEANINGS
from metrics.pictures.heat import HEIGHT, WIDTH, HeatCell, heat, row_label
from metrics.pictures.picture import Picture
from metrics.pictures.theme import say
from metrics.rate import percent, shade
from state.reading import Cell, Cohort, Retention
from state.weeks import week_name

NOTHING = "No cohort yet: an account's creation has to be seen before its return."


def picture(found: Retention) -> Picture:
    """The heat map; weeks that a cohort has not reached are N/A."""
    columns = offsets(found)
    return Picture(
        name="retention" if found.population == "all" else f"retention-{found.population}",
        title="Who came back" + ("" if found.population == "all" else f": {MEANINGS[found.population]}"),
        note=_read(found),
        command=f"homecoming retention --population {found.population}",
        as_of=found.as_of,
        width=max(3.0, columns * WIDTH),
        height=max(0.5, len(found.cohorts) * HEIGHT),
        draw=partial(draw, found),
    )


def draw(found: Retention, axes: Axes) -> None:
    """One row a cohort, the oldest on top; one column a week since sign-up."""
    if not found.cohorts:
        say(axes, NOTHING)
        return
    columns = [f"W{offset}" for offset in range(offsets(found))]
    rows = [row_label(week_name(cohort.week), cohort.size) for cohort in found.cohorts]
    heat(
        axes,
        rows,
        columns,
        [[_cell(cohort, cell) for cell in padded(cohort, len(columns))] for cohort in found.cohorts],
        "weeks since the week of sign-up; on the left the week of sign-up, and how many signed up",
    )


def offsets(found: Retention) -> int:
    """Columns of the table."""
    return max((len(cohort.cells) for cohort in found.cohorts), default=0)


def padded(cohort: Cohort, columns: int) -> list[Cell]:
    """Its cells, those that the table leaves out for being ahead among them."""
    return [*cohort.cells, *(Cell(offset, None, "future") for offset in range(len(cohort.cells), columns))]


def _cell(cohort: Cohort, cell: Cell) -> HeatCell:
    if cell.users is None:
        return HeatCell("N/A", "", None, cell.state)
    return HeatCell(
        percent(cell.users, cohort.size), f"{cell.users}/{cohort.size}", shade(cell.users, cohort.size), cell.state
    )


def _read(found: Retention) -> str:
    said = f"Share of each week's sign-ups ({MEANINGS[found.population]}) who were active so many weeks later."
    for cohort in found.cohorts:
        for cell in cohort.cells[1:2]:
            if cell.state == "final" and cohort.size:
                rate = percent(cell.users or 0, cohort.size)
                return (
                    f"{said} Read: of the {cohort.size:,} who signed up in the week of {week_name(cohort.week)}, "
                    f"{rate} came back in the week after (W1)."
                )
    return said
