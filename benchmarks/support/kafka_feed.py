"""Events made ready beforehand and sent at once, so that sending takes no time of whoever takes them.

python -m benchmarks.support.kafka_feed BOOTSTRAP TOPIC PARTITIONS EVENTS USERS

Says `ready`, waits for a line, sends everything in batches that are made already, and says when it began (milliseconds
since 1970). What the bridge sends, by its keys, in its partitions.
"""

import asyncio
import sys
import time
from collections.abc import Iterator
from random import Random
from typing import Any

from aiokafka import AIOKafkaProducer  # type: ignore[import-untyped]
from aiokafka.partitioner import DefaultPartitioner  # type: ignore[import-untyped]

from consumer.kafka_records import event_record
from state.event import Event, service_of
from state.weeks import WEEK, week_named, week_start

TOPICS = (
    "io.pagure.prod.pagure.issue.comment.added",
    "io.pagure.prod.pagure.git.receive",
    "org.fedoraproject.prod.wiki.article.edit",
    "org.fedoraproject.prod.bodhi.update.comment",
)


def events(many: int, users: int) -> Iterator[Event]:
    """Eight weeks in order; a tenth of the users does most."""
    chance = Random(1)
    start = week_start(week_named("2024-06-03"))
    for place in range(many):
        user = chance.randrange(max(1, users // 10)) if chance.random() < 0.6 else chance.randrange(users)
        topic = TOPICS[place % len(TOPICS)]
        at = start + place * 8 * WEEK // many
        found = f"https://pagure.io/project/issue/{place}"
        yield Event(
            f"id-{place:08}", at, None, topic, f"user{user}", "actor", service_of(topic), "project", None, found
        )


async def feed(bootstrap: str, topic: str, partitions: int, many: int, users: int) -> None:
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap, acks="all", max_batch_size=64 * 1024)
    await producer.start()
    places = list(range(partitions))
    partition_of = DefaultPartitioner()
    batches: dict[int, list[Any]] = {place: [producer.create_batch()] for place in places}
    for event in events(many, users):
        key, value, headers = event_record(event)
        found = batches[partition_of(key, places, places)]
        if found[-1].append(timestamp=None, key=key, value=value, headers=headers) is None:
            found.append(producer.create_batch())
            found[-1].append(timestamp=None, key=key, value=value, headers=headers)
    print("ready", flush=True)
    await asyncio.to_thread(sys.stdin.readline)
    print(time.time_ns() // 1_000_000, flush=True)
    sent = await asyncio.gather(*(send(producer, topic, place, found) for place, found in batches.items()))
    await asyncio.gather(*(future for futures in sent for future in futures))
    await producer.stop()


async def send(producer: AIOKafkaProducer, topic: str, partition: int, found: list[Any]) -> list[Any]:
    return [await producer.send_batch(batch, topic, partition=partition) for batch in found]


if __name__ == "__main__":
    address, name, *figures = sys.argv[1:]
    asyncio.run(feed(address, name, *map(int, figures)))
