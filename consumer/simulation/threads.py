"""Discussions on every service: who asks, who answers how soon, what is solved and closed."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from math import log
from random import Random
from typing import NamedTuple

from consumer.simulation.content import DETAIL_BITS, text
from consumer.simulation.incident import HOUR
from consumer.simulation.model import SimMessage
from state.weeks import DAY, SECOND, WEEK

#: Known people of a community of full size.
_FULL_SIZE = 150

#: Nobody waits longer than this for an answer or a solution, microseconds.
_PATIENCE = 21 * DAY


class _Service(NamedTuple):
    """How one service discusses: threads a week, share that gets no answer, median hours to the first one."""

    opens: str
    replies: str
    threads: int
    ignored: float
    hours: float
    ends: str | None = None  #: what marks the end of a thread, and how often it comes
    ending: float = 0.0
    woven: float = 1.0  #: share of everybody's replies that go to the threads


_SERVICES = (
    _Service(
        "discourse.topic.topic_created",
        "discourse.post.post_created",
        18,
        0.15,
        3,
        "discourse.like.accepted_solution",
        0.4,
    ),
    _Service("pagure.issue.new", "pagure.issue.comment.added", 12, 0.3, 20, "pagure.issue.edit", 0.5),
    _Service("bodhi.update.request.testing", "bodhi.update.comment", 60, 0.35, 30, woven=0.3),
    _Service("mailman.receive", "mailman.receive", 7, 0.4, 8, woven=0),
)


#: What everybody replies to was opened so long ago at most, and rather lately: the newest few, in the mean.
_FRESH, _NEWEST = 14 * DAY, 12


class Woven:
    """Everybody's replies, each about a thing of its own, become replies to threads that there are."""

    def __init__(self, seed: int) -> None:
        self._rng = Random(f"{seed}/woven")
        self._opened: dict[str, deque[SimMessage]] = {service.opens: deque() for service in _SERVICES}

    def weave(self, messages: Iterable[SimMessage], answerable: Callable[[str], bool]) -> Iterator[SimMessage]:
        """The messages, which come by event time; nobody answers those who are not answerable."""
        replies = {service.replies: service for service in _SERVICES if service.woven}
        for message in messages:
            if message.kind in self._opened and message.user is not None and answerable(message.user):
                self._opened[message.kind].append(message)
            service = replies.get(message.kind)
            if service is not None and not message.text and self._rng.random() < service.woven:
                yield self._woven(message, self._opened[service.opens])
            else:
                yield message

    def _woven(self, reply: SimMessage, opened: deque[SimMessage]) -> SimMessage:
        while opened and opened[0].at < reply.at - _FRESH:
            opened.popleft()
        if not opened:
            return reply
        thing = opened[-1 - min(len(opened) - 1, int(self._rng.expovariate(1 / _NEWEST)))].bits
        bits = (reply.bits >> DETAIL_BITS or 1) << DETAIL_BITS | thing & (1 << DETAIL_BITS) - 1
        return reply._replace(bits=bits, text=text(reply))


def week_of_threads(known: Sequence[str], rng: Random, begins: int) -> list[SimMessage]:
    """Threads that known people open in the week from `begins` on, with all that comes of them."""
    said: list[SimMessage] = []
    if len(known) < 2:
        return said
    for service in _SERVICES:
        for _ in range(max(1, service.threads * min(len(known), _FULL_SIZE) // _FULL_SIZE)):
            _thread(said, service, known, rng, begins + rng.randrange(WEEK // SECOND) * SECOND)
    return said


def _thread(said: list[SimMessage], service: _Service, known: Sequence[str], rng: Random, at: int) -> None:
    # What has the low bits in common is about one thing.
    thing, opener = rng.getrandbits(DETAIL_BITS), rng.choice(known)
    said.append(SimMessage(at, thing, service.opens, opener))
    if service.opens.startswith("discourse."):
        said.append(_about(thing, at + SECOND, service.replies, opener, rng))
    last = at
    if rng.random() >= service.ignored:
        for number in range(1 + int(rng.expovariate(0.6))):
            median = service.hours if number == 0 else 6.0
            last += min(_PATIENCE, int(rng.lognormvariate(log(median * 3600), 1.1)) * SECOND + 2 * 60 * SECOND)
            author = opener if number and rng.random() < 0.4 else rng.choice(known)
            said.append(_about(thing, last, service.replies, author, rng))
    if service.ends and rng.random() < service.ending:
        closed = last + min(_PATIENCE, int(rng.expovariate(1 / 48) * HOUR) // SECOND * SECOND + 600 * SECOND)
        said.append(_about(thing, closed, service.ends, rng.choice(known), rng, written=""))


def _about(thing: int, at: int, kind: str, author: str, rng: Random, written: str | None = None) -> SimMessage:
    """One more message about the thing, in words of its own."""
    words = SimMessage(at, rng.getrandbits(128), kind, author)
    bits = (1 + rng.getrandbits(31)) << DETAIL_BITS | thing
    return SimMessage(at, bits, kind, author, (), text(words) if written is None else written)
