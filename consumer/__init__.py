"""Messages in: sources, decoding, and the one pipeline."""

from typing import Any


def __getattr__(name: str) -> Any:
    # `fedora-messaging consume --callback=consumer:Callback` must work, and nothing else pay for it.
    if name == "Callback":
        from consumer.callback import Callback  # noqa: PLC0415

        return Callback
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
