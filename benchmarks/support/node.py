"""A RabbitMQ node and queues for the length of a benchmark, as the integration tests have them."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.integration.rabbitmq import Broker, Bus

#: Nobody waits for the network: what our consumer asks for by itself, for every contender. No line a message.
_CONFIG = """
[qos]
prefetch_size = 0
prefetch_count = 1000
[log_config]
version = 1
disable_existing_loggers = true
"""


@contextmanager
def node(folder: Path) -> Iterator[Broker]:
    """A broker of its own on free loopback ports."""
    base = folder / "rabbitmq"
    base.mkdir()
    broker = Broker(base)
    try:
        broker.start()
        yield broker
    finally:
        broker.stop()


@contextmanager
def queue(broker: Broker, folder: Path) -> Iterator[Bus]:
    """A durable queue with a state directory beside it; the consumers that it started are gone at the end."""
    folder.mkdir(exist_ok=True)
    bus = Bus(broker, folder)
    bus.config.write_text(bus.config.read_text(encoding="utf-8") + _CONFIG, encoding="utf-8")
    try:
        yield bus
    finally:
        for process in bus.consumers:
            process.kill()
            process.wait()


TAKERS = (sys.executable, Path(__file__).with_name("takers.py"))
