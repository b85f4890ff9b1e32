"""A window in slices: labelled by their start, left-closed, the last one cut at the window's end."""

from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise

from metrics.standard.parameters import Options
from state.errors import HomecomingError
from state.weeks import DAY, HOUR, WEEK, event_time, iso, to_datetime, week_of, week_start

#: More would be a mistake: a year of hours is 8,760.
MAX_SLICES = 10_000


@dataclass(frozen=True, slots=True)
class Slices:
    """bounds: (start, end) of each, event times in microseconds; template: SQL of a slice's number, of {at}."""

    bounds: tuple[tuple[int, int], ...]
    template: str

    def number(self, at: str) -> str:
        """SQL: the number of the slice in which the event time `at` (SQL, microseconds) falls."""
        return self.template.format(at=at)


def slices_of(options: Options) -> Slices:
    """The slices of [start, end). Raises HomecomingError where there are none, too many, or one longer than the window.

    A calendar's slices (day, week, month, year) begin where the calendar has them; the first one at start.
    """
    start, end = options.start, options.end
    if start is None or end is None:
        raise HomecomingError(f"{options.metric}: a time series needs start and end")
    if options.slice in ("month", "year"):
        return _months(options.metric, start, end, 12 if options.slice == "year" else 1)
    calendar = {"day": (DAY, start // DAY * DAY), "week": (WEEK, week_start(week_of(start)))}
    length, origin = calendar.get(options.slice) or (int(options.slice) * HOUR, start)
    if options.slice not in calendar and length > end - start:
        raise HomecomingError(
            f"{options.metric}: a slice of {options.slice} is longer than the window from {iso(start)} to {iso(end)}"
        )
    _bounded(options.metric, -((origin - end) // length))
    begins = range(origin, end, length)
    bounds = tuple((max(start, begin), min(end, begin + length)) for begin in begins)
    return Slices(bounds, f"(({{at}} - {origin}) // {length})::INTEGER")


def _months(metric: str, start: int, end: int, months: int) -> Slices:
    def number(at: int) -> int:
        moment = to_datetime(at)
        return (moment.year * 12 + moment.month - 1) // months

    def begin(place: int) -> int:
        year, month = divmod(place * months, 12)
        return event_time(datetime(year, month + 1, 1, tzinfo=to_datetime(0).tzinfo))

    first, last = number(start), number(end - 1)
    _bounded(metric, last - first + 1)
    begins = [start, *(begin(place) for place in range(first + 1, last + 1)), end]
    moment = "make_timestamp({at})"
    sql = f"(((year({moment}) * 12 + month({moment}) - 1) // {months}) - {first})::INTEGER"
    return Slices(tuple(pairwise(begins)), sql)


def _bounded(metric: str, count: int) -> None:
    if count > MAX_SLICES:
        raise HomecomingError(f"{metric}: {count:,} slices, at most {MAX_SLICES:,}: choose longer ones")
