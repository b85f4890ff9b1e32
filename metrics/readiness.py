"""Whether the process does its work: None, or the reason why not, in one line."""

from collections.abc import Callable
from pathlib import Path

from metrics.hotpath import HotPath
from metrics.snapshot import snapshot
from state.errors import StateError
from state.reading import status

Readiness = Callable[[], str | None]


def consuming(hot_path: HotPath, silence_s: float) -> Readiness:
    """Ready while the channel is open and the last message is younger than silence_s seconds.

    The age counts too, because a channel can be open while the broker delivers nothing any more.
    """

    def check() -> str | None:
        if not hot_path.is_connected():
            return "not connected to the bus"
        if (silence := hot_path.silence()) >= silence_s:
            return f"no message for {silence:.0f} s, ready_silence_s is {silence_s:g}"
        return None

    return check


def readable(directory: Path) -> Readiness:
    """Ready while the state in the directory can be read."""

    def check() -> str | None:
        try:
            with snapshot(directory) as conn:
                status(conn)
        except StateError as error:
            return str(error)
        return None

    return check
