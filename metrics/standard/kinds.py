"""How the text of a parameter becomes its value; ValueError for a text that is none."""

import re
from collections.abc import Callable
from datetime import UTC, datetime

from state.weeks import event_time, event_time_of

_DIGITS = {8: "%Y%m%d", 14: "%Y%m%d%H%M%S"}

#: Slices that follow the calendar, beside those of so many hours.
CALENDAR = ("day", "week", "month", "year")

#: A hundred years: longer than any log.
_LONGEST_SLICE_H = 876_600


def whole(low: int, high: int) -> Callable[[str], int]:
    """A whole number within the bounds, both inside."""

    def read(text: str) -> int:
        if not re.fullmatch(r"-?[0-9]{1,18}", text) or not low <= int(text) <= high:
            raise ValueError(text)
        return int(text)

    return read


def one_of(choices: tuple[str, ...]) -> Callable[[str], str]:
    """One of the words."""

    def read(text: str) -> str:
        if text not in choices:
            raise ValueError(text)
        return text

    return read


def instant(text: str) -> int:
    """An event time in microseconds: 8 digits are a day, 14 a second, anything else ISO 8601; all UTC."""
    if text.isascii() and text.isdigit():
        layout = _DIGITS.get(len(text))
        if layout is None:
            raise ValueError(text)
        return event_time(datetime.strptime(text, layout).replace(tzinfo=UTC))
    return event_time_of(text)


def names(text: str) -> tuple[str, ...]:
    """Names between commas, each once, sorted: their order means nothing."""
    return tuple(sorted({name.strip() for name in text.split(",")} - {""}))


def flag(text: str) -> bool:
    """A truth value; a parameter that is only named (`?time_series`) is true."""
    known = {"": True, "true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}
    if text.lower() not in known:
        raise ValueError(text)
    return known[text.lower()]


def slice_length(text: str) -> str:
    """Hours, or one of the calendar's words."""
    return text if text in CALENDAR else str(whole(1, _LONGEST_SLICE_H)(text))
