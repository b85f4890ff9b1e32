"""Calibration: the detectors' parameters out of a community's own history, for a budget of false flags a week.

Nothing is learned in the stream: a version comes from weeks that have passed, and a replay takes the same one.
"""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from math import ceil, log

from state.errors import HomecomingError
from state.fold import UserState
from state.spam.baseline import baseline
from state.spam.calibration import WINDOW, Calibration, Weights
from state.spam.chances import binomial_tail
from state.spam.posts import OTHER, THREAD, Post
from state.spam.track import low_tenure
from state.weeks import DAY, SECOND, WEEK, day_of, to_datetime

#: How far back a calibration looks.
HISTORY_WEEKS = 8

#: Fewest weeks of history, and fewest accounts of low tenure that posted in them.
_FEWEST_WEEKS, _FEWEST_ACCOUNTS = 4, 100

#: Nobody who is silent for longer is still at it.
_SESSION_GAP = 900 * SECOND

#: Ordinary rates stay within this factor of the defaults.
_RATE_FACTOR = 2.0

#: Ordinary people together are slower than an account that bursts by hand by this factor at least.
_SLOWER = 0.85

#: A version differs by this share from the one before it at most. The first one may go as far as it has to.
_CHANGE = 0.1

_LIMITS = (5.0, 12.0)

#: Many people begin so many threads in a minute: their scores stand in a step, of which a smooth tail knows nothing.
_INNOCENT_THREADS = 2
_CAPS = (8, 16)

#: Of the budget, the share of bursts; the rest is the cap's.
_BURST_SHARE = 2 / 3

#: More accounts than the cap allows are put down to chance as long as that is likelier than this.
_CHANCE = 0.05

#: The scores' tail is fitted to this share of the accounts, but to no fewer than so many.
_TAIL_SHARE, _FEWEST_OF_TAIL = 0.02, 20


def fit(
    posts: Iterable[tuple[str, Post]],
    users: Mapping[str, UserState],
    registered: Sequence[int],
    start: int,
    end: int,
    previous: Calibration,
    budget: float,
    known_spam: Collection[str] = frozenset(),
) -> Calibration:
    """The version that holds from `end` on, out of what happened in [start, end).

    posts: (account, content post) in any order; bots are not among them. registered: event times of sign-ups.
    budget: false flags a week, of bursts and of the cap together. known_spam: accounts whose flag stands; one
    that was cleared is an ordinary account. Raises HomecomingError where the history is too short.
    """
    accounts = _newcomers(posts, users, start, end, known_spam)
    first = min((one[0].at for one in accounts.values()), default=end)
    if end - first < _FEWEST_WEEKS * WEEK - DAY or len(accounts) < _FEWEST_ACCOUNTS:
        raise HomecomingError(
            f"calibrate: {len(accounts)} accounts of low tenure posted in {(end - first) / WEEK:.1f} weeks; needed are "
            f"{_FEWEST_ACCOUNTS} in {_FEWEST_WEEKS} weeks: the parameters of version {previous.version} stay"
        )
    weeks = (end - first) / WEEK
    free = previous.version == Calibration().version
    threads, other = (
        _near(rate, known, _CHANGE if not free else None)
        for rate, known in zip(_ordinary(accounts.values()), previous.ordinary, strict=True)
    )
    rated = replace(previous, ordinary=bounded_rates(threads, other))
    scores = {name: peak(one, users[name].early_days, rated) for name, one in accounts.items()}
    tail = _tail_limit(list(scores.values()), weeks * budget * _BURST_SHARE, previous.limit)
    limit = _near(tail, previous.limit, None if free else _CHANGE)
    limit = min(max(limit, _LIMITS[0], _INNOCENT_THREADS * Weights.of(rated).fast[THREAD]), _LIMITS[1])
    slow = [_most_threads(one, users[name].early_days) for name, one in accounts.items() if scores[name] < limit]
    cap = _cap(slow, weeks * budget * (1 - _BURST_SHARE))
    if not free:
        cap = min(max(cap, previous.cap - 1), previous.cap + 1)
    signups, spread = baseline(registered, start, end) or (previous.signups, previous.spread)
    return replace(
        rated,
        version=_version(end, previous.version),
        since=end,
        budget=budget,
        limit=ceil(limit * 100) / 100,
        cap=cap,
        signups=signups,
        spread=spread,
    )


