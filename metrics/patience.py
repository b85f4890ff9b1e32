"""Connections on which no request ever becomes whole end: they would take the place of readers."""

import asyncio
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

#: Seconds between two looks at a connection; what was without a request at two of them has no more time.
HEAD_S = 10.0


class Impatient(H11Protocol):
    """uvicorn's protocol, which itself waits for ever for the end of a request's headers."""

    def __init__(self, *arguments: Any, **settings: Any) -> None:
        super().__init__(*arguments, **settings)
        self._waited = False
        self._look: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        super().connection_made(transport)
        self._look = self.loop.call_later(HEAD_S, self._looked)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._look is not None:
            self._look.cancel()
        super().connection_lost(exc)

    def _looked(self) -> None:
        waits = self.conn.their_state is h11.IDLE
        if waits and self._waited:
            self.transport.abort()
            return
        self._waited = waits
        self._look = self.loop.call_later(HEAD_S, self._looked)
