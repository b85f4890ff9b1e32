"""A worker that has lost a partition writes to it all the same: what the new owner knows stands."""

import pytest

from consumer.kafka_topics import topics_of
from consumer.worker_account import progress
from state.rules import Rules
from tests.integration.kafka import Cluster, bootstrap, cluster, kafka_node
from tests.integration.rabbitmq import until
from tests.support.kafka_story import events_of, story
from tests.support.logs import Oracle

__all__ = ["bootstrap", "cluster", "kafka_node"]


def changelog(cluster: Cluster) -> dict[bytes, list[bytes]]:
    """Key -> its values, in their order."""
    found: dict[bytes, list[bytes]] = {}
    for *_, key, value in cluster.records(topics_of(cluster.settings.kafka).accounts):
        found.setdefault(key or b"", []).append(value or b"")
    return found


def taken(cluster: Cluster) -> None:
    until(lambda: cluster.client("lag").strip() == "0", cluster.said, 120)


@pytest.mark.parametrize("directory", ["one", "two"], ids=["its own files", "no files"])
def test_an_older_value_at_the_end_of_the_changelog_is_passed_over(cluster: Cluster, directory: str) -> None:
    log = story(users=20, events=240)
    events = events_of(log)
    third = len(events) // 3
    worker = cluster.worker("one")
    for part in (events[:third], events[third : 2 * third]):
        cluster.feed(part)
        taken(cluster)
    assert cluster.end(worker) == 0, cluster.said()
    values = changelog(cluster)
    older = {key: each[0] for key, each in values.items() if progress(each[0]) < progress(each[-1])}
    assert older, "nobody was written twice"
    topic = topics_of(cluster.settings.kafka).accounts
    cluster.send([(topic, key, value, []) for key, value in older.items()])
    assert all(changelog(cluster)[key][-1] == value for key, value in older.items())

    cluster.worker(directory)
    # Compaction keeps the last value alone, so that has to be the later one.
    until(lambda: all(changelog(cluster)[key][-1] == values[key][-1] for key in older), cluster.said, 120)
    cluster.feed(events[2 * third :])
    taken(cluster)
    truth = Oracle(Rules()).take_in(log).states
    assert {name: account.state for name, account in cluster.accounts().items()} == truth
