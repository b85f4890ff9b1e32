"""What charts have in common: places in per cent of the width and the height, round ticks.

Texts in a scaled drawing would shrink with the screen, so lines are drawn in a box of 100 units that is stretched, and
texts stand at percentages of the frame around it.
"""

from collections.abc import Iterable, Sequence
from math import ceil, floor, log10
from typing import NamedTuple

#: Ticks of an axis, at most.
_TICKS = 5


class Tick(NamedTuple):
    """A label and where it stands, in per cent."""

    at: float
    label: str


class Scale(NamedTuple):
    """From 0 at the bottom to the highest tick at the top."""

    step: float
    top: float

    def y(self, value: float) -> float:
        """Distance from the top, 0 to 100."""
        return round(100 - 100 * min(value, self.top) / self.top, 2)

    def ticks(self) -> list[float]:
        """The values at which lines are drawn, 0 among them."""
        return [self.step * n for n in range(round(self.top / self.step) + 1)]


def scale(largest: float, smallest_step: float) -> Scale:
    """The scale of round steps (1, 2 or 5 times a power of ten) that just holds the largest value."""
    rough = max(largest / _TICKS, smallest_step)
    power = 10.0 ** floor(log10(rough))
    step = next(power * unit for unit in (1, 2, 5, 10) if power * unit >= rough * (1 - 1e-9))
    return Scale(step, step * max(1, ceil(largest / step - 1e-9)))


def path(points: Iterable[tuple[float, float] | None]) -> str:
    """An SVG path through the points, broken at None; a point alone becomes a dot under round caps."""
    drawn, pen = [], "M"
    for point in points:
        if point is None:
            pen = "M"
            continue
        drawn.append(f"{pen}{point[0]:g},{point[1]:g}" + ("h0" if pen == "M" else ""))
        pen = "L"
    return "".join(drawn)


def spread(places: Sequence[float], apart: float) -> list[float]:
    """The places, in ascending order, the earlier ones moved back as far as needed to stand that far apart."""
    found: list[float] = []
    for place in reversed(places):
        found.append(min(place, found[-1] - apart) if found else place)
    return found[::-1]
