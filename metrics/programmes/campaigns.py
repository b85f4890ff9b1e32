"""Campaigns: who took part, and who still contributes months after the end.

A month is a calendar month (UTC) strictly after the one in which the campaign ended; 3 months after an end in September
is December. A person counts once in a cell, however many services or campaigns of the row they are active in.
"""

import sqlite3
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Literal, NamedTuple, get_args

from metrics.programmes.activity import define_activity, unheard
from metrics.programmes.participants import define_participants, one_of
from metrics.programmes.spans import joint_state, month_of, month_start, span_state
from state.cells import CellState
from state.cohorts.definitions import Definition, Definitions
from state.errors import HomecomingError
from state.log import load_rows
from state.rules import Rules
from state.store import get_meta
from state.weeks import to_datetime

if TYPE_CHECKING:
    import duckdb

#: Months after the end that are asked about.
MONTHS = (3, 6, 9, 12)

By = Literal["campaign", "year", "service", "country"]
BY: tuple[By, ...] = get_args(By)

#: Row of the campaigns whose country is not known.
NO_COUNTRY = "unknown"


class CampaignCell(NamedTuple):
    """Who was active in the month so many months after the end. None: not begun, or not for everybody to see.

    of: participants of those campaigns whose month has begun; of_newcomers: the newcomers among them.
    """

    months: int
    users: int | None
    newcomers: int | None
    of: int | None
    of_newcomers: int | None
    state: CellState


class CampaignRow(NamedTuple):
    """One campaign, year, service or country. newcomers: participants who registered within the campaign."""

    key: str
    name: str
    participants: int | None
    newcomers: int | None
    cells: tuple[CampaignCell, ...]


class Campaigns(NamedTuple):
    """Rows by `by`; as_of is the watermark, None for an empty state."""

    as_of: int | None
    by: By
    rows: tuple[CampaignRow, ...]


#: DuckDB: whoever was active so many months after the end of a campaign in which they took part.
_KEPT = """
    CREATE OR REPLACE TABLE kept AS
    WITH active AS (
        SELECT DISTINCT username, service, year(day) * 12 + month(day) - 1 AS month
        FROM activity_day WHERE contributes AND username IN (SELECT username FROM participant)
            AND year(day) * 12 + month(day) - 1 IN (SELECT month FROM campaign_month))
    SELECT definition, username, months, service, newcomer
    FROM joined JOIN campaign_month USING (definition) JOIN active USING (username, month)
    WHERE state <> 'future'"""

_JOINED = """
    CREATE OR REPLACE VIEW joined AS
    SELECT definition, username, coalesce(registered_at >= campaign.start AND registered_at < campaign.end, false)
        AS newcomer
    FROM participant JOIN campaign USING (definition) LEFT JOIN registration USING (username)"""

_COUNT = "count(DISTINCT username), count(DISTINCT username) FILTER (newcomer)"


def campaigns(
    duck: "duckdb.DuckDBPyConnection",
    conn: sqlite3.Connection,
    rules: Rules,
    definitions: Definitions,
    chosen: Sequence[Definition],
    by: By = "campaign",
    *,
    services: Sequence[str] = (),
    months: Sequence[int] = MONTHS,
) -> Campaigns:
    """The chosen campaigns, a row each `by`, over the view `log`; services: only activity in these.

    Exact for ever: day summaries carry what has expired. HomecomingError for a service that there is not.
    """
    as_of = get_meta(conn, "watermark")
    define_participants(duck, conn, rules, definitions, chosen)
    states = _define_campaigns(duck, conn, chosen, as_of, months)
    define_activity(duck, conn, rules)
    duck.execute(_JOINED)
    duck.execute(_KEPT)
    if services:
        _only(duck, services)
    # Every service is asked of the same people.
    base_key = "NULL" if by == "service" else f"campaign.{by}"
    joined = "FROM joined JOIN campaign USING (definition)"
    heads = _rows(duck, f"SELECT {base_key}, NULL, {_COUNT} {joined} GROUP BY 1")
    of = _rows(
        duck,
        f"""SELECT {base_key}, months, {_COUNT} {joined} JOIN campaign_month USING (definition)
        WHERE state <> 'future' GROUP BY 1, 2""",
    )
    key = "service" if by == "service" else base_key
    active = _rows(duck, f"SELECT {key}, months, {_COUNT} FROM kept JOIN campaign USING (definition) GROUP BY 1, 2")
    rows: list[CampaignRow] = []
    for row, name, members in _keys(by, chosen, active):
        base = None if by == "service" else row
        cells = []
        for k in months:
            state = joint_state([states[one.id, k] for one in members])
            if state == "future":
                cells.append(CampaignCell(k, None, None, None, None, state))
            else:
                cells.append(CampaignCell(k, *active.get((row, k), (0, 0)), *of.get((base, k), (0, 0)), state))
        rows.append(CampaignRow(row, name, *heads.get((base, None), (0, 0)), tuple(cells)))
    return Campaigns(as_of, by, tuple(rows))


