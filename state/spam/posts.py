"""Content posts: which actions make content, and of which weight."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from fnmatch import translate
from functools import cached_property, lru_cache
from re import compile as compiled
from typing import NamedTuple

from state.event import action_of

#: Weight classes: a new thread (an issue, a topic) reaches everybody; other content answers somebody.
THREAD, OTHER = 0, 1


class Post(NamedTuple):
    """One content post of one account; ordered by event time, then by message id."""

    at: int  #: event time, microseconds since 1970 UTC
    msg_id: str
    kind: int  #: THREAD or OTHER


@dataclass(frozen=True)
class Content:
    """Which actions (topics without environment prefix; `*` stands for anything) are content posts.

    threads: new issues and topics. passive: what happens to an account, what a program does for it, and what
    needs rights that no newcomer has. Everything else is other content, so that unknown communities work too.
    """

    threads: frozenset[str] = frozenset({"*.issue.new", "*.topic.topic_created"})
    passive: frozenset[str] = frozenset(
        {
            "fas.*",
            "badges.*",
            "fedbadges.*",
            "buildsys.*",
            "ci.*",
            "copr.*",
            "meetbot.*",
            "logger.*",
            "git.*",
            "*.git.receive",
            "*.compose.*",
            "pungi.*",
            "mdapi.*",
            "koschei.*",
            "anitya.*",
            "hotness.*",
            "planet.*",
            "*.user.*",
        }
    )

    @cached_property
    def kind_of(self) -> Callable[[str], int | None]:
        """Function: the weight class of a topic, None where it makes no content; asked once per topic."""
        threads, passive = _matching(self.threads), _matching(self.passive)

        @lru_cache(maxsize=65_536)
        def kind_of(topic: str) -> int | None:
            action = action_of(topic)
            if threads(action):
                return THREAD
            return None if passive(action) else OTHER

        return kind_of


def _matching(patterns: Iterable[str]) -> Callable[[str], object]:
    union = "|".join(translate(pattern) for pattern in patterns)
    return compiled(union).match if union else lambda _action: None
