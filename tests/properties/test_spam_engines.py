"""One history, every way into a state: the flags are the same, and so are the totals that they move."""

from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from state.live import Message, commit_batch
from state.rebuild import rebuild
from state.rules import Rules
from state.segments import seal
from state.spam.calibration import Calibration
from state.spam.lifecycle import Flagged
from state.store import Store, open_store
from state.weeks import DAY, HOUR, SECOND
from tests.support.logs import CREATE, START, Views, differences, scratch, views
from tests.support.spam import (
    MINUTE,
    OTHER_TOPIC,
    PASSIVE_TOPIC,
    THREAD_TOPIC,
    Act,
    backfilled,
    burst,
    calibrated,
    delivered,
    flags_of,
    go_live,
    histories,
    messages,
    parts,
    wave,
)

#: One sign-up in ten hours is usual: whatever comes in numbers is a wave, by rate too.
QUIET = Calibration("quiet", signups=(0.1,) * 168).to_json()

Part = tuple[Literal["live", "import", "seal", "restart"], Sequence[Message]]


def opened(directory: Path) -> Store:
    calibrated(directory, QUIET)
    return open_store(directory, Rules())


def truth(folder: Path, log: Sequence[Message]) -> tuple[list[Flagged], Views]:
    """The flags and views of the history read at once."""
    store = opened(folder / "truth")
    backfilled(store, log)
    found = flags_of(store), views(store)
    assert differences(store) == []
    store.close()
    return found


def same(store: Store, wanted: tuple[list[Flagged], Views]) -> None:
    """The store has these flags and views, and after a rebuild it still has."""
    assert (flags_of(store), views(store)) == wanted
    assert differences(store) == []
    store.close()
    store = rebuild(store.directory)
    assert (flags_of(store), views(store)) == wanted
    store.close()


@settings(max_examples=12)
@given(histories(), st.integers(0, 1 << 32), st.sampled_from((1, 7, 60)))
def test_in_order(log: list[Message], seed: int, batch: int) -> None:
    with scratch() as folder:
        wanted = truth(folder, log)
        store = opened(folder / "live")
        go_live(store, parts(log, Random(seed), batch))
        same(store, wanted)


@settings(max_examples=12)
@given(histories(), st.integers(0, 1 << 32), st.sampled_from((1, 7, 60)), st.sampled_from((6 * HOUR, 2 * DAY)))
def test_late_and_twice(log: list[Message], seed: int, batch: int, late: int) -> None:
    random = Random(seed)
    with scratch() as folder:
        wanted = truth(folder, log)
        store = opened(folder / "live")
        go_live(store, parts(delivered(log, random, late), random, batch))
        same(store, wanted)


@settings(max_examples=12)
@given(histories(), st.integers(0, 1 << 32), st.sampled_from((1, 7, 60)), st.sampled_from((1, 6 * HOUR)))
def test_restarted_anywhere(log: list[Message], seed: int, batch: int, late: int) -> None:
    random = Random(seed)
    with scratch() as folder:
        wanted = truth(folder, log)
        store = opened(folder / "live")
        for part in parts(delivered(log, random, late), random, batch):
            if random.random() < 0.4:
                store.watch = None  # what a restart forgets
            if random.random() < 0.1:
                seal(store)
            commit_batch(store, part)
        same(store, wanted)


@settings(max_examples=12)
@given(histories(), st.data())
def test_archive_then_live(log: list[Message], data: st.DataObject) -> None:
    cut = data.draw(st.integers(0, len(log)))
    random = Random(data.draw(st.integers(0, 1 << 32)))
    with scratch() as folder:
        wanted = truth(folder, log)
        store = opened(folder / "both")
        backfilled(store, log[:cut])
        go_live(store, parts(log[max(0, cut - 10) :], random, 20))
        same(store, wanted)


@settings(max_examples=12)
@given(histories(), st.data())
def test_archive_of_what_was_before(log: list[Message], data: st.DataObject) -> None:
    cut = data.draw(st.integers(0, len(log)))
    random = Random(data.draw(st.integers(0, 1 << 32)))
    with scratch() as folder:
        wanted = truth(folder, log)
        store = opened(folder / "both")
        go_live(store, parts(log[cut:], random, 20))
        backfilled(store, log[: cut + 10])
        same(store, wanted)


@settings(max_examples=12)
@given(histories(), st.integers(0, 1 << 32))
def test_archive_of_what_was_missed(log: list[Message], seed: int) -> None:
    random = Random(seed)
    heard = [message for message in log if random.random() < 0.5]
    with scratch() as folder:
        wanted = truth(folder, log)
        store = opened(folder / "both")
        go_live(store, parts(heard, random, 20))
        backfilled(store, log)
        same(store, wanted)


