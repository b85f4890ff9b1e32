"""The community, one week at a time: a function of the scenario alone."""

from collections.abc import Iterable, Iterator
from heapq import merge
from random import Random

from consumer.simulation import people
from consumer.simulation.bots import BOTS
from consumer.simulation.model import Account, Scenario, SimMessage, Surge
from consumer.simulation.names import Names
from consumer.simulation.people import Person
from consumer.simulation.programmes import Programmes
from consumer.simulation.styles import style_named
from consumer.simulation.threads import Woven, week_of_threads
from state.weeks import DAY, SECOND, WEEK, week_end, week_start

#: Messages a week that name nobody.
_COMPOSES_A_WEEK = 28

_MEETINGS_A_WEEK = 12

#: Chance a week that somebody who has gone comes back once: the long tail.
_COMEBACK = 0.004

#: Below this chance of being active a person counts as gone.
_GONE = 0.02

#: Chance that an active week of somebody of the core holds a day of hundreds of actions.
_MARATHON = 0.0025

_NEVER_POSTS = 0.3
_UPDATES_PROFILE = 0.35
_CREATED_BY_ANOTHER = 0.02
_SPONSORED = 0.15


class Community:
    """Who is here. Each call of `week` lives one ISO week, from the scenario's first one on, without end.

    accounts: everybody so far, by name; surges: every surge so far.
    """

    def __init__(self, scenario: Scenario) -> None:
        self._scenario = scenario
        self._week = scenario.first_week
        self._names = Names(Random(f"{scenario.seed}/names"))
        self.accounts: dict[str, Account] = {}
        self.surges: list[Surge] = []
        self._active: list[Person] = []
        self._gone: list[Person] = []
        self._known: list[str] = []
        self._settling: list[str] = []
        self._arriving: list[tuple[int, Person]] = []
        self._pending: list[SimMessage] = []
        self._programmes = Programmes(scenario)
        self._woven = Woven(scenario.seed)
        self._timeline = merge(
            *(_onsets(scenario, style, every) for style, every in scenario.incidents), self._programmes.onsets()
        )
        self._next = next(self._timeline, None)
        for name in BOTS:
            self.accounts[name] = Account(self._names.claim(name), "bot", "steady")
        rng = Random(f"{scenario.seed}/core")
        for _ in range(scenario.core_users):
            self._welcome(people.core(self._names, rng))

    def week(self) -> list[SimMessage]:
        """All messages of the next week, by event time."""
        rng = Random(f"{self._scenario.seed}/{self._week}")
        begins = week_start(self._week)
        self._known += self._settling
        self._settling.clear()
        arriving, self._arriving = self._arriving, []
        for at, person in arriving:
            if at < begins:
                self._welcome(person)
            else:
                self._arriving.append((at, person))
        said, self._pending = self._pending, []
        said += self._routine(rng, begins)
        said += self._returns(rng, begins)
        said += self._signups(rng, begins)
        said += self._happenings()
        if self._scenario.programmes:
            rng_of_threads = Random(f"{self._scenario.seed}/threads/{self._week}")
            said += week_of_threads(self._known, rng_of_threads, begins)
        ends = week_end(self._week)
        self._week += 1
        now: list[SimMessage] = []
        for message in _apart(said):
            (now if message.at < ends else self._pending).append(message)
        now.sort()
        if self._scenario.programmes:
            return list(self._woven.weave(now, lambda name: self.accounts[name].label != "spam"))
        return now

    def _welcome(self, person: Person) -> None:
        self.accounts[person.account.name] = person.account
        (self._active if person.heat else self._gone).append(person)
        if person.account.label == "core":
            # Known from next week on: nobody is named before they have signed up.
            self._settling.append(person.account.name)

    def _routine(self, rng: Random, begins: int) -> Iterator[SimMessage]:
        for name, (kind, count) in BOTS.items():
            for number in range(count):
                at = begins + (number * WEEK // count) // SECOND * SECOND + rng.randrange(600) * SECOND
                yield SimMessage(at, rng.getrandbits(128), kind, name)
        for _ in range(_COMPOSES_A_WEEK):
            yield SimMessage(people.moment(rng, begins), rng.getrandbits(128), "pungi.compose.status.change", None)
        if not self._known:
            return
        for _ in range(_MEETINGS_A_WEEK):
            attendees = rng.sample(self._known, min(len(self._known), rng.randrange(3, 10)))
            kind, at = "meetbot.meeting.complete", people.moment(rng, begins)
            yield SimMessage(at, rng.getrandbits(128), kind, attendees[0], tuple(attendees[1:]))

    def _returns(self, rng: Random, begins: int) -> Iterator[SimMessage]:
        comebacks = int(len(self._gone) * _COMEBACK + rng.random())
        for person in [rng.choice(self._gone) for _ in range(comebacks)]:
            yield from people.session(person, people.moment(rng, begins), 1, self._known, rng)
        staying: list[Person] = []
        for person in self._active:
            if rng.random() < person.heat:
                actions = 1 + int(rng.expovariate(1 / person.actions))
                while actions > 0:
                    sitting = min(actions, 1 + int(rng.random() * 5))
                    actions -= sitting
                    yield from people.session(person, people.moment(rng, begins), sitting, self._known, rng)
                if person.account.label == "core" and rng.random() < _MARATHON:
                    whole_day = rng.randrange(80, 350)
                    yield from people.session(person, people.moment(rng, begins), whole_day, self._known, rng)
            person.heat *= person.decay
            (staying if person.heat > _GONE else self._gone).append(person)
        self._active = staying

    def _signups(self, rng: Random, begins: int) -> Iterator[SimMessage]:
        expected = self._scenario.signups_per_week
        for _ in range(max(0, round(rng.gauss(expected, expected**0.5)))):
            person, at = people.newcomer(self._names, rng), people.moment(rng, begins)
            name, known = person.account.name, self._known
            agent = (rng.choice(known),) if known and rng.random() < _CREATED_BY_ANOTHER else ()
            yield SimMessage(at, rng.getrandbits(128), "fas.user.create", name, agent)
            if rng.random() < _UPDATES_PROFILE:
                updated = at + rng.randrange(30, 600) * SECOND
                yield SimMessage(updated, rng.getrandbits(128), "fas.user.update", name)
            if rng.random() > _NEVER_POSTS or person.heat:
                first = at + rng.randrange(120, 7200) * SECOND
                yield from people.session(person, first, 1 + int(rng.expovariate(1)), known, rng)
            if known and person.heat and rng.random() < _SPONSORED:
                sponsored, sponsor = at + rng.randrange(1, 21) * DAY, rng.choice(known)
                yield SimMessage(sponsored, rng.getrandbits(128), "fas.group.member.sponsor", sponsor, (name,))
            self._welcome(person)

    def _happenings(self) -> Iterator[SimMessage]:
        while self._next is not None and self._next[0] < week_end(self._week):
            begins, style = self._next
            rng = Random(f"{self._scenario.seed}/{style}/{begins}")
            if style in self._programmes:
                incident = self._programmes.happen(style, self._names, self._known, rng)
            else:
                incident = style_named(style)(self._names, self._known, rng, begins)
            for account in incident.accounts:
                self.accounts[account.name] = account
            self._arriving += incident.newcomers
            if incident.surge is not None:
                self.surges.append(incident.surge)
            yield from incident.messages
            self._next = next(self._timeline, None)


def _onsets(scenario: Scenario, style: str, every: float) -> Iterator[tuple[int, str]]:
    """When the style happens: first inside the history, then on and on, `every` weeks apart in the mean."""
    style_named(style)
    rng = Random(f"{scenario.seed}/{style}")
    at = scenario.start + min(every * WEEK, scenario.end - scenario.start) * (0.2 + 0.6 * rng.random())
    while True:
        yield int(at) // SECOND * SECOND, style
        at += every * WEEK * (0.5 + rng.random())


def _apart(messages: Iterable[SimMessage]) -> Iterator[SimMessage]:
    """Nobody does the same thing twice in one second, so an archive without message ids loses nothing."""
    seen: set[tuple[int, str, str | None]] = set()
    for message in messages:
        at = message.at
        while (at, message.kind, message.user) in seen:
            at += SECOND
        seen.add((at, message.kind, message.user))
        yield message if at == message.at else message._replace(at=at)
