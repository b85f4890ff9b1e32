"""Records that Faust leaves out: it does so while partitions are dealt, which no test can bring about at will."""

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

faust_types = pytest.importorskip("faust.types", reason="the extra `scale` is not installed: no distributed mode")
stream = pytest.importorskip("consumer.worker_stream")

PARTITION = faust_types.TP("events", 0)


def taken(*chunks: list[Any], committed: int | None, earliest: int = 0) -> None:
    """Take the chunks as a worker that was dealt one partition, whose log begins at `earliest`."""

    async def earliest_offsets(*partitions: Any) -> dict[Any, int]:
        return dict.fromkeys(partitions, earliest)

    consumer = SimpleNamespace(_committed_offset={PARTITION: committed}, earliest_offsets=earliest_offsets)
    app: Any = SimpleNamespace(consumer=consumer)
    order = stream.Order(app, PARTITION.topic)

    async def take_all() -> None:
        for found in chunks:
            await order.take(PARTITION, found)

    asyncio.run(take_all())


def chunk(first: int, last: int) -> list[Any]:
    return [SimpleNamespace(offset=offset) for offset in range(first, last + 1)]


@pytest.mark.parametrize("committed", [None, 0, 5])
def test_what_follows_is_taken_and_a_gap_is_noticed(committed: int | None) -> None:
    begins = committed or 0
    again = [chunk(begins, begins + 3), chunk(begins + 2, begins + 6)]  # some of them are read twice
    taken(*again, committed=committed)
    with pytest.raises(stream.SkippedError):
        taken(*again, chunk(begins + 8, begins + 9), committed=committed)


@pytest.mark.parametrize("committed", [None, 5])
def test_a_gap_at_the_very_beginning_is_noticed(committed: int | None) -> None:
    with pytest.raises(stream.SkippedError):
        taken(chunk(7, 9), committed=committed)


def test_what_retention_has_taken_is_no_gap() -> None:
    taken(chunk(7, 9), committed=None, earliest=7)


def test_a_hole_within_what_was_fetched_is_a_gap() -> None:
    with pytest.raises(stream.SkippedError):
        taken([*chunk(0, 3), *chunk(5, 6)], committed=None)