def test_a_flag_stays_open_when_what_made_it_is_forgotten() -> None:
    """Three and a half days after a drip, few posts are kept; a late one makes them be gone through again."""
    crossing, pace = 13 * 30 * MINUTE, 30 * MINUTE
    again = crossing + 84 * HOUR - 5 * MINUTE
    drip, ticks = burst("ada", 0, 15, pace), burst("zoë", 7 * HOUR, 84, HOUR, OTHER_TOPIC)
    log = messages(
        [*drip, *ticks, *burst("ada", again - 10 * MINUTE, 2, 10 * MINUTE), *burst("ada", again + HOUR, 16, pace)]
    )
    at = next(place for place, message in enumerate(log) if message[0].at == START + again - 10 * MINUTE)
    swapped = [*log[:at], *reversed(log[at : at + 2]), *log[at + 2 :]]
    for arriving in (log, swapped):
        for restarting in (False, True):
            with scratch() as folder:
                wanted = truth(folder, log)
                assert [flag.rule for flag in wanted[0] if flag.user == "ada"] == ["cap"]
                store = opened(folder / "live")
                for message in arriving:
                    if restarting:
                        store.watch = None
                    commit_batch(store, [message])
                same(store, wanted)


def test_an_archive_makes_accounts_older_long_after_its_own_weeks() -> None:
    before = messages([Act(day * DAY, OTHER_TOPIC, "ada") for day in range(5)])
    after = messages([*burst("ada", 25 * DAY, 6, SECOND), *burst("bob", 25 * DAY, 6, SECOND)])
    after = [tuple(event._replace(msg_id=f"after-{event.msg_id}") for event in message) for message in after]
    with scratch() as folder:
        wanted = truth(folder, [*before, *after])
        assert [flag.user for flag in wanted[0]] == ["bob"]
        store = opened(folder / "both")
        go_live(store, [after])
        assert {flag.user for flag in flags_of(store)} == {"ada", "bob"}
        backfilled(store, before)
        same(store, wanted)


@pytest.mark.parametrize(
    ("rules", "acts"),
    [
        # Named by others, late: one active day more.
        (Rules(attribution="any"), [*burst("ada", 2 * DAY, 5, SECOND), Act(DAY, PASSIVE_TOPIC, "ada", "affected")]),
        # What creates an account is no post, even where nothing says so.
        (Rules(registrations=frozenset({"forum.joined"})), [Act(n, "forum.joined", f"mega{n}") for n in range(9)]),
        # Whoever posted before they signed up begins with the first post after it.
        (
            Rules(),
            [
                *burst("ada", 0, 1, 0, OTHER_TOPIC),
                Act(5 * DAY, CREATE, "ada"),
                *burst("ada", 6 * DAY, 1, 0, OTHER_TOPIC),
                *wave("megaspam", 6 * DAY, 9, MINUTE),
            ],
        ),
        # An account that has been active for long signs up, too.
        (
            Rules(),
            [
                *burst("megaspam1", 0, 6, DAY, PASSIVE_TOPIC),
                *(Act(6 * DAY + place * MINUTE, CREATE, f"megaspam{place}") for place in range(1, 6)),
            ],
        ),
        # A first post in the very second of the sign-up, and with a smaller id, is a first post.
        (Rules(), [Act(0, THREAD_TOPIC, "ada"), Act(0, CREATE, "ada"), *wave("megaspam", 0, 6, 0, 5 * SECOND)]),
        # A sign-up in the second of the crossing post makes its account 0 s old.
        (Rules(), [*burst("ada", 0, 3, 0), Act(0, CREATE, "ada")]),
    ],
)  # fmt: skip
def test_what_comes_last_counts_as_if_it_had_come_first(rules: Rules, acts: list[Act]) -> None:
    log = messages(acts)
    with scratch() as folder:
        for place, arriving in enumerate((log, [*log[1:], log[0]])):
            if arriving[-1][0].at < log[-1][0].at - 2 * DAY:
                continue
            calibrated(folder / str(place), QUIET)
            store = open_store(folder / str(place), rules)
            go_live(store, [[message] for message in arriving])
            found = flags_of(store)
            assert found
            store.close()
            store = rebuild(folder / str(place))
            assert flags_of(store) == found
            store.close()


def test_posts_are_counted_once_when_one_batch_brings_days() -> None:
    """The log has all of a batch before the first half day of it is looked at."""
    early = [
        *burst("ada", 0, 3, 4 * DAY, OTHER_TOPIC),
        Act(15 * DAY, OTHER_TOPIC, "bob"),
        *burst("ada", 20 * DAY, 4, SECOND),
    ]
    late = messages(
        [*early, *burst("ada", 19 * DAY + 20 * HOUR, 2, MINUTE, OTHER_TOPIC), Act(21 * DAY, OTHER_TOPIC, "bob")]
    )
    with scratch() as folder:
        wanted = truth(folder, late)
        assert [flag.posts for flag in wanted[0]] == [9]
        store = opened(folder / "live")
        moved = [message for message in late if START + 19 * DAY < message[0].at < START + 20 * DAY]
        assert len(moved) == 2
        go_live(store, [late[:4], [message for message in late[4:] if message not in moved] + moved])
        same(store, wanted)
