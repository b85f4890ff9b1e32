"""Errors as people read them: JSON, one line."""

import logging
from collections.abc import Mapping, Sequence
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response

from metrics.api.models import Refusal
from metrics.headers import HEADERS
from metrics.responses import NO_STORE
from state.errors import HomecomingError, StateBusyError, StateError

#: Seconds after which a state that went missing is asked for again.
_RETRY_S = 10

#: What the limits refuse on every route, and a state that cannot be read.
_EVERYWHERE = (408, 414, 429, 431, 503)

_log = logging.getLogger(__name__)


def refusals(*codes: int) -> dict[int | str, dict[str, Any]]:
    """What a route answers besides 200, for its OpenAPI entry: these, the limits and a state that cannot be read."""
    said = {
        400: "The body ended early.",
        401: "The operator's token is missing or wrong.",
        404: "Not there, or off because no operator's token is configured.",
        408: "The request or its answer took too long.",
        413: "The body is too large.",
        414: "The address is too long.",
        422: "A parameter that there is not, or a value out of range; the valid ones are listed.",
        429: "Too many requests of this client.",
        431: "The headers are too large.",
        503: "The state cannot be read just now.",
    }
    return {code: {"model": Refusal, "description": said[code]} for code in (*codes, *_EVERYWHERE)}


def tabular(columns: str, *codes: int) -> dict[int | str, dict[str, Any]]:
    """The same for a route that also answers with CSV of these columns."""
    shown = {"text/csv": {"schema": {"type": "string", "description": f"Columns: {columns}"}}}
    return {200: {"content": shown}, **refusals(*codes)}


def tell_errors(app: FastAPI) -> None:
    """Make the application answer errors with {"error": one line}."""
    app.add_exception_handler(HTTPException, _refused)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HomecomingError, _wrong)
    app.add_exception_handler(StateError, _unreadable)
    app.add_exception_handler(StateBusyError, _unreadable)
    app.add_exception_handler(Exception, _broken)


def refused(code: int, said: str, headers: Mapping[str, str] | None = None) -> JSONResponse:
    """The error as a response that no cache keeps."""
    return JSONResponse({"error": said}, code, headers={**NO_STORE, **(headers or {})})


def _refused(_request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101 - what the handler is registered for
    headers = dict(error.headers or {})
    if headers.get("Allow") == "GET":
        headers["Allow"] = "GET, HEAD"  # a HEAD is answered wherever a GET is
    return refused(error.status_code, error.detail, headers)


def _invalid(_request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)  # noqa: S101 - see above
    return refused(422, _line(error.errors()))


def _wrong(_request: Request, error: Exception) -> Response:
    return refused(422, str(error))


def _unreadable(_request: Request, error: Exception) -> Response:
    _log.error("%s", error)
    said = "the state cannot be read just now, /ready says why"
    return refused(503, said, {"Retry-After": str(_RETRY_S)})


def _broken(_request: Request, _error: Exception) -> Response:
    # Given outside of every middleware; the server logs the error itself.
    return refused(500, "this is a fault of the server: its log says more", HEADERS)


def _line(errors: Sequence[Mapping[str, Any]]) -> str:
    """The first error in one line; pydantic's own wording where it says enough."""
    first = errors[0]
    kind, context = first["type"], first.get("ctx", {})
    name = next((str(part) for part in reversed(first["loc"]) if isinstance(part, str)), "request")
    if kind == "value_error":
        return str(context["error"])
    if kind == "literal_error":
        valid = context["expected"].replace(" or ", ", ").replace("'", "")
        return f"no {name} {first['input']!r:.60}: one of {valid}"
    wanted = first["msg"].removeprefix("Input should be ").partition(",")[0]
    if kind.startswith(("greater_than", "less_than")):
        wanted = f"a number {wanted}"
    return f"{name}: expected {wanted}, got {first.get('input')!r:.60}"
