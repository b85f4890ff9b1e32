"""What the detector costs: processor time of one more content event, in order and late, and of a sign-up.

Measured is the detector alone, as the consumer calls it: the events that arrive together, 500 at most, folded before.
What decoding, deduplicating, folding and writing cost is not in it; `benchmarks/bench_live.py` measures all of that.
Every post carries a text of its own, as most do, so that the search for repeated ones is paid, too; so are the
forgetting of what is old, and the posts of people of long standing, who are most. What a post in order costs is what
its batches cost more than their sign-ups alone. Those that come late are shown after the rest of their batch, so that
they pay for a batch of their own besides.
"""

import gc
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from random import Random
from time import process_time_ns

from consumer.evaluation.history import History
from state.event import Event
from state.rules import Rules
from state.spam.calibration import Calibrations
from state.spam.detector import Detector
from state.spam.posts import THREAD
from state.weeks import HOUR, WEEK

_TOPICS = {True: "io.pagure.prod.pagure.issue.new", False: "io.pagure.prod.pagure.issue.comment.added"}
_CREATION = "org.fedoraproject.prod.fas.user.create"

#: Events that arrive together at most, as in a live batch.
_BATCH = 500

#: The history's last weeks are enough: sign-ups, which are kept longest, are forgotten within them.
_WEEKS = 16

#: Share of the content events that come late, and by how much at most.
_LATE, _LATENESS = 0.03, 6 * HOUR

#: Each batch is measured so often, and the least counts: other programs can only make it seem dearer.
_TIMES = 7


@dataclass(slots=True)
class Cost:
    """Content events and nanoseconds, in order and late; sign-ups and theirs."""

    in_order: int = 0
    in_order_ns: int = 0
    late: int = 0
    late_ns: int = 0
    signups: int = 0
    signups_ns: int = 0

    def add(self, more: "Cost") -> None:
        """Measure both together."""
        self.in_order += more.in_order
        self.in_order_ns += more.in_order_ns
        self.late += more.late
        self.late_ns += more.late_ns
        self.signups += more.signups
        self.signups_ns += more.signups_ns

    @property
    def in_order_us(self) -> float:
        """Microseconds a content event in order."""
        return self.in_order_ns / 1000 / max(1, self.in_order)

    @property
    def late_us(self) -> float:
        """Microseconds a late content event."""
        return self.late_ns / 1000 / max(1, self.late)

    @property
    def signups_us(self) -> float:
        """Microseconds a sign-up."""
        return self.signups_ns / 1000 / max(1, self.signups)


def measure(history: History, calibrations: Calibrations) -> Cost:
    """Live batches through the detector."""
    rng = Random(0)  # noqa: S311 - no secret: which of them are late
    events = _events(history)
    late = {event.msg_id: rng.randrange(_LATENESS) for event in events if _is_post(event) and rng.random() < _LATE}
    events.sort(key=lambda event: (event.at + late.get(event.msg_id, 0), event.msg_id))
    batches = [events[first : first + _BATCH] for first in range(0, len(events), _BATCH)]
    gc.collect()
    gc.freeze()  # the history is this evaluation's: a live detector's collections do not go through it
    try:
        alone, whole = (
            [_spent(some, late.keys(), history, calibrations) for _ in range(_TIMES)]
            for some in ([[event for event in batch if not _is_post(event)] for batch in batches], batches)
        )
    finally:
        gc.unfreeze()
    (signups_ns, _), (in_time_ns, late_ns) = (
        [sum(map(min, zip(*part, strict=True))) for part in zip(*runs, strict=True)] for runs in (alone, whole)
    )
    posts = sum(map(_is_post, events))
    return Cost(
        posts - len(late),
        in_time_ns - signups_ns,
        len(late),
        late_ns,
        len(events) - posts,
        signups_ns,
    )


def _spent(
    batches: Sequence[Sequence[Event]], late: Collection[str], history: History, calibrations: Calibrations
) -> tuple[list[int], list[int]]:
    """Nanoseconds of processor time for each batch: what is in order, and then the late ones."""
    detector = Detector(Rules(), calibrations)
    spent: tuple[list[int], list[int]] = ([], [])
    for together in batches:
        for is_late, measured in enumerate(spent):
            batch = [event for event in together if (event.msg_id in late) == is_late]
            named = {event.user: history.users[event.user] for event in batch if event.user is not None}
            begun = process_time_ns()
            for _ in detector.take(batch, named):  # a step at a time
                pass
            measured.append(process_time_ns() - begun)
    return spent


def _events(history: History) -> list[Event]:
    """Sign-ups and posts of the last weeks, in order."""
    events = [_event(at, msg_id, _CREATION, name) for at, msg_id, name in history.signups]
    events += [
        _event(post.at, post.msg_id, _TOPICS[post.kind == THREAD], name, post.msg_id) for name, post in history.posts
    ]
    recent = (event for event in events if event.at >= history.end - _WEEKS * WEEK)
    return sorted(recent, key=lambda event: (event.at, event.msg_id))


def _is_post(event: Event) -> bool:
    return event.topic != _CREATION


def _event(at: int, msg_id: str, topic: str, name: str, text: str | None = None) -> Event:
    return Event(msg_id, at, at, topic, name, "actor", "", content_hash=text)
