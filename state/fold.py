"""The fold: how one event changes what one user contributes to the totals.

Pure: no IO, no clock. A delta is the difference of two fact sets, so that a late event, an account
creation that arrives after the activity, a user who becomes engaged and a flag that is raised or
cleared need no cases of their own.
"""

from collections import Counter
from collections.abc import Mapping
from typing import NamedTuple

from state.event import Event
from state.rules import Rules
from state.weeks import day_of, week_of

#: (cohort week, offset, population) -> users
Facts = Counter[tuple[int, int, str]]

#: How many of a user's earliest active days are kept: tenure is "fewer than 5 active days".
EARLY_DAYS = 5


class UserState(NamedTuple):
    """Everything kept about one user. Times are event times in microseconds, days and weeks counts."""

    first_seen: int
    last_seen: int
    registered_at: int | None
    events: int
    weeks: Mapping[int, int]  #: week -> events in it
    early_days: tuple[int, ...]  #: the earliest active days, ascending
    flagged: bool = False  #: whether a flag stands


def facts(state: UserState | None, rules: Rules) -> Facts:
    """What this user contributes to every total: one per week since registration and population."""
    if state is None or state.registered_at is None:
        return Counter()
    cohort = week_of(state.registered_at)
    populations = populations_of(state.events, state.flagged, rules)
    weeks = [week for week in state.weeks if week >= cohort]
    return Counter({(cohort, week - cohort, population): 1 for week in weeks for population in populations})


def populations_of(events: int, flagged: bool, rules: Rules) -> tuple[str, ...]:
    """The populations that an account with so many events belongs to."""
    engaged = events >= rules.engaged_events
    if flagged:
        return ("all", "engaged") if engaged else ("all",)
    return ("all", "engaged", "clean", "engaged_clean") if engaged else ("all", "clean")


def apply(state: UserState | None, event: Event, rules: Rules) -> tuple[UserState | None, Facts]:
    """The user's state after the event, and what changes in the totals (retractions negative)."""
    if not rules.counts(event.role):
        return state, Counter()
    after = merge(state, seen(event, rules))
    return after, change(state, after, rules)


def seen(event: Event, rules: Rules) -> UserState:
    """What the event alone says about its user."""
    at = event.at
    registered = at if rules.registers(event.topic, event.role) else None
    return UserState(at, at, registered, 1, {week_of(at): 1}, (day_of(at),))


def merge(state: UserState | None, more: UserState) -> UserState:
    """Both together; commutative and associative, so that the order of events makes no difference."""
    if state is None:
        return more
    weeks = dict(state.weeks)
    for week, events in more.weeks.items():
        weeks[week] = weeks.get(week, 0) + events
    early = state.early_days
    if len(early) < EARLY_DAYS or more.early_days[0] < early[-1]:
        early = tuple(sorted({*early, *more.early_days})[:EARLY_DAYS])
    registered = state.registered_at
    if registered is None or (more.registered_at is not None and more.registered_at < registered):
        registered = more.registered_at
    return UserState(
        min(state.first_seen, more.first_seen),
        max(state.last_seen, more.last_seen),
        registered,
        state.events + more.events,
        weeks,
        early,
        state.flagged or more.flagged,
    )


def stand(state: UserState, flagged: bool, rules: Rules) -> tuple[UserState, Facts]:
    """The user's state once a flag stands or no longer does, and what changes in the totals."""
    after = state._replace(flagged=flagged)
    return after, change(state, after, rules)


def change(before: UserState | None, after: UserState, rules: Rules) -> Facts:
    """facts(after) - facts(before), without the zeros."""
    if before is None:
        return facts(after, rules)
    if _same_standing(before, after, rules):
        if len(before.weeks) == len(after.weeks):
            return Counter()  # the fast path: one more event in a week that counts already
        added = {week: events for week, events in after.weeks.items() if week not in before.weeks}
        return facts(after._replace(weeks=added), rules)
    delta = facts(after, rules)
    delta.subtract(facts(before, rules))
    return Counter({fact: users for fact, users in delta.items() if users})


def add(total: Facts, delta: Facts) -> None:
    """Add the delta to the total in place. (Counter.update does the same at four times the cost.)"""
    for fact, users in delta.items():
        total[fact] += users


def _same_standing(before: UserState, after: UserState, rules: Rules) -> bool:
    """Whether every week that counted before counts in the same totals now. Weeks are only ever added."""
    return (
        before.registered_at == after.registered_at
        and before.flagged == after.flagged
        and (before.events >= rules.engaged_events) == (after.events >= rules.engaged_events)
    )
