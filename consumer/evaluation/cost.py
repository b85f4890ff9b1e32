"""What the detector costs: processor time a content event, in order and late."""

from collections.abc import Iterator
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

#: The history's last weeks are enough: what came before is forgotten by then.
_WEEKS = 8

#: Share of the events that come late, and by how much at most.
_LATE, _LATENESS = 0.03, 6 * HOUR


@dataclass(slots=True)
class Cost:
    """Content events and nanoseconds, in order and late. Sign-ups are paid by those that are in order."""

    in_order: int = 0
    in_order_ns: int = 0
    late: int = 0
    late_ns: int = 0

    def add(self, more: "Cost") -> None:
        """Measure both together."""
        self.in_order += more.in_order
        self.in_order_ns += more.in_order_ns
        self.late += more.late
        self.late_ns += more.late_ns

    @property
    def in_order_us(self) -> float:
        """Microseconds a content event in order."""
        return self.in_order_ns / 1000 / max(1, self.in_order)

    @property
    def late_us(self) -> float:
        """Microseconds a late content event."""
        return self.late_ns / 1000 / max(1, self.late)


def measure(history: History, calibrations: Calibrations) -> Cost:
    """Live batches through the detector; each late event is a batch of its own."""
    detector, cost = Detector(Rules(), calibrations), Cost()
    for late, batch in _arriving(history):
        named = {event.user: history.users[event.user] for event in batch if event.user is not None}
        begun = process_time_ns()
        for _ in detector.take(batch, named):  # a step at a time
            pass
        spent = process_time_ns() - begun
        posts = sum(event.topic != _CREATION for event in batch)
        if late:
            cost.late += posts
            cost.late_ns += spent
        else:
            cost.in_order += posts
            cost.in_order_ns += spent
    return cost


def _arriving(history: History) -> Iterator[tuple[bool, list[Event]]]:
    """(whether it is late, events) in order of arrival."""
    rng = Random(0)  # noqa: S311 - no secret: which of them are late
    events = [_event(at, msg_id, _CREATION, name) for at, msg_id, name in history.signups]
    events += [_event(post.at, post.msg_id, _TOPICS[post.kind == THREAD], name) for name, post in history.posts]
    arriving = []
    for event in (one for one in events if one.at >= history.end - _WEEKS * WEEK):
        late = event.topic != _CREATION and rng.random() < _LATE
        arriving.append((event.at + (rng.randrange(_LATENESS) if late else 0), late, event))
    batch: list[Event] = []
    for _, late, event in sorted(arriving, key=lambda one: (one[0], one[2].msg_id)):
        if late or len(batch) == _BATCH:
            yield False, batch
            batch = []
        if late:
            yield True, [event]
        else:
            batch.append(event)
    yield False, batch


def _event(at: int, msg_id: str, topic: str, name: str) -> Event:
    return Event(msg_id, at, at, topic, name, "actor", "")
