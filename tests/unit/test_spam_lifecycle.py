"""The life of a flag in a state: decisions, the circuit breaker, expiry, and who leaves the clean populations."""

from collections.abc import Iterator
from contextlib import contextmanager
from random import Random

import pytest
from prometheus_client import CollectorRegistry

from metrics.hotpath import HotPath
from state.errors import HomecomingError
from state.flags import decide, flags
from state.live import Message, commit_batch
from state.rebuild import rebuild
from state.spam.lifecycle import Flagged, FlagState, Verdict
from state.store import Store, open_store
from state.weeks import DAY, HOUR, SECOND
from tests.support.logs import CREATE, START, differences, scratch
from tests.support.spam import MINUTE, PASSIVE_TOPIC, Act, backfilled, burst, flags_of, go_live, messages, parts, wave


@contextmanager
def fed(*acts: Act) -> Iterator[Store]:
    """A state that has heard them, in order."""
    with scratch() as directory:
        store = open_store(directory)
        go_live(store, parts(messages(acts), Random(1), 20))
        yield store
        assert differences(store) == []
        before = flags_of(store)
        store.close()
        rebuilt = rebuild(directory)
        assert flags_of(rebuilt) == before
        rebuilt.close()


def later(store: Store, *acts: Act) -> None:
    """More arrives; ids differ from those before."""
    go_live(store, [[tuple(e._replace(msg_id=f"later-{e.at}-{e.msg_id}") for e in m)] for m in messages(acts)])


def rule_of(store: Store, rule: str) -> list[Flagged]:
    return [flag for flag in flags_of(store) if flag.rule == rule]


def states(store: Store, rule: str) -> list[FlagState]:
    return [flag.state for flag in rule_of(store, rule)]


def say(store: Store, flag: Flagged, verdict: Verdict) -> None:
    with store.writing() as conn:
        assert decide(conn, store.rules, flag.id, verdict, "because", now=1).state == verdict


def clean(store: Store) -> int:
    """Members of the first cohort in the clean population."""
    found = store.conn.execute("SELECT users FROM cohort_week WHERE offset = 0 AND population = 'clean'").fetchone()
    return int(found[0]) if found else 0


ADA = [Act(0, CREATE, "ada"), *burst("ada", MINUTE, 5, 10 * SECOND)]
BOB = [Act(0, CREATE, "bob")]
TICK = Act(8 * DAY, PASSIVE_TOPIC, "zoë")


def test_whoever_is_flagged_leaves_the_clean_populations_at_once_and_comes_back_when_cleared() -> None:
    with fed(*ADA, *BOB) as store:
        (flag,) = flags_of(store)
        assert (flag.rule, flag.severity, flag.state, clean(store)) == ("burst", "warning", "raised", 1)
        assert differences(store) == []
        say(store, flag, "cleared")
        assert (states(store, "burst"), clean(store)) == (["cleared"], 2)
        assert differences(store) == []
        say(store, flag, "confirmed")
        assert (states(store, "burst"), clean(store)) == (["confirmed"], 1)


def test_a_decision_needs_a_flag_and_a_reason() -> None:
    with fed(*ADA) as store, store.writing() as conn:
        (flag,) = flags(conn)
        with pytest.raises(HomecomingError, match="reason"):
            decide(conn, store.rules, flag.id, "cleared", "  ", now=1)
        with pytest.raises(HomecomingError, match="no flag abc"):
            decide(conn, store.rules, "abc", "cleared", "why", now=1)


def test_a_decision_carries_over_when_late_data_moves_the_crossing() -> None:
    with fed(*ADA) as store:
        (flag,) = flags_of(store)
        say(store, flag, "cleared")
        later(store, *burst("ada", 30 * SECOND, 3, SECOND))
        (moved,) = flags_of(store)
        assert moved.raised_at < flag.raised_at
        assert (moved.id != flag.id, moved.state) == (True, "cleared")


@pytest.mark.parametrize(("days", "state"), [(8, "cleared"), (29, "cleared"), (31, "raised")])
def test_cleared_exempts_the_account_and_rule_for_thirty_days(days: int, state: str) -> None:
    with fed(*ADA) as store:
        (flag,) = flags_of(store)
        say(store, flag, "cleared")
        later(store, *burst("ada", days * DAY, 6, 5 * SECOND), *burst("bob", days * DAY, 6, 5 * SECOND))
        assert [f.state for f in flags_of(store) if f.user == "ada"] == ["cleared", state]
        assert [f.state for f in flags_of(store) if f.user == "bob"] == ["raised"]
        assert clean(store) == (state == "cleared")


