"""Expiry: old weeks become day summaries, and no view moves."""

from unittest.mock import patch

from hypothesis import given, settings
from hypothesis import strategies as st

from state import segments
from state.expiry import expire
from state.live import Message
from state.rebuild import rebuild
from state.rules import Rules
from state.segments import seal
from state.store import get_meta, open_store
from state.weeks import DAY, WEEK, week_end, week_of
from tests.support.logs import (
    bring_in,
    differences,
    expected,
    expired_messages,
    feed,
    logs,
    manifest_holds,
    message,
    orphans,
    scratch,
    small_steps,
    views,
)

RULES = st.sampled_from((Rules(), Rules(attribution="any"), Rules(engaged_events=3)))


def renumbered(log: list[Message]) -> list[Message]:
    """The same events as messages that nobody has seen."""
    return [tuple(event._replace(msg_id=f"late-{event.msg_id}") for event in one) for one in log]


@settings(max_examples=12)
@given(logs(), logs(), RULES, st.integers(0, 40), st.booleans())
def test_expiry_moves_nothing_and_closes_its_weeks(
    log: list[Message], more: list[Message], rules: Rules, ttl_days: int, sealed: bool
) -> None:
    ttl_days += 1
    with scratch() as directory, small_steps():
        store = open_store(directory, rules)
        half = len(log) // 2
        bring_in(store, log[:half])
        feed(store, log[half:])
        if sealed:
            seal(store)
        expire(store, ttl_days)
        assert views(store) == expected(log, rules)
        assert differences(store) == []

        watermark = get_meta(store.conn, "watermark")
        closed = get_meta(store.conn, "expired_through")
        assert week_end(closed) <= watermark - ttl_days * DAY < week_end(closed) + WEEK
        late = [one for one in renumbered(more) if week_of(one[0].at) <= closed]
        timely = [one for one in renumbered(more) if week_of(one[0].at) > closed]
        assert feed(store, late) == ["expired"] * len(late)
        assert expired_messages(store) == len(late)
        assert bring_in(store, [*late, *timely]).expired == len(late)
        assert expired_messages(store) == 2 * len(late)
        after = expected([*log, *timely], rules)
        assert views(store) == after
        assert differences(store) == []

        expire(store, ttl_days)
        seal(store)
        store.close()
        store = rebuild(directory)
        assert views(store) == after
        assert expired_messages(store) == 2 * len(late)
        assert differences(store) == []
        manifest_holds(store)
        assert orphans(store) == set()
        store.close()


@settings(max_examples=8)
@given(logs(), st.integers(1, 40))
def test_a_rebuild_under_other_rules_reads_summaries_as_the_log(log: list[Message], ttl_days: int) -> None:
    with scratch() as directory:
        store = open_store(directory, Rules())
        feed(store, log)
        expire(store, ttl_days)
        store.close()
        rules = Rules("any", 3, frozenset({"fas.user.create", "git.receive"}))
        store = rebuild(directory, rules)
        assert views(store) == expected(log, rules)
        assert differences(store) == []
        store.close()


def test_a_week_that_arrived_in_many_pieces_is_merged_and_then_summarised() -> None:
    log = [message(n, 1_717_400_000_000_000 + n * DAY, "git.receive", {"ada": "actor"}) for n in range(4)]
    newest = message(99, log[-1][0].at + 5 * WEEK, "git.receive", {"ada": "actor"})
    with scratch() as directory, patch.object(segments, "MERGE_AT", 3):
        store = open_store(directory)
        feed(store, [newest])
        for one in log:
            feed(store, [one])
            assert seal(store) == 1
            assert views(store).events == 2 + log.index(one)
        names = [name for (name,) in store.conn.execute("SELECT file FROM segment ORDER BY file")]
        assert len(names) < len(log)
        assert differences(store) == []
        assert expire(store, 7) == 1
        assert [kind for (kind,) in store.conn.execute("SELECT kind FROM segment")] == ["days"]
        assert differences(store) == []
        assert orphans(store) == set()
        store.close()


def test_nothing_expires_where_everything_is_kept() -> None:
    with scratch() as directory:
        store = open_store(directory)
        assert expire(store, 7) == 0
        feed(store, [message(n, n * 60 * WEEK + 1_600_000_000_000_000, "git.receive", {}) for n in range(3)])
        assert expire(store, 0) == 0
        assert get_meta(store.conn, "expired_through") is None
        store.close()
