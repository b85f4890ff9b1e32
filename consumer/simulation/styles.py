"""What happens now and then: attacks, and surges that only look like one.

A style is one function here: register it under its name and a scenario can ask for it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from random import Random

from consumer.simulation import people
from consumer.simulation.model import Account, SimMessage, Surge
from consumer.simulation.people import Names, Person
from state.errors import HomecomingError
from state.weeks import SECOND

_MINUTE = 60 * SECOND
_HOUR = 60 * _MINUTE


@dataclass(slots=True)
class Incident:
    """What one occurrence adds to the community."""

    accounts: list[Account] = field(default_factory=list)
    messages: list[SimMessage] = field(default_factory=list)
    people: list[Person] = field(default_factory=list)  #: newcomers who live on as everybody else
    surge: Surge | None = None

    def say(self, rng: Random, at: int, kind: str, name: str, text: str = "", others: Sequence[str] = ()) -> None:
        """Add one message."""
        self.messages.append(SimMessage(at, rng.getrandbits(128), kind, name, tuple(others), text))


Style = Callable[[Names, Sequence[str], Random, int], Incident]

#: style -> function of (names, known people, rng, event time at which it begins); no message lies before that
STYLES: dict[str, Style] = {}


def style(function: Style) -> Style:
    """Register the function under its own name."""
    STYLES[function.__name__] = function
    return function


def style_named(name: str) -> Style:
    """The registered style; HomecomingError where there is none of that name."""
    if name not in STYLES:
        raise HomecomingError(f"simulate: no incident {name!r}: one of {', '.join(sorted(STYLES))}")
    return STYLES[name]


_TOPICS = ("support line", "loan offer", "watch free", "airline refund", "crypto recovery", "cheap keys")


def _advert(rng: Random) -> str:
    return f"{rng.choice(_TOPICS)} call now +1-800-{rng.randrange(1000, 9999)}"


@style
def fast_burst(names: Names, _known: Sequence[str], rng: Random, begins: int) -> Incident:
    """A fresh account that posts every few seconds until somebody stops it."""
    incident, advert, name = Incident(), _advert(rng), names.ordinary()
    at = begins + rng.randrange(120, 1200) * SECOND
    incident.accounts.append(Account(name, "spam", "fast_burst", onset=at))
    incident.say(rng, begins, "fas.user.create", name)
    for number in range(rng.randrange(12, 45)):
        kind = "pagure.issue.new" if rng.random() < 0.7 else "discourse.topic.topic_created"
        incident.say(rng, at, kind, name, f"{advert} #{number}" if rng.random() < 0.5 else advert)
        at += rng.randrange(3, 13) * SECOND
    return incident


@style
def patterned_wave(names: Names, _known: Sequence[str], rng: Random, begins: int) -> Incident:
    """Accounts of one name and four digits sign up for hours; each posts a little soon after."""
    stem = names.ordinary().rstrip("0123456789")
    incident, advert, at = Incident(), _advert(rng), begins
    for _ in range(rng.randrange(18, 45)):
        name = names.claim(f"{stem}{rng.randrange(1000, 10_000)}")
        incident.accounts.append(Account(name, "spam", "patterned_wave", at))
        incident.say(rng, at, "fas.user.create", name)
        post = at
        for _ in range(rng.randrange(1, 4)):
            post += rng.randrange(60, 900) * SECOND
            incident.say(rng, post, "pagure.issue.new", name, advert)
        at += int(rng.expovariate(1 / 300) + 5) * SECOND
    incident.surge = Surge("patterned_wave", begins, at, benign=False)
    return incident


#: Sign-ups at a hackfest, all within an hour.
_HACKFEST = 40


@style
def hackfest(names: Names, known: Sequence[str], rng: Random, begins: int) -> Incident:
    """A room full of new people who sign up in one hour and try things out together."""
    incident = Incident(surge=Surge("hackfest", begins, begins + _HOUR, benign=True))
    for _ in range(_HACKFEST):
        person = people.newcomer(names, rng)
        person.account = person.account._replace(style=f"hackfest_{person.account.style}")
        name, at = person.account.name, begins + rng.randrange(3600) * SECOND
        incident.accounts.append(person.account)
        incident.people.append(person)
        incident.say(rng, at, "fas.user.create", name)
        first = at + rng.randrange(5, 90) * _MINUTE
        incident.messages += people.session(person, first, rng.randrange(1, 5), list(known), rng)
    return incident
