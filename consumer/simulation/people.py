"""People: when they are awake, what they do, how long they stay."""

from bisect import bisect
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import accumulate
from math import cos, log, pi
from random import Random

from consumer.simulation.content import DETAIL_BITS
from consumer.simulation.model import Account, Label, SimMessage
from consumer.simulation.names import Names
from state.weeks import SECOND

_HOUR = 3600 * SECOND


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
#: Makes content and nothing else: as fast as ordinary newcomers get.
_TESTER = _persona(
    pagure__issue__new=36,
    pagure__issue__comment__added=24,
    bodhi__update__comment=24,
    wiki__article__edit=16,
)
_PERSONAS = (_TALKER, _TALKER, _TALKER, _REPORTER, _REPORTER, _PACKAGER, _WRITER, _TESTER)
_CORE_PERSONAS = (_TALKER, _REPORTER, _PACKAGER, _PACKAGER, _WRITER)

#: Seconds from one action to the next in one sitting: a log-normal of mean 90, so that a tester files an issue every
#: 250 s and writes something else every 140 s.
_PACE_LOCATION, _PACE_SPREAD = 60.0, 0.9
_QUICKEST = 4

#: What people do by the dozen within a minute: a script, a form that was filled in beforehand, a queue worked off.
_BY_THE_DOZEN = frozenset(
    (
        "git.receive",
        "pagure.git.receive",
        "copr.build.start",
        "wiki.article.edit",
        "bodhi.update.comment",
        "pagure.issue.comment.added",
        "badges.badge.award",
    )
)
_LONGEST_RUN = 64
_SHORT_RUN, _RUN_TAIL = 1.5, 1.2
_RUNS_OF_CORE, _RUNS_OF_STAYERS, _RUNS_OF_NEWCOMERS = 0.03, 0.01, 0.004

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
    actions: mean actions in an active week; runs: chance that an action is the first of a quick run of the same.
    """

    account: Account
    persona: tuple[str, ...]
    heat: float
    decay: float
    actions: float
    runs: float


def core(names: Names, rng: Random) -> Person:
    """Somebody who has been here for years."""
    account = Account(names.ordinary(), "core", "long_standing")
    heat = 0.97 - 0.3 * rng.random()
    return Person(account, rng.choice(_CORE_PERSONAS), heat, 0.999, 4 + rng.expovariate(1 / 12), _RUNS_OF_CORE)


def newcomer(names: Names, rng: Random) -> Person:
    """Somebody who has just signed up: most never return, some do for weeks, a few stay."""
    luck, style = rng.random(), "once"
    label: Label = "organic"
    heat, decay, actions, runs = 0.0, 0.0, 1.0, _RUNS_OF_NEWCOMERS
    if luck < 0.05:
        label, style = "core", "stays"
        heat, decay, actions, runs = 0.9, 0.993, 3 + rng.expovariate(1 / 6), _RUNS_OF_STAYERS
    elif luck < 0.42:
        style = "returns"
        heat, decay, actions = 0.74, min(0.95, rng.betavariate(5, 3)), 1 + rng.expovariate(1 / 1.5)
    return Person(Account(names.ordinary(), label, style), rng.choice(_PERSONAS), heat, decay, actions, runs)


def session(person: Person, at: int, actions: int, others: list[str], rng: Random) -> Iterator[SimMessage]:
    """So many actions from `at` on, a minute or so apart; `others` are people who may be named beside.

    Now and then an action becomes a run: the same again and again, seconds apart.
    """
    name, persona, random = person.account.name, person.persona, rng.random
    for _ in range(actions):
        kind = persona[int(random() * len(persona))]
        run = 1
        if random() < person.runs and kind in _BY_THE_DOZEN:
            run = min(_LONGEST_RUN, 2 + int(_SHORT_RUN * rng.paretovariate(_RUN_TAIL)))
        for _ in range(run):
            bits = rng.getrandbits(128)
            beside: tuple[str, ...] = ()
            if kind in _NAMES_ANOTHER and others:
                beside = (others[int(random() * len(others))],)
            elif kind == "copr.build.start":
                minutes = 2 + int(rng.expovariate(1 / 20))
                same_build = bits ^ (1 + rng.getrandbits(31)) << DETAIL_BITS
                yield SimMessage(at + minutes * 60 * SECOND, same_build, "copr.build.end", name)
            yield SimMessage(at, bits, kind, name, beside)
            at += (1 + int(random() * 3)) * SECOND
        at += max(_QUICKEST, int(rng.lognormvariate(log(_PACE_LOCATION), _PACE_SPREAD))) * SECOND
