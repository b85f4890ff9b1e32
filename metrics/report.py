"""The report: every picture of one state, as PNG files and as one HTML file."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from metrics.pictures import (
    before_after,
    campaigns,
    composition,
    curves,
    discussions,
    funnel,
    months,
    retention,
    returned,
)
from metrics.pictures.document import report_html
from metrics.pictures.files import image
from metrics.pictures.picture import Picture
from metrics.privacy import hide
from metrics.programmes import suppression
from metrics.programmes.campaigns import Campaigns
from metrics.programmes.campaigns import campaigns as read_campaigns
from metrics.programmes.discussions import Discussions
from metrics.programmes.discussions import discussions as read_discussions
from metrics.programmes.events import Events
from metrics.programmes.events import events as read_events
from metrics.programmes.funnel import Funnel
from metrics.programmes.funnel import funnel as read_funnel
from metrics.programmes.spans import month_name, month_of
from state.cohorts.definitions import Definitions
from state.reading import Retention
from state.reading import retention as read_retention
from state.rules import Rules
from state.store import get_meta
from state.weeks import DAY

if TYPE_CHECKING:
    import duckdb

#: The sign-ups of the month in which this ago lies have had their time to stay.
FUNNEL_AGO = 90 * DAY

PAGE = "report.html"


class Found(NamedTuple):
    """What the pictures are drawn from."""

    retentions: tuple[Retention, Retention]  #: with and without spam
    events: Events
    by_campaign: Campaigns
    by_service: Campaigns
    discussions: Discussions
    funnel: Funnel


def find(
    duck: "duckdb.DuckDBPyConnection",
    conn: sqlite3.Connection,
    rules: Rules,
    definitions: Definitions,
    *,
    weeks: int,
    cohort: str | None = None,
    exact: bool = True,
) -> Found:
    """Read it, over the view `log`.

    weeks: columns of the retention table, and the newest cohorts that are its rows. cohort: whose funnel; the
    sign-ups of a month three months ago unless named. Raises HomecomingError as its parts do.
    """
    events, chosen = list(definitions.events.values()), list(definitions.campaigns.values())
    return Found(
        (read_retention(conn, "all", weeks, weeks), read_retention(conn, "clean", weeks, weeks)),
        read_events(duck, conn, rules, definitions, events, exact=exact),
        read_campaigns(duck, conn, rules, definitions, chosen, "campaign"),
        read_campaigns(duck, conn, rules, definitions, chosen, "service"),
        read_discussions(duck, conn, rules, exact=exact),
        read_funnel(duck, conn, rules, definitions, cohort or _month(conn), exact=exact),
    )


def public(found: Found, k: int) -> Found:
    """What everybody may see of it: nothing about fewer than k people, nor what would give that away."""
    everybody, clean = found.retentions
    return Found(
        (hide(everybody, k), hide(clean, k)),
        suppression.public_events(found.events, k),
        suppression.public_campaigns(found.by_campaign, k),
        suppression.public_campaigns(found.by_service, k),
        suppression.public_discussions(found.discussions, k),
        suppression.public_funnel(found.funnel, k),
    )


def pictures(found: Found) -> Iterator[Picture]:
    """In the order in which people ask."""
    for table in found.retentions:
        yield retention.picture(table)
    yield curves.picture(found.retentions[0])
    yield composition.picture(found.events)
    yield before_after.picture(found.events)
    yield months.picture(found.events)
    yield returned.picture(found.events)
    yield campaigns.picture(found.by_campaign)
    yield campaigns.picture(found.by_service)
    yield discussions.picture(found.discussions)
    yield funnel.picture(found.funnel)


def write_report(found: Found, directory: Path) -> list[Path]:
    """Write NAME.png of each picture and report.html, which holds them all, into the directory, made where absent.

    Returns what was written, report.html first. Raises OSError where it cannot be.
    """
    directory.mkdir(parents=True, exist_ok=True)
    written, drawn = [directory / PAGE], []
    for picture in pictures(found):
        path = directory / f"{picture.name}.png"
        path.write_bytes(image(picture, "png"))
        written.append(path)
        drawn.append((picture.name, picture.title, picture.note, picture.command, image(picture, "svg")))
    written[0].write_text(report_html(found.retentions[0].as_of, drawn), encoding="utf-8")
    return written


def _month(conn: sqlite3.Connection) -> str:
    watermark = get_meta(conn, "watermark", 0)
    return f"month:{month_name(month_of(max(0, watermark - FUNNEL_AGO)))}"
