"""Live messages through a real RabbitMQ: stock fedora-messaging, raw pika, and ours in its two forms."""

import argparse
import json
import sqlite3
from collections.abc import Iterable
from contextlib import closing
from functools import partial
from pathlib import Path
from statistics import median
from typing import NamedTuple

from benchmarks.support.measure import interleaved, last_line, run, scratch, show, spread
from benchmarks.support.messages import Published, messages
from benchmarks.support.node import TAKERS, node, queue
from tests.integration.rabbitmq import Broker, Bus

#: Contender -> what it is called in the table.
NAMES = {
    "stock": "fedora-messaging, a transaction a message",
    "callback": "fedora-messaging, --callback=consumer:Callback",
    "ours": "homecoming consume",
    "raw": "raw pika, no decoding",
}

#: Those that take messages one at a time get fewer of them.
SLOW = {"stock", "callback"}


class Rate(NamedTuple):
    """Messages a second from the first commit to the last, and the consumer's own CPU time for one, in microseconds."""

    messages: float
    cpu_us: float


def rate(name: str, published: list[Published], broker: Broker, folder: Path) -> Rate:
    """Consume a queue that is full beforehand."""
    with queue(broker, folder / f"{name}-{len(list(folder.iterdir()))}") as bus:
        bus.publish(published)
        result = last_line(run(*TAKERS, name, bus.config, bus.config.parent, str(len(published))))
        assert bus.ready_messages() == 0, "not every message was acknowledged"
        check(name, bus, published)
    return Rate(result["messages"] / result["seconds"], 1e6 * result["cpu_s"] / result["messages"])


def check(name: str, bus: Bus, published: list[Published]) -> None:
    """Every contender has every message, and those that look inside have the same users for it."""
    folder = bus.config.parent
    sent = {properties.message_id: person(body) for _, properties, body in published}
    if name == "raw":
        assert sorted(json.loads((folder / "raw.json").read_text(encoding="utf-8"))) == sorted(sent)
    elif name == "stock":
        assert pairs(folder / "stock.sqlite") == sent.items()
    else:
        assert pairs(bus.state / "homecoming.sqlite") == sent.items()
        found = bus.status()
        assert (found.messages, found.users, found.dead_letters) == (len(sent), len(set(sent.values())), 0)


def person(body: bytes) -> str:
    """Who acted, straight off the body."""
    content = json.loads(body)
    return str(content["agent"] if "agent" in content else content["msg"]["user"])


def pairs(path: Path) -> set[tuple[str, str]]:
    with closing(sqlite3.connect(path)) as conn:
        return set(conn.execute("SELECT msg_id, username FROM event"))


def compare(kind: str, users: int, fast: int, slow: int, rounds: int, broker: Broker, folder: Path) -> None:
    """One kind of message, every contender."""
    folder.mkdir()
    everything = list(messages(kind, fast, users))
    contenders = {
        name: partial(rate, name, everything[:slow] if name in SLOW else everything, broker, folder) for name in NAMES
    }
    rates = interleaved(rounds, contenders)
    middle = {name: median(rate.messages for rate in found) for name, found in rates.items()}
    cpu_us = {name: median(rate.cpu_us for rate in found) for name, found in rates.items()}
    show(
        f"{kind}: bodies of {mean_bytes(everything)} bytes, {fast:,} messages ({slow:,} where taken one at a time)",
        ("", "messages/s", "stock", "raw pika", "CPU us each", "stock/CPU", "bar"),
        [
            (
                NAMES[name],
                spread([rate.messages for rate in found], 0),
                f"{middle[name] / middle['stock']:.1f} x",
                f"{middle[name] / middle['raw']:.2f} x",
                f"{cpu_us[name]:,.0f}",
                f"{cpu_us['stock'] / cpu_us[name]:.1f} x",
                "20 x stock, aim 50 x and 0.5 x raw" if name == "ours" and kind != "attack" else "",
            )
            for name, found in rates.items()
        ],
    )


def mean_bytes(published: Iterable[Published]) -> int:
    sizes = [len(body) for _, _, body in published]
    return sum(sizes) // len(sizes)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--messages", type=int, default=20_000)
    parser.add_argument("--slow-messages", type=int, default=400)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    with scratch() as folder, node(folder) as broker:
        sizes = options.messages, options.slow_messages, options.rounds
        compare("noggin", options.messages, *sizes, broker, folder / "noggin")
        compare("pagure", 2_000, *sizes, broker, folder / "pagure")
        compare("attack", options.messages, *sizes, broker, folder / "attack")


if __name__ == "__main__":
    main()
