"""What one happening adds to the community."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from random import Random

from consumer.simulation.model import Account, SimMessage, Surge
from consumer.simulation.names import Names
from consumer.simulation.people import Person
from state.weeks import SECOND

MINUTE = 60 * SECOND
HOUR = 60 * MINUTE


@dataclass(slots=True)
class Incident:
    """Accounts and messages of one occurrence of a style.

    newcomers: (event time of the sign-up, who) of those who live on as everybody else.
    """

    accounts: list[Account] = field(default_factory=list)
    messages: list[SimMessage] = field(default_factory=list)
    newcomers: list[tuple[int, Person]] = field(default_factory=list)
    surge: Surge | None = None

    def say(self, rng: Random, at: int, kind: str, name: str, text: str = "", others: Sequence[str] = ()) -> None:
        """Add one message."""
        self.messages.append(SimMessage(at, rng.getrandbits(128), kind, name, tuple(others), text))

    def sign_up(self, rng: Random, at: int, account: Account) -> str:
        """Add an account and its creation; its name."""
        self.accounts.append(account)
        self.say(rng, at, "fas.user.create", account.name)
        return account.name

    def welcome(self, rng: Random, at: int, person: Person, style: str) -> str:
        """Add somebody who signs up on this occasion and lives on; their name."""
        person.account = person.account._replace(style=style)
        self.newcomers.append((at, person))
        return self.sign_up(rng, at, person.account)


#: (names, known people, rng, event time at which it begins) -> what happens; no message lies before that
Style = Callable[[Names, Sequence[str], Random, int], Incident]
