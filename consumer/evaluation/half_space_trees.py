"""river's half-space trees (Tan, Ting, Liu 2011): anomalies in a stream, learned as it comes."""

from collections import defaultdict, deque
from importlib.util import find_spec
from math import log1p

from consumer.evaluation.baselines import Score
from state.spam.posts import THREAD, Post
from state.weeks import DAY, SECOND

#: Windows over which posts are counted.
_WINDOWS = (60 * SECOND, 600 * SECOND, 3600 * SECOND)

#: Counts and silences are scaled to 0..1 by these greatest ones: the trees split that range.
_MOST, _LONGEST = 64, 7 * DAY / SECOND

_TREES, _HEIGHT, _WINDOW = 25, 8, 250


def half_space_trees_available() -> bool:
    """Whether river is installed (extra `evaluate`)."""
    return find_spec("river") is not None


def half_space_trees() -> Score:
    """How unusual the post is among those before it: silence, counts, share of new threads, earlier days."""
    from river.anomaly import HalfSpaceTrees  # noqa: PLC0415 - an extra

    trees = HalfSpaceTrees(n_trees=_TREES, height=_HEIGHT, window_size=_WINDOW, seed=1)
    recent: defaultdict[str, deque[Post]] = defaultdict(lambda: deque(maxlen=_MOST))

    def score(name: str, post: Post, earlier: int) -> float:
        posts = recent[name]
        silence = (post.at - posts[-1].at) / SECOND if posts else _LONGEST
        posts.append(post)
        features = {"silence": 1 - min(1.0, log1p(silence) / log1p(_LONGEST)), "earlier": earlier / 5}
        for window in _WINDOWS:
            count = sum(one.at > post.at - window for one in posts)
            features[f"in {window // SECOND} s"] = log1p(count) / log1p(_MOST)
        lately = [one for one in posts if one.at > post.at - _WINDOWS[-1]]
        features["threads"] = sum(one.kind == THREAD for one in lately) / len(lately)
        value: float = trees.score_one(features)  # type: ignore[no-untyped-call]  # published without types
        trees.learn_one(features)  # type: ignore[no-untyped-call]  # the same
        return value

    return score
