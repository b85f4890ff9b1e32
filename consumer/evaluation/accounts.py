"""What a detector's flags are worth: of every attacker when, and of everybody else how often."""

from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import groupby
from typing import NamedTuple

from consumer.evaluation.detectors import Flags
from consumer.evaluation.history import History
from state.spam.posts import THREAD, Post
from state.spam.track import low_tenure
from state.weeks import SECOND


class Attack(NamedTuple):
    """One attacking account. posts: its content posts from the onset to the flag's; None where it went unflagged."""

    style: str
    posts: int | None
    seconds: float | None  #: from the onset to the flag
    threads: int  #: new threads it got out while its tenure was low and no flag stood


@dataclass(slots=True)
class Accounts:
    """A detector on one or more histories. weeks: how many were judged. bots: flags of bots that nobody registered."""

    weeks: float = 0.0
    attacks: list[Attack] = field(default_factory=list)
    false_flags: Counter[str] = field(default_factory=Counter)  #: rule -> flags of accounts that are no spam
    bots: int = 0

    def add(self, more: "Accounts") -> None:
        """Judge both together."""
        self.weeks += more.weeks
        self.attacks += more.attacks
        self.false_flags.update(more.false_flags)
        self.bots += more.bots

    @property
    def false_a_week(self) -> float:
        """False flags a week."""
        return self.false_flags.total() / self.weeks if self.weeks else 0.0

    def by_style(self) -> Mapping[str, list[Attack]]:
        """The attacks of each style."""
        ordered = sorted(self.attacks, key=lambda attack: attack.style)
        return {style: list(attacks) for style, attacks in groupby(ordered, key=lambda attack: attack.style)}


def judge(history: History, flags: Flags) -> Accounts:
    """What the flags from the history's boundary on are worth."""
    found = Accounts(history.weeks)
    posts: defaultdict[str, list[Post]] = defaultdict(list)
    for name, post in history.posts:
        posts[name].append(post)
    for name, account in history.truth.items():
        if attack := history.attack(name):
            onset = attack.onset or 0
            flag = next((one.at for one in flags.get(name, ()) if one.at >= onset), None)
            said = [post for post in posts[name] if post.at >= onset]
            out = [post for post in said if post.at <= flag] if flag is not None else said
            threads = sum(p.kind == THREAD and low_tenure(history.users[name], p.at) for p in out)
            seconds = None if flag is None else (flag - onset) / SECOND
            found.attacks.append(Attack(attack.style, None if flag is None else len(out), seconds, threads))
        elif account.label == "bot":
            found.bots += sum(one.at >= history.boundary for one in flags.get(name, ()))
    for name, raised in flags.items():
        if history.label(name) not in {"spam", "bot"}:
            found.false_flags.update(one.rule for one in raised if one.at >= history.boundary)
    return found
