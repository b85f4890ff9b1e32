"""One account's content posts, and where they cross a limit: a two-speed marked CUSUM, and caps over 24 hours.

The score is Page's cumulative sum (1954) of log likelihood ratios of a marked Poisson process: a post of kind k adds
ln(l1_k / l0_k), silence takes sum_k(l1_k - l0_k) a second away, and it never falls below zero. Crossings are a
function of the set of posts, of the account's earliest active days and of its active weeks: the order of arrival
and repetition make no difference.
"""

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from itertools import islice
from typing import NamedTuple

from state.fold import EARLY_DAYS, UserState
from state.spam.calibration import SCORE_CAP, WINDOW, Calibration, Calibrations, Floor, Held
from state.spam.posts import THREAD, Post
from state.weeks import DAY, HOUR, day_of, week_of

#: A crossing opens a flag for so long, in which the same rule opens no other for the account.
FLAG_LIFE = 7 * DAY

#: An account that was away for so many whole weeks and then bursts may be somebody else now.
DORMANT_WEEKS = 4

#: Posts of one account that are kept at most; what a burst beyond them looks like is known by then.
POSTS_KEPT = 512

#: Message ids that a flag carries as its evidence at most: the latest ones.
EVIDENCE = 20

#: Every so many posts it is noted how far the account had come: whoever comes late goes on from there.
_MARKED_EVERY = 16

#: Before every event time; after every event time.
_BEGINNING, _NEVER = 0, 1 << 63

#: Rules about one account; all but the last are of accounts of low tenure.
BURST, CAP, SAME_TEXT, HOURS, HIJACK = "burst", "cap", "same-text", "hours", "hijack"


class Crossing(NamedTuple):
    """Where an account crosses a rule's limit: `post` is the place of the crossing one, of `run` posts that count."""

    rule: str
    at: int
    msg_id: str
    posts: int  #: content posts of the account up to and including the crossing one
    run: int  #: posts that count
    threads: int  #: new threads among them
    begins: int  #: event time of the first of those that count
    score: float
    hours: int  #: distinct hours with a post, of the last 24
    evidence: tuple[str, ...]
    calibration: Calibration
    accounts: int = 1  #: accounts that post the same text


class _Mark(NamedTuple):
    """How far an account had come after its first `done` posts. Places count posts that are forgotten by now, too."""

    done: int = 0
    fast: float = 0.0
    hand: float = 0.0
    last: int = 0  #: event time of the post before
    begins: int = 0  #: place of the first post since the scores were zero
    low: int = 0  #: place of the first post of the last 24 hours
    threads: int = 0  #: new threads from there on


_START = _Mark()


