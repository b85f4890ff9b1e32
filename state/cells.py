"""How far a cell of the retention table can be trusted, from the data's watermark alone."""

from collections.abc import Iterable
from typing import Literal

from state.weeks import DAY, week_end, week_of, week_start

CellState = Literal["final", "open", "future", "partial"]

#: (start, end) of a time in which nobody listened, event times
Gap = tuple[int, int]

#: A week is final once the watermark is this far past its end, in microseconds.
ALLOWED_LATENESS = DAY


def cell_state(week: int, watermark: int, touched: frozenset[int] = frozenset()) -> CellState:
    """State of the cells that count activity in `week`; `touched` are the weeks that gaps touch."""
    if week_start(week) > watermark:
        return "future"
    if week in touched:
        return "partial"
    return "final" if watermark >= week_end(week) + ALLOWED_LATENESS else "open"


def weeks_touched(gaps: Iterable[Gap]) -> frozenset[int]:
    """The weeks of which a gap hides a part."""
    return frozenset(week for start, end in gaps if end > start for week in range(week_of(start), week_of(end - 1) + 1))
