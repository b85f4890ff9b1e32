"""Memory of `homecoming consume`: idle, over five million events, and with live traffic on top."""

import argparse
import time
from itertools import islice
from pathlib import Path

from benchmarks.support.measure import homecoming, scratch, script, show
from benchmarks.support.messages import START, messages
from benchmarks.support.node import node, queue
from benchmarks.support.processes import CONSUME, STOCK, Memory, consuming, memory, wait_until
from state.weeks import WEEK
from tests.integration.rabbitmq import Broker, Bus

USERS_SHARE = 117_000 / 5_000_000
WEEKS = 61

#: Messages of weeks that are sealed by then; DuckDB looks for each of them in the log.
LATE_MESSAGES = 1_000

#: Seconds in which a process comes to rest once it consumes.
REST_S = 5

#: Messages that are handed to the broker at a time.
_PUBLISHED = 10_000


def idle(broker: Broker, folder: Path, command: tuple[str, ...]) -> Memory:
    """A consumer over an empty state that nobody sends anything."""
    with queue(broker, folder) as bus:
        config = (str(bus.config),) if command is CONSUME else ()
        with consuming(bus, (*command, *config)) as pid:
            time.sleep(REST_S)
            return memory(pid)


def fed(broker: Broker, folder: Path, events: int, live: int) -> list[Memory]:
    """A consumer over a state of so many events: idle, after so many messages live, and after late ones."""
    users = int(events * USERS_SHARE)
    with queue(broker, folder) as bus:
        archive = folder / "archive.parquet"
        script("archive.py", archive, *map(str, (events, users, WEEKS)))
        homecoming("backfill", archive, "--state", bus.state)
        found = []
        with consuming(bus, (*CONSUME, str(bus.config))) as pid:
            time.sleep(REST_S)
            found.append(memory(pid))
            feed(bus, "noggin", live // 2, users, START)
            feed(bus, "pagure", live - live // 2, users, START)
            found.append(memory(pid))
            feed(bus, "noggin", LATE_MESSAGES, users, START - 52 * WEEK)
            found.append(memory(pid))
        kept = bus.status()
        assert (kept.events, kept.dead_letters) == (events + live + LATE_MESSAGES, 0), kept
        assert kept.messages == kept.events
        return found


def feed(bus: Bus, kind: str, count: int, users: int, start: int) -> None:
    """Publish so many messages, and wait until the state has them."""
    wanted = bus.status().messages + count
    remaining = messages(kind, count, users, start)
    while piece := list(islice(remaining, _PUBLISHED)):
        bus.publish(piece)
    wait_until(lambda: bus.status().messages >= wanted, lambda: f"{bus.status()}, wanted {wanted}\n{bus.output()}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=5_000_000)
    parser.add_argument("--messages", type=int, default=200_000)
    options = parser.parse_args()
    with scratch() as folder, node(folder) as broker:
        stock = idle(broker, folder / "stock", STOCK)
        empty = idle(broker, folder / "empty", CONSUME)
        full, busy, late = fed(broker, folder / "full", options.events, options.messages)
    rows = [
        ("fedora-messaging consume, idle", stock, ""),
        ("homecoming consume, idle, empty state", empty, "150"),
        (f"over {options.events:,} events, idle", full, "150"),
        (f"then {options.messages:,} messages live", busy, "300"),
        (f"then {LATE_MESSAGES:,} of sealed weeks", late, "300"),
    ]
    show(
        "resident memory of the consumer's process",
        ("", "MB now", "MB at most", "of stock, idle", "bar", "loaded"),
        [
            (name, f"{found.now:.0f}", f"{found.peak:.0f}", f"{found.now / stock.now:.2f} x", bar, found.loaded)
            for name, found, bar in rows
        ],
    )


if __name__ == "__main__":
    main()