class Track:
    """The content posts of one account within the horizon, and the crossings among them."""

    __slots__ = (
        "_gone",
        "_marks",
        "_reached",
        "_unchanged",
        "asked",
        "crossings",
        "earlier",
        "past",
        "posts",
        "repeated",
        "settled",
    )

    def __init__(self, earlier: int | None = 0, settled: Mapping[str, int] | None = None) -> None:
        self.posts: list[Post] = []
        self.crossings: list[Crossing] = []
        #: Content posts before the kept ones; None where the log has to be asked.
        self.earlier = earlier
        self.asked = False  #: whether `earlier` is what the log said
        #: rule -> event time of its latest crossing before the kept posts
        self.settled: dict[str, int] = dict(settled or {})
        #: Crossings of the texts it repeats: these are found among the posts of others too, by whoever has them.
        self.repeated: Sequence[Crossing] = ()
        #: Crossings within the horizon whose posts were dropped because there were too many.
        self.past: Sequence[Crossing] = ()
        self._gone = 0  # posts forgotten
        self._reached = _START
        self._marks: list[_Mark] = []
        self._unchanged = _NEVER  # from this event time on the posts looked at are others now

    @property
    def newest(self) -> int:
        """Event time of the latest post."""
        return self.posts[-1].at if self.posts else _BEGINNING

    def add(self, post: Post) -> bool:
        """Put the post where it belongs; False where it is known already."""
        posts = self.posts
        if not posts or post > posts[-1]:
            posts.append(post)
            return True
        place = bisect_left(posts, post)
        if posts[place].msg_id == post.msg_id and posts[place].at == post.at:
            return False
        if not place and self.asked:
            self.earlier = None  # it may have been counted: a batch is logged before it is looked at
        posts.insert(place, post)
        self.stale(post.at)
        return True

    def stale(self, since: int = _BEGINNING) -> None:
        """What was made of the posts from that event time on no longer holds: they are gone through again.

        What an account does makes no post before it more or less suspect: tenure counts the days before a post's.
        """
        if since <= self._reached.last:
            self._unchanged = min(self._unchanged, since)

    def drop_before(self, at: int, final: int | None = None, kept: int = POSTS_KEPT) -> int:
        """Forget posts older than that, and all but the `kept` latest; how many of these were not older.

        final: crossings before it can change no more, though posts that made them may be forgotten.
        """
        posts = self.posts
        while self.crossings and final is not None and self.crossings[0].at < final:
            crossing = self.crossings.pop(0)
            self.settled[crossing.rule] = crossing.at
        if posts[0].at >= at and len(posts) <= kept:
            return 0
        old = bisect_left(posts, (at,))
        dropped = max(old, len(posts) - kept)
        first = posts[dropped] if dropped < len(posts) else None
        gone = [c for c in self.crossings if first is None or (c.at, c.msg_id) < (first.at, first.msg_id)]
        self.settled.update((crossing.rule, crossing.at) for crossing in gone)
        self.past = [c for c in (*self.past, *gone) if c.at >= at]
        self.crossings = self.crossings[len(gone) :]
        del posts[:dropped]
        if self.earlier is not None:
            self.earlier += dropped
        self._gone += dropped
        while self._marks and self._marks[0].done < self._gone:
            del self._marks[0]
        return dropped - old

    def is_harmless(self, floor: Floor) -> bool:
        """Whether nothing has crossed, and the posts not yet looked at are too few for that: they may wait.

        Most accounts stay here for good. Whoever is not harmless is evaluated before posts are forgotten.
        """
        if self.crossings or self.past or self._unchanged < _NEVER:
            return False
        done, fast, hand, _, _, low, _ = self._reached
        first = done - self._gone
        waiting = self.posts[first:] if first else self.posts
        if done - low + len(waiting) >= floor.posts:
            return False
        weights = floor.weights
        score = max(fast, hand)
        for post in waiting:
            score += weights[post.kind]
        return score < floor.limit

    def evaluate(self, user: UserState, calibrations: Calibrations) -> None:
        """Go on through the posts not yet looked at; again through those from where one came late."""
        if self._unchanged < _NEVER:
            self._go_back()
        posts = self.posts
        while (first := self._reached.done - self._gone) < len(posts):
            held = calibrations.holding(posts[first].at)
            stop = len(posts) if posts[-1].at < held.until else bisect_left(posts, (held.until,))
            self._go_on(first, stop, user, held)

    def _go_on(self, first: int, stop: int, user: UserState, held: Held) -> None:
        """Go through the posts at these places; one version of the parameters holds for all of them."""
        calibration, (fast_weight, hand_weight, fast_drift, hand_drift), *_ = held
        limit, ceiling = calibration.limit, calibration.limit * SCORE_CAP
        fewest = min(calibration.cap, calibration.hours)
        tenured = tenured_from(user)
        posts, gone = self.posts, self._gone
        _, fast, hand, last, begins, low, threads = self._reached
        begins, low = max(0, begins - gone), low - gone
        if low < 0:  # some of the last 24 hours are forgotten
            low, threads = 0, sum(post.kind == THREAD for post in islice(posts, first))
        for place, (at, _msg_id, kind) in enumerate(islice(posts, first, stop), first):
            silence = at - last
            last = at
            fast -= fast_drift * silence
            hand -= hand_drift * silence
            if fast <= 0.0 and hand <= 0.0:
                fast = hand = 0.0
                begins = place
            elif fast < 0.0:
                fast = 0.0
            elif hand < 0.0:
                hand = 0.0
            fast += fast_weight[kind]
            hand += hand_weight[kind]
            if fast > ceiling or hand > ceiling:
                fast, hand = min(ceiling, fast), min(ceiling, hand)
            while posts[low].at <= at - WINDOW:
                threads -= posts[low].kind == THREAD
                low += 1
            threads += kind == THREAD
            if not (gone + place + 1) % _MARKED_EVERY:
                self._marks.append(_Mark(gone + place + 1, fast, hand, at, gone + begins, gone + low, threads))
            if fast < limit and hand < limit and place - low + 1 < fewest:
                continue
            score = max(fast, hand)
            if at < tenured:
                days = bisect_left(user.early_days, day_of(at))
                self._low_tenure(place, begins, low, threads, score, days, calibration)
            elif score >= limit and dormant(user, at):
                self._cross(HIJACK, place, begins, low, score, calibration)
        self._reached = _Mark(gone + stop, fast, hand, last, gone + begins, gone + low, threads)

    def _go_back(self) -> None:
        """Go back to before the first post that is another one now, and forget what was made of those after."""
        posts, gone, marks = self.posts, self._gone, self._marks
        place = bisect_left(posts, (self._unchanged,))
        self._unchanged = _NEVER
        if self._reached.done <= gone + place:
            return
        while marks and marks[-1].done > gone + place:
            marks.pop()
        self._reached = marks[-1] if marks else _Mark(gone, begins=gone, low=gone)
        first = posts[self._reached.done - gone]
        while self.crossings and (self.crossings[-1].at, self.crossings[-1].msg_id) >= (first.at, first.msg_id):
            self.crossings.pop()

    def _low_tenure(
        self, place: int, begins: int, low: int, threads: int, score: float, days: int, calibration: Calibration
    ) -> None:
        """What an account of few active days crosses with this post; a stronger rule's flag covers the weaker ones."""
        if score >= calibration.limit + calibration.trust * days:
            self._cross(BURST, place, begins, low, score, calibration)
        elif self._open(BURST, place):
            return
        elif threads >= cap_of(calibration, days):
            self._cross(CAP, place, low, low, score, calibration)
        elif not self._open(CAP, place) and self._hours(low, place) >= calibration.hours:
            self._cross(HOURS, place, low, low, score, calibration)

    def _hours(self, low: int, place: int) -> int:
        return len({post.at // HOUR for post in islice(self.posts, low, place + 1)})

    def _open(self, rule: str, place: int) -> bool:
        opened = self.settled.get(rule)
        for crossing in self.crossings:
            if crossing.rule == rule:
                opened = crossing.at
        return opened is not None and self.posts[place].at < opened + FLAG_LIFE

    def _cross(self, rule: str, place: int, begins: int, low: int, score: float, calibration: Calibration) -> None:
        if self._open(rule, place):
            return
        post = self.posts[place]
        counted = self.posts[begins : place + 1]
        self.crossings.append(
            Crossing(
                rule,
                post.at,
                post.msg_id,
                (self.earlier or 0) + place + 1,
                len(counted),
                sum(each.kind == THREAD for each in counted),
                counted[0].at,
                score,
                self._hours(low, place),
                tuple(each.msg_id for each in counted if rule != CAP or each.kind == THREAD)[-EVIDENCE:],
                calibration,
            )
        )


def cap_of(calibration: Calibration, days: int) -> int:
    """New threads in 24 hours from which on an account of so many earlier active days is flagged.

    The first of these is none: who posts around midnight has one.
    """
    return calibration.cap + max(0, days - 1)


def low_tenure(user: UserState, at: int) -> bool:
    """Whether the account had fewer than five active days before the day of that event time."""
    return at < tenured_from(user)


def tenured_from(user: UserState) -> int:
    """Event time from which on the account is one of long standing: the day after its fifth active one."""
    early = user.early_days
    return (early[EARLY_DAYS - 1] + 1) * DAY if len(early) >= EARLY_DAYS else _NEVER


def dormant(user: UserState, at: int) -> bool:
    """Whether the account was away for the four whole weeks before that event time's."""
    week, weeks = week_of(at), user.weeks
    if week - 1 in weeks:  # most people
        return False
    return not any(week - back in weeks for back in range(2, DORMANT_WEEKS + 1))
