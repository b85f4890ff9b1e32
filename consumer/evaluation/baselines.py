"""The rules that one would write first. Each gives every post of a low-tenure account a score, and gets the limit
that keeps to the same budget where ours is calibrated too; of these weeks it is told who was spam."""

from collections import defaultdict, deque
from collections.abc import Callable
from dataclasses import dataclass

from consumer.evaluation.detectors import Flag, Flags
from consumer.evaluation.history import History
from state.spam.posts import Post
from state.spam.track import FLAG_LIFE
from state.weeks import SECOND, WEEK

#: (account, post, earlier active days) -> score; called in order of event time
Score = Callable[[str, Post, int], float]

_TEN_MINUTES = 600 * SECOND

#: What a leaky bucket loses: a post in two minutes.
_LEAK = 1 / (120 * SECOND)


@dataclass(frozen=True, slots=True)
class Limited:
    """A score with a limit: at or above it the account is flagged, once in seven days."""

    name: str
    score: Callable[[], Score]
    budget: float

    def flags(self, history: History) -> Flags:
        """Where the scores reach the limit."""
        score = self.score()
        scored = [
            (name, post.at, score(name, post, _earlier_days(history, name, post)))
            for name, post in history.low_tenure_posts()
        ]
        limit = self._limit(history, scored)
        raised: defaultdict[str, list[Flag]] = defaultdict(list)
        for name, at, value in scored:
            if value >= limit and (not raised[name] or at >= raised[name][-1].at + FLAG_LIFE):
                raised[name].append(Flag(at, self.name))
        return raised

    def _limit(self, history: History, scored: list[tuple[str, int, float]]) -> float:
        """The lowest one that flags no more ordinary newcomers a week than the budget allows."""
        highest: dict[str, float] = {}
        for name, at, value in scored:
            ordinary = history.label(name) in {"organic", "core"} and history.users[name].registered_at is not None
            if at < history.boundary and ordinary:
                highest[name] = max(value, highest.get(name, value))
        allowed = int(self.budget * (history.boundary - history.start) / WEEK)
        beyond = sorted(highest.values(), reverse=True)[allowed : allowed + 1]
        return min((value for _, _, value in scored if not beyond or value > beyond[0]), default=float("inf"))


def in_ten_minutes() -> Score:
    """Posts in the last ten minutes."""
    recent: defaultdict[str, deque[int]] = defaultdict(deque)

    def score(name: str, post: Post, _earlier: int) -> float:
        times = recent[name]
        times.append(post.at)
        while times[0] <= post.at - _TEN_MINUTES:
            times.popleft()
        return len(times)

    return score


def leaky_bucket() -> Score:
    """What is in the account's bucket: a post adds one, two minutes take one away."""
    level: defaultdict[str, float] = defaultdict(float)
    since: dict[str, int] = {}

    def score(name: str, post: Post, _earlier: int) -> float:
        leaked = _LEAK * (post.at - since.get(name, post.at))
        since[name] = post.at
        level[name] = max(0.0, level[name] - leaked) + 1
        return level[name]

    return score


def _earlier_days(history: History, name: str, post: Post) -> int:
    day = post.at // (WEEK // 7)
    return sum(early < day for early in history.users[name].early_days)
