"""A metric's answer for people at a terminal, and as rows for CSV."""

from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from metrics.asking.shape import UNDEFINED, header, rows
from metrics.asking.work import Worked
from state.weeks import iso

#: Digits after the point.
_DIGITS = 4


def columns(worked: Worked) -> tuple[str, ...]:
    """What `lines` has: the header, and of raw values their status."""
    return header(worked) if worked.answer.options.aggregator else (*header(worked), "status")


def lines(worked: Worked) -> list[list[Any]]:
    """The rows, -1 for what is undefined, a map as text."""
    return [[_flat(cell) for cell in row] for row in rows(worked)]


def show_metric(worked: Worked, console: Console) -> None:
    """Print the rows, and below them of whom and when they tell."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for place, name in enumerate(columns(worked)):
        table.add_column(name, justify="right" if place or worked.answer.type == "aggregator" else "left")
    for row in lines(worked):
        table.add_row(*(Text(_shown(cell)) for cell in row))
    console.print(table)
    found = worked.answer
    said = [f"{worked.request.cohort}: {worked.users:,} users", found.status]
    said += [found.unit] if found.unit else []
    said += [] if found.exact else ["not exact: a part of it has expired"]
    said += [f"{UNDEFINED}: undefined"] if any(None in row for row in found.rows) else []
    said += list(found.notes)
    said += [] if found.as_of is None else [f"as of {iso(found.as_of)}"]
    console.print(Text("; ".join(said), style="dim"), soft_wrap=not console.is_terminal)


def _flat(cell: Any) -> Any:
    if isinstance(cell, dict):
        return " ".join(f"{name}={count}" for name, count in cell.items())
    return " ".join(map(str, cell)) if isinstance(cell, list) else cell


def _shown(cell: Any) -> str:
    return f"{cell:.{_DIGITS}f}".rstrip("0").rstrip(".") if isinstance(cell, float) else str(cell)
