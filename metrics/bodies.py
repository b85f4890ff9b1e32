"""Reading what a request brings, no more of it than is wanted."""

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request

from metrics.responses import NO_STORE


async def body(request: Request, most: int) -> bytes:
    """The body; HTTPException 413 where it has more than `most` bytes, 400 where it ends early."""
    parts: list[bytes] = []
    size = 0
    try:
        async for part in request.stream():
            size += len(part)
            if size > most:
                raise HTTPException(413, f"expected a body of at most {most:,} bytes", NO_STORE)
            parts.append(part)
    except ClientDisconnect:
        raise HTTPException(400, "the body ended early", NO_STORE) from None
    return b"".join(parts)
