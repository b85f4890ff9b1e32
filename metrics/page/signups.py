"""Sign-ups by the hour against what each hour expects, with the waves among them."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from typing import NamedTuple

from metrics.page.plot import Tick, scale
from state.signups import SignupHour, Wave
from state.signups import Signups as Found
from state.spam.lifecycle import WAVE_COHORT, WAVE_NAME, WAVE_RATE
from state.weeks import DAY, HOUR, day_of, to_datetime

#: A week, in hours.
HOURS = 168

#: Per cent of the width that half a label takes on a phone.
_EDGE = 6

#: What each rule saw so often, without what it saw: a pattern of names is close to a name.
_SEEN = {
    WAVE_RATE: "sign-ups within minutes, more than the hour expects",
    WAVE_NAME: "with names of one pattern",
    WAVE_COHORT: "newcomers who began with a new thread",
}


class Bar(NamedTuple):
    """One hour; height: per cent of the drawing's."""

    height: float
    title: str


class Day(NamedTuple):
    """One day of the table; expected: None where nothing is known to expect."""

    name: str
    signups: int
    expected: float | None


class Mark(NamedTuple):
    """Waves that overlap, as one span; left and width in per cent."""

    number: int
    left: float
    width: float
    span: str
    severity: str
    reasons: tuple[str, ...]


class Signups(NamedTuple):
    """The section."""

    total: int
    expected: float | None
    bars: tuple[Bar, ...]
    usual: str
    marks: tuple[Mark, ...]
    days: tuple[Day, ...]
    across: tuple[Tick, ...]
    up: tuple[Tick, ...]

    @property
    def gravest(self) -> str:
        """The severity that the legend shows."""
        return "critical" if any(mark.severity == "critical" for mark in self.marks) else "info"


def signups(found: Found, waves: Iterable[Wave]) -> Signups | None:
    """The section; None for an empty state. Cleared waves are not marked."""
    hours = found.hours
    if not hours:
        return None
    up = scale(max(max(hour.signups, hour.expected or 0) for hour in hours), smallest_step=1)
    return Signups(
        total=sum(hour.signups for hour in hours),
        expected=_expected(hours),
        bars=tuple(Bar(round(100 - up.y(hour.signups), 2), _title(hour)) for hour in hours),
        usual="".join(
            f"{'M' if place == 0 or hours[place - 1].expected is None else 'L'}{place},{up.y(hour.expected)}h1"
            for place, hour in enumerate(hours)
            if hour.expected is not None
        ),
        marks=tuple(_marks([wave for wave in waves if wave.state != "cleared"], hours)),
        days=tuple(
            Day(f"{to_datetime(day * DAY):%a %Y-%m-%d}", sum(hour.signups for hour in those), _expected(those))
            for day, those in ((day, list(group)) for day, group in groupby(hours, lambda hour: day_of(hour.start)))
        ),
        across=tuple(_across(hours)),
        up=tuple(Tick(up.y(value), f"{value:,.0f}") for value in up.ticks()[1:]),
    )


def _across(hours: Sequence[SignupHour]) -> Iterator[Tick]:
    """A label below the middle of each day, but where it would not fit."""
    for place, hour in enumerate(hours):
        at = round(100 * place / len(hours), 2)
        if hour.start % DAY == 12 * HOUR and _EDGE < at < 100 - _EDGE:
            yield Tick(at, f"{to_datetime(hour.start):%a} {to_datetime(hour.start).day}")


def _expected(hours: Sequence[SignupHour]) -> float | None:
    known = [hour.expected for hour in hours if hour.expected is not None]
    return sum(known) if known else None


def _title(hour: SignupHour) -> str:
    usual = "" if hour.expected is None else f", {hour.expected:.1f} expected"
    return f"{to_datetime(hour.start):%a %Y-%m-%d %H:%M}: {hour.signups:,}{usual}"


def _marks(waves: Sequence[Wave], hours: Sequence[SignupHour]) -> list[Mark]:
    first, end = hours[0].start, hours[-1].start + HOUR
    spans: list[list[Wave]] = []
    until = first
    for wave in sorted(waves, key=lambda wave: wave.start):
        if spans and wave.start <= until:
            spans[-1].append(wave)
        else:
            spans.append([wave])
        until = max(until, wave.end)
    return [_mark(number, those, first, end) for number, those in enumerate(spans, start=1)]


def _mark(number: int, waves: Sequence[Wave], first: int, end: int) -> Mark:
    begins, over = min(wave.start for wave in waves), max(wave.end for wave in waves)
    left, right = max(begins, first), min(over, end)
    return Mark(
        number,
        round(100 * (left - first) / (end - first), 2),
        round(100 * max(right - left, 0) / (end - first), 2),
        _span(begins, over),
        "critical" if any(wave.severity == "critical" for wave in waves) else waves[0].severity,
        tuple(_reasons(waves)),
    )


def _reasons(waves: Sequence[Wave]) -> Iterator[str]:
    """One for each rule; a wave counts what had come when it was noticed, and more may have followed."""
    for rule, seen in _SEEN.items():
        if counts := [wave.signups for wave in waves if wave.rule == rule]:
            yield f"at least {max(counts):,} {seen}"


def _span(start: int, end: int) -> str:
    last = "%H:%M" if day_of(start) == day_of(end) else "%a %H:%M"
    return f"{to_datetime(start):%a %Y-%m-%d %H:%M} to {to_datetime(end):{last}} UTC"
