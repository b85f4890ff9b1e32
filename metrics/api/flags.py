"""/api/flags: what was flagged, without names for the public; the operator sees all of it."""

import json
import sqlite3
from collections.abc import Callable
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from pydantic import AfterValidator, WithJsonSchema
from starlette.responses import JSONResponse, Response

from metrics.api import models
from metrics.api.asked import CSV, Formatted, table
from metrics.api.errors import tabular
from metrics.context import Context
from metrics.formats import flag_object
from metrics.operator import admit, bearer
from metrics.responses import NO_STORE, revalidated
from metrics.sheet import csv_text
from metrics.snapshot import snapshot
from state.flags import flags
from state.spam.lifecycle import SEVERITIES, WAVE_COHORT, WAVE_RATE, Flagged, FlagState
from state.weeks import event_time_of, iso


def _rule(name: str) -> str:
    if name not in SEVERITIES:
        raise ValueError(f"no rule {name!r:.60}: one of {', '.join(SEVERITIES)}")
    return name


def _moment(text: str) -> str:
    try:
        event_time_of(text)
    except ValueError:
        raise ValueError(f"since: expected an ISO 8601 time such as 2024-06-03T09:00Z, got {text!r:.60}") from None
    return text


Moment = Annotated[str, AfterValidator(_moment), WithJsonSchema({"type": "string", "format": "date-time"})]
Rule = Annotated[str, AfterValidator(_rule), WithJsonSchema({"type": "string", "enum": list(SEVERITIES)})]

#: Rules of waves whose reasons are figures; others may tell of names.
_NAMELESS = {WAVE_RATE, WAVE_COHORT}

_COUNTS = ("rule", "severity", "state", "flags")
_COLUMNS = ("id", "user", "rule", "severity", "state", "raised_at", "posts", "reason", "evidence", "config")

#: The same address says more to the operator, and no cache may mix the two up.
_VARY = {"Vary": "Authorization, Accept"}


class FlagsAsked(Formatted):
    """Of a parameter that is given several times, any value will do. Asking for some needs the operator's token."""

    state: tuple[FlagState, ...] = ()
    rule: tuple[Rule, ...] = ()
    since: tuple[Moment, ...] = ()

    def filters(self) -> bool:
        """Whether some of the flags are asked for."""
        return bool(self.state or self.rule or self.since)

    def wanted(self) -> Callable[[Flagged], bool]:
        """Whether a flag is asked for."""
        since = min(map(event_time_of, self.since), default=None)
        return lambda flag: (
            (not self.state or flag.state in self.state)
            and (not self.rule or flag.rule in self.rule)
            and (since is None or flag.raised_at >= since)
        )


def flag_routes(context: Context) -> APIRouter:
    """The route over the context's state; without a token, whatever names people is off."""
    router = APIRouter()

    @router.get(
        "/api/flags",
        response_model=models.PublicFlags | list[models.Flag],
        responses=tabular(f"{','.join(_COUNTS)}; for the operator {','.join(_COLUMNS)}", 401, 404, 422),
        openapi_extra={"security": [{}, {"operator": []}]},
    )
    def get_flags(request: Request, asked: Annotated[FlagsAsked, Query()]) -> Response:
        """How many flags of each kind there are, and the waves; for the operator, every flag with its account."""
        if not asked.filters() and bearer(request) is None:
            with snapshot(context.directory) as conn:
                found = _public(conn)
            if asked.csv(request):
                counted = csv_text(_COUNTS, (tuple(row.values()) for row in found["counts"]))
                return table(request, counted, "flags", _VARY)
            return revalidated(request, json.dumps(found), "application/json", _VARY)
        admit(request, context.token)
        wanted = asked.wanted()
        with snapshot(context.directory) as conn:
            listed = [flag_object(flag) for flag in flags(conn) if wanted(flag)]
        if asked.csv(request):
            return Response(csv_text(_COLUMNS, map(_row, listed)), media_type=CSV, headers=NO_STORE)
        return JSONResponse(listed, headers=NO_STORE)

    return router


def _row(flag: dict[str, Any]) -> tuple[object, ...]:
    return tuple(" ".join(flag[name]) if name == "evidence" else flag[name] for name in _COLUMNS)


def _public(conn: sqlite3.Connection) -> dict[str, Any]:
    """How many flags of each kind there are, and the waves; no account, and nothing of a name."""
    counts = conn.execute("SELECT rule, severity, state, count(*) FROM flag GROUP BY rule, severity, state").fetchall()
    waves = conn.execute(
        """SELECT id, rule, severity, state, raised_at, posts, reason FROM flag WHERE user IS NULL
        ORDER BY raised_at DESC, id"""
    )
    return {
        "counts": [dict(zip(_COUNTS, row, strict=True)) for row in counts],
        "waves": [
            {
                "id": known_as,
                "rule": rule,
                "severity": severity,
                "state": state,
                "raised_at": iso(raised_at),
                "posts": posts,
                "reason": reason if rule in _NAMELESS else f"{posts} sign-ups with names of one pattern",
            }
            for known_as, rule, severity, state, raised_at, posts, reason in waves
        ],
    }
