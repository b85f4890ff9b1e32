"""Upper tails: how likely so many or more are, where only chance is at work."""

from collections.abc import Callable
from functools import lru_cache
from math import exp, lgamma, log, log1p

#: The rest of a tail that is left out, as a share of it.
_NEGLIGIBLE = 1e-9

#: Tails that are remembered: whenever a sign-up or a post comes late, those after it are asked about again.
_REMEMBERED = 4_096


@lru_cache(_REMEMBERED)
def binomial_tail(at_least: int, of: int, share: float) -> float:
    """P(X >= at_least), X binomial(of, share); 0 < share < 1."""

    def chance(k: int) -> float:
        combinations = lgamma(of + 1) - lgamma(k + 1) - lgamma(of - k + 1)
        return exp(combinations + k * log(share) + (of - k) * log1p(-share))

    return _tail(chance, lambda k: (of - k) / (k + 1) * share / (1 - share), at_least, of * share, of)


@lru_cache(_REMEMBERED)
def negative_binomial_tail(at_least: int, mean: float, size: float) -> float:
    """P(X >= at_least), X negative binomial of that mean and variance mean + mean^2 / size."""
    success = mean / (mean + size)

    def chance(k: int) -> float:
        return exp(lgamma(k + size) - lgamma(size) - lgamma(k + 1) + size * log1p(-success) + k * log(success))

    return _tail(chance, lambda k: (k + size) / (k + 1) * success, at_least, mean, None)


def _tail(
    chance: Callable[[int], float], ratio: Callable[[int], float], at_least: int, mean: float, most: int | None
) -> float:
    """The chances from `at_least` on, each the one before times its ratio; summed away from the mean, as they fall."""
    if at_least <= 0:
        return 1.0
    if most is not None and at_least > most:
        return 0.0
    total = 0.0
    if at_least > mean:
        k, term = at_least, chance(at_least)
        while term > total * _NEGLIGIBLE:
            total += term
            term *= ratio(k)
            k += 1
        return min(1.0, total)
    k = at_least - 1
    term = chance(k)
    while term > total * _NEGLIGIBLE:
        total += term
        if k == 0:
            break
        k -= 1
        term /= ratio(k)
    return max(0.0, 1.0 - total)
