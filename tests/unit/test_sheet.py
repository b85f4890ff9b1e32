"""CSV that a spreadsheet takes for what it says."""

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metrics.sheet import csv_text


def cells(text: str) -> list[list[str]]:
    """As a spreadsheet reads it: a line end of any kind ends a row unless it is quoted."""
    return list(csv.reader(io.StringIO(text, newline="")))


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\n=1", "＝1"])
def test_no_text_is_a_formula(text: str) -> None:
    assert cells(csv_text(("n", "a"), [(1, text)])) == [["n", "a"], ["1", f"'{text}"]]


@pytest.mark.parametrize("text", ["zeb\r=1+1", "zeb\r\n=1+1", "zeb\n=1+1", 'zeb",=1+1'])
def test_no_text_ends_its_row(text: str) -> None:
    _, row = cells(csv_text(("n", "a"), [(1, text)]))
    assert row == ["1", text.replace("\r\n", "\n").replace("\r", "\n")]


def test_numbers_stay_numbers_and_nothing_is_empty() -> None:
    assert csv_text(("a", "b", "c"), [(-1, None, -0.5)]) == "a,b,c\n-1,,-0.5\n"


@given(st.lists(st.tuples(st.integers(), st.text(st.characters(codec="utf-8", exclude_characters="\x00\r")))))
def test_every_cell_is_read_back_but_for_a_quote(rows: list[tuple[int, str]]) -> None:
    _, *read = cells(csv_text(("number", "text"), rows))
    for (number, text), (kept_number, kept) in zip(rows, read, strict=True):
        assert int(kept_number) == number
        assert kept in (text, f"'{text}")
        assert not kept.startswith(("=", "+", "-", "@", "\t", "\r", "\n"))
