"""A rough run: events come in while workers are killed, added and taken away, and the broker is started again."""

import signal
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random

from state.live import Message
from state.rules import Rules
from state.screening import screen_pending
from state.store import open_store
from tests.integration.kafka import Cluster, KafkaNode
from tests.support.kafka_story import Outcome, closed, events_of, of_accounts, outcome
from tests.support.logs import Oracle, bring_in

#: Share of the events that the bridge sends twice, some of them long after.
TWICE = 0.1


class Rough:
    """Two workers by name, others beside them, one totals' owner."""

    def __init__(self, cluster: Cluster, node: KafkaNode, random: Random) -> None:
        self.done: Counter[str] = Counter()
        self._cluster = cluster
        self._node = node
        self._random = random
        self._running: dict[str, subprocess.Popen[bytes]] = {}

    def run(self, log: Sequence[Message], kills: int) -> None:
        """Feed the log in parts, a fault after each; `kills` of each of the two workers."""
        events = events_of(log)
        twice = self._random.sample(range(len(events)), int(len(events) * TWICE))
        order = [(float(place), place) for place in range(len(events))]
        order += [(self._random.uniform(place, len(events)), place) for place in twice]
        arriving = [events[place] for _, place in sorted(order)]
        faults: list[Callable[[], None]] = [lambda: self.kill("one"), lambda: self.kill("two")] * kills
        self._random.shuffle(faults)
        for place, fault in ((1, self.add), (2, self.restart_broker), (3, self.kill_totals), (4, self.remove)):
            faults.insert(min(len(faults), place * kills), fault)
        self._cluster.prepare()
        for name in ("one", "two"):
            self._start(name)
        self._totals = self._cluster.totals()
        part = -(-len(arriving) // len(faults))
        for number, fault in enumerate(faults):
            self.done["events sent"] += self._cluster.feed(arriving[number * part : (number + 1) * part])
            time.sleep(self._random.uniform(0, 3))
            fault()

    def kill(self, name: str) -> None:
        """kill -9 in whatever the worker is doing; whoever supervises it starts it again."""
        self._end(name, signal.SIGKILL, -signal.SIGKILL)
        self.done["workers killed"] += 1
        self._start(name)

    def add(self) -> None:
        self._start("three")
        self.done["workers added"] += 1

    def remove(self) -> None:
        """SIGTERM: its partitions go to the others."""
        self._end("three", signal.SIGTERM, 0)
        self.done["workers removed"] += 1

    def restart_broker(self) -> None:
        self._node.restart(signal.SIGKILL)
        self.done["brokers killed"] += 1

    def kill_totals(self) -> None:
        assert self._cluster.end(self._totals, signal.SIGKILL) == -signal.SIGKILL
        self.done["owners of the totals killed"] += 1
        self._totals = self._cluster.totals()

    def check(self, log: Sequence[Message], folder: Path, seconds: float) -> None:
        """Totals, flags and what the workers keep are those of one import of everything: 0 lost, 0 counted twice."""
        self._cluster.settled(len(events_of(log)), seconds)
        wanted = batch(log, folder)
        found = outcome(self._cluster.state)
        assert found[0] == wanted[0], "the tables differ"
        assert found[1] == wanted[1], "the flags differ"
        self.done["flags"] = len(found[1])
        assert self._cluster.told() == of_accounts(wanted[1]), "the workers tell of other flags"
        truth = Oracle(Rules()).take_in(log).states
        accounts = {name: account.state for name, account in self._cluster.accounts().items()}
        assert accounts.keys() == truth.keys()
        differing = [name for name, state in truth.items() if accounts[name] != state]
        assert not differing, f"{len(differing)} accounts of the workers differ: {differing[:5]}"

    def _start(self, name: str) -> None:
        self._running[name] = self._cluster.worker(name)

    def _end(self, name: str, number: signal.Signals, expected: int) -> None:
        process = self._running.pop(name)
        assert process.poll() is None, self._cluster.said()
        assert self._cluster.end(process, number) in (expected, -signal.SIGTERM), self._cluster.said()


def batch(log: Sequence[Message], folder: Path) -> Outcome:
    """What one import of everything comes to."""
    store = open_store(folder, Rules())
    bring_in(store, log)
    screen_pending(store)
    return outcome(closed(store))
