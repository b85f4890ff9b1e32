"""Messages that no consumer gets past: each ends as a dead letter with its reason, the others are taken in."""

import json
import struct
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pika
import pika.data
import pytest

from tests.integration.rabbitmq import Bus, until

TOPIC = "org.fedoraproject.prod.wiki.article.edit"
NOW = datetime.now(UTC).isoformat()
Wire = tuple[str, pika.BasicProperties, bytes]


def wire(
    body: bytes | dict[str, Any] | None = None,
    *,
    msg_id: str | None = "",
    encoding: str = "utf-8",
    headers: dict[str, Any] | None = None,
    topic: str = TOPIC,
) -> Wire:
    """A message that is in order but for what is given."""
    body = {"user": "somebody"} if body is None else body
    return (
        topic,
        pika.BasicProperties(
            content_type="application/json",
            content_encoding=encoding,
            headers={"sent-at": NOW} if headers is None else headers,
            message_id=str(uuid4()) if msg_id == "" else msg_id,
        ),
        body if isinstance(body, bytes) else json.dumps(body).encode(),
    )


class Raw(pika.BasicProperties):  # type: ignore[misc]  # pika has no types
    """Properties that pika itself would not write."""

    def __init__(self, msg_id: bytes, table: bytes) -> None:
        super().__init__()
        self._fields = (msg_id, table)

    def encode(self) -> list[bytes]:
        msg_id, table = self._fields
        flags = self.FLAG_HEADERS | self.FLAG_MESSAGE_ID
        return [
            struct.pack(">H", flags),
            struct.pack(">I", len(table)) + table,
            bytes([len(msg_id)]) + msg_id,
        ]


def field(key: bytes, value: bytes) -> bytes:
    return bytes([len(key)]) + key + value


def text(value: str) -> bytes:
    return b"S" + struct.pack(">I", len(value)) + value.encode()


def table(value: bytes) -> bytes:
    return b"F" + struct.pack(">I", len(value)) + value


def nested(depth: int) -> bytes:
    value = b""
    for _ in range(depth):
        value = field(b"n", table(value))
    return value


SENT_AT = field(b"sent-at", text(NOW))

#: reason -> messages that must end with it
POISON: dict[str, list[Wire]] = {
    "encoding": [wire(encoding="no-such-codec"), wire(encoding="utf-16", body=b"odd"), wire(b"\xff\xfe\xff")],
    "json": [wire(b"[" * 50_000 + b"]" * 50_000), wire(b"{"), wire(b"")],
    "msg_id": [wire(msg_id=None), wire(msg_id="with\x00null")],
    "sent_at": [
        (TOPIC, pika.BasicProperties(message_id="no headers at all"), b"{}"),
        wire(headers={}),
        wire(headers={"sent-at": "yesterday"}),
        wire(headers={"sent-at": "2999-01-01T00:00:00+00:00"}),
        wire(headers={"sent-at": "1970-01-01T00:00:00+00:00"}),
        (TOPIC, Raw(b"time past year 9999", field(b"sent-at", b"T" + b"\x7f" * 8)), b"{}"),
        (TOPIC, Raw(b"keys that are no text", field(b"\xff\xfe", text("x"))), b"{}"),
    ],
}

#: What only looks like poison.
HARMLESS = [
    (TOPIC, Raw(b"not \xff utf-8", SENT_AT + field(b"\xff", b"T" + b"\xff" * 8)), b"{}"),
    (TOPIC, Raw(b"deep tables", SENT_AT + nested(9_000)), b"{}"),
]

#: User names as bad as they come: the message is a dead letter, or is taken in without such a name.
NAMES = ["x" * 10_000, "two\nlines", "null\x00byte", "\ud800", "", "  "]


def test_poison_is_set_aside_with_its_reason(bus: Bus) -> None:
    bad = [(reason, message) for reason, messages in POISON.items() for message in messages]
    good = [wire() for _ in range(2 * len(bad))]
    mixed = [message for place, (_, poison) in enumerate(bad) for message in (*good[2 * place : 2 * place + 2], poison)]
    bus.publish([*HARMLESS, *mixed])
    bus.consume()
    bus.settled(len(good) + len(HARMLESS), len(bad))
    found = bus.rows("SELECT reason, count(*) FROM dead_letter GROUP BY reason ORDER BY reason")
    assert found == [(reason, len(messages)) for reason, messages in sorted(POISON.items())]
    bus.drained()
    # Still there, and still listening.
    bus.publish([wire()])
    bus.settled(len(good) + len(HARMLESS) + 1, len(bad))
    watermark = bus.status().watermark
    assert watermark is not None
    assert watermark <= datetime.now(UTC).timestamp() * 1e6
    assert bus.stop() == 0, bus.output()
    assert bus.ready_messages() == 0
    assert "PRECONDITION_FAILED" not in bus.output(), "a rejected message was acknowledged"
    assert "Traceback" not in bus.output()


def test_a_dead_letter_is_kept_whole(bus: Bus) -> None:
    bus.publish([wire(b"{not json", headers={"sent-at": NOW, "x": "y"}, msg_id="kept")])
    bus.consume()
    bus.settled(0, 1)
    ((source, msg_id, topic, headers, body),) = bus.rows("SELECT source, msg_id, topic, headers, body FROM dead_letter")
    assert (source, msg_id, topic, body) == ("amqp", "kept", TOPIC, b"{not json")
    assert json.loads(str(headers)) == {"sent-at": NOW, "x": "y"}


@pytest.mark.parametrize("name", NAMES, ids=ascii)
def test_a_bad_user_name_stops_nothing(bus: Bus, name: str) -> None:
    bus.publish([wire({"user": name}), wire()])
    bus.consume()
    until(lambda: bus.status().messages + bus.status().dead_letters == 2, bus.output)
    assert bus.rows("SELECT name FROM user") == [("somebody",)]
    assert bus.stop() == 0, bus.output()
    assert bus.ready_messages() == 0


def test_a_batch_of_poison_alone(bus: Bus) -> None:
    bus.publish([wire(b"{") for _ in range(700)])
    bus.consume()
    bus.settled(0, 700)
    bus.drained()
    assert bus.stop() == 0, bus.output()
    assert bus.ready_messages() == 0


def test_poison_that_the_broker_has_a_use_for(bus: Bus) -> None:
    """Rejected without requeue: a dead letter exchange of the operator's own gets it."""
    connection = bus.broker.connect()
    channel = connection.channel()
    letters = f"{bus.name}-letters"
    channel.queue_declare(letters)
    bus.name += "-dlx"
    channel.exchange_declare(bus.name, "topic", durable=True)
    arguments = {"x-dead-letter-exchange": "", "x-dead-letter-routing-key": letters}
    channel.queue_declare(bus.name, durable=True, arguments=arguments)
    channel.queue_bind(bus.name, bus.name, "#")
    bus.configure()
    written = bus.config.read_text()
    bus.config.write_text(
        written.replace(
            "arguments = {}", f'arguments = {{x-dead-letter-exchange = "", x-dead-letter-routing-key = "{letters}"}}'
        )
    )
    bus.publish([wire(b"{"), wire()])
    bus.consume()
    bus.settled(1, 1)
    until(lambda: channel.queue_declare(letters, passive=True).method.message_count == 1, bus.output)
    connection.close()
