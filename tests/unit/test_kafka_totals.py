"""The totals' owner: partitions side by side, anything twice, and what is none of ours."""

from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import NamedTuple

from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry

from consumer.kafka_records import accepted_record, coverage_record, event_record
from consumer.kafka_topics import topics_of
from consumer.settings import KafkaSettings, Settings
from consumer.totals import Totals
from metrics.hotpath import HotPath, wall_clock
from state.coverage import gaps
from state.dead_letters import letters
from state.live import Message
from state.rules import Rules
from state.screening import screen_pending
from state.store import Store, open_store
from tests.support.logs import expected, logs, scratch, views
from tests.support.spam import backfilled, flags_of, histories

TOPICS = topics_of(KafkaSettings())


class Record(NamedTuple):
    """What a reader gets of Kafka."""

    topic: str
    partition: int
    offset: int
    value: bytes | None


def owner(folder: Path) -> tuple[Totals, Store]:
    store = open_store(folder, Rules())
    return Totals(Settings(), store, HotPath(CollectorRegistry()), wall_clock), store


def handed_on(log: Sequence[Message], random: Random, most: int) -> list[Record]:
    """The log by three partitions that are read one after the other, some records twice."""
    values = [(sum(map(ord, str(e.user))) % 3, event_record(e).value) for message in log for e in message]
    values.sort(key=lambda pair: pair[0])
    found: list[Record] = []
    while values:
        many = random.randint(1, most)
        taken, values = values[:many], values[many:]
        found.append(Record(TOPICS.accepted, taken[0][0], len(found), accepted_record([value for _, value in taken])))
    return [record for record in found for _ in range(random.choice((1, 1, 2)))]


@settings(max_examples=15)
@given(logs(), st.integers(0, 1 << 32))
def test_views_are_those_of_the_fold(log: list[Message], seed: int) -> None:
    random = Random(seed)
    with scratch() as folder:
        totals, store = owner(folder)
        for record in handed_on(log, random, 7):
            totals.take([record])
        assert views(store) == expected(log, Rules())
        store.close()


@settings(max_examples=6)
@given(histories(), st.integers(0, 1 << 32))
def test_partitions_that_are_days_apart_give_the_same_flags(log: list[Message], seed: int) -> None:
    with scratch() as folder:
        once = open_store(folder / "once", Rules())
        backfilled(once, log)
        totals, store = owner(folder / "owner")
        for record in handed_on(log, Random(seed), 30):
            totals.take([record])
        screen_pending(store)
        assert flags_of(store) == flags_of(once)
        assert views(store) == views(once)
        store.close()
        once.close()


def test_what_is_none_of_ours_is_kept(tmp_path: Path) -> None:
    totals, store = owner(tmp_path)
    bad = [Record(TOPICS.accepted, 0, n, value) for n, value in enumerate((b"{", b'{"v":1,"events":[{}]}', None))]
    totals.take([*bad, Record(TOPICS.notes, 0, 0, b'{"v":1}')])
    totals.take(bad)  # again, after a crash
    assert [letter.reason for letter in letters(store.conn)].count("json") == 2
    assert len(list(letters(store.conn))) == 4
    store.close()


def test_coverage_is_one_interval_for_each_time_the_bridge_listened(tmp_path: Path) -> None:
    totals, store = owner(tmp_path)
    notes = [("amqp", 1_000, end) for end in (1_000, 2_000, 3_000)] + [("amqp", 9_000, end) for end in (9_000, 9_500)]
    for place, note in enumerate([*notes, *notes[:2]]):
        totals.take([Record(TOPICS.notes, 0, place, coverage_record(*note))])
    assert gaps(store.conn) == [(3_000, 9_000)]
    assert store.conn.execute("SELECT count(*) FROM coverage").fetchone() == (2,)
    store.close()
