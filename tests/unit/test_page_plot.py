"""Charts' arithmetic: scales hold what they are made for, paths have their points, labels keep their distance."""

import re
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from metrics.page.plot import path, scale, spread

amounts = st.floats(0, 1e6)


@given(amounts, st.sampled_from([0.01, 1]))
def test_a_scale_holds_its_largest_value_with_few_round_steps(largest: float, smallest: float) -> None:
    found = scale(largest, smallest)
    ticks = found.ticks()
    assert found.top >= largest * (1 - 1e-6)
    assert found.top <= max(2 * largest, smallest) * (1 + 1e-6) or len(ticks) <= 3
    assert 2 <= len(ticks) <= 6
    assert f"{found.step:e}"[:8] in {"1.000000", "2.000000", "5.000000"}
    assert found.step >= smallest * (1 - 1e-9)
    assert (found.y(0), found.y(found.top)) == (100, 0)


@given(st.lists(amounts, min_size=2))
def test_more_is_higher(values: list[float]) -> None:
    found = scale(max(values), 1)
    heights = [found.y(value) for value in sorted(values)]
    assert heights == sorted(heights, reverse=True)
    assert all(0 <= height <= 100 for height in heights)


@given(st.lists(st.none() | st.tuples(st.integers(0, 50), st.integers(0, 100))))
def test_a_path_has_every_point_and_breaks_where_there_is_none(points: list[tuple[float, float] | None]) -> None:
    drawn = path(points)
    found = [(int(x), int(y)) for x, y in re.findall(r"[ML](\d+),(\d+)", drawn)]
    assert found == [point for point in points if point]
    begins = [place for place, point in enumerate(points) if point and (place == 0 or points[place - 1] is None)]
    assert drawn.count("M") == len(begins)


@given(st.lists(st.floats(0, 100), max_size=5).map(sorted), st.floats(0, 20))
def test_labels_keep_their_order_and_their_distance(places: list[float], apart: float) -> None:
    moved = spread(places, apart)
    assert len(moved) == len(places)
    assert all(after <= before for before, after in zip(places, moved, strict=True)), "only upwards"
    assert all(low + apart <= high + 1e-9 for low, high in pairwise(moved))
    assert moved[-1:] == places[-1:]
