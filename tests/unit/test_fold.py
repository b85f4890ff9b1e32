"""The fold's cases that a reader of the retention table meets."""

from state.event import Event, Role, service_of
from state.fold import Facts, UserState, apply, facts
from state.rules import Rules
from state.weeks import WEEK, week_of
from tests.support.logs import CREATE, START

POST = "org.fedoraproject.prod.discourse.post.post_created"
COHORT = week_of(START)
RULES = Rules()


def event(topic: str, at: int, role: Role = "actor") -> Event:
    return Event("id", at, None, topic, "ada", role, service_of(topic))


def fold(*history: Event, rules: Rules = RULES) -> tuple[UserState, list[Facts]]:
    state, deltas = None, []
    for one in history:
        state, delta = apply(state, one, rules)
        deltas.append(delta)
    assert state is not None
    return state, deltas


def test_a_creation_alone_is_in_all_and_clean() -> None:
    _, [delta] = fold(event(CREATE, START))
    assert delta == {(COHORT, 0, "all"): 1, (COHORT, 0, "clean"): 1}


def test_the_event_that_engages_moves_every_week() -> None:
    _, [_, _, third] = fold(
        event(CREATE, START),
        event(POST, START + 2 * WEEK),
        event(POST, START + 2 * WEEK),
        rules=Rules(engaged_events=3),
    )
    assert third == {(COHORT, k, population): 1 for k in (0, 2) for population in ("engaged", "engaged_clean")}


def test_a_creation_that_arrives_after_the_activity_brings_the_activity_in() -> None:
    _, [first, second] = fold(event(POST, START + WEEK), event(CREATE, START))
    assert first == {}
    assert {(cohort, k) for cohort, k, _ in second} == {(COHORT, 0), (COHORT, 1)}


def test_an_earlier_creation_retracts_the_later_cohort() -> None:
    state, [first, second] = fold(event(CREATE, START + WEEK), event(CREATE, START))
    assert {fact: users for fact, users in second.items() if users < 0} == dict.fromkeys(first, -1)
    assert state.registered_at == START
    assert (COHORT, 1, "all") in facts(state, RULES)


def test_a_second_creation_is_an_ordinary_event() -> None:
    state, [_, second] = fold(event(CREATE, START), event(CREATE, START + WEEK))
    assert state.registered_at == START
    assert second[COHORT, 1, "all"] == 1


def test_activity_before_the_creation_is_kept_and_is_no_column() -> None:
    state, _ = fold(event(POST, START - WEEK), event(CREATE, START))
    assert state.weeks == {COHORT - 1: 1, COHORT: 1}
    assert state.first_seen == START - WEEK
    assert {k for _, k, _ in facts(state, RULES)} == {0}


def test_one_more_event_in_an_active_week_changes_no_total() -> None:
    _, deltas = fold(event(CREATE, START), event(POST, START), event(POST, START), event(POST, START))
    assert deltas[2:] == [{}, {}]


def test_whom_a_message_affects_counts_only_where_any_user_does() -> None:
    affected = event(POST, START, "affected")
    assert apply(None, affected, RULES) == (None, {})
    state, _ = apply(None, affected, Rules(attribution="any"))
    assert state is not None
    assert state.events == 1


def test_whom_somebody_else_creates_an_account_for_has_none() -> None:
    state, _ = fold(event(CREATE, START, "affected"), rules=Rules(attribution="any"))
    assert state.registered_at is None


def test_a_flagged_user_who_engages_stays_out_of_the_clean_populations() -> None:
    state, _ = fold(event(CREATE, START))
    after, delta = apply(state._replace(flagged=True), event(POST, START), RULES)
    assert after is not None
    assert after.flagged
    assert delta == {(COHORT, 0, "engaged"): 1}
