"""One event: what one message says about one user."""

import re
from functools import lru_cache
from hashlib import md5
from typing import Literal, NamedTuple

Role = Literal["actor", "affected"]

#: `org.fedoraproject.prod.`, `io.pagure.stg.`: who published a message, not what happened.
_ENVIRONMENT_PREFIX = re.compile(r"^[^.]+\.[^.]+\.(?:prod|stg|dev)\.")

_KEY_BITS = 0x7FFF_FFFF_FFFF_FFFF


class Event(NamedTuple):
    """One (message, user) pair; the fields stand in the order of the log's columns.

    A message that names nobody is one event whose `user` is None: it is counted, never folded.
    """

    msg_id: str
    at: int  #: event time, microseconds since 1970 UTC
    received_at: int | None  #: processing time, same unit; None for archives
    topic: str
    user: str | None
    role: Role
    service: str
    project: str | None = None
    namespace: str | None = None
    object: str | None = None  #: id or URL of what was acted upon
    size: int | None = None  #: signed delta
    unit: str | None = None  #: unit of `size`: "lines", "bytes"
    content_hash: str | None = None
    is_bot: bool = False


@lru_cache(maxsize=65_536)
def action_of(topic: str) -> str:
    """The topic without its environment prefix: `pagure.issue.new`."""
    return _ENVIRONMENT_PREFIX.sub("", topic, count=1)


@lru_cache(maxsize=65_536)
def service_of(topic: str) -> str:
    """The first word of the action: `pagure`."""
    return action_of(topic).partition(".")[0]


def key_of(text: str) -> int:
    """63 bits of the text's MD5; DuckDB's `md5_number_lower(text) & 0x7fff...` is the same number.

    A key is an idempotency key, not a secret: at 10^9 events the chance of any clash is 5 %.
    """
    digest = md5(text.encode(), usedforsecurity=False).digest()
    return int.from_bytes(digest[8:], "little") & _KEY_BITS


def event_key(msg_id: str, user: str | None) -> int:
    """The idempotency key of one event."""
    return key_of(f"{msg_id}\x1f{user or ''}")
