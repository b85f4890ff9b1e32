"""/api/flags/{flag}: what the operator decides about one flag."""

import json
from contextlib import closing
from pathlib import Path
from typing import Annotated, get_args

from fastapi import APIRouter, Request
from fastapi import Path as Named
from pydantic import Field
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response

from metrics.api import models
from metrics.api.errors import refusals
from metrics.bodies import body
from metrics.context import Context
from metrics.formats import flag_object
from metrics.hotpath import wall_clock
from metrics.operator import admit
from metrics.responses import NO_STORE
from metrics.snapshot import snapshot
from state.errors import HomecomingError, StateBusyError, StateError
from state.flags import decide
from state.spam.lifecycle import Flagged, Verdict
from state.store import open_store

_VERDICTS: tuple[Verdict, ...] = get_args(Verdict)

#: Bytes; a decision is a word and a sentence.
_LARGEST_BODY = 16 * 1024

#: How long a decision waits for another process's writing step; a rebuild takes longer, and a client would not wait.
_BUSY_TIMEOUT_MS = 5_000


class Decision(models.Shape):
    """What an operator says of a flag."""

    decision: Verdict
    reason: Annotated[str, Field(pattern=r"\S", description="Why, in a few words; not blank.")]


def decision_routes(context: Context) -> APIRouter:
    """The route over the context's state, for the operator alone; off without a token."""
    router = APIRouter()

    # The body is read by hand: the operator is asked for first, and so much of it is read as a decision needs.
    # No defence against forged requests is needed: browsers add cookies by themselves, but no bearer token.
    @router.post(
        "/api/flags/{flag}",
        response_model=models.Flag,
        responses=refusals(400, 401, 404, 413, 422),
        openapi_extra={
            "requestBody": {
                "required": True,
                "content": {"application/json": {"schema": Decision.model_json_schema()}},
            },
            "security": [{"operator": []}],
        },
    )
    async def decide_flag(request: Request, flag: Annotated[str, Named(description="The flag's id.")]) -> Response:
        """Clear or confirm the flag; holds for later flags of the account by the same rule too."""
        admit(request, context.token)
        said = _decision(await body(request, _LARGEST_BODY))
        decided = await run_in_threadpool(_decided, context.directory, flag, said)
        return JSONResponse(flag_object(decided), headers=NO_STORE)

    return router


def _decision(content: bytes) -> Decision:
    try:
        said = json.loads(content)
    except (ValueError, RecursionError):
        said = None
    if not isinstance(said, dict):
        raise _unprocessable('expected JSON such as {"decision": "cleared", "reason": "imports their own tracker"}')
    verdict, reason = said.get("decision"), said.get("reason")
    if verdict not in _VERDICTS:
        raise _unprocessable(f"decision: expected one of {', '.join(_VERDICTS)}")
    if not isinstance(reason, str) or not reason.strip() or not _is_text(reason):
        raise _unprocessable("reason: expected text: say in a few words why")
    for name in sorted(said.keys() - Decision.model_fields.keys()):
        raise _unprocessable(f"no field {name!r:.60}: one of {', '.join(Decision.model_fields)}")
    return Decision(decision=verdict, reason=reason)


def _is_text(text: str) -> bool:
    """Whether it can be kept: JSON can escape half a character."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _decided(directory: Path, known_as: str, said: Decision) -> Flagged:
    """The flag once the decision is recorded, by a connection of its own; HTTPException 404 and 503."""
    try:
        with snapshot(directory):
            pass  # a state that went missing is not made anew
        with closing(open_store(directory)) as store:
            store.conn.execute(f"PRAGMA busy_timeout = {_BUSY_TIMEOUT_MS}")
            with store.writing() as conn:
                return decide(conn, store.rules, known_as, said.decision, said.reason, wall_clock())
    except (StateBusyError, StateError) as error:
        raise HTTPException(503, str(error), {"Retry-After": "10", **NO_STORE}) from error
    except HomecomingError as error:
        raise HTTPException(404, str(error), NO_STORE) from error


def _unprocessable(said: str) -> HTTPException:
    return HTTPException(422, said, NO_STORE)
