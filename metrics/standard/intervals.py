"""Days, weeks and months, counted: subtracting two of a kind gives a retention offset."""

from dataclasses import dataclass
from datetime import UTC, datetime

from state.weeks import DAY, WEEK, event_time, to_datetime

#: 1970-01-01 was a Thursday: so many days into its week, by the day on which weeks begin.
_INTO_WEEK = {"monday": 3, "sunday": 4}


@dataclass(frozen=True, slots=True)
class Intervals:
    """interval: "day", "week", "month", or "24h": cohorts of days, whose members have days of their own."""

    interval: str
    week_start: str = "monday"

    def number(self, at: int) -> int:
        """The interval in which the event time falls."""
        if self.interval == "month":
            moment = to_datetime(at)
            return moment.year * 12 + moment.month - 1
        return (at + self._into()) // self._length()

    def start(self, number: int) -> int:
        """Event time at which the interval begins."""
        if self.interval == "month":
            return event_time(datetime(number // 12, number % 12 + 1, 1, tzinfo=UTC))
        return number * self._length() - self._into()

    def number_sql(self, at: str) -> str:
        """SQL: the same as `number`."""
        if self.interval == "month":
            return f"(year(make_timestamp({at})) * 12 + month(make_timestamp({at})) - 1)"
        return f"(({at} + {self._into()}) // {self._length()})"

    def offset_sql(self, at: str, registered: str) -> str:
        """SQL: the offset of an event time from a registration; negative before the interval of the registration."""
        if self.interval == "24h":
            return f"CASE WHEN {at} < {registered} THEN -1 ELSE ({at} - {registered}) // {DAY} END"
        return f"{self.number_sql(at)} - {self.number_sql(registered)}"

    def _length(self) -> int:
        return WEEK if self.interval == "week" else DAY

    def _into(self) -> int:
        return _INTO_WEEK[self.week_start] * DAY if self.interval == "week" else 0
