"""What may be wrong with records, topics and brokers: said in one line, kept as a dead letter, or waited for."""

import json
import re
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
import requests

from consumer.kafka_records import event_record
from consumer.kafka_topics import topics_of
from state.dead_letters import letters
from state.event import Event
from state.store import read_store
from state.weeks import DAY
from tests.integration.kafka import Cluster, bootstrap, cluster, kafka_node
from tests.integration.rabbitmq import REPOSITORY, free_port, until
from tests.support.logs import START

__all__ = ["bootstrap", "cluster", "kafka_node"]

EDIT = Event("good", START + 30 * DAY, None, "org.fedoraproject.prod.wiki.article.edit", "ada", "actor", "wiki")


def test_records_that_are_none_of_ours_become_dead_letters(cluster: Cluster) -> None:
    """And what is older than the worker remembers is counted once, because the log remembers."""
    events = topics_of(cluster.settings.kafka).events
    good, newer = event_record(EDIT), json.dumps({"v": 2, "id": "x"}).encode()
    old = event_record(EDIT._replace(msg_id="old", at=START))
    cluster.prepare()
    cluster.send(
        [
            (events, b"ada", b"{no json", []),
            (events, b"ada", newer, []),
            (events, None, good.value, good.headers),
            (events, b"ada", None, []),
            (events, *good),
            (events, *old),
            (events, *old),  # the bus delivers it again, later than ids are kept
            (events, *good),
        ]
    )
    cluster.totals()
    cluster.worker()
    until(lambda: (cluster.status().events, cluster.status().dead_letters) == (2, 4), cluster.said, 120)
    with closing(read_store(cluster.state)) as conn:
        found = sorted((letter.reason, letter.body) for letter in letters(conn))
    assert [reason for reason, _ in found] == ["json", "json", "schema", "username"]
    assert {body for _, body in found} == {b"{no json", newer, good.value, b""}
    account = cluster.accounts()["ada"]
    assert account.version == 1
    assert account.state is not None
    assert account.state.first_seen == START


@pytest.mark.parametrize(("topic", "name"), [("events", "events"), ("accounts", "accounts-changelog")])
def test_topics_of_other_partitions_are_refused_before_anything_is_written(
    cluster: Cluster, topic: str, name: str
) -> None:
    cluster.create(**{topic: 3})
    for verb in (("worker", "--directory", str(cluster.folder / "none")), ("bridge", "--from", "nothing.parquet")):
        command = [sys.executable, "-m", "homecoming", *verb, "--config", str(cluster.config)]
        if verb[0] == "worker":
            command += ["--listen", "127.0.0.1:0"]
        done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
        assert done.returncode == 2, done.stderr
        said = done.stderr.splitlines()[-1]
        assert re.search(rf"topic \S+{name} has 3 partitions, consumer_config.kafka.partitions is 8", said)
    assert not (cluster.folder / "none").exists()
    names = topics_of(cluster.settings.kafka)
    assert set(cluster.client("topics").splitlines()) & set(names) == {getattr(names, topic)}


def test_without_kafka_a_worker_waits_and_says_so(tmp_path: Path) -> None:
    from tests.integration.kafka import lacking

    if reason := lacking():
        pytest.skip(reason)
    nobody = Cluster(f"127.0.0.1:{free_port()}", tmp_path)
    worker = nobody.worker()
    log = tmp_path / "worker.log"
    try:
        until(lambda: "trying again in 1 s" in log.read_text(), log.read_text, 90)
        (address,) = re.findall(r"metrics on (http://\S+)", log.read_text())
        assert requests.get(f"{address}/live", timeout=20).status_code == 200
        answer = requests.get(f"{address}/ready", timeout=20)
        assert answer.status_code == 503
        assert "Kafka" in answer.json()["reason"]
        assert worker.poll() is None
    finally:
        nobody.stop()
