"""Sign-ups by the hour: what every path into the state makes of them, what is expected, and the waves."""

from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from state.calibrations import write_calibration
from state.errors import HomecomingError
from state.expiry import expire
from state.live import Message
from state.rules import Rules
from state.segments import seal
from state.signups import MOST_HOURS, SignupHour, Signups, signups, waves
from state.spam.calibration import Calibration, hour_of_week
from state.store import Store, open_store
from state.weeks import DAY, HOUR, SECOND, WEEK
from tests.support.logs import CREATE, START, bring_in, expected, feed, logs, message, scratch
from tests.support.spam import MINUTE, go_live, messages, wave

TTL_DAYS = 7


def live(store: Store, log: Sequence[Message]) -> None:
    feed(store, log, 7)


def sealed(store: Store, log: Sequence[Message]) -> None:
    feed(store, log)
    seal(store)


def imported(store: Store, log: Sequence[Message]) -> None:
    bring_in(store, log)


def expired(store: Store, log: Sequence[Message]) -> None:
    sealed(store, log)
    expire(store, TTL_DAYS)


def one_each(hours: Sequence[int]) -> list[Message]:
    """A sign-up in each of these hours."""
    return [message(n, START + hour * HOUR, CREATE, {f"u{n}": "actor"}) for n, hour in enumerate(hours)]


@pytest.mark.parametrize("fed", [live, sealed, imported, expired])
@given(log=logs(), hours=st.integers(1, MOST_HOURS))
@settings(max_examples=25)
def test_every_path_gives_the_sign_ups_of_the_oracle(
    fed: Callable[[Store, Sequence[Message]], None], log: Sequence[Message], hours: int
) -> None:
    with scratch() as directory:
        store = open_store(directory)
        fed(store, log)
        found = signups(store.conn, directory, hours)
        store.close()
    views = expected(log, Rules())
    assert found.as_of == views.watermark
    last = (found.as_of or 0) // HOUR
    assert [hour.start for hour in found.hours] == [at * HOUR for at in range(last - hours + 1, last + 1)]
    registered = Counter(
        user.registered_at // HOUR * HOUR for user in views.users.values() if user.registered_at is not None
    )
    assert [hour.signups for hour in found.hours] == [registered[hour.start] for hour in found.hours]


def test_an_empty_state_has_no_hours(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    assert signups(store.conn, tmp_path, 24) == Signups(None, ())
    store.close()


@pytest.mark.parametrize("hours", [0, -1, MOST_HOURS + 1])
def test_hours_have_bounds(tmp_path: Path, hours: int) -> None:
    store = open_store(tmp_path)
    with pytest.raises(HomecomingError, match=f"expected 1 to {MOST_HOURS}, got {hours}"):
        signups(store.conn, tmp_path, hours)
    store.close()


def test_without_a_calibration_the_weeks_before_are_what_is_usual(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    feed(store, one_each([*range(0, 168, 2), 168, 168 + 3]))
    found = signups(store.conn, tmp_path, 5)
    store.close()
    half_an_hour = 84 / (4 * 168)
    assert found.hours == (
        SignupHour(START + 167 * HOUR, 0, None),  # nothing is known of the weeks before the first
        *(SignupHour(START + WEEK + n * HOUR, int(n in {0, 3}), half_an_hour) for n in range(4)),
    )


@given(since=st.integers(0, 24))
def test_each_hour_expects_by_the_calibration_that_held_then(since: int) -> None:
    rhythm = tuple(float(hour) for hour in range(168))
    with scratch() as directory:
        store = open_store(directory)
        feed(store, one_each([23]))
        write_calibration(directory, Calibration(version="1", since=START + since * HOUR, signups=rhythm))
        found = signups(store.conn, directory, 24)
        store.close()
    assert [hour.expected for hour in found.hours] == [
        float(hour_of_week(hour.start)) if hour.start >= START + since * HOUR else None for hour in found.hours
    ]


def test_waves_are_those_under_way_in_the_span(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    go_live(store, [[one] for one in messages(wave("megashop", HOUR, 8, MINUTE, None))])
    (found,) = waves(store.conn, START, START + WEEK)
    assert (found.rule, found.severity, found.state, found.signups) == ("wave-name", "critical", "raised", 5)
    assert START + HOUR <= found.start < START + 2 * HOUR
    assert found.end == START + HOUR + 7 * MINUTE + DAY
    assert waves(store.conn, START, found.start) == []
    assert waves(store.conn, found.start, found.start + SECOND) == [found]
    assert waves(store.conn, found.end - SECOND, found.end) == [found]
    assert waves(store.conn, found.end, found.end + DAY) == []
    store.close()
