"""The workers' table: of two values of an account the later one is the one that holds more, whichever came last.

A worker that has lost a partition without knowing it yet, because the broker or the worker itself was away for a while,
may still write what it had made of it, after the new owner's first values.
"""

from collections.abc import Iterable
from typing import Any

import faust

from consumer.worker_account import progress


class AccountTable(faust.Table[bytes, bytes]):
    """A table whose recovery passes over values that are older than those before them.

    overtaken: partition -> keys of which the changelog has such a value last, so that compaction would keep that one.
    """

    overtaken: dict[int, set[bytes]]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.overtaken = {}

    def apply_changelog_batch(self, batch: Iterable[Any]) -> None:
        """Take the values that hold as much as those known, or more."""
        store: Any = self.data
        known: dict[tuple[int, bytes], int] = {}
        taken = []
        for event in batch:
            message = event.message
            place = message.partition, message.key
            if place not in known:
                known[place] = progress(store._db_for_partition(message.partition).get(message.key))  # noqa: SLF001
            overtaken = self.overtaken.setdefault(message.partition, set())
            held = progress(message.value)
            if held < known[place]:
                overtaken.add(message.key)
                continue
            overtaken.discard(message.key)
            known[place] = held
            taken.append(event)
        super().apply_changelog_batch(taken)
