"""A consuming process with its HTTP side, fed from memory: ingest.py STATE MESSAGES KIND.

Prints the address; then, for each line on standard input, takes in so many further messages and prints
{"messages", "seconds", "cpu_s"}, cpu_s being that of all its threads.
"""

import json
import sys
from itertools import islice
from pathlib import Path
from time import perf_counter, process_time, time_ns

from prometheus_client import CollectorRegistry

from benchmarks.support.messages import messages
from consumer.decode import Delivery
from consumer.pipeline import Pipeline
from consumer.service import http_side, registry_of
from consumer.settings import HttpSettings, Settings
from metrics.hotpath import HotPath
from metrics.readiness import readable
from state.store import open_store
from state.weeks import week_named, week_start

#: Event time of the first message: behind every archive of support/archive.py.
_START = week_start(week_named("2025-01-06"))

#: Accounts that the messages name, of those of the archive.
_USERS = 2_000

#: What a batch of the live path is.
_BATCH = 500


def main(state: Path, count: int, kind: str) -> None:
    settings = Settings(http=HttpSettings())
    store = open_store(state)
    registry: CollectorRegistry = registry_of(state, settings)
    hot_path = HotPath(registry)
    pipeline = Pipeline(store, hot_path, lambda: time_ns() // 1000, source="bench")
    stream = messages(kind, 10**9, _USERS, _START)
    with http_side(settings, state, registry, readable(state), "127.0.0.1", 0, hot_path=hot_path) as address:
        print(f"http://{address}", flush=True)
        for _ in sys.stdin:
            due = [
                Delivery(topic, properties.headers, body, properties.message_id, "utf-8")
                for topic, properties, body in islice(stream, count)
            ]
            began, cpu_began = perf_counter(), process_time()
            for first in range(0, count, _BATCH):
                pipeline.take_in(due[first : first + _BATCH])
            spent = {"seconds": perf_counter() - began, "cpu_s": process_time() - cpu_began}
            print(json.dumps({"messages": count} | spent), flush=True)
    store.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3])
