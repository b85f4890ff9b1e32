"""A long random run: simulated traffic through the live path, and everything else that an operator may do beside it.

Consumers are stopped, killed and started again; weeks are sealed, archives imported, the tables read, and these
processes are killed too. Messages arrive out of order and more than once. At the end the state must agree with its
own log, and with a state that got the whole history in one import.
"""

import argparse
import json
import random
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from time import monotonic
from typing import Any

import duckdb

from benchmarks.support.measure import ENVIRONMENT, HOMECOMING, REPOSITORY, homecoming, run, scratch, show
from benchmarks.support.messages import START, published
from benchmarks.support.node import node, queue
from benchmarks.support.processes import CONSUME, memory, wait_until
from consumer.simulation.model import SimMessage
from consumer.simulator import Scenario, simulate, write
from state.rules import POPULATIONS
from state.weeks import WEEK
from tests.integration.rabbitmq import Bus

#: Share of the messages that the bus delivers twice.
REPEATED = 0.1

#: Event time by which a message may arrive out of order: far enough for some to be of sealed weeks.
DISORDER = 2 * WEEK

#: Share of the imports and sealings that are killed, and done again.
KILLED = 0.3

#: Seconds that an operation beside the consumer gets: a hang is an error, slowness is not.
PATIENCE_S = 600


class Soak:
    """The run: one queue, one state, one consumer at a time."""

    def __init__(self, bus: Bus, history: Path, chance: random.Random) -> None:
        self.done: Counter[str] = Counter()
        self.peak_mb = 0.0
        self._bus = bus
        self._history = history
        self._chance = chance

    def step(self, messages: list[SimMessage]) -> None:
        """Some traffic, and something beside it."""
        self._bus.publish(published(message) for message in messages)
        self.done["messages published"] += len(messages)
        time.sleep(self._chance.uniform(0, 0.5))
        self._chance.choice([self.kill, self.restart, self.seal, self.backfill, self.backfill, self.read])()

    def start(self) -> None:
        """Start a consumer; the next step may find it before it has connected."""
        self._bus.consume(ready=False, command=(*CONSUME,))

    def kill(self) -> None:
        """kill -9 in whatever the consumer is doing."""
        self._end(signal.SIGKILL, -signal.SIGKILL)
        self.done["consumers killed"] += 1
        self.start()

    def restart(self) -> None:
        """SIGTERM: the batch in hand is committed."""
        self.stop()
        self.done["consumers restarted"] += 1
        self.start()

    def stop(self) -> None:
        """SIGTERM, to the end. One that gets it before it has begun dies of it, as any program."""
        self._end(signal.SIGTERM, 0, -signal.SIGTERM)

    def seal(self) -> None:
        self._beside("sealings", "seal")

    def backfill(self) -> None:
        """An archive of a part of the history: some of it is known, some is still to come by the bus."""
        part = self._history.with_name("part.parquet")
        share, offset = self._chance.uniform(0.02, 0.2), self._chance.randrange(1_000)
        with duckdb.connect() as duck:
            duck.execute(
                f"COPY (FROM '{self._history}' WHERE hash(msg_id, {offset}) % 1000 < {int(1000 * share)}) "
                f"TO '{part}' (FORMAT parquet)"
            )
        self._beside("imports", "backfill", part)

    def read(self) -> None:
        """A reader never sees half of a batch: who signed up is in the table, whatever happens meanwhile."""
        table = json.loads(homecoming("retention", "--state", self._bus.state, "--format", "json").output)
        for cohort in table["cohorts"]:
            assert cohort["size"] == cohort["cells"][0]["users"], cohort
        self.done["reads"] += 1

    def _beside(self, name: str, *arguments: str | Path) -> None:
        command = [*HOMECOMING, *map(str, arguments), "--state", str(self._bus.state)]
        if self._chance.random() < KILLED:
            with subprocess.Popen(command, cwd=REPOSITORY, env=ENVIRONMENT, stderr=subprocess.DEVNULL) as process:
                time.sleep(self._chance.uniform(0.2, 2.5))
                process.kill()
            self.done[f"{name} killed"] += process.returncode == -signal.SIGKILL
        run(*command)
        self.done[name] += 1

    def _end(self, number: signal.Signals, *expected: int) -> None:
        process = self._bus.consumers[-1]
        assert process.poll() is None, self._bus.output()
        self.peak_mb = max(self.peak_mb, memory(process.pid).peak)
        process.send_signal(number)
        code = process.wait(PATIENCE_S)
        assert code in expected, f"exit code {code}\n{self._bus.output()}"


