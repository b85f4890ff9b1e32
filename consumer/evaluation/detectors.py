"""What is compared: a detector sees every content post in order of event time and flags accounts."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from consumer.evaluation.history import History
from state.spam.calibration import Calibration, Calibrations
from state.spam.fit import fit
from state.spam.lifecycle import SEVERITIES
from state.spam.posts import Post
from state.spam.track import Crossing, Track

#: Rules whose flags are warnings or worse; the others inform.
WARNING = frozenset(rule for rule, severity in SEVERITIES.items() if severity != "info")


class Flag(NamedTuple):
    """Raised with the account's post of that event time."""

    at: int
    rule: str


#: account -> its flags by event time
Flags = Mapping[str, list[Flag]]


class Detector(Protocol):
    """Learns from what lies before the history's boundary; flags from there on are judged."""

    @property
    def name(self) -> str:
        """What the table calls it."""

    def flags(self, history: History) -> Flags:
        """The warnings over the whole history."""


@dataclass(frozen=True, slots=True)
class Homecoming:
    """Ours, with the versions of the parameters that hold in the history."""

    calibrations: Calibrations
    name: str = "homecoming"

    def flags(self, history: History) -> Flags:
        """Bursts and caps."""
        return warnings(crossings(history, self.calibrations))


def calibrate(history: History, budget: float) -> Calibration:
    """The version that an operator would have who looked at each flag and knew no more about spam than these."""
    before = [(name, post) for name, post in history.posts if post.at < history.boundary]
    tracked = crossings(history, Calibrations(), before)
    confirmed = {name for name, flags in warnings(tracked).items() if flags and history.label(name) == "spam"}
    registered = [at for at, _, _ in history.signups]
    known_bots = {name for name, account in history.truth.items() if account.label == "bot"}
    return fit(
        before,
        history.users,
        registered,
        history.start,
        history.boundary,
        Calibration(),
        budget,
        confirmed | known_bots,
    )


def crossings(
    history: History, calibrations: Calibrations, posts: Iterable[tuple[str, Post]] | None = None
) -> dict[str, list[Crossing]]:
    """What each account crosses, of all rules."""
    tracks: defaultdict[str, Track] = defaultdict(Track)
    for name, post in history.posts if posts is None else posts:
        tracks[name].add(post)
    for name, track in tracks.items():
        track.evaluate(history.users[name], calibrations)
    return {name: track.crossings for name, track in tracks.items()}


def warnings(found: Mapping[str, Iterable[Crossing]]) -> Flags:
    """Those at warning."""
    return {name: [Flag(one.at, one.rule) for one in ones if one.rule in WARNING] for name, ones in found.items()}
