"""Our records in Kafka: an event by itself, events that a worker has let through, notes beside the stream.

A record is JSON with its format's version. An event's key is its user, so that everything of one user is in one
partition, in order; the message's id is the header `message-id` too. An event that names nobody has its message's
id as key. Fields that are null are left out.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from consumer.delivery import Poison, is_clean, printable
from state.dead_letters import DeadLetter
from state.event import Event, service_of
from state.weeks import SECOND, event_time_of

#: Format of every record here; a reader refuses others.
VERSION = 1

ID_HEADER = "message-id"

#: No bus is older, and how far a publisher's clock may be ahead of ours: as for a message off the bus.
_EARLIEST = event_time_of("1990-01-01")
_CLOCK_SKEW = 600 * SECOND

_MAX_LENGTH = 255

#: Optional fields of an event, and what they are.
_OPTIONAL: tuple[tuple[str, type], ...] = (
    ("received_at", int),
    ("project", str),
    ("namespace", str),
    ("object", str),
    ("size", int),
    ("unit", str),
    ("content_hash", str),
)

_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


class Record(NamedTuple):
    """A record to be produced."""

    key: bytes
    value: bytes
    headers: list[tuple[str, bytes]]


def event_record(event: Event) -> Record:
    """The event as a record."""
    found: dict[str, Any] = {"v": VERSION, "id": event.msg_id, "at": event.at, "topic": event.topic}
    found["user"] = event.user
    if event.role != "actor":
        found["role"] = event.role
    for name, _ in _OPTIONAL:
        if (value := getattr(event, name)) is not None:
            found[name] = value
    if event.is_bot:
        found["is_bot"] = True
    return Record(key_of(event.user, event.msg_id), _encode(found).encode(), [(ID_HEADER, event.msg_id.encode())])


def key_of(user: str | None, msg_id: str) -> bytes:
    """The key under which an event stands."""
    return (msg_id if user is None else user).encode()


def parse_event(key: bytes | None, value: bytes | None, now: int) -> Event:
    """The event of a record; Poison, with its reason, for a record that is none of ours.

    now: processing time, microseconds since 1970 UTC.
    """
    event = event_of(_object(value, "event"), now)
    if key is None:
        raise Poison("username", "the record has no key: expected the name of its user")
    if key != key_of(event.user, event.msg_id):
        raise Poison("username", f"the record's key {key!r:.80} is not its user {event.user!r:.80}")
    return event


def event_of(found: Mapping[str, Any], now: int) -> Event:
    """The event of a decoded record; Poison where a field is missing or of another type."""
    _check_version(found)
    msg_id, topic = _text(found, "id", "msg_id"), _text(found, "topic", "topic")
    user = found.get("user")
    if user is not None:
        user = _text(found, "user", "username")
    at = found.get("at")
    if type(at) is not int or not _EARLIEST <= at <= now + _CLOCK_SKEW:
        raise Poison("sent_at", f"at: expected microseconds since 1970 from 1990 to now, got {at!r:.60}")
    role = found.get("role", "actor")
    if role not in ("actor", "affected"):
        raise Poison("schema", f"role: expected actor or affected, got {role!r:.60}")
    more: dict[str, Any] = {}
    for name, kind in _OPTIONAL:
        value = found.get(name)
        if value is not None and (type(value) is not kind or (isinstance(value, str) and not is_clean(value))):
            raise Poison("schema", f"{name}: expected {kind.__name__}, got {value!r:.60}")
        more[name] = value
    is_bot = found.get("is_bot", False)
    if type(is_bot) is not bool:
        raise Poison("schema", f"is_bot: expected true or false, got {is_bot!r:.60}")
    return Event(msg_id, at, topic=topic, user=user, role=role, service=service_of(topic), is_bot=is_bot, **more)


def accepted_record(values: Iterable[bytes]) -> bytes:
    """Events that a worker has let through, as the JSON texts in which they came."""
    return b'{"v":%d,"events":[%s]}' % (VERSION, b",".join(values))


def parse_accepted(value: bytes | None) -> Sequence[Mapping[str, Any]]:
    """The decoded events of such a record; each is checked by `event_of`."""
    found = _object(value, "record of a worker")
    _check_version(found)
    events = found.get("events")
    if not isinstance(events, list) or not all(isinstance(event, dict) for event in events):
        raise Poison("schema", "events: expected a list of events")
    return events


def dead_record(letter: DeadLetter) -> bytes:
    """A dead letter on its way to the state."""
    body = printable(letter.body.decode("utf-8", "backslashreplace"))
    return _encode({"v": VERSION, "dead_letter": [*letter[:-1], body]}).encode()


def coverage_record(source: str, start: int, end: int) -> bytes:
    """That a source was listened to from start to end (processing time)."""
    return _encode({"v": VERSION, "coverage": [source, start, end]}).encode()


def parse_note(value: bytes | None) -> DeadLetter | tuple[str, int, int]:
    """A dead letter, or (source, start, end) of a time in which somebody listened; Poison for anything else."""
    found = _object(value, "note")
    _check_version(found)
    match found:
        case {"dead_letter": [int(), str(), str(), str(), _, _, _, str()] as fields}:
            *others, body = fields
            return DeadLetter._make([*others, body.encode()])
        case {"coverage": [str() as source, int() as start, int() as end]}:
            return source, start, end
    raise Poison("schema", "expected a dead_letter or a coverage")


def _object(value: bytes | None, what: str) -> Mapping[str, Any]:
    if value is None:
        raise Poison("json", f"the record is empty: expected the JSON of an {what}")
    try:
        found = json.loads(value)
    except (ValueError, RecursionError) as error:
        raise Poison("json", str(error)) from error
    if not isinstance(found, dict):
        raise Poison("json", f"expected an object, got {type(found).__name__}")
    return found


def _check_version(found: Mapping[str, Any]) -> None:
    if found.get("v") != VERSION:
        raise Poison("schema", f"v: this program reads version {VERSION}, got {found.get('v')!r:.40}")


def _text(found: Mapping[str, Any], name: str, reason: str) -> str:
    value = found.get(name)
    if not isinstance(value, str) or not value.strip() or len(value) > _MAX_LENGTH or not is_clean(value):
        raise Poison(reason, f"{name}: expected a printable text of up to {_MAX_LENGTH} characters, got {value!r:.80}")
    return value
