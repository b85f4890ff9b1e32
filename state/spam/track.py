"""One account's content posts, and where they cross a limit: a two-speed marked CUSUM, and caps over 24 hours.

The score is Page's cumulative sum (1954) of log likelihood ratios of a marked Poisson process: a post of kind k adds
ln(l1_k / l0_k), silence takes sum_k(l1_k - l0_k) a second away, and it never falls below zero. Crossings are a
function of the set of posts, of the account's earliest active days and of its active weeks: the order of arrival
and repetition make no difference.
"""

from bisect import bisect_left, insort
from collections.abc import Mapping
from itertools import islice
from typing import NamedTuple

from state.fold import EARLY_DAYS, UserState
from state.spam.calibration import SCORE_CAP, WINDOW, Calibration, Calibrations
from state.spam.posts import THREAD, Post
from state.weeks import DAY, HOUR, day_of, week_of_day

#: A crossing opens a flag for so long, in which the same rule opens no other for the account.
FLAG_LIFE = 7 * DAY

#: An account that was away for so many whole weeks and then bursts may be somebody else now.
DORMANT_WEEKS = 4

#: Posts of one account that are kept at most; what a burst beyond them looks like is known by then.
POSTS_KEPT = 512

#: Message ids that a flag carries as its evidence at most: the latest ones.
EVIDENCE = 20

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


class Track:
    """The content posts of one account within the horizon, and the crossings among them."""

    __slots__ = (
        "_begins",
        "_done",
        "_fast",
        "_hand",
        "_last",
        "_low",
        "_opened",
        "_threads",
        "asked",
        "crossings",
        "earlier",
        "newest",
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
        self.newest = 0
        #: Crossings of the texts it repeats: these are found among the posts of others too, by whoever has them.
        self.repeated: list[Crossing] = []
        #: Crossings within the horizon whose posts were dropped because there were too many.
        self.past: list[Crossing] = []
        self._restart()

    def _restart(self) -> None:
        self.crossings = []
        self._opened = dict(self.settled)
        self._done = self._low = self._threads = 0
        self._fast = self._hand = 0.0
        self._last = self._begins = 0

    def add(self, post: Post) -> bool:
        """Put the post where it belongs; False where it is known already."""
        posts = self.posts
        if not posts or post > posts[-1]:
            posts.append(post)
            self.newest = max(self.newest, post.at)
            return True
        place = bisect_left(posts, post)
        if posts[place].msg_id == post.msg_id and posts[place].at == post.at:
            return False
        if not place and self.asked:
            self.earlier = None  # it may have been counted: a batch is logged before it is looked at
        insort(posts, post)
        self.stale()
        return True

    def stale(self) -> None:
        """What was made of the posts no longer holds: they are gone through again."""
        self._done = -1

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
        if self._done >= dropped:
            self._done -= dropped
            self._begins = max(0, self._begins - dropped)
            recount = self._low < dropped
            self._low = max(0, self._low - dropped)
            if recount:
                self._threads = sum(p.kind == THREAD for p in islice(posts, self._low, self._done))
        else:
            self.stale()
        return dropped - old

    def evaluate(self, user: UserState, calibrations: Calibrations) -> None:
        """Go on through the posts not yet looked at; through all of them where one came late."""
        if self._done < 0:
            self._restart()
        early = user.early_days
        tenured_after = early[EARLY_DAYS - 1] if len(early) >= EARLY_DAYS else None
        posts = self.posts
        for place in range(self._done, len(posts)):
            at, _msg_id, kind, _text = posts[place]
            calibration, weights = calibrations.in_force(at)
            silence = at - self._last
            fast = max(0.0, self._fast - weights.fast_drift * silence)
            hand = max(0.0, self._hand - weights.hand_drift * silence)
            if not fast and not hand:
                self._begins = place
            ceiling = calibration.limit * SCORE_CAP
            self._fast = fast = min(ceiling, fast + weights.fast[kind])
            self._hand = hand = min(ceiling, hand + weights.hand[kind])
            self._last = at
            low = self._low
            since = at - WINDOW
            while posts[low].at <= since:
                self._threads -= posts[low].kind == THREAD
                low += 1
            self._low = low
            self._threads += kind == THREAD
            self._done = place + 1
            score = max(fast, hand)
            if score < calibration.limit and place - low < min(calibration.cap, calibration.hours) - 1:
                continue
            day = day_of(at)
            if tenured_after is None or day <= tenured_after:
                self._low_tenure(place, score, bisect_left(early, day), calibration)
            elif score >= calibration.limit and _dormant(user, day):
                self._cross(HIJACK, place, self._begins, score, calibration)

    def _low_tenure(self, place: int, score: float, days: int, calibration: Calibration) -> None:
        """What an account of few active days crosses with this post; a stronger rule's flag covers the weaker ones."""
        if score >= calibration.limit + calibration.trust * days:
            self._cross(BURST, place, self._begins, score, calibration)
        elif self._open(BURST, place):
            return
        elif self._threads >= cap_of(calibration, days):
            self._cross(CAP, place, self._low, score, calibration)
        elif not self._open(CAP, place) and self._hours(place) >= calibration.hours:
            self._cross(HOURS, place, self._low, score, calibration)

    def _hours(self, place: int) -> int:
        return len({post.at // HOUR for post in islice(self.posts, self._low, place + 1)})

    def _open(self, rule: str, place: int) -> bool:
        opened = self._opened.get(rule)
        return opened is not None and self.posts[place].at < opened + FLAG_LIFE

    def _cross(self, rule: str, place: int, begins: int, score: float, calibration: Calibration) -> None:
        if self._open(rule, place):
            return
        post = self.posts[place]
        begins = min(begins, place)
        counted = self.posts[begins : place + 1]
        self._opened[rule] = post.at
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
                self._hours(place),
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
    early = user.early_days
    return len(early) < EARLY_DAYS or at < (early[EARLY_DAYS - 1] + 1) * DAY


def _dormant(user: UserState, day: int) -> bool:
    week, weeks = week_of_day(day), user.weeks
    if week - 1 in weeks:  # most people
        return False
    return not any(week - back in weeks for back in range(2, DORMANT_WEEKS + 1))


def dormant(user: UserState, at: int) -> bool:
    """Whether the account was away for the four whole weeks before that event time's."""
    return _dormant(user, day_of(at))
