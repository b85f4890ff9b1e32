"""Where a message goes: decode -> deduplicate -> fold -> commit -> acknowledge.

Every source hands its deliveries to `Pipeline.take_in` and acknowledges what comes back: all of a batch, and
only after the commit. Delivery is at least once; ids in the same transaction make the effect exactly once.

    delivery            disposition    what the source does
    decoded, new        accepted       acknowledge
    seen before         duplicate      acknowledge
    of an expired week  expired        acknowledge (counted)
    cannot be decoded   dead_letter    reject without requeue (kept whole in the state, with the reason)
    state is busy       (raises)       keep the batch, try again later; nothing was written
"""

import json
from collections.abc import Callable, Sequence
from time import perf_counter
from typing import Literal

from consumer.decode import Decoded, Delivery, Poison, decode
from consumer.delivery import printable
from metrics.hotpath import HotPath
from state.dead_letters import DeadLetter
from state.live import Disposition, commit_batch
from state.store import Store
from state.weeks import SECOND

#: What became of one delivery.
Outcome = Disposition | Literal["dead_letter"]

#: Processing time in microseconds since 1970 UTC.
Clock = Callable[[], int]


class Pipeline:
    """The one way from a delivery into the state. Not thread-safe: one thread uses it at a time."""

    def __init__(self, store: Store, hot_path: HotPath, clock: Clock, source: str = "amqp") -> None:
        self.store = store
        self.hot_path = hot_path
        self.clock = clock
        self.source = source
        #: The coverage interval to extend with each commit, while the source is connected.
        self.interval: int | None = None

    def take_in(self, deliveries: Sequence[Delivery]) -> list[Outcome]:
        """Commit the batch as one transaction; what became of each delivery, in their order.

        Raises StateBusyError, with nothing written, where the same batch can be tried again.
        """
        began = perf_counter()
        now = self.clock()
        decoded: list[Decoded] = []
        dead: list[DeadLetter] = []
        refused: set[int] = set()
        for place, delivery in enumerate(deliveries):
            try:
                decoded.append(decode(delivery, now))
            except Poison as poison:
                refused.add(place)
                dead.append(dead_letter(delivery, poison, now, self.source))
        return self.commit(deliveries, decoded, dead, refused, began)

    def commit(
        self,
        deliveries: Sequence[Delivery],
        decoded: Sequence[Decoded],
        dead: Sequence[DeadLetter],
        refused: set[int],
        began: float,
    ) -> list[Outcome]:
        """The second half of `take_in`, for sources whose library decodes."""
        listening = None if self.interval is None else (self.interval, self.clock())
        done = commit_batch(self.store, [message.events for message in decoded], dead, listening)
        committed = iter(done.dispositions)
        outcomes: list[Outcome] = [
            "dead_letter" if place in refused else next(committed) for place in range(len(deliveries))
        ]
        now = self.clock()
        self.hot_path.batch(
            outcomes,
            seconds=perf_counter() - began,
            lags=[(now - message.at) / SECOND for message in decoded],
            dead=[letter.reason for letter in dead],
        )
        self.hot_path.looked(done.looked)
        return outcomes


def dead_letter(delivery: Delivery, poison: Poison, now: int, source: str) -> DeadLetter:
    """The delivery as a dead letter, whole."""
    return DeadLetter(
        received_at=now,
        reason=poison.reason,
        detail=poison.detail,
        source=source,
        msg_id=printable(delivery.msg_id),
        topic=printable(delivery.topic),
        headers=_as_json(delivery.headers),
        body=delivery.body,
    )


def _as_json(headers: object) -> str:
    """The headers as JSON, whatever a source made of them."""
    try:
        return json.dumps(headers, default=repr)
    except (TypeError, ValueError, RecursionError):
        return json.dumps({"unreadable": ascii(headers)[:100_000]})
