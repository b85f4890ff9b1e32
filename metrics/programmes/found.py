"""Events that nobody defined, found among the badge awards: many got the badge within a few days, few ever after."""

import sqlite3

from metrics.programmes.participants import one_of
from state.cohorts.definitions import Definition, Definitions
from state.weeks import DAY

#: So many awards, within so many days of the first.
AWARDS, DAYS = 20, 5

#: Share of a badge's awards that fall into these days: one that is given all the time is no event.
SHARE = 0.9

_FOUND = """
    WITH badge_first AS (
        SELECT badge, min(at) AS at, count(DISTINCT user) AS awards FROM award GROUP BY badge HAVING awards >= :awards)
    SELECT badge_first.badge FROM badge_first JOIN award ON award.badge = badge_first.badge
        AND award.at < badge_first.at + :span
    GROUP BY badge_first.badge
    HAVING count(DISTINCT award.user) >= max(:awards, :share * badge_first.awards)
    ORDER BY badge_first.at"""


def found_events(
    conn: sqlite3.Connection, definitions: Definitions, awards: int = AWARDS, days: int = DAYS
) -> list[Definition]:
    """Badges that look like an event's, by time, without those that any definition names; ids are the badges."""
    named = {one.badge for kind in definitions for one in kind.values()}
    rows = conn.execute(_FOUND, {"awards": awards, "span": days * DAY, "share": SHARE})
    return [
        Definition("event", badge, badge, None, None, badge, None, None, None, None)
        for (badge,) in rows
        if badge not in named
    ]


def chosen_events(
    conn: sqlite3.Connection, definitions: Definitions, wanted: str | None, *, find: bool = False
) -> list[Definition]:
    """All defined events, or the wanted one; with `find` also those found. HomecomingError for an id there is not."""
    known = {**definitions.events, **({one.id: one for one in found_events(conn, definitions)} if find else {})}
    return list(known.values()) if wanted is None else [one_of(known, "event", wanted)]
