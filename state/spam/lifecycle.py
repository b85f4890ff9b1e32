"""The life of a flag: what it is called, how grave it is, in which state it stands. Pure."""

from collections import deque
from collections.abc import Iterable, Iterator
from hashlib import blake2b
from typing import Literal, NamedTuple

from state.spam.track import BURST, CAP, FLAG_LIFE, HIJACK, HOURS, SAME_TEXT
from state.spam.waves import QUIET
from state.weeks import DAY, HOUR

FlagState = Literal["suspect", "raised", "confirmed", "cleared", "expired"]
Severity = Literal["info", "warning", "critical"]
Verdict = Literal["confirmed", "cleared"]

FLAG_STATES: tuple[FlagState, ...] = ("suspect", "raised", "confirmed", "cleared", "expired")

WAVE_RATE, WAVE_NAME, WAVE_COHORT, WAVE_MEMBER = "wave-rate", "wave-name", "wave-cohort", "wave-member"

#: Every rule with the severity of its flags.
SEVERITIES: dict[str, Severity] = {
    BURST: "warning",
    CAP: "warning",
    SAME_TEXT: "warning",
    HOURS: "info",
    HIJACK: "info",
    WAVE_RATE: "info",
    WAVE_NAME: "critical",
    WAVE_COHORT: "critical",
    WAVE_MEMBER: "info",
}

ACCOUNT_RULES = (BURST, CAP, SAME_TEXT, HOURS, HIJACK)
WAVE_RULES = (WAVE_RATE, WAVE_NAME, WAVE_COHORT)

#: A rule that raises more flags an hour, while no wave explains them, is not believed: circuit breaker.
MOST_AN_HOUR = 10

#: An operator's decision holds for flags of the account and rule that cross within this time of the decided one.
DECISION_HOLDS = 30 * DAY


class Flagged(NamedTuple):
    """A flag, in the order of its columns. Times are event times in microseconds.

    user: None for a wave. posts: content posts of the account up to and including the crossing one; sign-ups
    of a wave. until: when a wave's key fired last; for an account, when it crossed.
    """

    id: str
    user: str | None
    rule: str
    severity: Severity
    state: FlagState
    raised_at: int
    posts: int
    reason: str
    evidence: tuple[str, ...]
    config: str
    until: int


class Standing(NamedTuple):
    """What the state of a flag depends on."""

    id: str
    state: FlagState
    raised_at: int
    verdict: Verdict | None


def flag_id(rule: str, user: str | None, msg_id: str) -> str:
    """Twelve hex digits: a flag is known by its account, its rule and the first crossing message."""
    return blake2b(f"{rule}\x1f{user or ''}\x1f{msg_id}".encode(), digest_size=6).hexdigest()


def states(
    rule: str, flags: Iterable[Standing], explained: Iterable[tuple[int, int]], watermark: int
) -> Iterator[tuple[Standing, FlagState]]:
    """The state of each of the rule's flags, given in the order of (raised_at, id).

    The flags of the hour before must be among them. explained: intervals of event time in which a wave's second
    key is active. A decision wins; then the circuit breaker; then age.
    """
    intervals = list(explained)
    hour: deque[int] = deque()
    for flag in flags:
        at = flag.raised_at
        hour.append(at)
        while hour[0] <= at - HOUR:
            hour.popleft()
        believed = rule not in ACCOUNT_RULES or len(hour) <= MOST_AN_HOUR or _within(at, intervals)
        if flag.verdict is not None:
            yield flag, flag.verdict
        elif rule == WAVE_MEMBER or not believed:
            yield flag, "suspect"
        else:
            yield flag, "expired" if at + FLAG_LIFE <= watermark else "raised"


def wave_ends(rule: str, until: int) -> int:
    """Event time at which a wave is over whose key fired last at `until`."""
    return until + QUIET[rule.removeprefix("wave-")]


def _within(at: int, intervals: Iterable[tuple[int, int]]) -> bool:
    return any(start <= at < end for start, end in intervals)
