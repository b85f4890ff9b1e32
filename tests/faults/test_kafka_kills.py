"""Workers, their broker and the totals' owner killed: nothing is lost, and nothing is counted twice."""

from pathlib import Path
from random import Random

from tests.integration.kafka import Cluster, KafkaNode, kafka_node
from tests.support.kafka_rough import Rough
from tests.support.kafka_story import story

__all__ = ["kafka_node"]

#: `make soak` runs the same with 100,000 events and three kills of each worker.
USERS, EVENTS, KILLS = 150, 3_000, 1


def test_totals_and_flags_survive_every_kill(kafka_node: KafkaNode, tmp_path: Path) -> None:
    cluster = Cluster(kafka_node.bootstrap, tmp_path, batch_events=100)
    log = story(USERS, EVENTS)
    rough = Rough(cluster, kafka_node, Random(7))
    try:
        rough.run(log, KILLS)
        rough.check(log, tmp_path / "batch", seconds=240)
    finally:
        cluster.stop()
