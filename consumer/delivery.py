"""What a source hands over, what decoding makes of it, and the reason why it could not."""

import re
from collections.abc import Iterable, Mapping
from hashlib import blake2b
from typing import Any, NamedTuple

from state.event import Event

#: A dead letter's detail is a line to read, not a copy of the message. Characters.
_DETAIL_LENGTH = 300

#: Control characters, line separators and lone surrogates: none of these is part of any name, and a
#: surrogate cannot be written as UTF-8 at all.
_UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")


class Delivery(NamedTuple):
    """One message as a source hands it over, nothing decoded."""

    topic: str
    headers: Mapping[str, Any]
    body: bytes
    msg_id: str | None
    content_encoding: str | None


class Decoded(NamedTuple):
    """One message as events: at least one, of user None where the message names nobody."""

    msg_id: str
    at: int  #: event time, microseconds since 1970 UTC
    events: tuple[Event, ...]


class Poison(Exception):  # noqa: N818 - the field's word for it
    """A message that can never be decoded: trying again does not help, so it becomes a dead letter.

    reason: a short label: topic, msg_id, sent_at, headers, encoding, json, schema, username or unexpected.
    detail: one line, at most 300 characters, always valid UTF-8.
    """

    def __init__(self, reason: str, detail: str) -> None:
        self.reason = reason
        self.detail = _UNPRINTABLE.sub(" ", detail[:_DETAIL_LENGTH])
        super().__init__(f"{self.reason}: {self.detail}")


def is_clean(text: str) -> bool:
    """Whether the text is one printable line that can be written as UTF-8."""
    return _UNPRINTABLE.search(text) is None


def printable(text: object) -> str | None:
    """The text as SQLite can keep it: lone surrogates and null bytes escaped."""
    if text is None:
        return None
    return str(text).encode("utf-8", "backslashreplace").decode().replace("\x00", "\\x00")


def derived_id(at: int, topic: str, users: Iterable[str]) -> str:
    """The id of an archived message that has none: the same message always gets the same one."""
    text = "\x1f".join((str(at), topic, *sorted(users)))
    return "derived-" + blake2b(text.encode(), digest_size=16).hexdigest()
