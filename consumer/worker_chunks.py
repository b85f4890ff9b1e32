"""Records that were fetched together go through Faust together: one event of its a chunk, rather than one a record.

Faust's way to an agent is five tasks, two queues and a lock an event, which is ten times what folding one takes.
"""

import asyncio
from collections.abc import AsyncGenerator, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import faust
from faust.transport.utils import DefaultSchedulingStrategy
from faust.types import TP


class Chunk(NamedTuple):
    """Records of one partition as one record of Faust's: its offset is the last one's, its value all of them.

    Faust takes the offsets before it, back to the chunk before, for gaps in the topic. It commits past gaps when what
    follows them is acknowledged, so chunks must be acknowledged in their order.
    """

    topic: str
    partition: int
    offset: int
    timestamp: int
    timestamp_type: int
    value: Sequence[Any]
    headers: None = None
    key: None = None
    checksum: None = None
    serialized_key_size: int = 0
    serialized_value_size: int = 0


def in_chunks(topic: str) -> type[DefaultSchedulingStrategy]:
    """Faust's way of going through what was fetched (its setting ConsumerScheduler): that topic's records in chunks.

    Those of a changelog go one by one, as they are read into the table.
    """

    class InChunks(DefaultSchedulingStrategy):
        def iterate(self, records: Mapping[TP, list[Any]]) -> Iterator[tuple[TP, Any]]:
            for tp, found in records.items():
                if tp.topic == topic and found:
                    last = found[-1]
                    yield tp, Chunk(topic, tp.partition, last.offset, last.timestamp, last.timestamp_type, found)
            yield from super().iterate({tp: found for tp, found in records.items() if tp.topic != topic})

    return InChunks


class AsFetched(faust.Schema[Any, Any]):
    """Nothing is decoded: whoever takes the chunk knows what to do about a record that is none of ours."""

    def loads_key(self, app: Any, message: Any, **_: Any) -> Any:  # noqa: ARG002 - as Faust calls it
        return message.key

    def loads_value(self, app: Any, message: Any, **_: Any) -> Any:  # noqa: ARG002 - as Faust calls it
        return message.value


async def batches(stream: Any, most: int, seconds: float) -> AsyncGenerator[list[Any], None]:
    """Chunks in their order, together as they come within so many seconds, of about `most` records together.

    At least one chunk; a second one only as long as there is room for it. Ends with the stream.
    """
    loop = asyncio.get_running_loop()
    events = aiter(stream.events())
    coming: asyncio.Future[Any] = asyncio.ensure_future(anext(events))
    try:
        while True:
            try:
                batch = [await coming]
            except StopAsyncIteration:
                return
            coming = asyncio.ensure_future(anext(events))
            records, until = len(batch[0].value), loop.time() + seconds
            while records < most and (left := until - loop.time()) > 0:
                done, _ = await asyncio.wait((coming,), timeout=left)
                if not done or coming.exception() or records + len(coming.result().value) > most:
                    break
                batch.append(coming.result())
                records += len(batch[-1].value)
                coming = asyncio.ensure_future(anext(events))
            yield batch
    finally:
        coming.cancel()
