"""Accounts that look like programs: steady every week. They are suggested for the allowlist, never put on it."""

import json
import sqlite3
from typing import NamedTuple

from state.store import get_meta
from state.weeks import WEEK, week_of

#: Whole weeks, the latest ones, in each of which the account did at least so much, and never so many times more.
WEEKS, _AT_LEAST, _SPREAD = 4, 50, 2


class Steady(NamedTuple):
    """An account and its events in each of the last whole weeks, oldest first."""

    name: str
    events: tuple[int, ...]


def steady_accounts(conn: sqlite3.Connection) -> list[Steady]:
    """Accounts of four or more weeks of steady volume, the busiest first."""
    watermark = get_meta(conn, "watermark")
    if watermark is None:
        return []
    weeks = range(week_of(watermark) - WEEKS, week_of(watermark))
    rows = conn.execute(
        "SELECT name, weeks FROM user WHERE events >= ? AND last_seen >= ?", (WEEKS * _AT_LEAST, watermark - 2 * WEEK)
    )
    found = []
    for name, kept in rows:
        by_week = json.loads(kept)
        events = tuple(by_week.get(str(week), 0) for week in weeks)
        if min(events) >= _AT_LEAST and max(events) <= _SPREAD * min(events):
            found.append(Steady(name, events))
    return sorted(found, key=lambda account: -sum(account.events))
