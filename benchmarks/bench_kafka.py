"""The distributed mode's rates on one broker of its own: a plain Faust agent, 1, 2 and 4 workers, the totals' owner.

Everybody is up and has its partitions before the first event is sent, and all events are sent at once, from batches
made before, which is over in tens of milliseconds: feeding takes no time of the contenders, and is the same for both. A
rate is events by the time from the beginning of that to the last value that a contender has written to its table's
changelog, as Kafka has it once nobody writes any more.
"""

import argparse
import json
import pstats
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from contextlib import closing
from pathlib import Path
from time import monotonic

import requests
from kafka import KafkaConsumer, TopicPartition

from benchmarks.support.kafka_feed import events
from benchmarks.support.measure import ENVIRONMENT, REPOSITORY, scratch, show
from consumer.kafka_topics import topics_of
from consumer.settings import KafkaSettings
from tests.integration.kafka import Cluster, KafkaNode, fetch_libraries, lacking

PATIENCE_S = 600

#: File -> what the time goes into, the first that matches.
PARTS = (
    ("aiokafka", "Kafka's client (aiokafka)"),
    ("/faust/", "Faust"),
    ("/mode/", "Faust"),
    ("asyncio", "the event loop"),
    ("selectors", "the event loop"),
    ("'poll' of 'select.epoll'", "waiting"),
    ("rocksdict", "RocksDB"),
    ("Rdict", "RocksDB"),
    ("json", "JSON"),
    ("/state/", "the fold and the detector"),
    ("/consumer/", "records, accounts, batches"),
)


class Feed:
    """Events that are ready to be sent, in a process of their own."""

    def __init__(self, cluster: Cluster, many: int, users: int) -> None:
        kafka = cluster.settings.kafka
        arguments = [kafka.bootstrap, topics_of(kafka).events, kafka.partitions, many, users]
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.support.kafka_feed", *map(str, arguments)],
            cwd=REPOSITORY,
            env=ENVIRONMENT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout is not None
        self._said = self._process.stdout
        assert self._said.readline() == "ready\n"

    def send(self) -> int:
        """Send all of them; when that began, milliseconds since 1970."""
        said, _ = self._process.communicate("\n", PATIENCE_S)
        return int(said)


def written(kafka: KafkaSettings, topic: str) -> int:
    """Records in the topic."""
    with closing(KafkaConsumer(bootstrap_servers=kafka.bootstrap)) as consumer:
        parts = [TopicPartition(topic, part) for part in range(kafka.partitions)]
        return sum(consumer.end_offsets(parts).values())


def at_rest(kafka: KafkaSettings, topic: str) -> None:
    """Wait until nobody writes to the topic any more."""
    before = -1
    while (now := written(kafka, topic)) != before:
        before = now
        time.sleep(3)


def rate(cluster: Cluster, topic: str, many: int, began: int) -> float:
    """Events a second, until the last record of the topic."""
    last = int(json.loads(cluster.client("span", topic))[2])
    return many / (last - began) * 1000


def wait(cluster: Cluster, condition: object, what: str) -> None:
    began = monotonic()
    while not condition():  # type: ignore[operator]
        assert monotonic() < began + PATIENCE_S, f"{what}\n{cluster.said()}"
        time.sleep(0.5)


def taken(cluster: Cluster, name: str) -> float:
    """Events that the worker has taken; -1 while it is not ready."""
    found = re.findall(r"metrics on (http://\S+)", (cluster.folder / f"{name}.log").read_text(encoding="utf-8"))
    try:
        if not requests.get(f"{found[-1]}/ready", timeout=5).ok:
            return -1
        text = requests.get(f"{found[-1]}/metrics", timeout=5).text
    except (requests.RequestException, IndexError):
        return -1
    return sum(float(figure) for figure in re.findall(r"^homecoming_worker_events_total\S* (\S+)", text, re.MULTILINE))


