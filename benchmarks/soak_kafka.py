"""100,000 events over 8 partitions: two workers killed three times each, one added and removed, the broker killed.

At the end tables and flags must be those of one import, and the workers' table that of the plain fold.
"""

import argparse
import random
import sys
from collections.abc import Sequence
from pathlib import Path
from time import monotonic

from benchmarks.support.measure import scratch, show
from tests.integration.kafka import Cluster, KafkaNode, fetch_libraries, lacking
from tests.support.kafka_rough import Rough
from tests.support.kafka_story import story

PATIENCE_S = 1_800


def soak(folder: Path, events: int, kills: int, seed: int) -> Sequence[tuple[str, str]]:
    """What was done, after it has come to the right end."""
    node = KafkaNode(folder)
    node.start()
    cluster = Cluster(node.bootstrap, folder)
    rough = Rough(cluster, node, random.Random(seed))
    log = story(events // 20, events, seed, days=60)
    began = monotonic()
    try:
        rough.run(log, kills)
        rough.check(log, folder / "batch", PATIENCE_S)
    finally:
        cluster.stop()
        node.stop()
    rough.done["distinct events"] = len(log)
    rough.done["seconds"] = round(monotonic() - began)
    return [(name, f"{figure:,}") for name, figure in rough.done.items()]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=100_000)
    parser.add_argument("--kills", type=int, default=3, help="of each of the two workers")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10_000))
    options = parser.parse_args()
    print(f"seed {options.seed}", flush=True)
    with scratch() as folder:
        if reason := lacking() or fetch_libraries(folder):
            sys.exit(reason)
        show("0 lost, 0 counted twice", ("", ""), soak(folder, options.events, options.kills, options.seed))


if __name__ == "__main__":
    main()
