"""Stream health: how fresh the state is, when nobody listened, what could not be taken in."""

from typing import NamedTuple

from metrics.health import Health as Known
from metrics.page.template import counted, minute
from state.reading import Status
from state.weeks import DAY, HOUR, SECOND

#: The latest gaps are shown; older ones are counted.
_GAPS_SHOWN = 3

_MINUTE = 60 * SECOND


class Gap(NamedTuple):
    """A time in which nobody listened."""

    start: str
    end: str
    length: str


class Health(NamedTuple):
    """The section in words; connection: none where this process does not listen itself."""

    status: Status
    connection: str | None
    silence: str | None
    lag: str | None
    heard: str | None
    gaps: tuple[Gap, ...]
    gaps_before: int
    dead: dict[str, int]


def health(known: Known, status: Status) -> Health:
    """The section."""
    return Health(
        status,
        None if known.connected is None else "connected" if known.connected else "not connected",
        _ago(known.last_message_age_s),
        _ago(known.lag_s),
        None if known.listened_until is None else minute(known.listened_until),
        tuple(
            Gap(minute(start), minute(end), length(end - start)) for start, end in reversed(known.gaps[-_GAPS_SHOWN:])
        ),
        max(0, len(known.gaps) - _GAPS_SHOWN),
        known.dead_letters,
    )


def _ago(seconds: float | None) -> str | None:
    return None if seconds is None else f"{length(int(seconds * SECOND))} ago"


def length(span: int) -> str:
    """`3 hours` for microseconds, rounded down; never finer than a minute, so that an idle page stays the same."""
    for unit, name in ((DAY, "day"), (HOUR, "hour"), (_MINUTE, "minute")):
        if span >= unit:
            return counted(span // unit, name)
    return "less than a minute"
