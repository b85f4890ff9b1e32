"""The definitions under which a log becomes a table. Changing one is a rebuild."""

import json
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Literal

from state.event import Role, action_of
from state.spam.posts import Content

#: Every population that a cohort total is kept for.
POPULATIONS = ("all", "engaged", "clean", "engaged_clean")


#: The usual content posts.
CONTENT = Content()


@dataclass(frozen=True, slots=True)
class Rules:
    """What counts.

    attribution: "actor" counts who acted; "any" counts every user a message names.
    engaged_events: an account is engaged from this many events of any time on, its creation included.
    registrations: actions that create an account; their actor is the newcomer.
    content: which actions are content posts. allowlist: known bots, which are never flagged.
    """

    attribution: Literal["actor", "any"] = "actor"
    engaged_events: int = 2
    registrations: frozenset[str] = frozenset({"fas.user.create"})
    content: Content = CONTENT
    allowlist: frozenset[str] = frozenset()

    def kind_of(self, topic: str) -> int | None:
        """The weight class of a content post, None for what is none; creating an account never is one."""
        return None if action_of(topic) in self.registrations else self.content.kind_of(topic)

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

    def detection(self) -> str:
        """What the detectors go by, as JSON; a change holds for what comes, and for the past after a rebuild."""
        return json.dumps(
            {
                "threads": sorted(self.content.threads),
                "passive": sorted(self.content.passive),
                "allowlist": sorted(self.allowlist),
            }
        )

    def detecting(self, text: str) -> "Rules":
        """These rules with the detection that `detection` gave."""
        found = json.loads(text)
        return replace(
            self,
            content=Content(frozenset(found["threads"]), frozenset(found["passive"])),
            allowlist=frozenset(found["allowlist"]),
        )

    @classmethod
    def from_fingerprint(cls, text: str) -> "Rules":
        """The rules of which this is the fingerprint."""
        attribution, engaged, registrations = text.split("/", 2)
        return cls(
            attribution="any" if attribution == "any" else "actor",
            engaged_events=int(engaged),
            registrations=frozenset(registrations.split(",")),
        )
