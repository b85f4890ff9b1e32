"""Heat maps: a table whose cells are shaded, each with its figure in it."""

from collections.abc import Sequence
from typing import NamedTuple

from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap

from metrics.pictures.theme import GROUND, SHADES, SOFT, legend, letters_on, mark, plain, swatches
from state.cells import CellState

#: Of a cell, inches.
WIDTH, HEIGHT = 0.56, 0.37


def row_label(name: str, people: int) -> str:
    """The name, and how many people there are, as a column of its own; spaces that SVG keeps."""
    return f"{name}{f'{people:,}':\u2007>8}"


class HeatCell(NamedTuple):
    """One cell: its figure, what the figure is made of, and a shade; None for a cell without a figure."""

    text: str
    small: str
    shade: int | None
    state: CellState


def heat(
    axes: Axes, rows: Sequence[str], columns: Sequence[str], cells: Sequence[Sequence[HeatCell]], below: str
) -> None:
    """Draw the table, the first row on top. below: what the columns are."""
    shades = [[-1 if cell.shade is None else cell.shade for cell in row] for row in cells]
    colours = ListedColormap([GROUND, *SHADES])
    axes.pcolormesh(shades, cmap=colours, vmin=-1, vmax=len(SHADES) - 1, edgecolors=GROUND, linewidth=1.5)
    for y, row in enumerate(cells):
        for x, cell in enumerate(row):
            _write(axes, x, y, cell)
    axes.set_xlim(0, len(columns))
    axes.set_ylim(len(rows), 0)
    axes.set_xticks([x + 0.5 for x in range(len(columns))], columns)
    axes.set_yticks([y + 0.5 for y in range(len(rows))], rows)
    axes.set_xlabel(below, loc="left")
    axes.xaxis.set_label_position("top")
    axes.xaxis.tick_top()
    plain(axes)
    legend(axes, swatches({cell.state for row in cells for cell in row}), 9)


def _write(axes: Axes, x: int, y: int, cell: HeatCell) -> None:
    colour = SOFT if not cell.shade else letters_on(cell.shade)
    if cell.shade is None:
        written = [axes.text(x + 0.5, y + 0.5, cell.text, fontsize=6.5, ha="center", va="center", color=colour)]
    else:
        mark(axes, x, y, 1, 1, cell.state, dark=cell.shade >= 6)
        place = y + (0.37 if cell.small else 0.5)
        written = [axes.text(x + 0.5, place, cell.text, fontsize=8.5, ha="center", va="center", color=colour)]
        if cell.small:
            written.append(
                axes.text(x + 0.5, y + 0.74, cell.small, fontsize=5.8, ha="center", va="center", color=colour)
            )
    for text in written:
        text.set_gid(f"cell-{y}-{x}")
        # They lie within the axes, and there are thousands of them.
        text.set_in_layout(False)
