"""What the community organises: conferences whose attendees get a badge, and campaigns with sign-ups."""

from collections.abc import Iterator, Sequence
from random import Random
from typing import Literal, NamedTuple

from consumer.simulation import people
from consumer.simulation.incident import HOUR, Incident
from consumer.simulation.model import Account, Scenario, Surge
from consumer.simulation.names import Names
from consumer.simulation.people import Person
from state.weeks import DAY, SECOND, iso

_MONTH = 30 * DAY


class Programme(NamedTuple):
    """One conference or campaign: [start, end) in event time."""

    kind: Literal["event", "campaign"]
    id: str
    name: str
    start: int
    end: int
    badge: str | None  #: None: whoever signs up meanwhile takes part
    successor: str | None = None
    country: str | None = None


#: (id, name, share of the history at which it begins, days, its successor)
_CONFERENCES = (
    ("harbour-days-1", "Harbour Days I", 0.25, 3, "harbour-days-2"),
    ("meadow-summit-1", "Meadow Summit I", 0.42, 2, "meadow-summit-2"),
    ("harbour-days-2", "Harbour Days II", 0.72, 3, None),
    ("meadow-summit-2", "Meadow Summit II", 0.92, 2, None),
)

#: (id, name, share of the history at which it begins, days, country, has a badge)
_CAMPAIGNS = (
    ("first-patch", "My First Patch", 0.02, 21, "DE", True),
    ("translation-sprint", "Translation Sprint", 0.18, 14, "BR", True),
    ("open-door", "Open Door Week", 0.35, 7, None, False),
    ("docs-month", "Documentation Month", 0.6, 28, "IN", True),
)

#: Who comes to a conference: known people, newcomers, and of those who were at the one before this share.
_KNOWN, _NEW, _AGAIN = 45, 25, 0.4

#: Newcomers sign up in so many days before the conference.
_BEFORE = 28 * DAY

#: Chances that somebody is active in the first month after, and by what it shrinks each month.
_STAYS, _FADES = 0.65, 0.8


def plan(scenario: Scenario) -> tuple[Programme, ...]:
    """The scenario's programmes by their start; none where it asks for none."""
    if not scenario.programmes:
        return ()
    whole = scenario.end - scenario.start

    def morning(share: float) -> int:
        return scenario.start + int(share * whole) // DAY * DAY + 8 * HOUR

    conferences = [
        Programme("event", known_as, name, morning(share), morning(share) + days * DAY, known_as, successor)
        for known_as, name, share, days, successor in _CONFERENCES
    ]
    campaigns = [
        Programme("campaign", known_as, name, at, at + days * DAY, known_as if has_badge else None, None, country)
        for known_as, name, share, days, country, has_badge in _CAMPAIGNS
        for at in [morning(share) - 8 * HOUR]
    ]
    return tuple(sorted([*conferences, *campaigns], key=lambda programme: programme.start))


def definitions_toml(scenario: Scenario) -> str:
    """The programmes as the definitions file of a community has them."""
    return "\n".join(line for programme in plan(scenario) for line in _table(programme))


def _table(programme: Programme) -> Iterator[str]:
    yield f"[[{programme.kind}]]"
    values = programme._asdict() | {"start": iso(programme.start), "end": iso(programme.end)}
    for key, value in values.items():
        if key != "kind" and value is not None:
            yield f'{key} = "{value}"'
    yield ""


class Programmes:
    """The scenario's programmes as happenings of its community; remembers who came."""

    def __init__(self, scenario: Scenario) -> None:
        self._start = scenario.start
        self._planned = {programme.id: programme for programme in plan(scenario)}
        self._came: dict[str, list[str]] = {}

    def onsets(self) -> list[tuple[int, str]]:
        """(event time of its first message, id), ascending."""
        return sorted((self._begins(programme), known_as) for known_as, programme in self._planned.items())

    def __contains__(self, known_as: str) -> bool:
        return known_as in self._planned

    def happen(self, known_as: str, names: Names, known: Sequence[str], rng: Random) -> Incident:
        """Everything that comes of the programme, until a year after it."""
        programme = self._planned[known_as]
        incident = Incident(surge=Surge(programme.kind, programme.start, programme.end, benign=True))
        if programme.kind == "event":
            came = self._conference(programme, incident, names, known, rng)
        else:
            came = _campaign(programme, incident, names, known, rng)
        for person in came:
            if programme.badge:
                awarded = max(programme.start, _signed_up(incident, person)) + rng.randrange(60, 30 * 3600) * SECOND
                incident.say(rng, awarded, "badges.badge.award", person.account.name, programme.badge)
            _aftermath(programme, incident, person, known, rng)
        return incident

    def _begins(self, programme: Programme) -> int:
        return max(self._start, programme.start - (_BEFORE if programme.kind == "event" else 0))

    def _conference(
        self, programme: Programme, incident: Incident, names: Names, known: Sequence[str], rng: Random
    ) -> list[Person]:
        earlier = next((one.id for one in self._planned.values() if one.successor == programme.id), None)
        again = [name for name in self._came.get(earlier or "", []) if rng.random() < _AGAIN]
        others = [name for name in rng.sample(list(known), min(len(known), _KNOWN)) if name not in again]
        came = [_somebody(name, rng) for name in (*again, *others)]
        begins = self._begins(programme)
        for _ in range(_NEW):
            person = people.newcomer(names, rng)
            at = begins + rng.randrange((programme.start - begins) // SECOND + 3600) * SECOND
            incident.welcome(rng, at, person, f"conference_{person.account.style}")
            came.append(person)
        for person in came[: len(again) + len(others)]:
            for month in range(4):
                if programme.start - (month + 1) * _MONTH > begins and rng.random() < 0.5:
                    at = programme.start - month * _MONTH - rng.randrange(_MONTH // SECOND) * SECOND
                    incident.messages += people.session(person, at, rng.randrange(1, 4), list(known), rng)
        self._came[programme.id] = [person.account.name for person in came]
        return came


def _campaign(
    programme: Programme, incident: Incident, names: Names, known: Sequence[str], rng: Random
) -> list[Person]:
    came = [_somebody(name, rng) for name in rng.sample(list(known), min(len(known), 15))] if programme.badge else []
    seconds = (programme.end - programme.start) // SECOND
    for _ in range(40):
        person, at = people.newcomer(names, rng), programme.start + rng.randrange(seconds - 30 * 3600) * SECOND
        incident.welcome(rng, at, person, f"campaign_{person.account.style}")
        first = at + rng.randrange(300, 7200) * SECOND
        incident.messages += people.session(person, first, rng.randrange(1, 4), list(known), rng)
        came.append(person)
    return came


def _aftermath(programme: Programme, incident: Incident, person: Person, known: Sequence[str], rng: Random) -> None:
    """Some go on contributing for months, fewer each month."""
    chance = _STAYS
    for month in range(13):
        if rng.random() < chance:
            at = programme.end + month * _MONTH + rng.randrange(_MONTH // SECOND) * SECOND
            incident.messages += people.session(person, at, rng.randrange(1, 6), list(known), rng)
        chance *= _FADES


def _somebody(name: str, rng: Random) -> Person:
    """Known people as they come to a conference; who they are otherwise is not touched."""
    person = people.core(Names(rng), rng)
    person.account = Account(name, "core", "long_standing")
    return person


def _signed_up(incident: Incident, person: Person) -> int:
    """When the person signed up on this occasion; 0 for those who were here before."""
    return next((at for at, one in incident.newcomers if one is person), 0)
