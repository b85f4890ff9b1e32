"""People: what they are called, when they are awake, what they do, how long they stay."""

from bisect import bisect
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import accumulate
from math import cos, log, pi
from random import Random

from consumer.simulation.content import DETAIL_BITS
from consumer.simulation.model import Account, Label, SimMessage
from state.weeks import SECOND

_HOUR = 3600 * SECOND

_ONSETS = (
    "b",
    "br",
    "c",
    "ch",
    "d",
    "f",
    "g",
    "gr",
    "h",
    "j",
    "k",
    "l",
    "m",
    "n",
    "p",
    "r",
    "s",
    "st",
    "t",
    "v",
    "y",
)
_VOWELS = ("a", "e", "i", "o", "u", "ia", "ei")
_CODAS = ("", "", "", "n", "r", "s", "l", "k")

#: Share of people whose name ends in digits.
_WITH_DIGITS = 0.2


def _persona(**shares: int) -> tuple[str, ...]:
    """A table in which every kind stands as often as its share says: one random index draws from it."""
    return tuple(kind.replace("__", ".") for kind, share in shares.items() for _ in range(share))


_TALKER = _persona(
    discourse__post__post_created=62,
    discourse__topic__topic_created=10,
    pagure__issue__comment__added=10,
    badges__badge__award=8,
    fas__user__update=4,
    wiki__article__edit=6,
)
_REPORTER = _persona(
    pagure__issue__comment__added=42,
    pagure__issue__new=18,
    bodhi__update__comment=20,
    discourse__post__post_created=12,
    badges__badge__award=6,
    fas__user__update=2,
)
_PACKAGER = _persona(
    git__receive=30,
    pagure__git__receive=12,
    bodhi__update__comment=16,
    copr__build__start=20,
    pagure__issue__comment__added=14,
    pagure__issue__new=4,
    badges__badge__award=4,
)
_WRITER = _persona(
    wiki__article__edit=44,
    pagure__git__receive=14,
    pagure__issue__comment__added=16,
    discourse__post__post_created=18,
    badges__badge__award=8,
)
_PERSONAS = (_TALKER, _TALKER, _TALKER, _REPORTER, _REPORTER, _PACKAGER, _WRITER)
_CORE_PERSONAS = (_TALKER, _REPORTER, _PACKAGER, _PACKAGER, _WRITER)

#: Kinds that name a second person beside the one who acts.
_NAMES_ANOTHER = frozenset({"pagure.issue.comment.added", "bodhi.update.comment"})


def _hourly_weights() -> Iterator[float]:
    """One weight per hour of the week: two humps a day (two continents), quieter weekends."""
    for day in range(7):
        for hour in range(24):
            europe, america = cos((hour - 13) * pi / 12), cos((hour - 20) * pi / 12)
            yield (1.0 if day < 5 else 0.55) * (1.3 + 0.7 * europe + 0.45 * america)


_RHYTHM = tuple(accumulate(_hourly_weights()))


def moment(rng: Random, week_begins: int) -> int:
    """A random event time in the week that begins there, busy hours more often than quiet ones."""
    hour = bisect(_RHYTHM, rng.random() * _RHYTHM[-1])
    return week_begins + hour * _HOUR + int(rng.random() * 3600) * SECOND


@dataclass(slots=True)
class Person:
    """Someone who comes back, or not.

    heat: chance of being active next week; decay: what it is multiplied by each week.
    actions: mean actions in an active week.
    """

    account: Account
    persona: tuple[str, ...]
    heat: float
    decay: float
    actions: float


class Names:
    """Names that nobody has yet."""

    def __init__(self, rng: Random) -> None:
        self._rng = rng
        self._taken: set[str] = set()

    def ordinary(self) -> str:
        """A name like a person's."""
        rng = self._rng
        syllables = 2 + (rng.random() < 0.4)
        name = "".join(rng.choice(_ONSETS) + rng.choice(_VOWELS) + rng.choice(_CODAS) for _ in range(syllables))
        if rng.random() < _WITH_DIGITS:
            name += str(rng.randrange(1, 2020))
        return self.claim(name)

    def claim(self, name: str) -> str:
        """The name, or the name with further digits where somebody has it."""
        while name in self._taken:
            name += str(self._rng.randrange(10))
        self._taken.add(name)
        return name


def core(names: Names, rng: Random) -> Person:
    """Somebody who has been here for years."""
    account = Account(names.ordinary(), "core", "long_standing")
    heat = 0.97 - 0.3 * rng.random()
    return Person(account, rng.choice(_CORE_PERSONAS), heat, 0.999, 4 + rng.expovariate(1 / 12))


def newcomer(names: Names, rng: Random) -> Person:
    """Somebody who has just signed up: most never return, some do for weeks, a few stay."""
    luck, style = rng.random(), "once"
    label: Label = "organic"
    heat, decay, actions = 0.0, 0.0, 1.0
    if luck < 0.05:
        label, style = "core", "stays"
        heat, decay, actions = 0.9, 0.993, 3 + rng.expovariate(1 / 6)
    elif luck < 0.42:
        style = "returns"
        heat, decay, actions = 0.74, min(0.95, rng.betavariate(5, 3)), 1 + rng.expovariate(1 / 1.5)
    return Person(Account(names.ordinary(), label, style), rng.choice(_PERSONAS), heat, decay, actions)


def session(person: Person, at: int, actions: int, others: list[str], rng: Random) -> Iterator[SimMessage]:
    """So many actions from `at` on, minutes apart; `others` are people who may be named beside."""
    name, persona, random = person.account.name, person.persona, rng.random
    for _ in range(actions):
        kind = persona[int(random() * len(persona))]
        bits = rng.getrandbits(128)
        beside: tuple[str, ...] = ()
        if kind in _NAMES_ANOTHER and others:
            beside = (others[int(random() * len(others))],)
        elif kind == "copr.build.start":
            minutes = 2 + int(rng.expovariate(1 / 20))
            same_build = bits ^ (1 + rng.getrandbits(31)) << DETAIL_BITS
            yield SimMessage(at + minutes * 60 * SECOND, same_build, "copr.build.end", name)
        yield SimMessage(at, bits, kind, name, beside)
        at += (25 + int(-400 * log(1 - random()))) * SECOND
