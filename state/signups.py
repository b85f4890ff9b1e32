"""Sign-ups by the hour against those that were expected, and the waves among them; out of the views alone."""

import sqlite3
from pathlib import Path
from typing import NamedTuple

from state.calibrations import read_calibrations
from state.errors import HomecomingError
from state.spam.calibration import Calibrations, hour_of_week
from state.spam.lifecycle import WAVE_RULES, FlagState, Severity, wave_ends
from state.store import get_meta
from state.weeks import HOUR, week_of

#: Four weeks: as far back as anybody looks at hours.
MOST_HOURS = 28 * 24

#: Weeks whose sign-ups are what an hour expects where nobody has calibrated yet.
_USUAL_WEEKS = 4

#: Hours of a week.
_HOURS = 168


class SignupHour(NamedTuple):
    """Accounts created in the hour that begins at `start`; expected: None where nothing is known to expect."""

    start: int
    signups: int
    expected: float | None


class Signups(NamedTuple):
    """The hours in order, the last one being the watermark's; as_of is the watermark, None for an empty state."""

    as_of: int | None
    hours: tuple[SignupHour, ...]


class Wave(NamedTuple):
    """A wave of sign-ups between two event times; signups: so many there were when it was first told."""

    id: str
    rule: str
    severity: Severity
    state: FlagState
    start: int
    end: int
    signups: int


def signups(conn: sqlite3.Connection, directory: Path, hours: int) -> Signups:
    """The last so many hours of event time; those with nobody are there too.

    Raises HomecomingError unless hours is 1 to 672, StateError for a calibration that cannot be read.
    """
    if not 1 <= hours <= MOST_HOURS:
        raise HomecomingError(f"hours: expected 1 to {MOST_HOURS}, got {hours}")
    watermark = get_meta(conn, "watermark")
    if watermark is None:
        return Signups(None, ())
    last = watermark // HOUR * HOUR
    first = last - (hours - 1) * HOUR
    counts: dict[int, int] = dict(
        conn.execute(
            # Of the view, which has everybody whether their week is hot, sealed or expired.
            f"""SELECT registered_at / {HOUR} * {HOUR} AS hour, count(*) FROM user
            WHERE registered_at BETWEEN ? AND ? GROUP BY hour""",
            (first, last + HOUR - 1),
        ).fetchall()
    )
    starts = range(first, last + HOUR, HOUR)
    expected = expected_signups(conn, read_calibrations(directory), starts)
    return Signups(watermark, tuple(SignupHour(at, counts.get(at, 0), expected[at]) for at in starts))


def expected_signups(conn: sqlite3.Connection, calibrations: Calibrations, starts: range) -> dict[int, float | None]:
    """What each of the hours expects: by the calibration that held then, else the mean hour of the weeks before."""
    usual = {week: _usual(conn, week) for week in range(week_of(starts[0]), week_of(starts[-1]) + 1)}
    found: dict[int, float | None] = {}
    for at in starts:
        rhythm = calibrations.in_force(at)[0].signups
        found[at] = rhythm[hour_of_week(at)] if rhythm else usual[week_of(at)]
    return found


def waves(conn: sqlite3.Connection, start: int, end: int) -> list[Wave]:
    """The waves under way at any time in [start, end), in the order of their beginnings; cleared ones too."""
    rows = conn.execute(
        f"""SELECT id, rule, severity, state, raised_at, until, posts FROM flag
        WHERE rule IN ({", ".join("?" * len(WAVE_RULES))}) AND raised_at < ? ORDER BY raised_at, id""",
        (*WAVE_RULES, end),
    )
    found = [
        Wave(known_as, rule, severity, state, raised_at, wave_ends(rule, until), posts)
        for known_as, rule, severity, state, raised_at, until, posts in rows
    ]
    return [wave for wave in found if wave.end > start]


def _usual(conn: sqlite3.Connection, week: int) -> float | None:
    """Sign-ups an hour over the four weeks before this one; None without any."""
    (total,) = conn.execute(
        "SELECT sum(users) FROM cohort_week WHERE offset = 0 AND population = 'all' AND cohort >= ? AND cohort < ?",
        (week - _USUAL_WEEKS, week),
    ).fetchone()
    return None if total is None else total / (_USUAL_WEEKS * _HOURS)
