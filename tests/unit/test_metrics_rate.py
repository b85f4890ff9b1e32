"""Percentages and shades: the ends mean what they say, and more users never look like fewer."""

from hypothesis import given
from hypothesis import strategies as st

from metrics.rate import DARKEST, percent, shade

groups = st.integers(1, 10_000).flatmap(lambda size: st.tuples(st.integers(0, size), st.just(size)))


@given(groups)
def test_nobody_and_everybody_are_told_from_almost(group: tuple[int, int]) -> None:
    users, size = group
    assert (percent(users, size) == "100%") == (users == size)
    assert (percent(users, size) == "0%") == (users == 0)
    assert (shade(users, size) == 0) == (users == 0)
    assert shade(users, size) <= DARKEST
    assert shade(size, size) == DARKEST


@given(groups)
def test_one_more_user_is_never_lighter(group: tuple[int, int]) -> None:
    users, size = group
    assert shade(min(users + 1, size), size) >= shade(users, size)


def test_percentages_are_rounded() -> None:
    assert [percent(users, 1_000) for users in (4, 6, 124, 126, 996)] == ["<1%", "1%", "12%", "13%", "99%"]


def test_a_cohort_of_nobody_divides_nothing() -> None:
    assert percent(0, 0) == "0%"
    assert shade(0, 0) == 0
