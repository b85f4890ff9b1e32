"""A delivery to a message to events, or the reason why not."""

import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import lru_cache, wraps
from typing import Any, ParamSpec

from fedora_messaging.message import Message

from consumer.delivery import Decoded, Delivery, Poison, derived_id, is_clean
from consumer.people import people_of
from consumer.schemas import SCHEMA_HEADER, SCHEMAS, Schemas, headers_of
from consumer.subjects import subject_of
from consumer.validators import InvalidError
from state.event import Event, Role, action_of, service_of
from state.weeks import SECOND, event_time, event_time_of

__all__ = ["Decoded", "Delivery", "Poison", "decode", "decode_message", "decode_record"]

#: No bus is older; an earlier event time is a broken clock.
_EARLIEST = event_time(datetime(1990, 1, 1, tzinfo=UTC))

#: How far the publisher's clock may be ahead of ours, in microseconds.
_CLOCK_SKEW = 600 * SECOND

_P = ParamSpec("_P")

#: AMQP's own limit on topics and message ids.
_MAX_LENGTH = 255


def _poisonous(decoding: Callable[_P, Decoded]) -> Callable[_P, Decoded]:
    """Whatever else is raised within is Poison too: one message must never stop the others."""

    @wraps(decoding)
    def guarded(*args: _P.args, **kwargs: _P.kwargs) -> Decoded:
        try:
            return decoding(*args, **kwargs)
        except Poison:
            raise
        except Exception as error:
            raise Poison("unexpected", f"{type(error).__name__}: {error}") from error

    return guarded


@_poisonous
def decode(delivery: Delivery, now: int, schemas: Schemas = SCHEMAS) -> Decoded:
    """The events of one live message, validated against its schema.

    now: processing time, microseconds since 1970 UTC. Raises nothing but Poison.
    """
    topic, headers = _topic(delivery.topic), _headers(delivery.headers)
    msg_id = _msg_id(delivery.msg_id)
    at = _event_time(headers.get("sent-at"), now)
    body = _json(delivery.body, delivery.content_encoding)
    message = _built(schemas, topic, headers, body, msg_id, validate=True)
    return _decoded(message, topic, msg_id, at, now)


@_poisonous
def decode_message(message: Message, now: int) -> Decoded:
    """The events of one message that fedora_messaging has validated already. Raises nothing but Poison."""
    topic, headers = _topic(message.topic), _headers(headers_of(message))
    msg_id = _msg_id(message.id)
    at = _event_time(headers.get("sent-at"), now)
    if type(message) is Message and headers.get(SCHEMA_HEADER) not in (None, "base.message"):
        SCHEMAS.count_fallback(topic)
    return _decoded(message, topic, msg_id, at, now)


@_poisonous
def decode_record(record: Mapping[str, Any], now: int, *, validate: bool = True, schemas: Schemas = SCHEMAS) -> Decoded:
    """The events of one message from an archive; their `received_at` is None.

    record: what `fedora-messaging record` and datagrepper's v2/search write (`id`, `topic`, `headers`,
    `body`), or the older form of datagrepper and fedmsg (`msg_id`, `topic`, `timestamp`, `msg`). Without an
    id the message gets one from its event time, topic and users. Raises nothing but Poison.
    """
    if not isinstance(record, Mapping):
        raise Poison("json", f"a record must be an object, not {type(record).__name__}")
    topic, headers = _topic(record.get("topic")), _headers(record.get("headers"))
    body = record["body"] if "body" in record else record.get("msg")
    given = record.get("id") or record.get("msg_id")
    msg_id = None if given is None else _msg_id(given)
    at = _event_time(headers.get("sent-at") or record.get("timestamp"), now)
    message = _built(schemas, topic, headers, body, msg_id, validate=validate)
    return _decoded(message, topic, msg_id, at, None)


