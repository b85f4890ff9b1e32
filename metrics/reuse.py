"""Public answers made once for many readers: these cost the process the same, however many they are."""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import NamedTuple

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from metrics.responses import holds

#: Answers that are kept, the latest ones, and the largest one that is, in bytes.
_KEPT, _LARGEST = 64, 2 * 1024 * 1024

#: An answer is kept for so many times what it took, up to so many seconds: on a machine with too much to do the
#: readers wait for news, not the ingestion for the readers. Nobody sees the state as it was longer ago than that.
_TIMES, _LONGEST_S = 30, 5.0

#: What tells one state from another that took its place.
Identity = Hashable

_Key = tuple[Identity, str, bytes, str, str]


class _Answer(NamedTuple):
    stale_at: float
    start: Message
    body: bytes


class Reuse:
    """Gives an answer that has an ETag again for `seconds` or longer, to whoever shows no credentials; 0 never does.

    identity: of the state that is told of, at this moment; no answer outlives it, and without one (None) there is none
    to give again. Who asks while an answer is made waits for it. Anything but a GET may change what is told, so nothing
    that was made before it is given again after it. A HEAD is a GET of which the server leaves the body out.
    """

    def __init__(
        self,
        app: ASGIApp,
        seconds: float,
        identity: Callable[[], Identity],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._app = app
        self._seconds = seconds
        self._identity = identity
        self._clock = clock
        self._answers: OrderedDict[_Key, _Answer] = OrderedDict()
        self._making: dict[_Key, asyncio.Future[_Answer | None]] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        if scope["method"] == "HEAD":
            scope = {**scope, "method": "GET"}
        headers = Headers(scope=scope)
        if scope["method"] != "GET":
            try:
                await self._app(scope, receive, send)
            finally:
                self._answers.clear()
                self._making.clear()
        elif not self._seconds or "authorization" in headers or (state := self._identity()) is None:
            await self._app(scope, receive, send)
        else:
            await self._shared(state, scope, headers, receive, send)

    async def _shared(self, state: Identity, scope: Scope, headers: Headers, receive: Receive, send: Send) -> None:
        key = (
            state,
            scope["path"],
            scope["query_string"],
            headers.get("accept", ""),
            headers.get("accept-encoding", ""),
        )
        answer = self._answers.get(key)
        if answer is None or self._clock() >= answer.stale_at:
            making = self._making.get(key)
            if making is None:
                answer = await self._made(key, scope, receive, send)
                if answer is None:
                    return
            else:
                answer = await asyncio.shield(making)
                if answer is None:
                    await self._app(scope, receive, send)
                    return
        await _give(answer, headers.get("if-none-match", ""), send)

    async def _made(self, key: _Key, scope: Scope, receive: Receive, send: Send) -> _Answer | None:
        """The answer, whole; None where it cannot be shared and went out already."""
        asked = {**scope, "headers": [pair for pair in scope["headers"] if pair[0] != b"if-none-match"]}
        making = self._making[key] = asyncio.get_running_loop().create_future()
        began = self._clock()
        start: Message | None = None
        parts: list[bytes] = []

        async def collect(message: Message) -> None:
            nonlocal start
            if message["type"] == "http.response.start":
                if message["status"] == 200 and "etag" in Headers(raw=message["headers"]):
                    start = message
                    return
                _settle(making, None)  # nobody waits for whoever reads this
            elif start is not None:
                parts.append(message.get("body", b""))
                return
            await send(message)

        answer: _Answer | None = None
        try:
            await self._app(asked, receive, collect)
            if start is not None:
                now = self._clock()
                kept_s = max(self._seconds, min(_LONGEST_S, _TIMES * (now - began)))
                answer = _Answer(now + kept_s, start, b"".join(parts))
        finally:
            if self._making.get(key) is making:  # else something was changed meanwhile
                del self._making[key]
                self._keep(key, answer)
            _settle(making, answer)
        return answer

    def _keep(self, key: _Key, answer: _Answer | None) -> None:
        if answer is not None and len(answer.body) <= _LARGEST:
            self._answers[key] = answer
            self._answers.move_to_end(key)
            if len(self._answers) > _KEPT:
                self._answers.popitem(last=False)


def _settle(making: asyncio.Future[_Answer | None], answer: _Answer | None) -> None:
    if not making.done():
        making.set_result(answer)


async def _give(answer: _Answer, if_none_match: str, send: Send) -> None:
    headers = answer.start["headers"]
    if holds(if_none_match, Headers(raw=headers)["etag"]):
        kept = [(name, value) for name, value in headers if not name.startswith(b"content-")]
        await send({**answer.start, "status": 304, "headers": kept})
        await send({"type": "http.response.body", "body": b""})
    else:
        # A copy: the middleware around this one adds its own to the headers.
        await send({**answer.start, "headers": [*headers]})
        await send({"type": "http.response.body", "body": answer.body})
