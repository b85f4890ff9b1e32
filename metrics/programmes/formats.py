"""Events, campaigns, discussions and funnels for programs: objects for JSON, header and rows for CSV."""

from collections.abc import Iterator
from typing import Any

from metrics.programmes.campaigns import Campaigns
from metrics.programmes.discussions import Discussions
from metrics.programmes.events import ActivityRow, Event, Events
from metrics.programmes.funnel import Funnel
from state.weeks import iso

EVENT_COLUMNS = (
    "event", "name", "at", "attendees", "newcomers", "existing", "successor", "returned", "group", "service", "offset",
    "users", "messages", "mean", "state",
)  # fmt: skip
CAMPAIGN_COLUMNS = (
    "by", "key", "name", "participants", "participant_newcomers", "months", "users", "newcomers", "of",
    "of_newcomers", "rate", "state",
)  # fmt: skip
DISCUSSION_COLUMNS = (
    "service", "month", "topics", "replies", "mean_replies", "participants", "answered", "share_answered", "replied",
    "solved", "closed", "first_answer_median_s", "first_answer_mean_s", "state",
)  # fmt: skip
FUNNEL_COLUMNS = ("cohort", "step", "users", "of", "drop", "share", "undecided", "state")

#: Digits after the point of a share or mean.
_DIGITS = 6


def events_object(events: Events) -> dict[str, Any]:
    """`{"as_of", "exact", "events": [{"id", ..., "rows": [{"group", "service", "before", "after", "cells"}]}]}`."""
    return {
        "as_of": _moment(events.as_of),
        "exact": events.exact,
        "events": [_event(event) for event in events.events],
    }


def event_rows(events: Events) -> Iterator[tuple[object, ...]]:
    """One row a cell; an event that nobody was at yet has one without group."""
    for event in events.events:
        known = (event.id, event.name, _moment(event.at), event.attendees, event.newcomers, event.existing)
        fixed = (*known, event.successor, event.returned)
        if not event.rows:
            yield (*fixed, *(None,) * 7)
        for row in event.rows:
            for cell in row.cells:
                figures = (cell.offset, cell.users, cell.messages, _rounded(cell.mean), cell.state)
                yield (*fixed, row.group, row.service, *figures)


def campaigns_object(campaigns: Campaigns) -> dict[str, Any]:
    """`{"as_of", "by", "rows": [{"key", "name", "participants", "newcomers", "cells": [...]}]}`."""
    rows = [
        row._asdict() | {"cells": [cell._asdict() | {"rate": _share(cell.users, cell.of)} for cell in row.cells]}
        for row in campaigns.rows
    ]
    return {"as_of": _moment(campaigns.as_of), "by": campaigns.by, "rows": rows}


def campaign_rows(campaigns: Campaigns) -> Iterator[tuple[object, ...]]:
    """One row a cell."""
    for row in campaigns.rows:
        for cell in row.cells:
            figures = (cell.months, cell.users, cell.newcomers, cell.of, cell.of_newcomers)
            rate = _share(cell.users, cell.of)
            yield (campaigns.by, row.key, row.name, row.participants, row.newcomers, *figures, rate, cell.state)


def discussions_object(discussions: Discussions) -> dict[str, Any]:
    """`{"as_of", "exact", "start", "end", "by", "rows": [{"service", "month", "topics", ...}]}`."""
    return {
        "as_of": _moment(discussions.as_of),
        "exact": discussions.exact,
        "start": _moment(discussions.start),
        "end": _moment(discussions.end),
        "by": discussions.by,
        "rows": [dict(zip(DISCUSSION_COLUMNS, row, strict=True)) for row in discussion_rows(discussions)],
    }


def discussion_rows(discussions: Discussions) -> Iterator[tuple[object, ...]]:
    """One row a service, or a service and month."""
    for row in discussions.rows:
        figures = (row.topics, row.replies, _rounded(row.mean_replies), row.participants, row.answered)
        times = (_rounded(row.first_answer_median_s), _rounded(row.first_answer_mean_s))
        ways = (row.replied, row.solved, row.closed)
        yield (row.service, row.month, *figures, _rounded(row.share_answered), *ways, *times, row.state)


def funnel_object(funnel: Funnel) -> dict[str, Any]:
    """`{"as_of", "exact", "cohort", "members", "t_h", "n", "sunset_h", "steps": [{"step", "users", "of", ...}]}`."""
    steps = [dict(zip(FUNNEL_COLUMNS[1:], row[1:], strict=True)) for row in funnel_rows(funnel)]
    said = funnel._asdict() | {"as_of": _moment(funnel.as_of), "steps": steps}
    del said["apart"]  # for the public's sake alone
    return said


def funnel_rows(funnel: Funnel) -> Iterator[tuple[object, ...]]:
    """One row a step; users is empty where the step was not measured."""
    for step in funnel.steps:
        drop = (step.drop, _rounded(step.share), step.undecided, step.state)
        yield (funnel.cohort, step.name, step.users, step.of, *drop)


def _event(event: Event) -> dict[str, Any]:
    return event._asdict() | {
        "at": _moment(event.at),
        "return_rate": _share(event.returned, event.attendees),
        "rows": [_activity(row) for row in event.rows],
    }


def _activity(row: ActivityRow) -> dict[str, Any]:
    return {
        "group": row.group,
        "service": row.service,
        "before": _rounded(row.before),
        "after": _rounded(row.after),
        "cells": [cell._asdict() | {"mean": _rounded(cell.mean)} for cell in row.cells],
    }


def _moment(at: int | None) -> str | None:
    return None if at is None else iso(at)


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, _DIGITS)


def _share(users: int | None, of: int | None) -> float | None:
    return None if users is None or not of else round(users / of, _DIGITS)