def _decoded(message: Message, topic: str, msg_id: str | None, at: int, received_at: int | None) -> Decoded:
    action = action_of(topic)
    people, service = people_of(message, action), service_of(topic)
    subject = subject_of(message, action)
    is_bot = _is_bot(message.body)
    msg_id = msg_id or derived_id(at, topic, (*people.actors, *people.affected))

    def event(user: str | None, role: Role) -> Event:
        return Event(msg_id, at, received_at, topic, user, role, service, *subject, is_bot)

    events = [event(user, "actor") for user in people.actors]
    events += [event(user, "affected") for user in people.affected]
    return Decoded(msg_id, at, tuple(events) or (event(None, "actor"),))


def _built(
    schemas: Schemas, topic: str, headers: Mapping[str, Any], body: Any, msg_id: str | None, *, validate: bool
) -> Message:
    """The message, valid where that was asked for."""
    try:
        message = schemas.build(topic, headers, body, msg_id)
        if validate:
            schemas.validate(message)
    except InvalidError as error:
        raise Poison("schema", str(error)) from error
    except Exception as error:  # schema classes are code by others
        raise Poison("schema", f"the schema class raised {type(error).__name__}: {error}") from error
    if not isinstance(message.body, dict):
        raise Poison("schema", "$: the body is no object")
    return message


def _topic(topic: Any) -> str:
    return _known_topic(topic) if isinstance(topic, str) else _short_text(topic, "topic")


@lru_cache(maxsize=4_096)
def _known_topic(topic: str) -> str:
    return _short_text(topic, "topic")


def _msg_id(msg_id: Any) -> str:
    return _short_text(msg_id, "msg_id")


def _short_text(value: Any, name: str) -> str:
    if not isinstance(value, str) or not value.strip():
        raise Poison(name, f"{name} is missing or no text")
    if len(value) > _MAX_LENGTH or not is_clean(value):
        raise Poison(name, f"{name} is longer than {_MAX_LENGTH} characters or not printable: {value!r:.80}")
    return value


def _headers(headers: Any) -> Mapping[str, Any]:
    if headers is None:
        return {}
    if not isinstance(headers, Mapping):
        raise Poison("headers", f"headers must be a table, not {type(headers).__name__}")
    return headers


def _json(body: bytes, content_encoding: str | None) -> Any:
    try:
        text = body.decode(content_encoding or "utf-8")
    except Exception as error:  # the wire names the codec, and codecs raise what they like
        raise Poison("encoding", f"{content_encoding!r:.40}: {error}") from error
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise Poison("json", str(error)) from error


def _event_time(sent_at: Any, now: int) -> int:
    """Event time of an ISO 8601 text (UTC where it names no zone) or of seconds since 1970."""
    try:
        at = _parsed(sent_at)
    except (ValueError, OverflowError, TypeError):  # TypeError: no key of the cache, so neither text nor number
        at = None
    if at is None:
        raise Poison("sent_at", f"not an ISO 8601 time: {sent_at!r:.60}")
    if at < _EARLIEST:
        raise Poison("sent_at", f"before 1990: {sent_at!r:.60}")
    if at > now + _CLOCK_SKEW:
        raise Poison("sent_at", f"more than 10 minutes ahead of our clock: {sent_at!r:.60}")
    return at


@lru_cache(maxsize=1_024, typed=True)  # True is 1 to a cache
def _parsed(sent_at: Any) -> int | None:
    """The event time, which many messages of a second share."""
    if isinstance(sent_at, str):
        return event_time_of(sent_at)
    if isinstance(sent_at, (int, float)) and not isinstance(sent_at, bool):
        return round(sent_at * SECOND)  # raises for what is not finite
    return None


def _is_bot(body: Any) -> bool:
    """Whether the message itself says that a program acted."""
    if body.get("bot") is True:
        return True
    inner = body.get("body")
    sender = inner.get("sender") if isinstance(inner, dict) else None
    return isinstance(sender, dict) and sender.get("type") == "Bot"