def test_cleared_exempts_from_no_other_rule() -> None:
    drip = burst("ada", 0, 16, 30 * MINUTE)
    with fed(*drip) as store:
        (flag,) = flags_of(store)
        assert flag.rule == "cap"
        say(store, flag, "cleared")
        later(store, *burst("ada", 2 * DAY, 6, 5 * SECOND))
        assert [(f.rule, f.state) for f in flags_of(store)] == [("cap", "cleared"), ("burst", "raised")]


def test_a_flag_expires_after_a_week_and_stands_nevertheless() -> None:
    with fed(*ADA) as store:
        at = flags_of(store)[0].raised_at - START
        later(store, Act(at + 7 * DAY - SECOND, PASSIVE_TOPIC, "zoë"))
        assert states(store, "burst") == ["raised"]
        later(store, Act(at + 7 * DAY, PASSIVE_TOPIC, "zoë"))
        assert (states(store, "burst"), clean(store)) == (["expired"], 0)
        say(store, flags_of(store)[0], "cleared")
        assert clean(store) == 1


#: Eleven accounts burst within an hour; nobody of their names signed up.
MANY = [act for place in range(12) for act in burst(f"{chr(97 + place)}-{place}", HOUR + place * 5 * MINUTE, 4, SECOND)]


def test_the_eleventh_flag_of_a_rule_within_an_hour_is_suspect() -> None:
    with fed(*MANY, Act(0, CREATE, "k-10"), Act(0, CREATE, "a-0")) as store:
        assert states(store, "burst") == ["raised"] * 10 + ["suspect"] * 2
        assert clean(store) == 1
        (eleventh,) = [flag for flag in flags_of(store) if flag.user == "k-10"]
        say(store, eleventh, "confirmed")
        assert clean(store) == 0


def test_an_hour_later_the_breaker_is_closed() -> None:
    with fed(*MANY) as store:
        later(store, *burst("zz", HOUR + 11 * 5 * MINUTE + HOUR, 4, SECOND))
        assert states(store, "burst")[-1] == "raised"


def test_with_a_wave_of_names_under_way_they_are_believed() -> None:
    with fed(*MANY, *wave("megaspam", 0, 8, MINUTE, None)) as store:
        assert states(store, "wave-name") == ["raised"]
        assert states(store, "burst") == ["raised"] * 12
        assert set(states(store, "wave-member")) == {"suspect"}
        assert clean(store) == 8  # suspects never stand
        say(store, rule_of(store, "wave-name")[0], "cleared")
        assert states(store, "burst") == ["raised"] * 10 + ["suspect"] * 2


def test_a_time_jump_takes_no_flag_away() -> None:
    for days in (1, 3, 4, 30):
        with fed(*ADA, *burst("ada", days * DAY, 1, 0)) as store:
            assert len(rule_of(store, "burst")) == 1


def test_an_import_of_old_bursts_raises_no_live_counters() -> None:
    """The flags have their event time; the process counts those about now alone."""
    registry = CollectorRegistry()
    now = START + 60 * DAY
    hot_path = HotPath(registry, clock=lambda: now)

    def counted() -> dict[str, float]:
        samples = [s for family in registry.collect() if family.name == "homecoming_spam_flags" for s in family.samples]
        return {s.labels["rule"]: s.value for s in samples if s.value}

    def hear(log: list[Message]) -> None:
        hot_path.looked(commit_batch(store, log).looked)

    with scratch() as directory:
        store = open_store(directory)
        hear(messages([Act(60 * DAY - MINUTE, PASSIVE_TOPIC, "zoë")]))
        backfilled(store, messages(ADA))
        assert [flag.rule for flag in flags_of(store)] == ["burst"]
        assert counted() == {}
        hear(messages(burst("bob", 60 * DAY - 11 * MINUTE, 4, SECOND)))
        assert len(flags_of(store)) == 2
        assert counted() == {}
        hear(messages(burst("eve", 60 * DAY - 9 * MINUTE, 4, SECOND)))
        assert counted() == {"burst": 1}
        store.close()