def chosen_campaigns(
    definitions: Definitions, wanted: str | None = None, year: str | None = None, country: str | None = None
) -> list[Definition]:
    """The defined campaigns of that id, year and country; HomecomingError where there is none, listing valid ones."""
    known = definitions.campaigns
    chosen = list(known.values()) if wanted is None else [one_of(known, "campaign", wanted)]
    for what, value, of in (("year", year, year_of), ("country", country, country_of)):
        if value is not None:
            valid = sorted({of(one) for one in chosen})
            if value not in valid:
                raise HomecomingError(f"no campaign of the {what} {value!r:.60}: one of {', '.join(valid) or 'none'}")
            chosen = [one for one in chosen if of(one) == value]
    return chosen


def year_of(one: Definition) -> str:
    """The year in which the campaign began, by which it is known."""
    return str(to_datetime(one.start).year) if one.start is not None else ""


def country_of(one: Definition) -> str:
    """The campaign's country; nothing is known of its people's."""
    return one.country or NO_COUNTRY


def _define_campaigns(
    duck: "duckdb.DuckDBPyConnection",
    conn: sqlite3.Connection,
    chosen: Sequence[Definition],
    as_of: int | None,
    months: Sequence[int],
) -> dict[tuple[str, int], CellState]:
    """campaign(definition, campaign, year, country, start, end), campaign_month(definition, months, month, state)."""
    absences = unheard(duck, conn)
    states: dict[tuple[str, int], CellState] = {}
    at_months: list[tuple[str, int, int, str]] = []
    for one in chosen:
        if one.end is None:
            raise HomecomingError(f"campaign {one.id} has no end to count months from")
        for k in months:
            # The end is exclusive: a campaign that ends with September ends on the 1st of October.
            month = month_of(one.end - 1) + k
            state = (
                "future" if as_of is None else span_state(month_start(month), month_start(month + 1), as_of, absences)
            )
            states[one.id, k] = state
            at_months.append((one.id, k, month, state))
    columns = dict.fromkeys(("definition", "campaign", "year", "country"), "VARCHAR") | {
        "start": "BIGINT",
        "end": "BIGINT",
    }
    rows = [(one.id, one.id, year_of(one), country_of(one), one.start, one.end) for one in chosen]
    load_rows(duck, "campaign", {f'"{name}"': kind for name, kind in columns.items()}, [rows])
    columns = {"definition": "VARCHAR", "months": "INTEGER", "month": "INTEGER", "state": "VARCHAR"}
    load_rows(duck, "campaign_month", columns, [at_months])
    return states


def _only(duck: "duckdb.DuckDBPyConnection", services: Sequence[str]) -> None:
    known = [
        name
        for (name,) in duck.execute("SELECT DISTINCT service FROM topic_kind WHERE contributes ORDER BY 1").fetchall()
    ]
    for service in services:
        if service not in known:
            raise HomecomingError(f"no service {service!r:.60}: one of {', '.join(known)}")
    duck.execute("DELETE FROM kept WHERE service NOT IN (SELECT unnest(?::VARCHAR[]))", [list(services)])


def _rows(duck: "duckdb.DuckDBPyConnection", query: str) -> dict[tuple[str | None, int | None], tuple[int, int]]:
    return {(key, months): (users, newcomers) for key, months, users, newcomers in duck.execute(query).fetchall()}


def _keys(
    by: By, chosen: Sequence[Definition], active: Mapping[tuple[str | None, int | None], tuple[int, int]]
) -> list[tuple[str, str, list[Definition]]]:
    """Each row's key, name and campaigns."""
    if by == "service":
        return [(key, key, list(chosen)) for key in sorted({key for key, _ in active if key is not None})]
    if by == "campaign":
        ordered = sorted(chosen, key=lambda one: (one.end or 0, one.id))
        return [(one.id, one.name, [one]) for one in ordered]
    of = year_of if by == "year" else country_of
    return [(key, key, [one for one in chosen if of(one) == key]) for key in sorted({of(one) for one in chosen})]
