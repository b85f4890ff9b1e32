"""How answers may be kept by browsers and caches."""

from collections.abc import Mapping
from hashlib import blake2b

from starlette.requests import Request
from starlette.responses import Response

NO_STORE = {"Cache-Control": "no-store"}


def revalidated(request: Request, content: str, media_type: str, headers: Mapping[str, str] | None = None) -> Response:
    """The content, or 304 where the client has this very one."""
    # Of the content: PRAGMA data_version means nothing on a new connection, and the watermark does not move
    # with every change. Weak, because the same content also goes out compressed.
    etag = f'W/"{blake2b(content.encode(), digest_size=16).hexdigest()}"'
    kept = {**(headers or {}), "ETag": etag, "Cache-Control": "no-cache"}
    if holds(request.headers.get("If-None-Match", ""), etag):
        return Response(status_code=304, headers=kept)
    return Response(content, media_type=media_type, headers=kept)


def holds(if_none_match: str, etag: str) -> bool:
    """Whether the client names this content among what it has; weak comparison, RFC 9110 section 13.1.2."""
    named = {one.strip().removeprefix("W/") for one in if_none_match.split(",")}
    return "*" in named or etag.removeprefix("W/") in named
