"""Campaigns: who took part, and how many of them still contribute months after the end."""

import sqlite3
from typing import TYPE_CHECKING, NamedTuple

from metrics.page.programmes.asked import ProgrammesAsked
from metrics.page.programmes.figure import Heat, count, heat_of_rate
from metrics.page.view import Choices
from metrics.programmes.campaigns import MONTHS, By, Campaigns, campaigns, chosen_campaigns
from metrics.programmes.suppression import public_campaigns
from state.cohorts.definitions import Definitions
from state.rules import Rules

if TYPE_CHECKING:
    import duckdb


class Row(NamedTuple):
    """One campaign, year, service or country; href: the funnel of a single campaign's people."""

    name: str
    href: str | None
    participants: str
    newcomers: str
    cells: tuple[Heat, ...]


class Section(NamedTuple):
    """The section."""

    as_of: int | None
    choices: Choices
    by: By
    months: tuple[int, ...]
    rows: tuple[Row, ...]

    def cells(self) -> list[Heat]:
        """Every cell that is shown."""
        return [cell for row in self.rows for cell in row.cells]


def ask_campaigns(
    k: int,
    by: By,
    duck: "duckdb.DuckDBPyConnection",
    conn: sqlite3.Connection,
    rules: Rules,
    definitions: Definitions,
) -> Campaigns:
    """Every defined campaign as the public sees it."""
    return public_campaigns(campaigns(duck, conn, rules, definitions, chosen_campaigns(definitions), by), k)


def section(found: Campaigns, asked: ProgrammesAsked) -> Section:
    """The section out of the figures."""
    rows = tuple(
        Row(
            row.name,
            asked.href("funnel", cohort=f"campaign:{row.key}") if found.by == "campaign" else None,
            count(row.participants),
            count(row.newcomers),
            tuple(heat_of_rate(cell.users, cell.of, cell.state) for cell in row.cells),
        )
        for row in found.rows
    )
    return Section(found.as_of, asked.rows(), found.by, MONTHS, rows)
