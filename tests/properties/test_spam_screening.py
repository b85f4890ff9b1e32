"""Screening goes through those alone who posted enough: nobody who crosses a limit is passed over."""

from dataclasses import replace
from itertools import groupby

from hypothesis import given, settings
from hypothesis import strategies as st

from state.live import Message
from state.rules import Rules
from state.spam.calibration import Calibration, Calibrations
from state.spam.posts import Post
from state.spam.track import Track
from state.store import open_store
from state.users import load_users
from state.weeks import DAY, HOUR, SECOND, WEEK
from tests.support.logs import CREATE, scratch
from tests.support.spam import (
    MINUTE,
    OTHER_TOPIC,
    PASSIVE_TOPIC,
    THREAD_TOPIC,
    Act,
    backfilled,
    burst,
    calibrated,
    flags_of,
    messages,
)

RULES = Rules()

#: Limits that few and many posts reach, and paces at which a score falls by limits in an hour, or by next to nothing.
CALIBRATIONS = st.builds(
    lambda limit, hand, cap, hours: replace(Calibration("drawn"), limit=limit, hand=hand, cap=cap, hours=hours),
    st.sampled_from((1.0, 3.0, 7.0, 15.0)),
    st.sampled_from(((1 / 60, 1 / 320), (1 / 150, 1 / 180), (1 / 240, 1 / 139))),
    st.integers(2, 14),
    st.integers(2, 14),
)

#: Where windows, days and weeks end, and anywhere.
MOMENTS = st.builds(
    lambda day, within: day * DAY + within,
    st.integers(0, 70),
    st.sampled_from((0, HOUR - 20 * SECOND, DAY - MINUTE, DAY - SECOND))
    | st.integers(0, DAY // SECOND - 1).map(lambda second: second * SECOND),
)

GAPS = st.sampled_from((SECOND, 10 * SECOND, 40 * SECOND, 2 * MINUTE, 5 * MINUTE, 20 * MINUTE, HOUR))


@st.composite
def lives(draw: st.DrawFn, user: str) -> list[Act]:
    """One account over ten weeks: a few days of activity, then bursts that may follow long silence."""
    found = [Act(draw(MOMENTS), CREATE, user)]
    begins = draw(st.integers(0, 20)) * DAY
    found += [Act(begins + day * DAY, PASSIVE_TOPIC, user) for day in range(draw(st.sampled_from((0, 3, 4, 5, 6))))]
    for at, posts, gap, topic in draw(
        st.lists(
            st.tuples(MOMENTS, st.integers(1, 20), GAPS, st.sampled_from((THREAD_TOPIC, THREAD_TOPIC, OTHER_TOPIC))),
            min_size=1,
            max_size=3,
        )
    ):
        found += burst(user, at, posts, gap, topic)
    return found


@st.composite
def logs(draw: st.DrawFn) -> list[Message]:
    return messages(act for user in "abcdefgh" for act in draw(lives(user)))


@settings(max_examples=25)
@given(logs(), CALIBRATIONS, st.integers(0, 10))
def test_nobody_who_crosses_is_passed_over(log: list[Message], calibration: Calibration, cut: int) -> None:
    """Imported in two archives, so that the second one's screening begins somewhere."""
    wanted: set[tuple[str, str, int]] = set()
    with scratch() as folder:
        calibrated(folder / "state", calibration.to_json())
        store = open_store(folder / "state", RULES)
        later = log[0][0].at + cut * WEEK
        backfilled(store, [message for message in log if message[0].at < later])
        backfilled(store, [message for message in log if message[0].at >= later])
        events = sorted(
            (event.user, event.at, event.msg_id, kind)
            for (event,) in log
            if event.user is not None and (kind := RULES.kind_of(event.topic)) is not None
        )
        for user, posts in groupby(events, key=lambda event: event[0]):
            track = Track()
            track.posts = [Post(at, msg_id, kind) for _, at, msg_id, kind in posts]
            track.evaluate(load_users(store.conn, [user])[user], Calibrations([calibration]))
            wanted |= {(user, crossing.rule, crossing.at) for crossing in track.crossings}
        found = {(flag.user, flag.rule, flag.raised_at) for flag in flags_of(store) if flag.user is not None}
        store.close()
    assert {flag for flag in found if flag[1] != "wave-member"} == wanted
