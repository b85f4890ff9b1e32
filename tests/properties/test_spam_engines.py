"""One history, every way into a state: the flags are the same, and so are the totals that they move."""

from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import Literal

from hypothesis import given, settings
from hypothesis import strategies as st

from state.live import Message, commit_batch
from state.rebuild import rebuild
from state.rules import Rules
from state.segments import seal
from state.spam.calibration import Calibration
from state.spam.lifecycle import Flagged
from state.store import Store, open_store
from state.weeks import DAY, HOUR
from tests.support.logs import Views, differences, scratch, views
from tests.support.spam import backfilled, calibrated, delivered, flags_of, go_live, histories, parts

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