def _newcomers(
    posts: Iterable[tuple[str, Post]],
    users: Mapping[str, UserState],
    start: int,
    end: int,
    known_spam: Collection[str],
) -> dict[str, list[Post]]:
    """The posts of each account while its tenure was low, in order.

    Where sign-ups are known, who has none has been here for longer than the log: their tenure is not low.
    """
    signed_up = any(user.registered_at is not None for user in users.values())
    accounts: defaultdict[str, list[Post]] = defaultdict(list)
    for name, post in posts:
        user = users[name]
        if not start <= post.at < end or name in known_spam or (signed_up and user.registered_at is None):
            continue
        if low_tenure(user, post.at):
            accounts[name].append(post)
    for one in accounts.values():
        one.sort()
    return dict(accounts)


def _ordinary(accounts: Iterable[Sequence[Post]]) -> tuple[float, float]:
    """Posts per second of each kind while people post: those that follow another one, by the time between."""
    followed, silence = [0, 0], 0
    for posts in accounts:
        for before, post in pairwise(posts):
            if post.at - before.at <= _SESSION_GAP:
                followed[post.kind] += 1
                silence += post.at - before.at
    seconds = max(1.0, silence / SECOND)
    return followed[THREAD] / seconds, followed[OTHER] / seconds


def bounded_rates(*rates: float) -> tuple[float, float]:
    """The rates within their bounds, and slow enough for the scores to fall while an account is silent."""
    usual = Calibration()
    threads, other = (
        min(max(rate, known / _RATE_FACTOR), known * _RATE_FACTOR)
        for rate, known in zip(rates, usual.ordinary, strict=True)
    )
    slower = min(1.0, _SLOWER * sum(usual.hand) / (threads + other))
    return threads * slower, other * slower


def _near(value: float, known: float, change: float | None) -> float:
    """The value, but no farther from the known one than that share of it."""
    return value if change is None else min(max(value, known * (1 - change)), known * (1 + change))


def peak(posts: Iterable[Post], early_days: Sequence[int], calibration: Calibration) -> float:
    """The limit that the account's score would just have reached, earlier active days allowed for."""
    weights = Weights.of(calibration)
    fast = hand = highest = 0.0
    last = 0
    for at, _, kind in posts:
        silence, last = at - last, at
        fast = max(0.0, fast - weights.fast_drift * silence) + weights.fast[kind]
        hand = max(0.0, hand - weights.hand_drift * silence) + weights.hand[kind]
        highest = max(highest, max(fast, hand) - calibration.trust * bisect_left(early_days, day_of(at)))
    return highest


def _tail_limit(scores: Sequence[float], allowed: float, beyond: float) -> float:
    """The score that so many accounts are expected to reach, by an exponential tail above a high quantile.

    A cumulative sum's maximum has such a tail (Wald), and few weeks hold too few accounts to count. Of scores from
    `beyond` on it only counts that there are some: a script's run of hundreds of posts says nothing about people.
    """
    highest = sorted(scores, reverse=True)
    count = min(max(_FEWEST_OF_TAIL, int(len(highest) * _TAIL_SHARE)), len(highest) - 1)
    above = highest[count]
    excess = sum(max(0.0, min(score, beyond) - above) for score in highest[:count])
    mean = excess / max(1, sum(score < beyond for score in highest[:count]))
    return above + mean * log(max(1.0, count / allowed))


def _most_threads(posts: Sequence[Post], early_days: Sequence[int]) -> int:
    """New threads of the account in its busiest 24 hours, less the earlier active days that are allowed for."""
    times = [post.at for post in posts if post.kind == THREAD]
    return max(
        (
            place + 1 - bisect_left(times, at - WINDOW + 1) - max(0, bisect_left(early_days, day_of(at)) - 1)
            for place, at in enumerate(times)
        ),
        default=0,
    )


def _cap(busiest: Sequence[int], allowed: float) -> int:
    """The lowest cap that chance alone lets as many accounts reach as did, where so many are allowed in the mean."""
    share = min(0.5, allowed / len(busiest))
    for cap in range(*_CAPS):
        if binomial_tail(sum(most >= cap for most in busiest), len(busiest), share) >= _CHANCE:
            return cap
    return _CAPS[1]


def _version(end: int, previous: str) -> str:
    """The ISO week of the watermark, `2026w47`; `2026w47.2` is that week's second version."""
    year, week, _ = to_datetime(end).isocalendar()
    name, _, number = previous.partition(".")
    ours = f"{year}w{week:02}"
    return f"{ours}.{int(number or 1) + 1}" if name == ours else ours
