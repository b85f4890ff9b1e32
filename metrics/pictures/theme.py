"""How pictures look: the page's own colours on a light ground, and marks for figures that may still change."""

import re
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.patches import Patch, Rectangle

from metrics import page
from metrics.rate import DARKEST
from state.cells import CellState

_STYLE = (Path(page.__path__[0]) / "page.css").read_text(encoding="utf-8")

#: The page's colours by light, by their names there: the first value of each is that one.
COLOURS: dict[str, str] = dict(reversed(re.findall(r"--([\w-]+): (#[0-9a-fA-F]+)", _STYLE)))
INK, SOFT, LINE, GROUND = COLOURS["ink"], COLOURS["soft"], COLOURS["line"], "#ffffff"
ACCENT, BAR = COLOURS["accent"], COLOURS["bar"]
SHADES = [COLOURS[f"s{n}"] for n in range(DARKEST + 1)]

#: The lightest shade on which letters are white.
_DARK = 6

#: Keeps lines of the grid out of a text that stands beside a bar.
CLEAR = {"facecolor": GROUND, "edgecolor": "none", "pad": 1.0}

#: Typography, and what makes the same picture the same bytes. Text in SVG stays text.
STYLE: Any = {
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 9,
    "text.color": INK,
    "text.parse_math": False,
    "axes.labelcolor": SOFT,
    "axes.edgecolor": SOFT,
    "xtick.color": SOFT,
    "ytick.color": INK,
    "hatch.linewidth": 0.5,
    "figure.facecolor": GROUND,
    "axes.facecolor": GROUND,
    "svg.fonttype": "none",
    "svg.hashsalt": "homecoming",
}

HATCHES: dict[CellState, str] = {"open": "//////", "partial": "....."}
NOTES: dict[CellState, str] = {
    "open": "not over yet: may still grow",
    "partial": "nobody listened for a part of it",
}


def letters_on(shade: int) -> str:
    """The colour of letters on that shade."""
    return COLOURS["on-dark" if shade >= _DARK else "on-light"]


def mark(axes: Axes, x: float, y: float, width: float, height: float, state: CellState, *, dark: bool = False) -> None:
    """Hatch a rectangle (data units, from its lower left corner) whose figure is not final; nothing where it is."""
    if state in HATCHES:
        colour = "#ffffff55" if dark else "#15211f40"
        patch = Rectangle((x, y), width, height, fill=False, hatch=HATCHES[state], edgecolor=colour, linewidth=0)
        patch.set_gid(state)
        axes.add_patch(patch)


def swatches(states: set[CellState]) -> list[Patch]:
    """A legend's entries for the marks that a picture has."""
    return [
        Patch(facecolor=SHADES[2], edgecolor="#15211f70", linewidth=0, hatch=HATCHES[state], label=note)
        for state, note in NOTES.items()
        if state in states
    ]


def legend(axes: Axes, handles: list[Any], below: float) -> None:
    """A legend under the axes, so many points down; none where there is nothing to say."""
    if handles:
        height = axes.get_position().height * axes.get_figure(root=True).get_size_inches()[1] * 72  # type: ignore[union-attr]
        axes.legend(
            handles=handles,
            loc="upper left",
            bbox_to_anchor=(0, -below / height),
            ncols=len(handles),
            frameon=False,
            borderaxespad=0,
            borderpad=0,
            handlelength=1.6,
            columnspacing=1.6,
            labelcolor=SOFT,
            fontsize=8.5,
        )


def plain(axes: Axes, grid: str | None = None) -> None:
    """No frame; lines across along one axis (`x` or `y`) to read values by."""
    for side in axes.spines.values():
        side.set_visible(False)
    axes.tick_params(length=0)
    if grid is not None:
        axes.grid(axis="x" if grid == "x" else "y", color=LINE, linewidth=0.8)
        axes.set_axisbelow(True)


def say(axes: Axes, text: str) -> None:
    """Instead of a picture, why there is none."""
    plain(axes)
    axes.set_xticks([])
    axes.set_yticks([])
    axes.text(0, 0.5, text, transform=axes.transAxes, color=SOFT, va="center")
