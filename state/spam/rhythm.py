"""The sign-ups that a week's hours expect, between any two event times."""

from itertools import accumulate
from typing import NamedTuple

from state.weeks import HOUR, WEEK, week_start

#: Hours of a week.
HOURS = WEEK // HOUR

#: Week 0 began so many hours before 1970.
_SHIFT = -week_start(0) // HOUR


class Rhythm:
    """signups: expected in each hour of the week, Monday 00:00 UTC first. In between, the same at every moment."""

    def __init__(self, signups: tuple[float, ...]) -> None:
        self._cumulated = tuple(accumulate(signups, initial=0.0))

    def between(self, start: int, end: int) -> float:
        """Sign-ups that are expected between the two event times."""
        return self._by(end) - self._by(start)

    def least(self, length: int) -> float:
        """Sign-ups that are expected in the quietest stretch of that length (microseconds)."""
        # The expectation is linear in between: the least begins or ends with an hour.
        starts = [start for hour in range(HOURS) for start in (hour * HOUR, hour * HOUR - length)]
        return min(self.between(start, start + length) for start in starts)

    def _by(self, at: int) -> float:
        """Sign-ups from the first week on; piecewise linear."""
        week, hour = divmod(at // HOUR + _SHIFT, HOURS)
        cumulated = self._cumulated
        within = (at % HOUR) / HOUR
        return week * cumulated[-1] + cumulated[hour] + within * (cumulated[hour + 1] - cumulated[hour])


class Steady(NamedTuple):
    """So many sign-ups a microsecond at any hour: as long as nobody knows the rhythm."""

    rate: float

    def between(self, start: int, end: int) -> float:
        """Sign-ups that are expected between the two event times."""
        return self.rate * (end - start)
