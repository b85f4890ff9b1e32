"""Retention, status and flags for programs: JSON and CSV."""

import json
from collections.abc import Iterable
from typing import Any

from metrics.sheet import csv_text
from state.dead_letters import DeadLetter
from state.reading import Retention, Status
from state.spam.lifecycle import Flagged
from state.weeks import iso, week_name


def retention_json(retention: Retention) -> str:
    """`{"as_of", "population", "cohorts": [{"week", "size", "cells": [{"offset", "users", "state"}]}]}`.

    as_of is ISO 8601, or null for an empty state; users is null where the week has not begun.
    """
    return json.dumps(
        {
            "as_of": None if retention.as_of is None else iso(retention.as_of),
            "population": retention.population,
            "cohorts": [
                {
                    "week": week_name(cohort.week),
                    "size": cohort.size,
                    "cells": [cell._asdict() for cell in cohort.cells],
                }
                for cohort in retention.cohorts
            ],
        }
    )


def retention_csv(retention: Retention) -> str:
    """One row a cell, with a header: week,size,offset,users,state; users is empty where the week has not begun."""
    return csv_text(
        ("week", "size", "offset", "users", "state"),
        (
            (week, cohort.size, *cell)
            for cohort in retention.cohorts
            for week in (week_name(cohort.week),)
            for cell in cohort.cells
        ),
    )


def status_json(status: Status) -> str:
    """The fields of Status, watermark as ISO 8601 or null."""
    watermark = None if status.watermark is None else iso(status.watermark)
    return json.dumps(status._asdict() | {"watermark": watermark})


def dead_letter_json(letter: DeadLetter) -> str:
    """One line: why it was refused, and the message as `backfill` reads it again once the reason is mended.

    A body that is no JSON stands under `raw` as text with escapes.
    """
    said: dict[str, Any] = {
        "reason": letter.reason,
        "detail": letter.detail,
        "received_at": iso(letter.received_at),
        "source": letter.source,
        "id": letter.msg_id,
        "topic": letter.topic,
        "headers": json.loads(letter.headers) if letter.headers else None,
    }
    try:
        return json.dumps(said | {"body": json.loads(letter.body)})
    except (ValueError, RecursionError):
        return json.dumps(said | {"raw": letter.body.decode("utf-8", "backslashreplace")})


def flags_json(flags: Iterable[Flagged]) -> str:
    """A list of flags as one JSON text."""
    return json.dumps([flag_object(flag) for flag in flags], indent=2)


def flag_object(flag: Flagged) -> dict[str, object]:
    """The flag as an object for JSON: event times as ISO 8601; user is null for a wave."""
    return {
        "id": flag.id,
        "user": flag.user,
        "rule": flag.rule,
        "severity": flag.severity,
        "state": flag.state,
        "raised_at": iso(flag.raised_at),
        "posts": flag.posts,
        "reason": flag.reason,
        "evidence": list(flag.evidence),
        "config": flag.config,
    }
