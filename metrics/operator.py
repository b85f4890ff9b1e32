"""The operator is whoever bears the token: where it comes from, and whether a request shows it."""

import logging
from collections.abc import Mapping
from hmac import compare_digest
from pathlib import Path
from stat import S_IROTH

from starlette.exceptions import HTTPException
from starlette.requests import Request

from metrics.responses import NO_STORE
from state.errors import ConfigError

_VARIABLE = "HOMECOMING_TOKEN"
_SETTING = "consumer_config.http.token_file"

#: Characters; fewer could be guessed.
_SHORTEST = 16

_OFF = f"off, because it names people: set {_VARIABLE} or {_SETTING} to turn it on"
_MAKE_ONE = "`openssl rand -hex 32` makes one"

_log = logging.getLogger(__name__)


def read_token(environment: Mapping[str, str], file: Path | None) -> str | None:
    """The operator's token: of the environment, else of the file; None where neither is set.

    Raises ConfigError where it is too weak or cannot be sent in a header, and where the file cannot be read; warns
    where others can read it too.
    """
    if _VARIABLE in environment:
        return _checked(environment[_VARIABLE], _VARIABLE)
    return None if file is None else _checked(_content(file), f"{_SETTING}: {file}")


def bearer(request: Request) -> str | None:
    """The token that the request bears, right or wrong."""
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    # A proxy with a password of its own hands that on as `Basic`: whoever sends it asks as anybody does.
    return token.strip() if scheme.lower() == "bearer" else None


def admit(request: Request, token: str | None) -> None:
    """Return for the operator alone: HTTPException 401 for anybody else, 404 where no token is configured."""
    if token is None:
        raise HTTPException(404, _OFF, NO_STORE)
    shown = bearer(request)
    if shown is None:
        raise _unauthorized("this needs the operator's token: send it as `Authorization: Bearer ...`", "")
    if not compare_digest(shown.encode("latin-1"), token.encode()):
        raise _unauthorized("this is not the operator's token", ', error="invalid_token"')


def _unauthorized(said: str, error: str) -> HTTPException:
    return HTTPException(401, said, {"WWW-Authenticate": f'Bearer realm="homecoming"{error}', **NO_STORE})


def _content(file: Path) -> str:
    try:
        if file.stat().st_mode & S_IROTH:
            _log.warning("%s: everybody on this machine can read the operator's token: chmod o-r %s", _SETTING, file)
        return file.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise ConfigError(f"{_SETTING}: {file} cannot be read ({error.strerror})") from None


def _checked(text: str, where: str) -> str:
    token = text.strip()
    if len(token) < _SHORTEST:
        got = f"{len(token)} characters" if token else "none"
        raise ConfigError(f"{where}: expected a token of {_SHORTEST} characters or more, got {got}; {_MAKE_ONE}")
    if not (token.isascii() and token.isprintable()) or " " in token:
        raise ConfigError(f"{where}: expected one token of printable ASCII without spaces, got other text; {_MAKE_ONE}")
    return token
