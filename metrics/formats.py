"""Retention and status for programs: JSON and CSV."""

import csv
import io
import json

from state.reading import Retention, Status
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
    lines = io.StringIO()
    out = csv.writer(lines, lineterminator="\n")
    out.writerow(("week", "size", "offset", "users", "state"))
    for cohort in retention.cohorts:
        week = week_name(cohort.week)
        out.writerows((week, cohort.size, *cell) for cell in cohort.cells)
    return lines.getvalue()


def status_json(status: Status) -> str:
    """The fields of Status, watermark as ISO 8601 or null."""
    watermark = None if status.watermark is None else iso(status.watermark)
    return json.dumps(status._asdict() | {"watermark": watermark})
