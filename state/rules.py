"""The definitions under which a log becomes a table. Changing one is a rebuild."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from state.event import Role, action_of

#: Every population that a cohort total is kept for.
POPULATIONS = ("all", "engaged", "clean", "engaged_clean")


@dataclass(frozen=True, slots=True)
class Rules:
    """What counts.

    attribution: "actor" counts who acted; "any" counts every user a message names.
    engaged_events: an account is engaged from this many events of any time on, its creation included.
    registrations: actions that create an account; their actor is the newcomer.
    """

    attribution: Literal["actor", "any"] = "actor"
    engaged_events: int = 2
    registrations: frozenset[str] = frozenset({"fas.user.create"})

    def counts(self, role: Role) -> bool:
        """Whether an event in this role is folded into its user."""
        return role == "actor" or self.attribution == "any"

    def registers(self, topic: str, role: Role) -> bool:
        """Whether the event creates its user's account."""
        return role == "actor" and action_of(topic) in self.registrations

    def registration_topics(self, topics: Iterable[str]) -> list[str]:
        """Those of the topics whose actor is a newcomer, sorted."""
        return sorted(t for t in topics if action_of(t) in self.registrations)

    def fingerprint(self) -> str:
        """A text that differs where the definitions differ: views are derived under one of these."""
        return f"{self.attribution}/{self.engaged_events}/{','.join(sorted(self.registrations))}"

    @classmethod
    def from_fingerprint(cls, text: str) -> "Rules":
        """The rules of which this is the fingerprint."""
        attribution, engaged, registrations = text.split("/", 2)
        return cls(
            attribution="any" if attribution == "any" else "actor",
            engaged_events=int(engaged),
            registrations=frozenset(registrations.split(",")),
        )
