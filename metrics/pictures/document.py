"""Pictures as one HTML file that needs nothing else: no script, no network."""

from base64 import b64encode
from collections.abc import Sequence
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from metrics import page
from metrics.page.triangle import NOTES, triangle
from metrics.page.view import View
from metrics.rate import pooled
from state.reading import Retention
from state.weeks import to_datetime

_PAGE = Path(page.__path__[0])


def _minute(at: int | None) -> str:
    return "no event yet" if at is None else f"as of {to_datetime(at):%Y-%m-%d %H:%M} UTC"


_ENVIRONMENT = Environment(
    loader=FileSystemLoader(Path(__file__).parent),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_ENVIRONMENT.filters |= {"minute": _minute, "thousands": "{:,}".format}
# Our own file, as the page has it.
_ENVIRONMENT.globals["style"] = Markup((_PAGE / "page.css").read_text(encoding="utf-8"))  # noqa: S704


def retention_html(found: Retention) -> str:
    """The retention table as a page: every cohort and every cell, however small."""
    width = max((len(cohort.cells) for cohort in found.cohorts), default=0)
    drawn = triangle(View(found.population, width), [found], min_cohort=0)
    return _ENVIRONMENT.get_template("retention.html").render(
        as_of=found.as_of,
        table=drawn.tables[0],
        example=next((row for row in drawn.tables[0].rows for cell in row.cells[1:2] if cell.state == "final"), None),
        weeks=width,
        shades=drawn.shades,
        notes={state: note for state, note in NOTES.items() if state in drawn.notes},
        pooled=[pooled(found, offset) for offset in range(width)],
    )


def report_html(as_of: int | None, drawn: Sequence[tuple[str, str, str, str, bytes]]) -> str:
    """The report. drawn: name, title, note and command of each picture, and its SVG."""
    pictures = [
        {
            "name": name,
            "title": title,
            "note": note,
            "command": command,
            # Within an image of its own its names cannot clash with those of another.
            "data": b64encode(svg).decode(),
        }
        for name, title, note, command, svg in drawn
    ]
    return _ENVIRONMENT.get_template("report.html").render(as_of=as_of, pictures=pictures)