def plain(node: KafkaNode, folder: Path, many: int, users: int) -> float:
    """The plain agent's events a second."""
    cluster = made(node, folder)
    cluster.prepare()
    kafka = cluster.settings.kafka
    name = f"{kafka.prefix}-count"
    arguments = [kafka.bootstrap, topics_of(kafka).events, str(kafka.partitions), name, str(folder / "count")]
    command = [sys.executable, "-m", "benchmarks.support.kafka_count", *arguments]
    with subprocess.Popen(
        command, cwd=REPOSITORY, env=ENVIRONMENT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        try:
            feed = Feed(cluster, many, users)
            time.sleep(20)
            assert process.poll() is None, "the plain agent has ended"
            began = feed.send()
            changelog = f"{name}-counts-changelog"
            wait(cluster, lambda: written(kafka, changelog) >= many, "the plain agent does not come to its end")
            return rate(cluster, changelog, many, began)
        finally:
            process.kill()


def ours(node: KafkaNode, folder: Path, many: int, users: int, workers: int) -> float:
    """So many workers' events a second."""
    cluster = made(node, folder)
    names = [f"worker{number}" for number in range(workers)]
    cluster.prepare()
    try:
        feed = Feed(cluster, many, users)
        for name in names:
            cluster.worker(name)
        wait(cluster, lambda: all(taken(cluster, name) >= 0 for name in names), "the workers do not get ready")
        time.sleep(5)  # the last of them has its partitions
        began = feed.send()
        wait(cluster, lambda: sum(taken(cluster, name) for name in names) >= many, "the workers do not come to an end")
        accounts = topics_of(cluster.settings.kafka).accounts
        at_rest(cluster.settings.kafka, accounts)  # what is taken is not written yet
        return rate(cluster, accounts, many, began)
    finally:
        cluster.stop()


def profiled(node: KafkaNode, folder: Path, many: int, users: int) -> Counter[str]:
    """Seconds of one worker by what they went into; profiling slows it down."""
    cluster = made(node, folder)
    cluster.feed(events(many, users))
    output = folder / "profile"
    arguments = ["-m", "cProfile", "-o", str(output), "-m", "homecoming", "worker", "--config", str(cluster.config)]
    arguments += ["--listen", "127.0.0.1:0", "--directory", str(folder / "profiled")]
    with (folder / "profiled.log").open("ab") as log:
        process = subprocess.Popen([sys.executable, *arguments], cwd=REPOSITORY, env=ENVIRONMENT, stderr=log)
    try:
        wait(cluster, lambda: taken(cluster, "profiled") >= many, "the profiled worker does not come to its end")
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(60)
    found: Counter[str] = Counter()
    for (file, _, name), (_, _, own_s, _, callers) in pstats.Stats(str(output)).stats.items():  # type: ignore[attr-defined]
        if part := part_of(f"{file} {name}"):
            found[part] += own_s
        else:  # what is built into Python is the work of whoever calls it
            for (caller, _, method), (_, _, for_it_s, _) in callers.items():
                found[part_of(f"{caller} {method}") or "the rest"] += for_it_s
    return found


def part_of(place: str) -> str | None:
    return next((part for text, part in PARTS if text in place), None)


def made(node: KafkaNode, folder: Path) -> Cluster:
    folder.mkdir()
    return Cluster(node.bootstrap, folder)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=100_000)
    parser.add_argument("--users", type=int, default=2_000)
    parser.add_argument("--plain-events", type=int, default=10_000, help="what is slow gets fewer")
    parser.add_argument("--workers", type=int, nargs="*", default=[1, 2, 4])
    options = parser.parse_args()
    with scratch() as folder:
        if reason := lacking() or fetch_libraries(folder):
            sys.exit(reason)
        node = KafkaNode(folder)
        node.start()
        try:
            users = options.users
            slow = plain(node, folder / "plain", options.plain_events, users)
            rows = [("a plain Faust agent that counts", f"{slow:,.0f}", "1.0 x", "")]
            for workers in options.workers:
                found = ours(node, folder / f"ours{workers}", options.events, users, workers)
                bar = "5 x" if workers == 1 else ""
                rows.append((f"homecoming worker, {workers} of them", f"{found:,.0f}", f"{found / slow:.1f} x", bar))
            show(f"{options.events:,} events of {users:,} users", ("", "events/s", "plain", "bar"), rows)
            parts = profiled(node, folder / "profile", options.events // 2, users)
            whole = sum(seconds for part, seconds in parts.items() if part != "waiting")
            shares = [
                (part, f"{100 * seconds / whole:.0f} %") for part, seconds in parts.most_common() if part != "waiting"
            ]
            show("where a worker's own time goes, by profile", ("", "share"), shares)
        finally:
            node.stop()


if __name__ == "__main__":
    main()
