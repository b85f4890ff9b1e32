"""Upper tails: how likely so many or more are, where only chance is at work."""

from math import exp, lgamma, log, log1p

#: The rest of a tail that is left out, as a share of it.
_NEGLIGIBLE = 1e-9


def binomial_tail(at_least: int, of: int, share: float) -> float:
    """P(X >= at_least), X binomial(of, share); 0 < share < 1."""
    if at_least <= 0:
        return 1.0
    term = exp(
        lgamma(of + 1)
        - lgamma(at_least + 1)
        - lgamma(of - at_least + 1)
        + at_least * log(share)
        + (of - at_least) * log1p(-share)
    )
    total = 0.0
    for k in range(at_least, of + 1):
        total += term
        term *= (of - k) / (k + 1) * share / (1 - share)
        if term < total * _NEGLIGIBLE and k > of * share:
            break
    return min(1.0, total)


def negative_binomial_tail(at_least: int, mean: float, size: float) -> float:
    """P(X >= at_least), X negative binomial of that mean and variance mean + mean^2 / size."""
    if at_least <= 0:
        return 1.0
    success = mean / (mean + size)
    k = at_least
    term = exp(lgamma(k + size) - lgamma(size) - lgamma(k + 1) + size * log1p(-success) + k * log(success))
    total = 0.0
    while True:
        total += term
        term *= (k + size) / (k + 1) * success
        k += 1
        if k > mean and term < total * _NEGLIGIBLE:
            return min(1.0, total)
