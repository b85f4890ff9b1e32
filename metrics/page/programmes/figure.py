"""One figure as people read it, and one cell of a heat map: what it says, how dark it is, and what stands for none."""

from math import ceil, sqrt
from typing import NamedTuple

from metrics.page.triangle import NOTES
from metrics.rate import DARKEST, percent, shade
from state.cells import CellState

#: What is not for everybody to see; and what there is not, or not yet.
HIDDEN, NONE = "hidden", "N/A"


class Heat(NamedTuple):
    """A cell; small: the counts behind it. shade: None where there is no figure. note: what its state says beyond."""

    said: str
    small: str
    shade: int | None
    state: CellState
    note: str | None


def nothing(state: CellState) -> Heat:
    """A cell without figures, its state saying why."""
    return Heat(NONE if state == "future" else HIDDEN, "", None, state, None)


def heat_of_mean(mean: float | None, users: int | None, heads: int | None, top: float, state: CellState) -> Heat:
    """Messages per head; top: the largest mean of the table, which is the darkest."""
    if mean is None or users is None:
        return nothing(state)
    # By the square root, as rates are: a few events draw far more than the others.
    dark = ceil(sqrt(mean / top) * DARKEST) if top else 0
    return Heat(spoken(mean), f"{users:,}" if heads is None else f"{users:,}/{heads:,}", dark, state, NOTES.get(state))


def heat_of_rate(users: int | None, of: int | None, state: CellState) -> Heat:
    """A part of people."""
    if users is None or of is None:
        return nothing(state)
    return Heat(percent(users, of), f"{users:,}/{of:,}", shade(users, of), state, NOTES.get(state))


def spoken(mean: float) -> str:
    """Three digits of a mean, `0.42`, `4.20`, `42.0`, `1,042`."""
    digits = 2 if mean < 9.995 else 1 if mean < 99.95 else 0  # where rounding adds a digit
    return f"{mean:,.{digits}f}"


def count(value: int | None) -> str:
    """`1,024`; a count that is None is hidden."""
    return HIDDEN if value is None else f"{value:,}"
