"""One pass over sign-ups and newcomers' first posts, in order: by rate, by names, by what a cohort does.

It can be taken back to before any entry, so that one that comes late costs as much as those after it.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from math import ceil, sqrt

from state.spam.calibration import WINDOW, Calibration, Calibrations, Held
from state.spam.chances import binomial_tail, negative_binomial_tail
from state.spam.names import patterns
from state.spam.posts import THREAD
from state.spam.rhythm import Rhythm, Steady
from state.spam.wave import COHORT, RATE, Entry, Tally, Waves
from state.weeks import DAY, HOUR, SECOND, WEEK

#: Windows over which sign-ups are counted.
WINDOWS = (600 * SECOND, HOUR, 6 * HOUR, DAY, WEEK)

#: What is usual comes from so long before the last day.
HISTORY = 28 * DAY

#: A rate that is expected from less than this is no baseline.
_SHORTEST_HISTORY, _FEWEST_SIGNUPS = 14 * DAY, 50

#: Chances below which a key fires. A rate informs only, so it may be wrong once in two weeks; a pattern of names and
#: what a cohort does are critical, and 300 sign-ups a week give less than one false alarm a year.
RATE_CHANCE, NAME_CHANCE, COHORT_CHANCE = 1e-3, 1e-6, 1e-5

#: The same for what names share without being numbered: first names and surnames come in families by themselves.
SHARED_NAME_CHANCE = 1e-8

#: Even the quietest hour expects somebody some day: so many sign-ups in a window.
_LEAST_EXPECTED = 0.01

#: A count that lies fewer standard deviations above the expected one is no chance of 1e-3, whatever the tail's form.
_DEVIATIONS = 3

#: Fewest sign-ups of a rate wave and of a pattern, fewest first posts of a wave.
_FEWEST_OF_RATE, _FEWEST_OF_PATTERN, _FEWEST_POSTS = 5, 5, 6

#: Patterns nobody has shown yet are as likely as if 200 more had signed up and one had shown it.
_UNSEEN = 200

#: First posts that a wave's cohort is told by, the latest ones: to go through all of a flood for each takes for ever.
POSTS_TOLD_BY = 1_000


class Scan:
    """How far the pass has come."""

    def __init__(self) -> None:
        self.waves = Waves()
        self._signups: list[Entry] = []
        self._times: list[int] = []  # event times of the sign-ups
        self._shown: list[tuple[str, ...]] = []  # patterns of their names
        # How often each pattern was shown on the last day, by the sign-ups from `day` on, and in the weeks before.
        self._recent: dict[str, int] = {}
        self._usual: dict[str, int] = {}
        self._day = self._month = 0
        self._posts: list[Entry] = []
        self._threads = [0]  # new threads among the first so many posts

    def go_on(self, entries: Iterable[Entry], calibrations: Calibrations) -> None:
        """Look at the next entries."""
        for entry in entries:
            held = calibrations.holding(entry.at)
            if entry.kind is None:
                self._signed(entry, held)
            else:
                self._posted(entry, held.calibration)

    def take_back(self, entry: Entry) -> None:
        """Forget that entry and all after it."""
        self.waves.take_back(entry)
        posts = bisect_left(self._posts, entry)
        del self._posts[posts:], self._threads[posts + 1 :]
        kept, shown = bisect_left(self._signups, entry), self._shown
        latest = self._times[kept - 1] if kept else 0
        day = bisect_right(self._times, latest - WINDOW, 0, kept)
        month = bisect_right(self._times, latest - WINDOW - HISTORY, 0, kept)
        _less(self._recent, shown[max(self._day, kept) :])
        _more(self._recent, shown[day : min(self._day, kept)])
        _less(self._usual, shown[max(self._month, day) : self._day])
        _more(self._usual, shown[month : min(self._month, day)])
        self._day, self._month = day, month
        del self._signups[kept:], self._times[kept:], shown[kept:]

    def takes_in(self, entry: Entry) -> bool:
        """Take a late post in where that changes no wave found so far; whether it was one."""
        if entry.kind is None or self._tells_cohort(entry.at):
            return False  # of the posts from here on, some may have been asked what their cohort does
        place = bisect_left(self._posts, entry)
        self._posts.insert(place, entry)
        self._threads.insert(place, self._threads[place])
        if entry.kind == THREAD:
            self._threads[place + 1 :] = [threads + 1 for threads in self._threads[place + 1 :]]
        return True

    def _tells_cohort(self, at: int) -> bool:
        """Whether a rate wave is under way at the event time or was within the day before, or later."""
        wave = self.waves.latest.get(RATE)
        return wave is not None and at < wave.until + WINDOW

    def forget(self, at: int) -> bool:
        """Forget what is older than that event time; whether it is so old that nothing was counted any more."""
        signups, posts = bisect_left(self._times, at), bisect_left(self._posts, (at,))
        if signups > self._month or (self._posts and self._posts[-1].at - WINDOW - HISTORY < at):
            return False
        self.waves.forget(at)
        del self._signups[:signups], self._times[:signups], self._shown[:signups]
        del self._posts[:posts], self._threads[:posts]
        self._day -= signups
        self._month -= signups
        return True

    def _signed(self, entry: Entry, held: Held) -> None:
        at, times = entry.at, self._times
        shown = tuple(patterns(entry.name))
        times.append(at)
        self._signups.append(entry)
        self._shown.append(shown)
        _more(self._recent, (shown,))
        while times[self._day] <= at - WINDOW:
            _less(self._recent, (self._shown[self._day],))
            _more(self._usual, (self._shown[self._day],))
            self._day += 1
        while times[self._month] <= at - WINDOW - HISTORY:
            _less(self._usual, (self._shown[self._month],))
            self._month += 1
        self._by_rate(entry, held)
        self._by_name(entry, shown, held.calibration)

    def _by_rate(self, entry: Entry, held: Held) -> None:
        tally = self._too_many(entry.at, held)
        if tally is None:
            self.waves.join(RATE, entry)
        else:
            self.waves.fire(RATE, entry, tally, lambda: self._signups[-tally.seen :], held.calibration)

    def _too_many(self, at: int, held: Held) -> Tally | None:
        times, spread = self._times, held.calibration.spread
        rhythm = held.rhythm or self._usual_rate(at)
        if rhythm is None:
            return None
        for window, fewest in zip(WINDOWS, _fewest_of_rate(held.rhythm, spread), strict=True):
            if len(times) < fewest or times[-fewest] <= at - window:
                continue  # most of the time
            seen = len(times) - bisect_right(times, at - window)
            expected = max(rhythm.between(at - window, at), _LEAST_EXPECTED)
            variance = expected + expected * expected / spread
            if seen <= expected or (seen - expected) ** 2 < _DEVIATIONS**2 * variance:
                continue
            chance = negative_binomial_tail(seen, expected, spread)
            if chance < RATE_CHANCE:
                return Tally(seen, seen, expected, chance, window)
        return None

    def _usual_rate(self, at: int) -> Steady | None:
        """Sign-ups over the weeks before the last day; None where these are too few."""
        before = self._day - self._month
        length = at - WINDOW - max(self._times[0], at - WINDOW - HISTORY)
        return Steady(before / length) if before >= _FEWEST_SIGNUPS and length >= _SHORTEST_HISTORY else None

    def _by_name(self, entry: Entry, shown: tuple[str, ...], calibration: Calibration) -> None:
        of = len(self._times) - self._day
        before = self._day - self._month
        best: tuple[float, str, int, float] | None = None
        for pattern in shown:
            count = self._recent.get(pattern, 0)
            if count < _FEWEST_OF_PATTERN:
                continue
            share = (self._usual.get(pattern, 0) + 1) / (before + _UNSEEN)
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
        tally = Tally(count, of, expected, chance, WINDOW)
        self.waves.fire(("name", pattern), entry, tally, lambda: self._showing(pattern), calibration)

    def _showing(self, pattern: str) -> Iterator[Entry]:
        """The sign-ups of the last day that show the pattern."""
        for place in range(self._day, len(self._times)):
            if pattern in self._shown[place]:
                yield self._signups[place]

    def _posted(self, entry: Entry, calibration: Calibration) -> None:
        at, posts, threads = entry.at, self._posts, self._threads
        posts.append(entry)
        threads.append(threads[-1] + (entry.kind == THREAD))
        if not self._tells_cohort(at):
            return
        wave = self.waves.latest[RATE]
        day = bisect_left(posts, (at - WINDOW + 1,))
        month = bisect_left(posts, (at - WINDOW - HISTORY + 1,))
        first = [post for post in posts[max(day, len(posts) - POSTS_TOLD_BY) :] if post.name in wave.members]
        begun = sum(post.kind == THREAD for post in first)
        share = (threads[day] - threads[month] + 5) / (day - month + 20)
        if len(first) < _FEWEST_POSTS or begun <= len(first) * share:
            return
        chance = binomial_tail(begun, len(first), share)
        if chance < COHORT_CHANCE:
            tally = Tally(begun, len(first), len(first) * share, chance, WINDOW)
            self.waves.fire(COHORT, entry, tally, lambda: [wave.members[post.name] for post in first], calibration)


@lru_cache(maxsize=16)
def _fewest_of_rate(rhythm: Rhythm | None, spread: float) -> Sequence[int]:
    """For each window how many sign-ups could be too many in its quietest hours: fewer never are."""
    if rhythm is None:
        return [_FEWEST_OF_RATE] * len(WINDOWS)
    least = [max(rhythm.least(window), _LEAST_EXPECTED) for window in WINDOWS]
    # Rounded down by far more than what adding up the rhythm may be wrong by.
    bounds = [mean + _DEVIATIONS * sqrt(mean + mean * mean / spread) - 1e-6 for mean in least]
    return [max(_FEWEST_OF_RATE, ceil(bound)) for bound in bounds]


def _more(counts: dict[str, int], shown: Iterable[Iterable[str]]) -> None:
    for names in shown:
        for pattern in names:
            counts[pattern] = counts.get(pattern, 0) + 1


def _less(counts: dict[str, int], shown: Iterable[Iterable[str]]) -> None:
    """Fewer of each; what is at zero takes no memory."""
    for names in shown:
        for pattern in names:
            if counts[pattern] == 1:
                del counts[pattern]
            else:
                counts[pattern] -= 1
