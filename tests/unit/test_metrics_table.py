"""The retention table as text, JSON and CSV: the same cells, whatever the format and the terminal."""

import csv
import io
import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from metrics.formats import retention_csv, retention_json, status_json
from metrics.rate import percent
from metrics.table import show_retention, show_status
from state.cells import CellState
from state.reading import Cell, Cohort, Retention, Status
from state.weeks import week_name, week_named

FIRST = week_named("2024-06-03")
AS_OF = 1_719_300_000_000_000
STATUS = Status(12_345, 13_000, 42, 3, AS_OF, 1, 1)
NOTHING = Retention(None, "all", ())
STATES: tuple[CellState, ...] = ("final", "open", "partial", "future")
NARROWEST = len("2024-06-03 10000 100%~")


@st.composite
def tables(draw: st.DrawFn) -> Retention:
    """Any triangle: cohorts of any size, cells of any state, future ones without users."""
    cohorts = []
    for week in range(draw(st.integers(1, 6))):
        size = draw(st.integers(1, 10_000))
        cells = [Cell(0, size, "final")]
        for offset in range(1, draw(st.integers(1, 30))):
            state = draw(st.sampled_from(STATES))
            users = None if state == "future" else draw(st.integers(0, size))
            cells.append(Cell(offset, users, state))
        cohorts.append(Cohort(FIRST + week, size, tuple(cells)))
    return Retention(AS_OF, "all", tuple(cohorts))


def text_of(retention: Retention, width: int | None = None) -> list[str]:
    """The lines of the table; width: of the terminal, None where the output is a file."""
    out = io.StringIO()
    console = Console(file=out, force_terminal=width is not None, width=width, color_system=None, legacy_windows=False)
    show_retention(retention, console)
    return out.getvalue().splitlines()


@given(tables())
def test_json_is_the_contract_and_says_everything(table: Retention) -> None:
    document = json.loads(retention_json(table))
    assert list(document) == ["as_of", "population", "cohorts"]
    assert document["as_of"] == "2024-06-25T07:20:00Z"
    read = tuple(
        Cohort(week_named(c["week"]), c["size"], tuple(Cell(**cell) for cell in c["cells"]))
        for c in document["cohorts"]
    )
    assert Retention(AS_OF, document["population"], read) == table


@given(tables())
def test_csv_has_a_row_a_cell(table: Retention) -> None:
    rows = list(csv.DictReader(io.StringIO(retention_csv(table))))
    assert [tuple(row.values()) for row in rows] == [
        (week_name(c.week), str(c.size), str(o), "" if users is None else str(users), state)
        for c in table.cohorts
        for o, users, state in c.cells
    ]


@given(tables())
def test_a_file_gets_every_cell_and_no_colour(table: Retention) -> None:
    lines = text_of(table)
    assert "\x1b" not in "".join(lines)
    for cohort, line in zip(table.cohorts, lines[1:], strict=False):
        cells = [percent(c.users, cohort.size) for c in cohort.cells if c.users is not None]
        assert [word.rstrip("…~") for word in line.split()] == [week_name(cohort.week), str(cohort.size), *cells]


@given(tables(), st.integers(NARROWEST, 120))
def test_a_terminal_gets_the_first_offsets_that_fit(table: Retention, width: int) -> None:
    whole, lines = text_of(table), text_of(table, width)
    rows = len(table.cohorts) + 1
    shown = lines[:rows]
    assert all(len(line.rstrip()) <= width for line in shown)
    assert all(line.startswith(part.rstrip()) for line, part in zip(whole, shown, strict=False))
    ends = [column.end() for column in re.finditer(r"\S+", whole[0])]
    columns = max(len(("cohort", "size", "W0")), sum(end <= width for end in ends))
    assert len(lines[0].split()) == columns
    assert (columns < len(ends)) == ("offsets" in " ".join(lines[rows:]))


def test_cells_are_coloured_by_rate_and_marked_by_state() -> None:
    cells = (Cell(0, 100, "final"), Cell(1, 5, "partial"), Cell(2, 0, "open"), Cell(3, None, "future"))
    out = io.StringIO()
    console = Console(file=out, force_terminal=True, width=120, color_system="truecolor", no_color=False)
    show_retention(Retention(AS_OF, "clean", (Cohort(FIRST, 100, cells),)), console)
    row, caption = out.getvalue().splitlines()[1], out.getvalue()
    assert "48;2;15;79;70m100% " in row
    assert "48;2;191;227;218m5%~" in row
    assert "0%…" in row
    assert "population clean" in caption
    assert "~ nobody listened" in caption
    assert "… week in progress" in caption


def test_no_color_is_obeyed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    out = io.StringIO()
    table = Retention(AS_OF, "all", (Cohort(FIRST, 100, (Cell(0, 100, "final"),)),))
    show_retention(table, Console(file=out, force_terminal=True, width=80))
    assert "48;" not in out.getvalue()


def test_ascii_output_gets_ascii_marks() -> None:
    out = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    table = Retention(AS_OF, "all", (Cohort(FIRST, 100, (Cell(0, 100, "open"),)),))
    show_retention(table, Console(file=out))
    out.seek(0)
    assert "100%." in out.read()


def test_an_empty_state_says_what_to_do() -> None:
    assert "homecoming backfill" in text_of(NOTHING)[0]
    assert json.loads(retention_json(NOTHING)) == {"as_of": None, "population": "all", "cohorts": []}
    assert retention_csv(NOTHING) == "week,size,offset,users,state\n"


def test_status_is_the_contract() -> None:
    assert json.loads(status_json(STATUS)) == {
        "messages": 12_345,
        "events": 13_000,
        "users": 42,
        "dead_letters": 3,
        "watermark": "2024-06-25T07:20:00Z",
        "flags_open": 1,
        "schema_version": 1,
    }
    assert json.loads(status_json(STATUS._replace(watermark=None)))["watermark"] is None


def test_status_for_people_has_a_line_a_figure() -> None:
    out = io.StringIO()
    show_status(STATUS, Console(file=out, width=10))
    figures = dict(line.rsplit("  ", 1) for line in out.getvalue().splitlines())
    assert {name.strip(): value for name, value in figures.items()} == {
        "messages": "12,345",
        "events": "13,000",
        "users": "42",
        "dead letters": "3",
        "watermark": "2024-06-25T07:20:00Z",
        "flags open": "1",
        "schema version": "1",
    }
