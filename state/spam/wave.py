"""A wave of sign-ups, and the waves found so far, which can be taken back to what they were before any entry."""

from bisect import bisect_left
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

from state.spam.calibration import Calibration
from state.weeks import DAY, HOUR

#: A wave is over when its key has not fired for so long.
QUIET = {"rate": 2 * HOUR, "name": DAY, "cohort": 6 * HOUR}

#: Members of a wave that are listed at most, the first ones: what a flood of accounts does is known by then.
MEMBERS_KEPT = 1_000

#: Message ids that a wave carries as its evidence at most.
_EVIDENCE = 20

#: What fires, and of the names' key the pattern: of each of these one wave is under way at most.
Key = tuple[str, str | None]

RATE: Key = ("rate", None)
COHORT: Key = ("cohort", None)


class Entry(NamedTuple):
    """A sign-up, or (with a weight class) the first post of somebody who signed up; by event time and message id."""

    at: int
    msg_id: str
    name: str
    kind: int | None = None  #: None is the sign-up


class Tally(NamedTuple):
    """What fires a key.

    seen of `of`: sign-ups in the window, against `expected` (rate); of the pattern among all (name); new threads
    among first posts (cohort).
    """

    seen: int
    of: int
    expected: float
    chance: float
    window: int


@dataclass(slots=True)
class Wave:
    """One wave by one key; `at` and `msg_id` are those of the entry with which the key fired first.

    count to window: the tally it fired on. members: who signed up as a part of it.
    """

    key: str
    at: int
    msg_id: str
    count: int
    of: int
    expected: float
    chance: float
    window: int
    pattern: str | None
    calibration: Calibration
    evidence: tuple[str, ...]
    until: int = 0  #: event time at which the key fired last
    members: dict[str, Entry] = field(default_factory=dict)  #: name -> sign-up

    def goes_on(self, at: int) -> bool:
        """Whether it is under way at the event time, which lies after its beginning."""
        return at < self.until + QUIET[self.key]

    def join(self, entries: Iterable[Entry]) -> None:
        """Take the sign-ups in, as long as there is room."""
        for entry in entries:
            if len(self.members) < MEMBERS_KEPT:
                self.members.setdefault(entry.name, entry)


class _Change(NamedTuple):
    """What an entry did: the wave of the key before it, None for none, how long that went on and whom it had."""

    entry: Entry
    key: Key
    wave: Wave | None
    until: int = 0
    members: int = 0


class Waves:
    """The waves that the entries so far have made, given in order."""

    def __init__(self) -> None:
        self.found: list[Wave] = []
        self.latest: dict[Key, Wave] = {}
        self._changes: list[_Change] = []

    def fire(
        self, key: Key, entry: Entry, tally: Tally, members: Callable[[], Iterable[Entry]], calibration: Calibration
    ) -> None:
        """The key fires: a new wave, or the one under way goes on."""
        wave = self._changing(key, entry)
        if wave is None or not wave.goes_on(entry.at):
            evidence = tuple(deque((member.msg_id for member in members()), _EVIDENCE))
            wave = Wave(key[0], entry.at, entry.msg_id, *tally, key[1], calibration, evidence)
            self.latest[key] = wave
            self.found.append(wave)
        wave.until = entry.at
        if len(wave.members) < MEMBERS_KEPT:
            wave.join(members())

    def join(self, key: Key, entry: Entry) -> None:
        """A sign-up while the key's wave is under way, if there is one, belongs to it."""
        wave = self.latest.get(key)
        if wave is not None and wave.goes_on(entry.at):
            self._changing(key, entry)
            wave.join([entry])

    def _changing(self, key: Key, entry: Entry) -> Wave | None:
        """The key's latest wave, the state of which is noted."""
        wave = self.latest.get(key)
        known = () if wave is None else (wave.until, len(wave.members))
        self._changes.append(_Change(entry, key, wave, *known))
        return wave

    def take_back(self, entry: Entry) -> None:
        """Make everything what it was before that entry and all after it."""
        while self._changes and self._changes[-1].entry >= entry:
            _, key, before, until, members = self._changes.pop()
            if self.latest[key] is not before:
                self.found.pop()
            if before is None:
                del self.latest[key]
                continue
            self.latest[key] = before
            before.until = until
            while len(before.members) > members:
                before.members.popitem()

    def settle(self) -> None:
        """Nothing will be taken back any more."""
        self._changes.clear()

    def forget(self, at: int) -> None:
        """Forget waves that were over at that event time; nothing before it will be taken back."""
        del self._changes[: bisect_left(self._changes, at, key=lambda change: change.entry.at)]
        self.found = [wave for wave in self.found if wave.goes_on(at)]
        self.latest = {key: wave for key, wave in self.latest.items() if wave.goes_on(at)}
