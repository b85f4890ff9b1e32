"""The bridge: archives and the bus into Kafka, and from there into a state like any other."""

import json
import subprocess
import sys
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pika

from consumer.kafka_topics import topics_of
from state.coverage import last_covered
from state.store import read_store
from state.weeks import SECOND, iso, to_datetime
from tests.integration.kafka import Cluster, bootstrap, cluster, kafka_node
from tests.integration.rabbitmq import REPOSITORY, Bus, broker, bus, until
from tests.support.logs import START

__all__ = ["bootstrap", "broker", "bus", "cluster", "kafka_node"]

TOPIC = "org.fedoraproject.prod.wiki.article.edit"


def archive(path: Path, rows: int) -> Path:
    """A notebook's archive, without ids."""
    lines = [f"{to_datetime(START) + timedelta(minutes=n)},{TOPIC},user{n % 5}" for n in range(rows)]
    path.write_text("\n".join(["sent_at,topic,username", *lines]) + "\n", encoding="utf-8")
    return path


def homecoming(*arguments: str | Path) -> str:
    command = [sys.executable, "-m", "homecoming", *map(str, arguments)]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stderr


def test_an_archive_by_the_bridge_is_the_archive(cluster: Cluster) -> None:
    """Twice, and imported over it: ids of rows without one are the same by either way."""
    rows = archive(cluster.folder / "rows.csv", 60)
    for _ in range(2):
        homecoming("bridge", "--config", cluster.config, "--from", rows)
    cluster.totals()
    cluster.worker()
    cluster.settled(60)
    assert "0 new events of 60" in homecoming("backfill", rows, "--state", cluster.state)
    homecoming("verify", "--state", cluster.state)


def test_the_bus_reaches_the_state_through_kafka(cluster: Cluster, bus: Bus) -> None:
    kafka = cluster.config.read_text(encoding="utf-8")
    bus.config.write_text(bus.config.read_text(encoding="utf-8") + kafka, encoding="utf-8")
    published = [
        (
            TOPIC,
            pika.BasicProperties(message_id=f"id-{n}", headers={"sent-at": iso(START + n * SECOND)}, delivery_mode=2),
            json.dumps({"user": f"user{n % 7}"}).encode() if n else b"{no json",
        )
        for n in range(40)
    ]
    bus.publish(published)
    bridge = (sys.executable, "-m", "homecoming", "bridge", "--listen", "127.0.0.1:0", "--config")
    bus.consume(ready=False, command=bridge)
    cluster.totals()
    cluster.worker()
    until(lambda: (cluster.status().messages, cluster.status().dead_letters) == (39, 1), cluster.said, 120)
    bus.drained()
    with closing(read_store(cluster.state)) as conn:
        assert last_covered(conn) is not None  # when the bridge listened
    assert bus.stop() == 0
    keys = {key for _, _, key, _ in cluster.records(topics_of(cluster.settings.kafka).events)}
    assert keys == {f"user{n}".encode() for n in range(7)}
