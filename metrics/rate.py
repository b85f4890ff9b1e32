"""A retention rate as people read it: a percentage, and a shade; of one cohort, or of all as one."""

from math import ceil, sqrt
from typing import NamedTuple

from state.reading import Retention

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


class Pooled(NamedTuple):
    """Users of many cohorts who were active, and those who could have been."""

    users: int
    size: int

    @property
    def rate(self) -> str:
        return percent(self.users, self.size)

    @property
    def share(self) -> float:
        return self.users / self.size if self.size else 0.0


def pooled(retention: Retention, offset: int) -> Pooled | None:
    """All cohorts as one, those alone whose week at that offset is final; None where there is none."""
    final = [
        (cell.users or 0, cohort.size)
        for cohort in retention.cohorts
        for cell in cohort.cells[offset : offset + 1]
        if cell.state == "final"
    ]
    return Pooled(sum(users for users, _ in final), sum(size for _, size in final)) if final else None
