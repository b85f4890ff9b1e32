"""Parameters of metrics: each declared once, with its kind, bounds, unit and meaning; Options hold their values."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal, NamedTuple, get_type_hints

from metrics.standard import kinds


class Parameter(NamedTuple):
    """What one parameter takes. read: text to value, ValueError with what was expected; expects: that, in words."""

    read: Callable[[str], Any]
    expects: str
    meaning: str
    unit: str = ""
    choices: tuple[str, ...] = ()


def _one_of(choices: tuple[str, ...], meaning: str) -> Parameter:
    return Parameter(kinds.one_of(choices), f"one of {', '.join(choices)}", meaning, choices=choices)


def _whole(meaning: str, unit: str = "", low: int = 0, high: int = 1_000_000) -> Parameter:
    return Parameter(kinds.whole(low, high), f"a whole number from {low} to {high:,}", meaning, unit)


def _instant(meaning: str) -> Parameter:
    return Parameter(kinds.instant, "20240603, 20240603120000 or an ISO 8601 time (UTC)", meaning)


def _names(meaning: str) -> Parameter:
    return Parameter(kinds.names, "names separated by commas", meaning)


def _flag(meaning: str) -> Parameter:
    return Parameter(kinds.flag, "true or false", meaning)


#: Ends of windows on the µs scale are never this far away: a window without an end has this one.
FOREVER = 2**62

Group = Literal["registration", "activity"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """The values of one request, defaults filled in; hashable. Event times in microseconds, None where not given.

    `canonical` is the same text for requests that mean the same: a cache key.
    """

    metric: str
    aggregator: str | None = None
    time_series: Annotated[bool, _flag("slices of the window instead of one value")] = False
    slice: Annotated[
        str, Parameter(kinds.slice_length, "a number of hours, or day, week, month, year", "length of a slice", "h")
    ] = "24"
    group: Annotated[
        Group,
        _one_of(
            ("registration", "activity"),
            "registration: users who registered in [start, end), each from registration on for t; "
            "activity: everybody, in [start, end)",
        ),
    ] = "registration"
    start: Annotated[int | None, _instant("begin of the window, itself inside")] = None
    end: Annotated[int | None, _instant("end of the window, itself outside")] = None
    interval: Annotated[
        str,
        _one_of(("left", "right"), "left: windows are [start, end); right: (start, end], as the older systems have it"),
    ] = "left"
    t: Annotated[int | None, _whole("length of each user's window after registration", "h")] = None
    n: Annotated[int, _whole("contributions that are enough", low=1)] = 1
    namespace: Annotated[
        tuple[str, ...], _names("services on Fedora's bus, numbers of namespaces on a wiki's; all where none is given")
    ] = ()
    project: Annotated[tuple[str, ...], _names("projects (wikis, repositories); all where none is given")] = ()
    unit: Annotated[str | None, Parameter(str, "a unit", "unit of what is counted")] = None
    first: Annotated[int, _whole("from which contribution the time counts; 0: from registration")] = 0
    threshold: Annotated[int, _whole("up to which contribution the time counts", low=1)] = 1
    sunset: Annotated[int, _whole("length of the window of survival; 0: without end", "h")] = 0
    attempt: Annotated[
        tuple[str, ...], _names("actions that are an attempt, `*` standing for anything: track.attempt, *.issue.new")
    ] = ()
    look_ahead: Annotated[int, _whole("later revisions among which an undoing counts", low=1, high=1_000)] = 15
    look_back: Annotated[int, _whole("earlier revisions whose content may come back", low=1, high=1_000)] = 15
    u: Annotated[int, _whole("length of a rolling window", "d", low=1, high=36_525)] = 30
    gap: Annotated[int, _whole("pause from which on a new session begins", "h", low=1)] = 1
    definition: Annotated[
        str,
        _one_of(
            ("bounded", "unbounded"), "bounded: active in exactly that interval; unbounded: in it or any later one"
        ),
    ] = "bounded"
    week_start: Annotated[str, _one_of(("monday", "sunday"), "the day on which a week begins")] = "monday"
    horizon: Annotated[int | None, _whole("so many offsets; without it all up to as_of", low=1, high=100_000)] = None
    exact: Annotated[
        bool, _flag("false: where days are all that is left of expired weeks, spread their events over the day")
    ] = True
    canonical: str = field(default="", compare=False)


def _declared() -> dict[str, Parameter]:
    hints = get_type_hints(Options, include_extras=True)
    return {
        name: hint.__metadata__[0]
        for name, hint in hints.items()
        if hasattr(hint, "__metadata__") and isinstance(hint.__metadata__[0], Parameter)
    }


#: Every parameter by its name.
PARAMETERS = _declared()

#: What every metric takes.
COMMON = ("start", "end", "namespace", "project", "exact")

#: What a metric over users' windows takes beside them.
WINDOWED = ("group", "t", "interval", *COMMON)
