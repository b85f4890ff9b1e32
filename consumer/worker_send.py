"""Records to Kafka by whole batches: one future for each, instead of a future, a callback and two awaits a record."""

import asyncio
from collections.abc import Iterable
from typing import Any

import faust

#: Key and value.
Pair = tuple[bytes | None, bytes]


class Sent:
    """Batches of one topic and partition that are on their way, in their order."""

    def __init__(self) -> None:
        self._batches: list[tuple[asyncio.Future[Any], int]] = []

    def add(self, future: "asyncio.Future[Any]", records: int) -> None:
        self._batches.append((future, records))

    async def arrived(self) -> int:
        """Wait until Kafka has all of them on every replica in sync; the last record's offset, -1 for no records."""
        found = await asyncio.gather(*(future for future, _ in self._batches))
        return int(found[-1].offset) + self._batches[-1][1] - 1 if found else -1


async def send(app: faust.App, topic: str, partition: int, pairs: Iterable[Pair]) -> Sent:
    """Hand the records to the producer's queue, in their order and in as few batches as they fit in."""
    producer: Any = app.producer._ensure_producer()  # type: ignore[attr-defined]  # noqa: SLF001 - Faust has no way of its own to send many
    sent = Sent()
    batch = producer.create_batch()
    for key, value in pairs:
        if batch.append(key=key, value=value, timestamp=None) is None:
            await _queue(producer, batch, topic, partition, sent)
            batch = producer.create_batch()
            batch.append(key=key, value=value, timestamp=None)  # however long it is: a batch holds one record at least
    if batch.record_count():
        await _queue(producer, batch, topic, partition, sent)
    return sent


async def _queue(producer: Any, batch: Any, topic: str, partition: int, sent: Sent) -> None:
    batch.close()  # it need not linger: there is nothing to come
    sent.add(await producer.send_batch(batch, topic, partition=partition), batch.record_count())
