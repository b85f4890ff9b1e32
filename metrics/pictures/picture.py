"""A picture: what it shows, how large it is, and how it is drawn."""

from collections.abc import Callable
from typing import NamedTuple

from matplotlib.axes import Axes


class Picture(NamedTuple):
    """One picture. name: of its files; note: how to read it, with its units; command: what prints its figures.

    width, height: of the axes, inches. as_of: the watermark, None for an empty state.
    """

    name: str
    title: str
    note: str
    command: str
    as_of: int | None
    width: float
    height: float
    draw: Callable[[Axes], None]
