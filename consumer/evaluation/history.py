"""A labelled history as the detectors see it: content posts and sign-ups by event time, and the truth beside them."""

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import NamedTuple

from consumer.simulation.kinds import KINDS, message_id
from consumer.simulator import BOTS, Account, Simulation, Surge
from state.fold import EARLY_DAYS, UserState
from state.rules import Rules
from state.spam.posts import Post
from state.spam.track import low_tenure
from state.weeks import DAY, day_of, week_of

#: An attack that begins on the last day has no time to show itself.
LAST_DAY = DAY


class Action(NamedTuple):
    """Who did what: one event of an actor."""

    at: int  #: event time, microseconds since 1970 UTC
    msg_id: str
    topic: str
    user: str


@dataclass(frozen=True, slots=True)
class History:
    """[start, end). posts: (account, content post) by event time, allowlisted bots left out; so are sign-ups.

    boundary: event time up to which detectors may learn; what comes after is judged.
    """

    start: int
    boundary: int
    end: int
    users: dict[str, UserState]
    posts: list[tuple[str, Post]]
    signups: list[tuple[int, str, str]]  #: event time, message id, account
    truth: dict[str, Account]
    surges: list[Surge]

    @property
    def weeks(self) -> float:
        """Weeks that are judged."""
        return (self.end - self.boundary) / (7 * DAY)

    def label(self, name: str) -> str:
        """What the account is; somebody of whom nothing is said is ordinary."""
        account = self.truth.get(name)
        return account.label if account else "organic"

    def attack(self, name: str) -> Account | None:
        """The account, where it is spam whose onset is judged."""
        account = self.truth.get(name)
        if account is None or account.label != "spam" or account.onset is None:
            return None
        return account if self.boundary <= account.onset < self.end - LAST_DAY else None

    def low_tenure_posts(self) -> Iterable[tuple[str, Post]]:
        """The posts that the rules about new accounts look at."""
        return (one for one in self.posts if low_tenure(self.users[one[0]], one[1].at))

    def without_spam(self) -> "History":
        """The same, as it would have been without the attackers."""
        return replace(
            self,
            posts=[one for one in self.posts if self.label(one[0]) != "spam"],
            signups=[one for one in self.signups if self.label(one[2]) != "spam"],
        )


def history_of(
    actions: Iterable[Action],
    truth: Iterable[Account],
    surges: Iterable[Surge],
    bots: Iterable[str],
    span: tuple[int, int, int],
) -> History:
    """The history of these actions; span: start, boundary, end."""
    rules, known = Rules(), frozenset(bots)
    kind_of = rules.content.kind_of
    days: defaultdict[str, set[int]] = defaultdict(set)
    weeks: defaultdict[str, Counter[int]] = defaultdict(Counter)
    registered: dict[str, tuple[int, str, str]] = {}
    posts = []
    for action in actions:
        at, msg_id, topic, user = action
        if user in known:
            continue
        days[user].add(day_of(at))
        weeks[user][week_of(at)] += 1
        if rules.registers(topic, "actor"):
            registered[user] = min(registered.get(user, (at, msg_id, user)), (at, msg_id, user))
        elif (kind := kind_of(topic)) is not None:
            posts.append((user, Post(at, msg_id, kind)))
    posts.sort(key=lambda one: one[1])
    users = {
        name: UserState(
            min(active) * DAY,
            (max(active) + 1) * DAY - 1,
            registered[name][0] if name in registered else None,
            weeks[name].total(),
            weeks[name],
            tuple(sorted(active)[:EARLY_DAYS]),
        )
        for name, active in days.items()
    }
    named = {account.name: account for account in truth}
    return History(*span, users, posts, sorted(registered.values()), named, list(surges))


def simulated(simulation: Simulation, boundary: int) -> History:
    """The history that was simulated, its known bots being the allowlist."""
    actions = (
        Action(message.at, message_id(message.bits), KINDS[message.kind].topic, name)
        for message in simulation.messages
        if message.user is not None
        for name in ((message.user, *message.others) if KINDS[message.kind].together else (message.user,))
    )
    scenario = simulation.scenario
    span = (scenario.start, boundary, scenario.end)
    return history_of(actions, simulation.truth, simulation.surges, BOTS, span)
