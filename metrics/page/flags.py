"""Flags that wait for a decision: how many of which kind and why; names are the operator's alone."""

import sqlite3
from typing import NamedTuple

from state.spam.lifecycle import SEVERITIES, WAVE_COHORT, WAVE_MEMBER, WAVE_NAME, WAVE_RATE
from state.spam.track import BURST, CAP, HIJACK, HOURS, SAME_TEXT

#: rule -> (what it is called, why it flags)
RULES = {
    WAVE_COHORT: ("wave of new threads", "newcomers of a sign-up wave began with a new thread, each of them"),
    WAVE_NAME: ("wave of names", "many accounts with names of one pattern signed up within a day"),
    BURST: ("burst of posts", "a new account posts faster than newcomers do"),
    CAP: ("flood of threads", "a new account opens more threads within 24 hours than newcomers do"),
    SAME_TEXT: ("same text", "new accounts post one text again and again"),
    WAVE_RATE: ("wave of sign-ups", "more accounts signed up within minutes than the hour expects"),
    HOURS: ("round the clock", "an account posts in so many hours of a day that it may be a program"),
    HIJACK: ("woken account", "an account posts a burst after four weeks or more away"),
}

_GRAVEST_FIRST = ("critical", "warning", "info")


class Kind(NamedTuple):
    """The open flags of one rule."""

    name: str
    reason: str
    severity: str
    flags: int


class Flags(NamedTuple):
    """The section; past: how many flags ended in which state. rules: what each is called, for the operator's list."""

    kinds: tuple[Kind, ...]
    past: dict[str, int]
    rules: dict[str, str]

    @property
    def waiting(self) -> int:
        return sum(kind.flags for kind in self.kinds)


def flags(conn: sqlite3.Connection) -> Flags:
    """The section for the public: counts alone. Who merely signed up in a wave is no flag to decide on."""
    counts: dict[tuple[str, str], int] = {
        (rule, state): count
        for rule, state, count in conn.execute(
            "SELECT rule, state, count(*) FROM flag WHERE rule <> ? GROUP BY rule, state", (WAVE_MEMBER,)
        )
    }
    kinds = [
        Kind(name, reason, SEVERITIES[rule], counts.get((rule, "raised"), 0) + counts.get((rule, "suspect"), 0))
        for rule, (name, reason) in RULES.items()
    ]
    return Flags(
        tuple(sorted((kind for kind in kinds if kind.flags), key=lambda kind: _GRAVEST_FIRST.index(kind.severity))),
        {
            state: sum(count for (_, found), count in counts.items() if found == state)
            for state in sorted({state for _, state in counts} & {"confirmed", "cleared", "expired"})
        },
        {rule: name for rule, (name, _) in RULES.items()},
    )
