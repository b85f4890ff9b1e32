"""The page: the retention triangle as HTML. No script, nothing from elsewhere, made on the server."""

from base64 import b64encode
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from metrics.privacy import hide
from metrics.rate import DARKEST, percent, shade
from state.cells import CellState
from state.reading import Cohort, Retention, Status
from state.weeks import iso, to_datetime, week_name

_HERE = Path(__file__).parent
_STYLE = (_HERE / "page.css").read_text(encoding="utf-8")

#: The page's one inline style, as Content-Security-Policy names it.
STYLE_HASH = f"'sha256-{b64encode(sha256(_STYLE.encode()).digest()).decode()}'"

_TEMPLATE = Environment(
    loader=FileSystemLoader(_HERE), autoescape=True, undefined=StrictUndefined, trim_blocks=True
).get_template("page.html")

#: population -> (short label, what it means)
_POPULATIONS = {
    "all": ("everybody", "every account"),
    "engaged": ("engaged", "accounts that did more than sign up"),
    "clean": ("without spam", "accounts without a standing spam flag"),
    "engaged_clean": ("engaged, without spam", "accounts that did more than sign up, without a standing spam flag"),
}

_NOTES: dict[CellState, str] = {
    "open": "week still in progress",
    "partial": "nobody listened for a part of the week",
}


class Answer(NamedTuple):
    """How many came back so many weeks later, over every cohort shown whose cell is final."""

    name: str
    users: int
    size: int

    @property
    def rate(self) -> str:
        return percent(self.users, self.size)


def render(retention: Retention, status: Status, min_cohort: int) -> str:
    """The page for the public: cohorts of fewer than min_cohort users are left out."""
    shown = hide(retention, min_cohort)
    return _TEMPLATE.render(
        style=Markup(_STYLE),  # noqa: S704 - our own file; escaped it would not match its hash
        as_of=None if retention.as_of is None else iso(retention.as_of),
        as_of_text=_minute(retention.as_of),
        population=retention.population,
        title=_POPULATIONS[retention.population][1],
        populations=[(name, *texts) for name, texts in _POPULATIONS.items()],
        answers=_answers(shown),
        offsets=range(max((len(cohort.cells) for cohort in shown.cohorts), default=0)),
        rows=[_row(cohort) for cohort in shown.cohorts],
        shades=range(DARKEST + 1),
        notes=_notes(shown),
        hidden=len(retention.cohorts) - len(shown.cohorts),
        min_cohort=min_cohort,
        figures=_figures(status),
    )


def _answers(retention: Retention) -> list[Answer]:
    found = []
    for offset, name in ((1, "came back the week after"), (4, "after 4 weeks"), (12, "after 12 weeks")):
        final = [
            (cell.users or 0, cohort.size)
            for cohort in retention.cohorts
            for cell in cohort.cells[offset : offset + 1]
            if cell.state == "final"
        ]
        if final:
            found.append(Answer(name, sum(users for users, _ in final), sum(size for _, size in final)))
    return found


def _row(cohort: Cohort) -> dict[str, Any]:
    cells = [
        {
            "state": cell.state,
            "users": cell.users,
            "rate": percent(cell.users or 0, cohort.size),
            "shade": shade(cell.users or 0, cohort.size),
            "note": _NOTES.get(cell.state),
        }
        for cell in cohort.cells
    ]
    return {"week": week_name(cohort.week), "size": cohort.size, "cells": cells}


def _notes(retention: Retention) -> dict[CellState, str]:
    present = {cell.state for cohort in retention.cohorts for cell in cohort.cells}
    return {state: note for state, note in _NOTES.items() if state in present}


def _figures(status: Status) -> list[tuple[str, str]]:
    return [
        ("messages", f"{status.messages:,}"),
        ("events", f"{status.events:,}"),
        ("accounts", f"{status.users:,}"),
        ("dead letters", f"{status.dead_letters:,}"),
        ("open flags", f"{status.flags_open:,}"),
        ("watermark", _minute(status.watermark)),
    ]


def _minute(at: int | None) -> str:
    return "none yet" if at is None else f"{to_datetime(at):%Y-%m-%d %H:%M} UTC"
