"""Consumers side by side, each a process of its own: takers.py NAME CONFIG FOLDER COUNT.

Each takes COUNT messages off the configured queue, settles them and prints {"messages", "seconds", "cpu_s"}:
those after its first commit, and the time of the wall and of its own CPU from that commit to the last one.
"""

import json
import sqlite3
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from time import perf_counter, process_time, time_ns
from typing import Any, cast

import pika
from fedora_messaging import api
from fedora_messaging.config import conf
from fedora_messaging.exceptions import HaltConsumer
from fedora_messaging.message import Message
from prometheus_client import CollectorRegistry

from consumer.callback import Callback
from consumer.decode import Delivery
from consumer.intake import reactor
from consumer.pipeline import Outcome, Pipeline
from consumer.settings import load_settings
from consumer.source_amqp import run
from metrics.hotpath import HotPath
from state.store import open_store

#: What raw pika acknowledges at once; a batch of ours.
BATCH = 500


class Meter:
    """Messages committed, and when."""

    def __init__(self, count: int) -> None:
        self._left = count
        self._after_first = 0
        self._began: tuple[float, float] | None = None
        self._ended = 0.0, 0.0

    def committed(self, messages: int) -> bool:
        """Note a commit; whether it was the last one."""
        self._ended = perf_counter(), process_time()
        if self._began is None:
            self._began = self._ended
        else:
            self._after_first += messages
        self._left -= messages
        return self._left <= 0

    def result(self) -> str:
        assert self._began is not None
        seconds, cpu_s = (end - start for start, end in zip(self._began, self._ended, strict=True))
        return json.dumps({"messages": self._after_first, "seconds": seconds, "cpu_s": cpu_s})


def ours(config: Path, _: Path, meter: Meter) -> None:
    """What `homecoming consume` does, without its HTTP side."""

    class Measured(Pipeline):
        def take_in(self, deliveries: Sequence[Delivery]) -> list[Outcome]:
            outcomes = super().take_in(deliveries)
            if meter.committed(len(deliveries)):
                reactor.callFromThread(reactor.stop)
            return outcomes

    settings = load_settings(config)
    store = open_store(settings.state.directory, settings.rules())
    assert run(settings, Measured(store, HotPath(CollectorRegistry()), lambda: time_ns() // 1000)) == 0
    store.close()


def callback(_: Path, __: Path, meter: Meter) -> None:
    """Our callback in fedora-messaging's own consumer."""

    class Measured(Callback):
        def __call__(self, message: Message) -> None:
            super().__call__(message)
            if meter.committed(1):
                raise HaltConsumer

    with suppress(HaltConsumer):
        api.consume(cast("Any", Measured))  # a class too, says its documentation


def stock(_: Path, folder: Path, meter: Meter) -> None:
    """fedora-messaging's consumer with the callback that one writes first: a transaction a message."""
    conn = sqlite3.connect(folder / "stock.sqlite", isolation_level=None, check_same_thread=False)
    conn.execute("PRAGMA journal_mode = WAL")
    conn.execute("PRAGMA synchronous = FULL")
    conn.execute("CREATE TABLE event (msg_id TEXT, username TEXT, topic TEXT, PRIMARY KEY (msg_id, username))")

    def take_in(message: Message) -> None:
        conn.execute("BEGIN IMMEDIATE")
        conn.executemany(
            "INSERT OR IGNORE INTO event VALUES (?, ?, ?)",
            [(message.id, user, message.topic) for user in message.usernames],
        )
        conn.execute("COMMIT")
        if meter.committed(1):
            raise HaltConsumer

    with suppress(HaltConsumer):
        api.consume(take_in)
    conn.close()


def raw(_: Path, folder: Path, meter: Meter) -> None:
    """pika alone: what the broker gives to a Python client that looks at nothing."""
    ids: list[str] = []
    parameters = pika.URLParameters(conf["amqp_url"])
    (queue,) = conf["queues"]

    def on_message(channel: Any, delivery: Any, properties: Any, _body: bytes) -> None:
        ids.append(properties.message_id)
        if len(ids) % BATCH == 0:
            channel.basic_ack(delivery.delivery_tag, multiple=True)
            if meter.committed(BATCH):
                connection.close()

    def on_channel(channel: Any) -> None:
        channel.basic_qos(prefetch_count=conf["qos"]["prefetch_count"])
        channel.basic_consume(queue, on_message)

    connection = pika.SelectConnection(
        parameters,
        on_open_callback=lambda opened: opened.channel(on_open_callback=on_channel),
        on_close_callback=lambda closed, _: closed.ioloop.stop(),
    )
    connection.ioloop.start()
    (folder / "raw.json").write_text(json.dumps(ids), encoding="utf-8")


TAKERS: dict[str, Callable[[Path, Path, Meter], None]] = {
    "ours": ours,
    "callback": callback,
    "stock": stock,
    "raw": raw,
}


if __name__ == "__main__":
    name, path, where, messages = sys.argv[1:]
    conf.load_config(path)
    conf.setup_logging()
    measured = Meter(int(messages))
    TAKERS[name](Path(path), Path(where), measured)
    print(measured.result(), flush=True)
