"""What the public may see of a community without seeing individuals."""

from state.reading import Retention

#: Users below which a cohort is hidden, unless the configuration says otherwise.
MIN_COHORT = 5


def hide(retention: Retention, k: int) -> Retention:
    """The table without the cohorts of fewer than k users of its population."""
    return retention._replace(cohorts=tuple(cohort for cohort in retention.cohorts if cohort.size >= k))
