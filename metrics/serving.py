"""An HTTP server in a thread of its own, beside whatever the process does."""

import socket
from contextlib import closing
from threading import Thread

import uvicorn
from starlette.types import ASGIApp

from metrics.patience import Impatient
from state.errors import HomecomingError

#: Connections at a time; more of them get a 503, so that readers cannot starve the consumer.
_CONCURRENCY = 64

#: Seconds for requests in flight when the server stops.
_GRACE_S = 2

#: Bytes of a request's first line and headers that are read before it is refused for want of an end.
_LARGEST_HEAD = 32 * 1024

#: Milliseconds for which the kernel holds what a client does not take; then the connection is gone.
_UNREAD_MS = 30_000


class HttpServer:
    """Serves the application from `start` to `stop`."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._running: tuple[socket.socket, uvicorn.Server, Thread] | None = None

    def start(self, host: str, port: int) -> None:
        """Listen, port 0 being any free one; connections are taken from here on.

        Raises HomecomingError where the address cannot be had.
        """
        listening = _listen(host, port)
        server = uvicorn.Server(
            uvicorn.Config(
                self._app,
                # Not httptools, which some environments have: it bounds no header.
                http=Impatient,
                h11_max_incomplete_event_size=_LARGEST_HEAD,
                lifespan="on",
                ws="none",
                log_config=None,  # logging belongs to the program
                access_log=False,
                server_header=False,
                limit_concurrency=_CONCURRENCY,
                timeout_graceful_shutdown=_GRACE_S,
            )
        )
        # Outside the main thread uvicorn leaves the signal handlers alone; a daemon never keeps the process.
        thread = Thread(target=server.run, args=([listening],), name="http", daemon=True)
        self._running = listening, server, thread
        thread.start()

    @property
    def address(self) -> str:
        """`127.0.0.1:8000`, with the port that was really taken; RuntimeError unless started."""
        if self._running is None:
            raise RuntimeError("the HTTP server has not been started")
        host, port = self._running[0].getsockname()[:2]
        return _address(host, port)

    def stop(self) -> None:
        """Finish the requests in flight and stop listening; does nothing where it was not started."""
        if self._running is None:
            return
        listening, server, thread = self._running
        self._running = None
        with closing(listening):
            server.should_exit = True
            thread.join()


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listening = socket.create_server((host, port), family=family)
    except OSError as error:
        reason = (error.strerror or str(error)).partition("(")[0].strip().lower()
        raise HomecomingError(
            f"cannot listen on {_address(host, port)}: {reason}; name another with --listen"
        ) from None
    # Accepted connections have it from here. The application cannot know what the kernel still has to send.
    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _UNREAD_MS)
    # An answer in two segments would wait 40 ms for the first one's acknowledgement.
    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listening


def _address(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