def disorderly(messages: Iterable[SimMessage], chance: random.Random) -> list[SimMessage]:
    """The messages as a bus may deliver them: out of order and some of them twice."""
    everything = list(messages)
    everything += chance.sample(everything, int(len(everything) * REPEATED))
    return sorted(everything, key=lambda message: message.at + chance.uniform(0, DISORDER))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10_000))
    parser.add_argument("--weeks", type=int, default=26, help="weeks of simulated history")
    options = parser.parse_args()
    print(f"seed {options.seed}")
    chance = random.Random(options.seed)
    simulation = simulate(Scenario(seed=options.seed, weeks=options.weeks, end=START))
    with scratch() as folder, node(folder) as broker, queue(broker, folder / "bus") as bus:
        write(simulation, folder / "history")
        traffic = disorderly(simulation.messages, chance)
        soak = Soak(bus, folder / "history" / "events.parquet", chance)
        soak.start()
        began, sent = monotonic(), 0
        while (passed := (monotonic() - began) / (60 * options.minutes)) < 1:
            # Traffic is spread over the time there is, however long a step takes.
            due = max(sent, int(passed * len(traffic)))
            soak.step(traffic[sent:due])
            sent = due
        bus.publish(published(message) for message in traffic[sent:])
        soak.done["messages published"] += len(traffic) - sent
        wait_until(lambda: bus.status().messages >= len(simulation.messages), lambda: f"{bus.status()}\n{bus.output()}")
        wait_until(lambda: bus.ready_messages() == 0, bus.output)
        soak.stop()
        assert bus.ready_messages() == 0, "messages were left unacknowledged"
        assert "Traceback" not in bus.output(), bus.output()
        compare(bus.state, folder / "once", soak.done, len(simulation.messages), folder / "history" / "events.parquet")
        soak.done["consumer's peak memory, MB"] = round(soak.peak_mb)
        show(f"{options.minutes:g} minutes, no difference", ("", ""), [(k, f"{n:,}") for k, n in soak.done.items()])


def compare(state: Path, once: Path, done: Counter[str], messages: int, history: Path) -> None:
    """The state against its log, against the truth, and against one import of everything."""
    run(*HOMECOMING, "verify", "--state", state)
    homecoming("backfill", history, "--state", once)
    found, wanted = (figures(directory) for directory in (state, once))
    done["distinct messages"] = found["messages"]
    done["events"] = found["events"]
    assert found["messages"] == messages, f"{found['messages']} messages kept of {messages}"
    assert found["dead_letters"] == 0
    for name in ("events", "users", "tables"):
        assert found[name] == wanted[name], f"{name} differ:\n{found[name]}\n{wanted[name]}"


def figures(state: Path) -> dict[str, Any]:
    """Status and the tables of every population."""
    found: dict[str, Any] = json.loads(homecoming("status", "--state", state, "--format", "json").output)
    found["tables"] = [
        [
            (cohort["week"], cohort["size"], [cell["users"] for cell in cohort["cells"]])
            for cohort in json.loads(
                homecoming("retention", "--population", population, "--state", state, "--format", "json").output
            )["cohorts"]
        ]
        for population in POPULATIONS
    ]
    return found


if __name__ == "__main__":
    main()
