"""Retention, status and flags for people at a terminal."""

from collections.abc import Sequence
from itertools import accumulate, zip_longest

from rich.console import Console
from rich.text import Text

from metrics.rate import percent, shade
from state.cells import CellState
from state.reading import Cell, Cohort, Retention, Status
from state.spam.lifecycle import WAVE_MEMBER, Flagged
from state.weeks import iso, week_name

#: The columns before the offsets.
_FIXED = ("cohort", "size")

#: Background and foreground of each shade; readable with eight colours too, where the steps grow coarser.
_STYLES = (
    "dim",
    "black on #d8efe9",
    "black on #bfe3da",
    "black on #9dd3c6",
    "black on #79c2b3",
    "black on #56ab9b",
    "white on #27796c",
    "white on #1b655a",
    "white on #0f4f46",
)

_LEGEND: dict[CellState, str] = {"open": "week in progress", "partial": "nobody listened for a part of it"}


def show_retention(retention: Retention, console: Console) -> None:
    """Print the table: a row a cohort, a column an offset, as many offsets as the terminal has room for.

    Where the output is no terminal the whole table is printed, however wide, without colour.
    """
    if not retention.cohorts:
        console.print("no cohort yet: feed the state with `homecoming consume` or `homecoming backfill FILE`")
        return
    marks = _marks(console)
    body = [_row(cohort, marks) for cohort in retention.cohorts]
    offsets = max(map(len, body)) - len(_FIXED)
    header = [Text(name, style="bold") for name in (*_FIXED, *(f"W{offset}" for offset in range(offsets)))]
    widths = [max(map(len, column)) for column in zip_longest(header, *body, fillvalue=Text())]
    columns = _fitting(widths, console.width) if console.is_terminal else len(widths)
    for row in (header, *body):
        console.print(_line(row, widths[:columns]), soft_wrap=True)
    shown = columns - len(_FIXED)
    caption = Text(_caption(retention, marks, shown, offsets), style="dim")
    console.print(caption, soft_wrap=not console.is_terminal)


def show_status(status: Status, console: Console) -> None:
    """Print one figure a line."""
    figures: dict[str, int | str | None] = status._asdict()
    figures["watermark"] = "none yet" if status.watermark is None else iso(status.watermark)
    width = max(map(len, figures))
    for name, value in figures.items():
        text = f"{value:,}" if isinstance(value, int) else value
        console.print(Text(f"{name.replace('_', ' '):{width}}  {text}"), soft_wrap=True)


def _marks(console: Console) -> dict[CellState, str]:
    return {"open": "." if console.options.ascii_only else "…", "partial": "~"}


def _row(cohort: Cohort, marks: dict[CellState, str]) -> list[Text]:
    return [
        Text(week_name(cohort.week)),
        Text(str(cohort.size)),
        *(_cell(cell, cohort.size, marks) for cell in cohort.cells),
    ]


def _cell(cell: Cell, size: int, marks: dict[CellState, str]) -> Text:
    if cell.users is None:
        return Text()
    # Every cell keeps a place for the mark, so that the digits stand under each other.
    text = f"{percent(cell.users, size)}{marks.get(cell.state, ' ')}"
    return Text(text, style=_STYLES[shade(cell.users, size)])


def _fitting(widths: Sequence[int], width: int) -> int:
    """How many of the columns fit into the width, one space between them; W0 always does."""
    ends = accumulate(column + 1 for column in widths)
    return max(len(_FIXED) + 1, sum(end - 1 <= width for end in ends))


def _line(row: Sequence[Text], widths: Sequence[int]) -> Text:
    # Not rich's own table: that squeezes its columns into 80 where the output is a file.
    cells = [cell.copy() for cell in row[: len(widths)]]
    for cell, width in zip(cells, widths, strict=False):
        cell.pad_left(width - len(cell))
    return Text(" ").join(cells)


def _caption(retention: Retention, marks: dict[CellState, str], shown: int, offsets: int) -> str:
    present = {cell.state for cohort in retention.cohorts for cell in cohort.cells[:shown]}
    parts = [f"population {retention.population}"]
    if retention.as_of is not None:
        parts.append(f"as of {iso(retention.as_of)}")
    parts += [f"{marks[state]} {meaning}" for state, meaning in _LEGEND.items() if state in present]
    if shown < offsets:
        parts.append(f"{shown} of {offsets} offsets: a wider terminal shows more, --format csv all")
    return "; ".join(parts)


def show_flags(flags: Sequence[Flagged], console: Console) -> None:
    """Print the flags, the latest first; members of waves are counted, not listed: that alone says nothing."""
    if not flags:
        console.print("no flag")
        return
    for flag in flags:
        if flag.rule == WAVE_MEMBER:
            continue
        style = {"critical": "bold red", "warning": "yellow"}.get(flag.severity, "dim")
        line = Text.assemble(
            (flag.id, "bold"), "  ", iso(flag.raised_at), "  ", (f"{flag.severity:8}", style), f"  {flag.state:9}  ",
            f"{flag.rule:11}  ", (flag.user or "(wave)", "bold"),
        )  # fmt: skip
        console.print(line, soft_wrap=True)
        console.print(Text(f"  {flag.reason}", style="dim"), soft_wrap=True)
    members = sum(flag.rule == WAVE_MEMBER for flag in flags)
    if members:
        console.print(Text(f"and {members} who signed up in a wave: `--format json` lists them", style="dim"))
