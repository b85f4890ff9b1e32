"""Waves of sign-ups: more than the hour expects, names of one pattern, newcomers who all begin with a new thread.

A rate alone cannot tell a hackfest from an attack, so it informs; a second key makes a wave critical. Everything is a
function of the set of sign-ups and of the newcomers' first posts: the order of arrival makes no difference.
"""

from bisect import bisect_left
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from typing import NamedTuple

from state.spam.calibration import WINDOW, Calibration, Calibrations
from state.spam.chances import binomial_tail, negative_binomial_tail
from state.spam.names import patterns
from state.spam.posts import THREAD
from state.weeks import DAY, HOUR, SECOND, WEEK

#: Windows over which sign-ups are counted.
WINDOWS = (600 * SECOND, HOUR, 6 * HOUR, DAY, WEEK)

#: What is usual comes from so long before the last day.
HISTORY = 28 * DAY

#: A rate that is expected from less than this is no baseline.
_SHORTEST_HISTORY, _FEWEST_SIGNUPS = 14 * DAY, 50

#: Chances below which a key fires. A rate informs only, so it may be wrong once in two weeks; a pattern of names and
#: what a cohort does are critical, and 300 sign-ups a week give less than one false alarm a year.
RATE_CHANCE, NAME_CHANCE, COHORT_CHANCE = 1e-4, 1e-6, 1e-5

#: The same for what names share without being numbered: first names and surnames come in families by themselves.
SHARED_NAME_CHANCE = 1e-8

#: Even the quietest hour expects somebody some day: so many sign-ups in a window.
_LEAST_EXPECTED = 0.01

#: Fewest sign-ups of a rate wave and of a pattern, fewest first posts of a wave.
_FEWEST_OF_RATE, _FEWEST_OF_PATTERN, _FEWEST_POSTS = 5, 5, 6

#: Patterns nobody has shown yet are as likely as if 200 more had signed up and one had shown it.
_UNSEEN = 200

#: A wave is over when its key has not fired for so long.
QUIET = {"rate": 2 * HOUR, "name": DAY, "cohort": 6 * HOUR}

#: Members of a wave that are listed at most, the first ones, and first posts that its cohort is told by, the latest
#: ones: what a flood of accounts does is known by then, and to go through all of them for each would take for ever.
MEMBERS_KEPT = POSTS_TOLD_BY = 1_000

#: Message ids that a wave carries as its evidence at most.
_EVIDENCE = 20


#: How often (event time) a scan is marked, and how many marks are kept: whoever comes late finds one before.
_MARKED_EVERY, _MARKS = 6 * HOUR, 12


class Entry(NamedTuple):
    """A sign-up, or (with a weight class) the first post of somebody who signed up; by event time and message id."""

    at: int
    msg_id: str
    name: str
    kind: int | None = None  #: None is the sign-up


