"""One log, every way into a state: whatever the order, the duplicates and the route, the views are the same."""

from random import Random
from typing import Literal

from hypothesis import given, settings
from hypothesis import strategies as st

from state.bulk import fold_pending
from state.fold import stand
from state.live import Message
from state.rebuild import rebuild
from state.rules import Rules
from state.segments import seal, sweep
from state.store import Store, open_store
from state.users import add_to_totals, load_users, save_users
from tests.support.logs import (
    USERS,
    bring_in,
    differences,
    expected,
    feed,
    logs,
    manifest_holds,
    scratch,
    small_steps,
    views,
)

Step = tuple[Literal["live", "import", "seal", "rebuild", "reopen"], list[Message]]

RULES = st.sampled_from((Rules(), Rules(attribution="any"), Rules(engaged_events=3)))


@st.composite
def journeys(draw: st.DrawFn) -> tuple[list[Message], list[Step]]:
    """A log, and its deliveries: shuffled, some twice, cut anywhere, each part by any route."""
    log = draw(logs())
    again = draw(st.lists(st.sampled_from(log), max_size=10))
    deliveries = draw(st.permutations([*log, *again]))
    cuts = sorted(draw(st.lists(st.integers(0, len(deliveries)), max_size=4)))
    steps: list[Step] = []
    for first, last in zip([0, *cuts], [*cuts, len(deliveries)], strict=True):
        route: Literal["live", "import"] = draw(st.sampled_from(("live", "import")))
        steps.append((route, deliveries[first:last]))
        between: list[Literal["seal", "rebuild", "reopen"]] = draw(
            st.lists(st.sampled_from(("seal", "rebuild", "reopen")), max_size=2)
        )
        steps.extend((kind, []) for kind in between)
    return log, steps


def take(store: Store, step: Step) -> Store:
    kind, messages = step
    match kind:
        case "live":
            feed(store, messages, batch=7)
        case "import":
            bring_in(store, messages)
        case "seal":
            seal(store)
        case "rebuild":
            store.close()
            return rebuild(store.directory)
        case "reopen":
            store.close()
            store = open_store(store.directory)
            assert sweep(store) == 0
            assert not fold_pending(store)
    return store


@settings(max_examples=40)
@given(journeys(), RULES)
def test_every_route_gives_the_same_views(journey: tuple[list[Message], list[Step]], rules: Rules) -> None:
    log, steps = journey
    with scratch() as directory, small_steps():
        store = open_store(directory, rules)
        for step in steps:
            store = take(store, step)
        assert views(store) == expected(log, rules)
        assert differences(store) == []
        manifest_holds(store)
        store.close()


@settings(max_examples=15)
@given(logs(), st.sampled_from((Rules(attribution="any"), Rules(engaged_events=3))), st.data())
def test_a_rebuild_under_other_rules_is_as_if_they_had_always_held(
    log: list[Message], rules: Rules, data: st.DataObject
) -> None:
    cut = data.draw(st.integers(0, len(log)))
    with scratch() as directory:
        store = open_store(directory, Rules())
        bring_in(store, log[:cut])
        feed(store, log[cut:])
        seal(store)
        store.close()
        store = rebuild(directory, rules)
        assert views(store) == expected(log, rules)
        assert differences(store) == []
        store.close()


@settings(max_examples=15)
@given(logs(), st.data())
def test_whoever_is_flagged_stays_so_whatever_an_archive_brings(log: list[Message], data: st.DataObject) -> None:
    cut = data.draw(st.integers(0, len(log)))
    with scratch() as directory, small_steps():
        store = open_store(directory, Rules())
        feed(store, log[:cut])
        with store.writing() as conn:
            states = load_users(conn, data.draw(st.sets(st.sampled_from(USERS))))
            for name, state in states.items():
                conn.execute(
                    """INSERT INTO flag (id, user, rule, severity, state, raised_at, posts, reason, evidence, config)
                    VALUES (?, ?, 'test', 'warning', 'raised', 0, 0, '', '[]', '')""",
                    (f"flag of {name}", name),
                )
                states[name], delta = stand(state, flagged=True, rules=store.rules)
                add_to_totals(conn, delta)
            save_users(conn, states)
        bring_in(store, log)
        assert {name for name, state in views(store).users.items() if state.flagged} >= states.keys()
        assert differences(store) == []
        store.close()


@settings(max_examples=12)
@given(logs(), st.randoms(use_true_random=False))
def test_sources_come_in_any_order_and_overlap(log: list[Message], random: Random) -> None:
    sources = [[m for m in log if random.random() < 0.6] for _ in range(6)]
    sources.append(log)
    random.shuffle(sources)
    with scratch() as directory, small_steps():
        store = open_store(directory, Rules())
        for number, source in enumerate(sources):
            bring_in(store, source, name=f"archive {number}")
        assert views(store) == expected(log, Rules())
        assert bring_in(store, log, name="once more").events == 0
        assert views(store) == expected(log, Rules())
        assert differences(store) == []
        seal(store)
        assert views(store) == expected(log, Rules())
        store.close()


@settings(max_examples=12)
@given(logs(), st.booleans())
def test_an_archive_without_ids_over_live_weeks_doubles_nothing(log: list[Message], sealed: bool) -> None:
    with scratch() as directory, small_steps():
        store = open_store(directory, Rules())
        feed(store, log)
        if sealed:
            seal(store)
        found = bring_in(store, log, with_ids=False)
        assert (found.events, found.messages) == (0, 0)
        assert views(store) == expected(log, Rules())
        store.close()


@settings(max_examples=12)
@given(logs())
def test_an_archive_without_ids_twice_is_once(log: list[Message]) -> None:
    with scratch() as directory, small_steps():
        store = open_store(directory, Rules())
        bring_in(store, log, with_ids=False)
        once = views(store)
        seal(store)
        bring_in(store, log, with_ids=False)
        assert views(store) == once
        assert differences(store) == []
        store.close()
