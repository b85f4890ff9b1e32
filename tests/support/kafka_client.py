"""Kafka's client for tests, as a process of its own: kafka-python leaves sockets open, which a test run forbids.

    python -m tests.support.kafka_client prepare CONFIG
    python -m tests.support.kafka_client send CONFIG            reads JSON lines [topic, key, value, headers]
    python -m tests.support.kafka_client create CONFIG          reads JSON lines [topic, partitions]
    python -m tests.support.kafka_client topics CONFIG          writes their names
    python -m tests.support.kafka_client records CONFIG TOPIC   writes JSON lines [partition, offset, key, value]
    python -m tests.support.kafka_client span CONFIG TOPIC      writes [records, first, last] (milliseconds since 1970)
    python -m tests.support.kafka_client lag CONFIG             writes how many events the workers have not acknowledged

Keys and values are base64 or null.
"""

import json
import sys
import time
from base64 import b64decode, b64encode
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from consumer.kafka_topics import prepare_topics, topics_of, until_reached, worker_group
from consumer.settings import KafkaSettings, load_settings


def packed(raw: bytes | None) -> str | None:
    return None if raw is None else b64encode(raw).decode()


def unpacked(text: str | None) -> bytes | None:
    return None if text is None else b64decode(text)


def sleep(seconds: float) -> bool:
    time.sleep(seconds)
    return False


def lines() -> Iterator[Any]:
    return map(json.loads, sys.stdin)


def send(settings: KafkaSettings) -> None:
    from kafka import KafkaProducer

    producer = KafkaProducer(bootstrap_servers=settings.bootstrap, acks="all", enable_idempotence=True, linger_ms=20)
    sent = [
        producer.send(topic, key=unpacked(key), value=unpacked(value), headers=[(n, v.encode()) for n, v in headers])
        for topic, key, value, headers in lines()
    ]
    producer.flush()
    for future in sent:
        future.get(timeout=60)


def create(settings: KafkaSettings) -> None:
    wanted = {name: {"num_partitions": many, "replication_factor": 1} for name, many in lines()}
    until_reached(settings, sleep, lambda admin: admin.create_topics(wanted, wait_for_metadata=True))


def read(settings: KafkaSettings, topic: str) -> Iterator[Any]:
    """Every record that is there now."""
    from kafka import KafkaConsumer, TopicPartition

    consumer = KafkaConsumer(bootstrap_servers=settings.bootstrap, enable_auto_commit=False)
    parts = [TopicPartition(topic, part) for part in sorted(consumer.partitions_for_topic(topic) or ())]
    consumer.assign(parts)
    consumer.seek_to_beginning(*parts)
    ends = consumer.end_offsets(parts)
    while any(consumer.position(part) < ends[part] for part in parts):
        for found in consumer.poll(timeout_ms=500).values():
            yield from found


def records(settings: KafkaSettings, topic: str) -> None:
    for found in read(settings, topic):
        say([found.partition, found.offset, packed(found.key), packed(found.value)])


def span(settings: KafkaSettings, topic: str) -> None:
    times = [found.timestamp for found in read(settings, topic)]
    say([len(times), min(times, default=0), max(times, default=0)])


def lag(settings: KafkaSettings) -> None:
    from kafka import KafkaConsumer, TopicPartition

    topic = topics_of(settings).events
    consumer = KafkaConsumer(
        bootstrap_servers=settings.bootstrap, group_id=worker_group(settings), enable_auto_commit=False
    )
    parts = [TopicPartition(topic, part) for part in sorted(consumer.partitions_for_topic(topic) or ())]
    ends = consumer.end_offsets(parts)
    say(sum(end - (consumer.committed(part) or 0) for part, end in ends.items()))


def say(found: Any) -> None:
    sys.stdout.write(json.dumps(found) + "\n")


def main() -> None:
    verb, config, *more = sys.argv[1:]
    settings = load_settings(Path(config)).kafka
    match verb:
        case "prepare":
            prepare_topics(settings, sleep)
        case "send":
            send(settings)
        case "create":
            create(settings)
        case "topics":
            for name in until_reached(settings, sleep, lambda admin: admin.list_topics()):
                sys.stdout.write(f"{name}\n")
        case "records":
            records(settings, *more)
        case "span":
            span(settings, *more)
        case "lag":
            lag(settings)


if __name__ == "__main__":
    main()
