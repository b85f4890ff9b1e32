"""Limits on what a client may ask for: address, headers, body, rate, and how long it may take to read the answer."""

import asyncio
import math
import time
from collections.abc import Callable

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from metrics.api.errors import refused
from metrics.bucket import Buckets

#: Bytes: of path and query; of all headers, where a browser's own and a token take one or two thousand; of the body,
#: the largest being an uploaded cohort. A route that takes less reads less.
LONGEST_ADDRESS, LARGEST_HEADERS, LARGEST_BODY = 8 * 1024, 16 * 1024, 16 * 1024 * 1024

#: Requests a second of one client, and at once: an office behind one address has room, a loop without a pause has not.
RATE, BURST = 100.0, 300

#: Clients that are remembered.
_CLIENTS = 10_000

#: Seconds for one request from its first line to the last byte of the answer.
LONGEST_S = 60.0

#: Whoever watches over us must get an answer even where somebody else behind their address asks too much.
_WATCHED = frozenset({"/live", "/ready"})


class Limits:
    """Refuses what goes beyond with 408, 413, 414, 429 or 431; cuts off an answer that the client does not take."""

    def __init__(self, app: ASGIApp, clock: Callable[[], float] = time.monotonic) -> None:
        self._app = app
        self._buckets = Buckets(RATE, BURST, _CLIENTS, clock)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
        elif (refusal := self._refusal(scope)) is not None:
            await refusal(scope, receive, send)
        else:
            await self._in_time(scope, _bounded(receive), send)

    async def _in_time(self, scope: Scope, receive: Receive, send: Send) -> None:
        begun = False

        async def told(message: Message) -> None:
            nonlocal begun
            begun = True
            await send(message)

        try:
            async with asyncio.timeout(LONGEST_S):
                await self._app(scope, receive, told)
        except TimeoutError:
            if not begun:  # else the server closes the connection: an answer without an end
                await refused(408, f"this took longer than {LONGEST_S:g} s")(scope, receive, send)

    def _refusal(self, scope: Scope) -> ASGIApp | None:
        if len(scope["raw_path"]) + len(scope["query_string"]) > LONGEST_ADDRESS:
            return refused(414, f"expected an address of at most {LONGEST_ADDRESS:,} bytes")
        headers = scope["headers"]
        if sum(len(name) + len(value) for name, value in headers) > LARGEST_HEADERS:
            return refused(431, f"expected headers of at most {LARGEST_HEADERS:,} bytes")
        if scope["path"] in _WATCHED:
            return None
        host = scope["client"][0] if scope["client"] else ""
        if wait := self._buckets.take(host):
            said = f"at most {RATE:g} requests a second, {BURST} at once"
            return refused(429, said, {"Retry-After": str(math.ceil(wait))})
        return None


def _bounded(receive: Receive) -> Receive:
    size = 0

    async def within() -> Message:
        nonlocal size
        message = await receive()
        size += len(message.get("body", b""))
        if size > LARGEST_BODY:
            raise HTTPException(413, f"expected a body of at most {LARGEST_BODY:,} bytes")
        return message

    return within
