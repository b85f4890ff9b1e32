"""/api/flags: what was flagged, without names for the public; the operator sees and decides."""

import json
import sqlite3
from collections.abc import Callable, Collection
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple, get_args

from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from metrics.formats import flag_object
from metrics.hotpath import wall_clock
from metrics.operator import admit, bearer
from metrics.responses import NO_STORE, revalidated
from metrics.snapshot import snapshot
from state.errors import HomecomingError, StateBusyError, StateError
from state.flags import decide, flags
from state.spam.lifecycle import FLAG_STATES, SEVERITIES, WAVE_COHORT, WAVE_RATE, Flagged, Verdict
from state.store import open_store
from state.weeks import event_time_of, iso

_PARAMETERS = ("state", "rule", "since")
_VERDICTS: tuple[Verdict, ...] = get_args(Verdict)

#: Bytes; a decision is a word and a sentence.
_LARGEST_BODY = 16 * 1024

#: How long a decision waits for another process's writing step; a rebuild takes longer, and a client would not wait.
_BUSY_TIMEOUT_MS = 5_000

#: Rules of waves whose reasons are figures; others may tell of names.
_NAMELESS = {WAVE_RATE, WAVE_COHORT}


class Decision(NamedTuple):
    """What an operator says of a flag."""

    verdict: Verdict
    reason: str


def routes(directory: Path, token: str | None) -> list[Route]:
    """The routes over the state in `directory`; without a token, those that name people are off."""

    def read(request: Request) -> Response:
        if not _parameters(request) and bearer(request) is None:
            with snapshot(directory) as conn:
                found = _public(conn)
            # The same address says more to the operator, and no cache may mix the two up.
            return revalidated(request, json.dumps(found), "application/json", {"Vary": "Authorization"})
        admit(request, token)
        wanted = _filter(request)
        with snapshot(directory) as conn:
            listed = [flag_object(flag) for flag in flags(conn) if wanted(flag)]
        return JSONResponse(listed, headers=NO_STORE)

    # No defence against forged requests is needed: browsers add cookies by themselves, but no bearer token.
    async def write(request: Request) -> Response:
        admit(request, token)
        decision = _decision(await _body(request))
        flag = await run_in_threadpool(_decided, directory, request.path_params["flag"], decision)
        return JSONResponse(flag_object(flag), headers=NO_STORE)

    return [Route("/api/flags", read), Route("/api/flags/{flag}", write, methods=["POST"])]


def _public(conn: sqlite3.Connection) -> dict[str, Any]:
    """How many flags of each kind there are, and the waves; no account, and nothing of a name."""
    counts = conn.execute("SELECT rule, severity, state, count(*) FROM flag GROUP BY rule, severity, state").fetchall()
    waves = conn.execute(
        """SELECT id, rule, severity, state, raised_at, posts, reason FROM flag WHERE user IS NULL
        ORDER BY raised_at DESC, id"""
    )
    return {
        "counts": [dict(zip(("rule", "severity", "state", "flags"), row, strict=True)) for row in counts],
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


def _parameters(request: Request) -> set[str]:
    """Which parameters are given."""
    names = set(request.query_params)
    for name in sorted(names.difference(_PARAMETERS)):
        raise _unprocessable(f"no parameter {name!r:.60}: one of {', '.join(_PARAMETERS)}")
    return names


def _filter(request: Request) -> Callable[[Flagged], bool]:
    """Whether the parameters ask for a flag; of one that is given several times, any value will do."""
    states = _chosen(request, "state", FLAG_STATES)
    rules = _chosen(request, "rule", SEVERITIES)
    since = min(map(_moment, request.query_params.getlist("since")), default=None)
    return lambda flag: flag.state in states and flag.rule in rules and (since is None or flag.raised_at >= since)


def _chosen(request: Request, name: str, valid: Collection[str]) -> set[str]:
    given = set(request.query_params.getlist(name))
    for value in sorted(given.difference(valid)):
        raise _unprocessable(f"no {name} {value!r:.60}: one of {', '.join(valid)}")
    return given or set(valid)


def _moment(text: str) -> int:
    try:
        return event_time_of(text)
    except ValueError:
        raise _unprocessable(f"since: expected an ISO 8601 time such as 2024-06-03T09:00Z, got {text!r:.60}") from None


async def _body(request: Request) -> bytes:
    body = b""
    try:
        async for chunk in request.stream():
            body += chunk
            if len(body) > _LARGEST_BODY:
                raise HTTPException(413, f"expected a body of at most {_LARGEST_BODY:,} bytes", NO_STORE)
    except ClientDisconnect:
        raise HTTPException(400, "the body ended early", NO_STORE) from None
    return body


def _decision(body: bytes) -> Decision:
    try:
        said = json.loads(body)
    except (ValueError, RecursionError):
        said = None
    if not isinstance(said, dict):
        raise _unprocessable('expected JSON such as {"decision": "cleared", "reason": "imports their own tracker"}')
    verdict, reason = said.get("decision"), said.get("reason")
    if verdict not in _VERDICTS:
        raise _unprocessable(f"decision: expected one of {', '.join(_VERDICTS)}")
    if not isinstance(reason, str) or not reason.strip() or not _is_text(reason):
        raise _unprocessable("reason: expected text: say in a few words why")
    return Decision(verdict, reason)


def _is_text(text: str) -> bool:
    """Whether it can be kept: JSON can escape half a character."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _decided(directory: Path, known_as: str, decision: Decision) -> Flagged:
    """The flag once the decision is recorded, by a connection of its own; HTTPException 404 and 503."""
    try:
        with snapshot(directory):
            pass  # a state that went missing is not made anew
        with closing(open_store(directory)) as store:
            store.conn.execute(f"PRAGMA busy_timeout = {_BUSY_TIMEOUT_MS}")
            with store.writing() as conn:
                return decide(conn, store.rules, known_as, *decision, wall_clock())
    except (StateBusyError, StateError) as error:
        raise HTTPException(503, str(error), {"Retry-After": "10", **NO_STORE}) from error
    except HomecomingError as error:
        raise HTTPException(404, str(error), NO_STORE) from error


def _unprocessable(said: str) -> HTTPException:
    return HTTPException(422, said, NO_STORE)