@dataclass(slots=True)
class Wave:
    """One wave by one key; `at` and `msg_id` are those of the entry with which the key fired first.

    count of `of`: sign-ups in the window that fired, against `expected` (rate); of the pattern among all (name);
    new threads among first posts (cohort). members: who signed up as a part of it.
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

    def join(self, entries: Iterable[Entry]) -> None:
        """Take the sign-ups in, as long as there is room."""
        for entry in entries:
            if len(self.members) < MEMBERS_KEPT:
                self.members.setdefault(entry.name, entry)


class _Mark(NamedTuple):
    """How far a scan had come: what it takes to go on from there once more."""

    at: int
    done: int
    signups: int
    posts: int
    cursors: tuple[int, ...]
    usual_posts: tuple[int, int]
    recent: Counter[str]
    usual: Counter[str]
    waves: int
    active: dict[tuple[str, str | None], tuple[Wave, int, dict[str, Entry]]]


class SignUps:
    """Sign-ups and first posts of the past weeks, and the waves among them."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []
        self.waves: list[Wave] = []
        self._first_posts: dict[str, Entry] = {}
        self._signed_up: dict[str, Entry] = {}
        self._marks: list[_Mark] = []
        self._restart()

    def _restart(self) -> None:
        self._done = 0
        self.waves = []
        self._active: dict[tuple[str, str | None], Wave] = {}
        self._times: list[int] = []
        self._signups: list[Entry] = []
        self._patterns: list[tuple[str, ...]] = []
        self._recent: Counter[str] = Counter()
        self._usual: Counter[str] = Counter()
        self._day = self._month = 0
        self._first = [0] * len(WINDOWS)
        self._posts: list[Entry] = []
        self._usual_posts = [0, 0]
        self._post_day = self._post_month = 0
        self._marks = []

    def sign_up(self, at: int, msg_id: str, name: str) -> None:
        """Somebody's account was created; of several creations the earliest counts."""
        self._put(self._signed_up, Entry(at, msg_id, name))

    def post(self, at: int, msg_id: str, name: str, kind: int) -> bool:
        """Somebody posted; whether it counts: the first post of somebody who signed up not long ago."""
        signed_up = self._signed_up.get(name)
        if signed_up is None or not signed_up.at <= at <= signed_up.at + HISTORY:
            return False
        return self._put(self._first_posts, Entry(at, msg_id, name, kind))

    def load(self, rows: Iterable[tuple[int, str, str, int | None]]) -> None:
        """Sign-ups and first posts as (event time, message id, name, weight class or None), once each and in order."""
        for at, msg_id, name, kind in rows:
            if kind is None:
                self.sign_up(at, msg_id, name)
            else:
                self.post(at, msg_id, name, kind)

    def _put(self, earliest: dict[str, Entry], entry: Entry) -> bool:
        known = earliest.get(entry.name)
        if known is not None:
            if (entry.at, entry.msg_id) >= (known.at, known.msg_id):
                return False
            place = bisect_left(self.entries, known)
            del self.entries[place]
            self._go_back(place)
        earliest[entry.name] = entry
        if self.entries and entry < self.entries[-1]:
            place = bisect_left(self.entries, entry)
            self.entries.insert(place, entry)
            self._go_back(place)
        else:
            self.entries.append(entry)
        return True

    def drop_before(self, at: int) -> int:
        """Forget what is older, once it is a good part of everything; how many sign-ups there were."""
        first = bisect_left(self.entries, (at,))
        if first <= len(self.entries) // 4:
            return 0  # to go through the rest again costs more than to keep a few
        for entry in self.entries[:first]:
            del (self._signed_up if entry.kind is None else self._first_posts)[entry.name]
        signups = sum(entry.kind is None for entry in self.entries[:first])
        del self.entries[:first]
        self._restart()
        return signups

    def evaluate(self, calibrations: Calibrations, *, once: bool = False) -> None:
        """Go on through the entries not yet looked at; once more from a mark on where one came late.

        once: nothing will come late, and marks are not needed.
        """
        for entry in self.entries[self._done :]:
            calibration, _ = calibrations.in_force(entry.at)
            if entry.kind is None:
                self._signed(entry, calibration)
            else:
                self._posted(entry, calibration)
            self._done += 1
            if not once and (not self._marks or entry.at >= self._marks[-1].at + _MARKED_EVERY):
                self._mark(entry.at)

    def _mark(self, at: int) -> None:
        cursors = (self._day, self._month, self._post_day, self._post_month, *self._first)
        self._marks.append(
            _Mark(
                at,
                self._done,
                len(self._times),
                len(self._posts),
                cursors,
                (self._usual_posts[0], self._usual_posts[1]),
                self._recent.copy(),
                self._usual.copy(),
                len(self.waves),
                {key: (wave, wave.until, dict(wave.members)) for key, wave in self._active.items()},
            )
        )
        del self._marks[:-_MARKS]

    def _go_back(self, place: int) -> None:
        """The entries from that place on are others now."""
        if place >= self._done:
            return
        while self._marks and self._marks[-1].done > place:
            self._marks.pop()
        if not self._marks:
            self._restart()
            return
        mark = self._marks[-1]
        self._done = mark.done
        del self._times[mark.signups :], self._signups[mark.signups :], self._patterns[mark.signups :]
        del self._posts[mark.posts :], self.waves[mark.waves :]
        self._day, self._month, self._post_day, self._post_month, *self._first = mark.cursors
        self._usual_posts = list(mark.usual_posts)
        self._recent, self._usual = mark.recent.copy(), mark.usual.copy()
        self._active = {}
        for key, (wave, until, members) in mark.active.items():
            wave.until, wave.members = until, dict(members)
            self._active[key] = wave

    def active(self, at: int) -> set[str]:
        """The keys of the waves that are under way at the event time."""
        return {wave.key for wave in self.waves if wave.at <= at < wave.until + QUIET[wave.key]}

    def _signed(self, entry: Entry, calibration: Calibration) -> None:
        at, times = entry.at, self._times
        times.append(at)
        self._signups.append(entry)
        shown = tuple(patterns(entry.name))
        self._patterns.append(shown)
        recent, usual = self._recent, self._usual
        for pattern in shown:
            recent[pattern] += 1
        while times[self._day] <= at - WINDOW:
            for pattern in self._patterns[self._day]:
                _take(recent, pattern)
                usual[pattern] += 1
            self._day += 1
        while times[self._month] <= at - WINDOW - HISTORY:
            for pattern in self._patterns[self._month]:
                _take(usual, pattern)
            self._month += 1
        self._by_rate(entry, calibration)
        self._by_name(entry, shown, calibration)

    def _by_rate(self, entry: Entry, calibration: Calibration) -> None:
        at, times = entry.at, self._times
        rate = None if calibration.signups is not None else self._usual_rate(at)
        for place, window in enumerate(WINDOWS):
            first = self._first[place]
            while times[first] <= at - window:
                first += 1
            self._first[place] = first
            count = len(times) - first
            if count < _FEWEST_OF_RATE or (calibration.signups is None and rate is None):
                continue
            expected = calibration.expected_signups(at - window, at) if rate is None else rate * window
            expected = max(expected, _LEAST_EXPECTED)
            variance = expected + expected * expected / calibration.spread
            if count <= expected or (count - expected) ** 2 < 9 * variance:
                continue  # a tail this long is no tail of 1e-4, whatever its form
            chance = negative_binomial_tail(count, expected, calibration.spread)
            if chance < RATE_CHANCE:
                members = partial(islice, self._signups, first, None)
                self._fire("rate", None, entry, members, count, count, expected, chance, window, calibration)
                return
        wave = self._active.get(("rate", None))
        if wave and at < wave.until + QUIET["rate"]:
            wave.join([entry])

    def _usual_rate(self, at: int) -> float | None:
        """Sign-ups a microsecond over the weeks before the last day; None where these are too few."""
        before = self._day - self._month
        length = at - WINDOW - max(self._times[0], at - WINDOW - HISTORY)
        return before / length if before >= _FEWEST_SIGNUPS and length >= _SHORTEST_HISTORY else None

    def _by_name(self, entry: Entry, shown: tuple[str, ...], calibration: Calibration) -> None:
        of = len(self._times) - self._day
        before = self._day - self._month
        best: tuple[float, str, int, float] | None = None
        for pattern in shown:
            count = self._recent[pattern]
            if count < _FEWEST_OF_PATTERN:
                continue
            share = (self._usual[pattern] + 1) / (before + _UNSEEN)
            expected = of * share
            if share >= 1 or count <= expected:
                continue
            if share < 0.5 and (count - expected) ** 2 < 16 * expected * (1 - share):
                continue  # four deviations above a mean that small are no chance of 1e-6: the tail is a long one
            chance = binomial_tail(count, of, share)
            most = NAME_CHANCE if pattern.endswith("#") else SHARED_NAME_CHANCE
            if chance < most and (best is None or chance < best[0]):
                best = chance, pattern, count, expected
        if best is None:
            return
        chance, pattern, count, expected = best
        members = partial(self._showing, pattern)
        self._fire("name", pattern, entry, members, count, of, expected, chance, WINDOW, calibration)

    def _showing(self, pattern: str) -> Iterator[Entry]:
        """The sign-ups of the last day that show the pattern."""
        for place in range(self._day, len(self._times)):
            if pattern in self._patterns[place]:
                yield self._signups[place]

    def _posted(self, entry: Entry, calibration: Calibration) -> None:
        at, posts = entry.at, self._posts
        posts.append(entry)
        while posts[self._post_day].at <= at - WINDOW:
            self._usual_posts[posts[self._post_day].kind != THREAD] += 1
            self._post_day += 1
        while posts[self._post_month].at <= at - WINDOW - HISTORY:
            self._usual_posts[posts[self._post_month].kind != THREAD] -= 1
            self._post_month += 1
        wave = self._active.get(("rate", None))
        if wave is None or at >= wave.until + WINDOW:
            return
        latest = posts[max(self._post_day, len(posts) - POSTS_TOLD_BY) :]
        first = [post for post in latest if post.name in wave.members]
        threads = sum(post.kind == THREAD for post in first)
        usual = self._usual_posts
        share = (usual[0] + 5) / (sum(usual) + 20)
        if len(first) < _FEWEST_POSTS or threads <= len(first) * share:
            return
        chance = binomial_tail(threads, len(first), share)
        if chance < COHORT_CHANCE:
            self._fire(
                "cohort",
                None,
                entry,
                partial(map, wave.members.__getitem__, [post.name for post in first]),
                threads,
                len(first),
                len(first) * share,
                chance,
                WINDOW,
                calibration,
            )

    def _fire(
        self,
        key: str,
        pattern: str | None,
        entry: Entry,
        members: Callable[[], Iterable[Entry]],
        count: int,
        of: int,
        expected: float,
        chance: float,
        window: int,
        calibration: Calibration,
    ) -> None:
        """The key fires: a new wave, or the one under way goes on."""
        wave = self._active.get((key, pattern))
        if wave is None or entry.at >= wave.until + QUIET[key]:
            evidence = tuple(deque((member.msg_id for member in members()), _EVIDENCE))
            wave = Wave(
                key, entry.at, entry.msg_id, count, of, expected, chance, window, pattern, calibration, evidence
            )
            self._active[key, pattern] = wave
            self.waves.append(wave)
        wave.until = entry.at
        if len(wave.members) < MEMBERS_KEPT:
            wave.join(members())


def _take(counter: Counter[str], pattern: str) -> None:
    """One less; what is at zero takes no memory."""
    if counter[pattern] == 1:
        del counter[pattern]
    else:
        counter[pattern] -= 1
