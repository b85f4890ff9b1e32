"""CSV that a spreadsheet opens without running anything in it."""

import csv
import io
from collections.abc import Iterable, Sequence

#: A text that begins so would be a formula: OWASP, "CSV Injection".
_FORMULA = ("=", "+", "-", "@", "\t", "\n", "＝", "＋", "－", "＠")


def csv_text(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """The rows below the header, a line each; None is an empty cell. Numbers stay what they are."""
    lines = io.StringIO()
    out = csv.writer(lines, lineterminator="\n")
    out.writerow(header)
    out.writerows([_inert(cell) for cell in row] for row in rows)
    return lines.getvalue()


def _inert(cell: object) -> object:
    """The text with a quote before it where it would be a formula; a spreadsheet does not show the quote."""
    if not isinstance(cell, str):
        return cell
    text = cell.replace("\r\n", "\n").replace("\r", "\n")  # the writer quotes this one alone; the other ends the row
    return f"'{text}" if text.startswith(_FORMULA) else text
