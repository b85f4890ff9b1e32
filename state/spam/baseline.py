"""The sign-ups that each hour of the week expects, and how far around that they scatter."""

from collections.abc import Sequence
from statistics import fmean

from state.spam.calibration import hour_of_week
from state.weeks import HOUR, WEEK

#: Hours in a week.
_HOURS = 168

#: Weights of the hours around each one.
_KERNEL = (1, 2, 3, 2, 1)

#: Share of the weeks that is left out at either end, hour by hour: a wave or an outage is no rhythm.
_TRIMMED = 0.25

#: No hour expects less than this share of the mean hour: nobody is sure that nobody comes.
_FLOOR = 0.05

#: Squared residuals count up to so many times what a Poisson process gives: the rest is a wave.
_RESIDUAL_CAP = 16.0

_SPREADS = (2.0, 50.0)

#: Fewest weeks and sign-ups that make a baseline.
_FEWEST_WEEKS, _FEWEST_SIGNUPS = 4, 100


def baseline(registered: Sequence[int], start: int, end: int) -> tuple[tuple[float, ...], float] | None:
    """Expected sign-ups of each hour of the week (Monday 00:00 UTC first) and the negative binomial's size.

    registered: event times of sign-ups, in any order; those in [start, end) count, by whole weeks back from `end`.
    None where these are less than 4 weeks or 100 sign-ups.
    """
    last = end // HOUR * HOUR
    within = [at for at in registered if start <= at < last]
    weeks = (last - min(within, default=last)) // WEEK
    first = last - weeks * WEEK
    counts = [[0] * _HOURS for _ in range(weeks)]
    for at in within:
        if at >= first:
            counts[(at - first) // WEEK][hour_of_week(at)] += 1
    if weeks < _FEWEST_WEEKS or sum(map(sum, counts)) < _FEWEST_SIGNUPS:
        return None
    smooth = [_smoothed(week) for week in counts]
    expected = [_trimmed_mean([week[hour] for week in smooth]) for hour in range(_HOURS)]
    floor = max(_FLOOR * fmean(expected), 1 / (_HOURS * weeks))
    signups = tuple(max(floor, rate) for rate in expected)
    return signups, _spread(counts, signups)


def _smoothed(week: Sequence[int]) -> list[float]:
    reach = len(_KERNEL) // 2
    return [
        sum(weight * week[(hour + place - reach) % _HOURS] for place, weight in enumerate(_KERNEL)) / sum(_KERNEL)
        for hour in range(_HOURS)
    ]


def _trimmed_mean(values: Sequence[float]) -> float:
    out = int(len(values) * _TRIMMED)
    return fmean(sorted(values)[out : len(values) - out])


def _spread(counts: Sequence[Sequence[int]], expected: Sequence[float]) -> float:
    """The negative binomial's size by moments: variance beyond the Poisson's is mean^2 / size."""
    beyond = sum(
        min((count - mean) ** 2, _RESIDUAL_CAP * mean) - mean
        for week in counts
        for count, mean in zip(week, expected, strict=True)
    )
    squares = len(counts) * sum(mean * mean for mean in expected)
    low, high = _SPREADS
    return high if beyond * high <= squares else max(low, squares / beyond)
