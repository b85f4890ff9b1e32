"""What consumer/amqp_group.py, source_amqp.py and wire.py rely on inside fedora-messaging, pika and Twisted."""

import inspect
import struct
from typing import Any

import pika
import pika.data
import pytest
from fedora_messaging import config
from fedora_messaging.message import Message
from fedora_messaging.twisted import service
from fedora_messaging.twisted.consumer import Consumer
from fedora_messaging.twisted.factory import FedoraMessagingFactoryV2
from fedora_messaging.twisted.protocol import FedoraMessagingProtocolV2
from pika.adapters.twisted_connection import ClosableDeferredQueue, TwistedChannel
from twisted.internet.defer import Deferred
from twisted.internet.protocol import ReconnectingClientFactory

from consumer import wire
from consumer.amqp_group import BatchConsumer, BatchProtocol


def parameters(function: Any) -> list[str]:
    return list(inspect.signature(function).parameters)


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        (Consumer.__init__, ["self", "queue", "callback"]),
        (Consumer.consume, ["self"]),
        (Consumer._read, ["self", "queue_object"]),
        (Consumer._read_one, ["self", "queue_object"]),
        (Consumer._read_loop_errback, ["self", "failure"]),
        (FedoraMessagingProtocolV2.__init__, ["self", "parameters", "confirms"]),
        (FedoraMessagingProtocolV2.consume, ["self", "callback", "queue", "previous_consumer"]),
        (FedoraMessagingFactoryV2.consume, ["self", "callback", "bindings", "queues"]),
        (FedoraMessagingFactoryV2.clientConnectionFailed, ["self", "connector", "reason"]),
        (service.FedoraMessagingServiceV2.__init__, ["self", "amqp_url", "publish_confirms"]),
        (TwistedChannel.basic_ack, ["self", "delivery_tag", "multiple"]),
        (TwistedChannel.basic_nack, ["self", "delivery_tag", "multiple", "requeue"]),
        (pika.data.decode_table, ["encoded", "offset"]),
    ],
    ids=lambda value: getattr(value, "__qualname__", ""),
)
def test_signatures(function: Any, expected: list[str]) -> None:
    assert parameters(function) == expected


@pytest.mark.parametrize(
    ("ours", "upstream", "names"),
    [
        (BatchConsumer, Consumer, ["consume", "_read_one", "_read_loop_errback"]),
        (BatchProtocol, FedoraMessagingProtocolV2, ["consume", "connectionLost"]),
    ],
)
def test_what_is_overridden_exists(ours: type, upstream: type, names: list[str]) -> None:
    for name in names:
        assert name in vars(ours)
        assert hasattr(upstream, name)


def test_a_consumer_has_what_its_loop_needs() -> None:
    consumer = BatchConsumer("queue", None)
    assert isinstance(consumer._read_loop, Deferred)
    assert consumer._read_loop.called, "the first consume() waits for no loop"
    assert (consumer._running, consumer._protocol, consumer._channel) == (False, None, None)
    assert {"received", "processed", "dropped", "failed"} <= consumer.stats.as_dict().keys()


def test_a_queue_shows_what_is_pending_and_why_it_closed() -> None:
    queue = ClosableDeferredQueue()
    assert (queue.pending, queue.closed) == ([], None)
    queue.put("message")
    assert queue.pending == ["message"]
    reason = RuntimeError("gone")
    queue.close(reason)
    assert queue.closed is reason


def test_the_factory_makes_protocols_by_calling_its_attribute() -> None:
    made = FedoraMessagingFactoryV2(pika.ConnectionParameters())
    calls: list[tuple[Any, ...]] = []

    def protocol(*args: Any, **kwargs: Any) -> FedoraMessagingProtocolV2:
        calls.append((args, kwargs))
        return FedoraMessagingProtocolV2(*args, **kwargs)

    made.protocol = protocol  # type: ignore[assignment]
    client = made.buildProtocol(None)
    assert calls == [((made._parameters,), {"confirms": True})]
    assert client.factory is made
    assert client.ready is not None
    assert client._impl._error is None
    assert (made._client, made.consuming, made.maxDelay > 0) == (None, False, True)
    assert isinstance(made, ReconnectingClientFactory)


def test_loading_overwrites_what_was_set_before(tmp_path: Any) -> None:
    conf = config.LazyConfig()
    dict.__setitem__(conf, "qos", {"prefetch_count": 1_000})
    conf.load_config(str(tmp_path / "none.toml"))
    assert conf["qos"]["prefetch_count"] == 10


def test_a_message_shows_its_parts() -> None:
    message = Message(topic="a.b", body={"c": 1})
    assert (message._encoded_routing_key, message._encoded_body) == ("a.b", b'{"c": 1}')
    assert "sent-at" in message._headers


def table(content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + content


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"\x01kT" + b"\x7f" * 8, {"k": None}),
        (b"\x01\xffS" + table(b"text"), {"\\xff": "text"}),
        (b"\x01kF" + table(b"\x01nI" + struct.pack(">i", 7)), {"k": {"n": 7}}),
    ],
)
def test_pika_decodes_tables_by_the_functions_that_are_replaced(
    monkeypatch: pytest.MonkeyPatch, content: bytes, expected: dict[str, Any]
) -> None:
    for name in ("decode_value", "decode_short_string"):
        monkeypatch.setattr(pika.data, name, getattr(pika.data, name))
    wire.tolerate()
    assert pika.data.decode_table(table(content), 0) == (expected, len(content) + 4)
