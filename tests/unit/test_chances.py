"""Tails against sums of exact terms."""

from fractions import Fraction
from itertools import accumulate
from math import comb, exp, fsum, lgamma, log

import pytest
from hypothesis import given
from hypothesis import strategies as st

from state.spam.chances import binomial_tail, negative_binomial_tail

trials = st.integers(1, 60)
shares = st.fractions(Fraction(1, 200), Fraction(199, 200), max_denominator=200)
means = st.floats(0.01, 80)
sizes = st.floats(0.5, 50)


@given(trials, shares, st.data())
def test_binomial_tail_is_the_exact_sum(of: int, share: Fraction, data: st.DataObject) -> None:
    at_least = data.draw(st.integers(0, of))
    exact = sum(comb(of, k) * share**k * (1 - share) ** (of - k) for k in range(at_least, of + 1))
    assert binomial_tail(at_least, of, float(share)) == pytest.approx(float(exact), rel=1e-7)


def negative_binomial(k: int, mean: float, size: float) -> float:
    success = mean / (mean + size)
    return exp(lgamma(k + size) - lgamma(size) - lgamma(k + 1) + size * log(1 - success) + k * log(success))


@given(means, sizes, st.integers(0, 300))
def test_negative_binomial_tail_is_what_the_head_leaves(mean: float, size: float, at_least: int) -> None:
    head = fsum(negative_binomial(k, mean, size) for k in range(at_least))
    assert negative_binomial_tail(at_least, mean, size) == pytest.approx(1 - head, rel=1e-6, abs=1e-8)


@given(means, sizes, st.integers(1, 20))
def test_more_is_never_likelier(mean: float, size: float, most: int) -> None:
    tails = [negative_binomial_tail(k, mean, size) for k in range(most + 1)]
    assert tails[0] == 1
    assert all(0 < tail <= 1 for tail in tails)
    assert tails == pytest.approx(list(accumulate(tails, min)), rel=1e-7)


@given(st.floats(0.1, 5), st.integers(1, 12))
def test_a_great_size_is_a_poisson_process(mean: float, at_least: int) -> None:
    head = fsum(exp(k * log(mean) - mean - lgamma(k + 1)) for k in range(at_least))
    assert negative_binomial_tail(at_least, mean, 1e7) == pytest.approx(1 - head, rel=1e-4, abs=1e-9)


def test_far_out_nothing_is_left() -> None:
    assert binomial_tail(4000, 5000, 0.01) < 1e-300


def test_far_out_nothing_is_left_of_sign_ups() -> None:
    assert negative_binomial_tail(5000, 0.5, 8.0) < 1e-300


def test_far_in_everything_is_left() -> None:
    assert binomial_tail(1, 5000, 0.9) == pytest.approx(1)
