"""Flags, waves and sign-ups of the state as series; no user name in any label."""

import sqlite3
from collections.abc import Iterable, Sequence
from pathlib import Path

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from state.calibrations import read_calibrations
from state.signups import expected_signups
from state.spam.lifecycle import ACCOUNT_RULES, SEVERITIES, WAVE_RULES, wave_ends
from state.spam.track import FLAG_LIFE
from state.store import get_meta
from state.weeks import HOUR, SECOND


def spam_families(
    conn: sqlite3.Connection, directory: Path, now: int, declared_events: Sequence[tuple[int, int]]
) -> Iterable[Metric]:
    """The series at the processing time `now` (microseconds)."""
    yield _open_flags(conn, now)
    yield _breakers(conn, now)
    yield _active_waves(conn, now)
    yield GaugeMetricFamily(
        "homecoming_declared_event_active",
        "Whether an event is under way that was declared in the configuration.",
        value=any(start <= now < end for start, end in declared_events),
    )
    (signups,) = conn.execute(
        "SELECT coalesce(sum(users), 0) FROM cohort_week WHERE offset = 0 AND population = 'all'"
    ).fetchone()
    yield CounterMetricFamily("homecoming_signups", "Accounts that were created.", signups)
    calibrations = read_calibrations(directory)
    calibration, _ = calibrations.in_force(now)
    expected = expected_signups(conn, calibrations, range(now, now + 1))[now]
    if expected is not None:
        yield GaugeMetricFamily(
            "homecoming_signups_expected", "Sign-ups that the current hour of the week expects.", value=expected
        )
    if calibration.made_at:
        yield GaugeMetricFamily(
            "homecoming_spam_calibration_age_seconds",
            "Age of the detectors' calibration; no series before the first.",
            value=max(0, now - calibration.made_at) / SECOND,
        )
    watermark = get_meta(conn, "watermark")
    if watermark is not None:
        yield GaugeMetricFamily(
            "homecoming_event_lag_seconds",
            "How far the newest event is behind the wall clock.",
            value=max(0, now - watermark) / SECOND,
        )


def _open_flags(conn: sqlite3.Connection, now: int) -> Metric:
    found = GaugeMetricFamily(
        "homecoming_spam_flags_open",
        "Flags that nobody has decided on and that are no week old.",
        labels=["rule", "severity"],
    )
    counts = dict(
        conn.execute(
            "SELECT rule, count(*) FROM flag WHERE state IN ('suspect', 'raised') AND raised_at > ? GROUP BY rule",
            (now - FLAG_LIFE,),
        ).fetchall()
    )
    for rule, severity in SEVERITIES.items():
        found.add_metric([rule, severity], counts.get(rule, 0))
    return found


def _breakers(conn: sqlite3.Connection, now: int) -> Metric:
    found = GaugeMetricFamily(
        "homecoming_spam_breaker_open",
        "Whether a rule raised too much in the last hour to be believed.",
        labels=["rule"],
    )
    for rule in ACCOUNT_RULES:
        (is_open,) = conn.execute(
            "SELECT EXISTS (SELECT 1 FROM flag WHERE rule = ? AND state = 'suspect' AND raised_at > ?)",
            (rule, now - HOUR),
        ).fetchone()
        found.add_metric([rule], is_open)
    return found


def _active_waves(conn: sqlite3.Connection, now: int) -> Metric:
    found = GaugeMetricFamily(
        "homecoming_signup_wave_active", "Whether a wave of sign-ups is under way, by its key.", labels=["key"]
    )
    for rule in WAVE_RULES:
        (until,) = conn.execute(
            "SELECT max(until) FROM flag WHERE rule = ? AND state <> 'cleared' AND raised_at <= ?", (rule, now)
        ).fetchone()
        found.add_metric([rule.removeprefix("wave-")], until is not None and now < wave_ends(rule, until))
    return found
