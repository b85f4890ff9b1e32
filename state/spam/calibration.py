"""The detectors' parameters: defaults, and what a calibration makes of a community's own history."""

import json
from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from math import log
from typing import Any, NamedTuple

from state.spam.rhythm import HOURS, Rhythm
from state.weeks import DAY, HOUR, SECOND, week_of, week_start

#: A post after which the score is worth nothing any more: scores are held below this many limits.
SCORE_CAP = 3.0

#: After every event time.
_NEVER = 1 << 63


def hour_of_week(at: int) -> int:
    """Hours since Monday 00:00 UTC, 0 to 167."""
    return (at - week_start(week_of(at))) // HOUR


@dataclass(frozen=True, slots=True)
class Calibration:
    """Parameters of one version; pairs are (new thread, other content).

    Rates are posts per second of one account while it posts: `ordinary` people's, and those of an account that
    bursts `fast` or by `hand`. limit: score from which on a burst of a new account is flagged. cap: new threads in
    24 hours, one more with each earlier active day but the first. hours: distinct hours of 24 with a post. signups:
    expected sign-ups for each hour of the week (Monday 00:00 UTC first), None where nobody has calibrated yet.
    spread: the negative binomial's size, its variance being mean + mean^2 / spread. since: event time from which on
    this version holds. made_at: watermark of the history it was made from, 0 for the defaults.
    """

    version: str = "default"
    since: int = 0
    made_at: int = 0
    budget: float = 0.3  #: false flags a week that `limit` was solved for
    ordinary: tuple[float, float] = (1 / 250, 1 / 140)
    fast: tuple[float, float] = (1 / 15, 1 / 100)
    hand: tuple[float, float] = (1 / 60, 1 / 320)
    limit: float = 7.0
    trust: float = 0.5  #: what each earlier active day adds to the limit
    cap: int = 14
    hours: int = 14
    signups: tuple[float, ...] | None = None
    spread: float = 8.0

    def __post_init__(self) -> None:
        """ValueError for values that the detectors could not work with: a version comes from a file."""
        pairs: list[tuple[float, ...]] = [self.ordinary, self.fast, self.hand]
        numbers = (self.budget, self.limit, self.spread, self.cap, self.hours)
        if not all(len(pair) == 2 and min(pair) > 0 for pair in pairs):
            raise ValueError("ordinary, fast and hand are pairs of rates above 0")
        if min(sum(self.fast), sum(self.hand)) <= sum(self.ordinary):
            raise ValueError("fast and hand are not faster than ordinary, so that no score would ever fall")
        if not all(number > 0 for number in numbers) or self.trust < 0:
            raise ValueError("budget, limit, spread, cap and hours are numbers above 0, trust is none below")
        if self.signups is not None and (len(self.signups) != HOURS or min(self.signups) < 0):
            raise ValueError(f"signups are {HOURS} numbers, none below 0")

    def to_json(self) -> str:
        """The parameters as one JSON object."""
        return json.dumps(asdict(self), indent=2)

    @classmethod
    def from_json(cls, text: str) -> "Calibration":
        """What `to_json` wrote; ValueError where it is not that."""
        found: Mapping[str, Any] = json.loads(text)
        known = {field.name for field in fields(cls)}
        if not isinstance(found, dict) or found.keys() - known:
            raise ValueError("not a calibration of this version of Homecoming")
        values: dict[str, Any] = {
            key: tuple(value) if isinstance(value, list) else value for key, value in found.items()
        }
        return cls(**values)


class Weights(NamedTuple):
    """What the posts of each kind add to the scores, and what a second takes away."""

    fast: tuple[float, float]
    hand: tuple[float, float]
    fast_drift: float
    hand_drift: float

    @classmethod
    def of(cls, calibration: Calibration) -> "Weights":
        """Log likelihood ratios of the calibration's rates."""

        def weigh(bursting: tuple[float, float]) -> tuple[float, float]:
            threads, other = (max(0.0, log(b / o)) for b, o in zip(bursting, calibration.ordinary, strict=True))
            return threads, other

        def drift(bursting: tuple[float, float]) -> float:
            return sum(bursting) - sum(calibration.ordinary)

        return cls(
            weigh(calibration.fast),
            weigh(calibration.hand),
            drift(calibration.fast) / SECOND,
            drift(calibration.hand) / SECOND,
        )


class Held(NamedTuple):
    """A version, and what is worked out from it once; it holds before the event time `until`."""

    calibration: Calibration
    weights: Weights
    rhythm: Rhythm | None
    until: int


class Floor(NamedTuple):
    """An account that stays below these two crosses no limit, whichever version holds and whoever it is."""

    limit: float  #: score
    posts: int  #: in 24 hours, of any kind
    weights: tuple[float, float]  #: the most that a post of each kind adds to a score

    @classmethod
    def of(cls, versions: Sequence[Calibration]) -> "Floor":
        """The least of the limits, the most of the weights."""
        weights = [pair for w in map(Weights.of, versions) for pair in (w.fast, w.hand)]
        return cls(
            min(version.limit for version in versions) * (1 - 1e-9),  # sums are taken in another order than in a score
            min(min(version.cap, version.hours) for version in versions),
            (max(threads for threads, _ in weights), max(other for _, other in weights)),
        )


class Calibrations:
    """Every version by the event time from which it holds, so that a replay takes what was taken then."""

    def __init__(self, versions: Iterable[Calibration] = ()) -> None:
        ordered = sorted(versions, key=lambda version: version.since)
        self.versions = tuple(ordered) if ordered and ordered[0].since <= 0 else (Calibration(), *ordered)
        self._since = [version.since for version in self.versions]
        self._held = [
            Held(version, Weights.of(version), Rhythm(version.signups) if version.signups else None, until)
            for version, until in zip(self.versions, [*self._since[1:], _NEVER], strict=True)
        ]
        self.floor = Floor.of(self.versions)

    def holding(self, at: int) -> Held:
        """The version that holds at the event time; those who go on in order need not ask again before its end."""
        return self._held[bisect_right(self._since, at) - 1]

    def in_force(self, at: int) -> tuple[Calibration, Weights]:
        """The version that holds at the event time, and what it makes posts weigh."""
        held = self.holding(at)
        return held.calibration, held.weights


#: Two posts belong to one window when less than this lies between them.
WINDOW = DAY
