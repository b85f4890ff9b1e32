"""A retention rate as people read it: a percentage, and a shade."""

from math import ceil, sqrt

#: The darkest shade; 0 is the shade of nobody.
DARKEST = 8


def percent(users: int, size: int) -> str:
    """`12%`; `100%` only for everybody and `0%` only for nobody."""
    if not size or not users:
        return "0%"
    if users == size:
        return "100%"
    rounded = round(100 * users / size)
    return "<1%" if rounded < 1 else f"{min(rounded, 99)}%"


def shade(users: int, size: int) -> int:
    """0 for nobody to DARKEST for everybody.

    By the square root of the rate: after the first week most rates lie below 30 %, where a linear scale
    would show them all alike.
    """
    return ceil(sqrt(users / size) * DARKEST) if size else 0
