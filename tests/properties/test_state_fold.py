"""The laws of the pure fold."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from state.event import Event, service_of
from state.fold import EARLY_DAYS, Facts, UserState, apply, change, facts, merge, seen, stand
from state.rules import Rules
from state.weeks import DAY, WEEK, day_of, week_of
from tests.support.logs import CREATE, START, TOPICS

RULES = st.builds(Rules, attribution=st.sampled_from(("actor", "any")), engaged_events=st.integers(1, 4))

times = st.builds(
    lambda week, day, edge: START + week * WEEK + day * DAY + edge,
    st.integers(0, 5),
    st.integers(0, 6),
    st.sampled_from((0, 1, DAY - 1)),
)
events = st.builds(
    lambda at, topic, role: Event("id", at, None, topic, "ada", role, service_of(topic)),
    times,
    st.sampled_from(TOPICS),
    st.sampled_from(("actor", "affected")),
)
histories = st.lists(events, max_size=15)


def fold(history: list[Event], rules: Rules) -> tuple[UserState | None, Facts]:
    state, totals = None, Facts()
    for event in history:
        state, delta = apply(state, event, rules)
        totals.update(delta)
    return state, Counter({fact: users for fact, users in totals.items() if users})


@st.composite
def states(draw: st.DrawFn) -> UserState:
    rules = Rules(attribution="any")
    state, _ = fold(draw(st.lists(events, min_size=1, max_size=10)), rules)
    assert state is not None
    return state._replace(flagged=draw(st.booleans()))


@given(states(), states())
def test_merge_is_commutative(one: UserState, other: UserState) -> None:
    assert merge(one, other) == merge(other, one)


@given(states(), states(), states())
def test_merge_is_associative(a: UserState, b: UserState, c: UserState) -> None:
    assert merge(merge(a, b), c) == merge(a, merge(b, c))


@given(histories, RULES, st.data())
def test_any_order_gives_the_same_state_and_totals(history: list[Event], rules: Rules, data: st.DataObject) -> None:
    shuffled = data.draw(st.permutations(history))
    state, totals = fold(history, rules)
    assert fold(shuffled, rules) == (state, totals)
    assert totals == facts(state, rules)


@given(histories, RULES)
def test_a_state_says_what_its_events_say(history: list[Event], rules: Rules) -> None:
    counted = [event for event in history if rules.attribution == "any" or event.role == "actor"]
    state, _ = fold(history, rules)
    if not counted:
        assert state is None
        return
    creations = [event.at for event in counted if event.role == "actor" and event.topic == CREATE]
    assert state == UserState(
        first_seen=min(event.at for event in counted),
        last_seen=max(event.at for event in counted),
        registered_at=min(creations, default=None),
        events=len(counted),
        weeks=Counter(week_of(event.at) for event in counted),
        early_days=tuple(sorted({day_of(event.at) for event in counted})[:EARLY_DAYS]),
    )


@given(histories, RULES, st.booleans())
def test_facts_are_the_definition_of_the_table(history: list[Event], rules: Rules, flagged: bool) -> None:
    state, _ = fold(history, rules)
    if state is None:
        assert facts(state, rules) == {}
        return
    state = state._replace(flagged=flagged)
    found = facts(state, rules)
    if state.registered_at is None:
        assert found == {}
        return
    cohort = week_of(state.registered_at)
    active = {week - cohort for week in state.weeks if week >= cohort}
    member = {
        "all": True,
        "engaged": state.events >= rules.engaged_events,
        "clean": not flagged,
        "engaged_clean": state.events >= rules.engaged_events and not flagged,
    }
    assert found == {(cohort, k, population): 1 for population, inside in member.items() if inside for k in active}
    assert 0 in active


@given(states(), events, RULES)
def test_the_fast_path_is_the_slow_path(state: UserState, event: Event, rules: Rules) -> None:
    after = merge(state, seen(event, rules))
    slow = facts(after, rules)
    slow.subtract(facts(state, rules))
    assert change(state, after, rules) == {fact: users for fact, users in slow.items() if users}


@given(states(), RULES)
def test_a_flag_that_is_raised_and_cleared_leaves_nothing(state: UserState, rules: Rules) -> None:
    clean = state._replace(flagged=False)
    raised, away = stand(clean, flagged=True, rules=rules)
    cleared, back = stand(raised, flagged=False, rules=rules)
    assert cleared == clean
    assert {fact: -users for fact, users in away.items()} == back
    assert all(fact[2] in {"clean", "engaged_clean"} and users == -1 for fact, users in away.items())
    assert stand(raised, flagged=True, rules=rules) == (raised, {})


@given(histories, RULES)
def test_every_delta_is_a_user_more_or_less(history: list[Event], rules: Rules) -> None:
    state = None
    for event in history:
        state, delta = apply(state, event, rules)
        assert set(delta.values()) <= {1, -1}
