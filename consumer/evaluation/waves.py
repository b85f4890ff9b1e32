"""What the wave detector is worth: sign-ups until an attack's wave is flagged, and alarms that nobody needed."""

from bisect import bisect_right
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from consumer.evaluation.history import LAST_DAY, History
from consumer.simulator import Surge
from state.spam.calibration import Calibrations
from state.spam.waves import QUIET, SignUps, Wave
from state.weeks import DAY

#: A key that fires so long after an attack's last sign-up still found it.
_AFTERWARDS = DAY

#: Keys that make a wave critical.
CRITICAL = ("name", "cohort")


class Raid(NamedTuple):
    """One wave of attackers' accounts. found: key -> their sign-ups until it fired, the firing one included."""

    kind: str
    size: int
    found: dict[str, int]


@dataclass(slots=True)
class WaveFigures:
    """The wave detector on one or more histories.

    surges: benign ones judged. critical: alarms that the same history raises without its attackers. bystanders:
    critical alarms most members of which are nobody's attackers, an attack being under way. rate: sign-up rates
    that only informed, without attackers too.
    """

    weeks: float = 0.0
    raids: list[Raid] = field(default_factory=list)
    surges: Counter[str] = field(default_factory=Counter)
    critical: int = 0
    bystanders: int = 0
    rate: int = 0

    def add(self, more: "WaveFigures") -> None:
        """Judge both together."""
        self.weeks += more.weeks
        self.raids += more.raids
        self.surges.update(more.surges)
        self.critical += more.critical
        self.bystanders += more.bystanders
        self.rate += more.rate


def judge_waves(history: History, calibrations: Calibrations) -> WaveFigures:
    """What the waves from the history's boundary on are worth."""
    waves = waves_of(history, calibrations)
    judged = [s for s in history.surges if history.boundary <= s.start < history.end - LAST_DAY]
    found = WaveFigures(history.weeks, surges=Counter(surge.kind for surge in judged if surge.benign))
    found.raids = [raid for surge in judged if not surge.benign and (raid := _raid(history, surge, waves))]
    critical = [wave for wave in waves if wave.key in CRITICAL]
    found.bystanders = sum(not _mostly_spam(history, wave) for wave in critical)
    for wave in waves_of(history.without_spam(), calibrations):
        found.critical += wave.key in CRITICAL
        found.rate += wave.key == "rate"
    return found


def waves_of(history: History, calibrations: Calibrations) -> list[Wave]:
    """The waves that begin after the history's boundary."""
    signups = SignUps()
    for at, msg_id, name in history.signups:
        signups.sign_up(at, msg_id, name)
    for name, post in history.posts:
        signups.post(post.at, post.msg_id, name, post.kind)
    signups.evaluate(calibrations)
    return [wave for wave in signups.waves if wave.at >= history.boundary]


def _raid(history: History, surge: Surge, waves: Sequence[Wave]) -> Raid | None:
    """How the attack's own accounts signed up; None where there are none."""
    times = [
        at
        for at, _, name in history.signups
        if surge.start <= at < surge.end and (account := history.truth.get(name)) and account.style == surge.kind
    ]
    found: dict[str, int] = {}
    for wave in waves:
        under_way = wave.until + QUIET[wave.key] > surge.start and wave.at < surge.end + _AFTERWARDS
        if under_way and (wave.key == "rate" or _mostly_spam(history, wave)):
            # One that is under way already is told with the first of them.
            found.setdefault(wave.key, max(1, bisect_right(times, wave.at)))
    return Raid(surge.kind, len(times), found) if times else None


def _mostly_spam(history: History, wave: Wave) -> bool:
    return 2 * sum(history.label(name) == "spam" for name in wave.members) > len(wave.members)
