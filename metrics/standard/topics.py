"""Which of the log's topics mean what."""

import re
from collections.abc import Iterable
from fnmatch import translate
from functools import lru_cache
from typing import NamedTuple

from state.event import action_of
from state.rules import Rules

#: Actions in which nobody contributes: what happens to an account, and what is measured beside the bus.
ACCOUNT = ("fas.*", "badges.*", "fedbadges.*", "*.user.*", "track.*")


class Topics(NamedTuple):
    """The topics that occur in the log, and those of them that are no contribution."""

    all: tuple[str, ...]
    account: tuple[str, ...]

    def like(self, patterns: Iterable[str]) -> list[str]:
        """Those whose action (the topic without its environment prefix) matches one of the patterns."""
        matches = _matcher(tuple(patterns))
        return [topic for topic in self.all if matches.match(action_of(topic))]


def topics_of(found: Iterable[str], rules: Rules) -> Topics:
    """The topics under these rules: creating an account is an account's event, whatever its name."""
    known = tuple(sorted(found))
    account = _matcher(ACCOUNT)
    return Topics(
        known,
        tuple(t for t in known if account.match(action_of(t)) or action_of(t) in rules.registrations),
    )


@lru_cache(maxsize=1_000)
def _matcher(patterns: tuple[str, ...]) -> re.Pattern[str]:
    return re.compile("|".join(translate(pattern) for pattern in patterns) or r"(?!)")
