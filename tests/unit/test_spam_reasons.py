"""What makes content, what names share, why somebody is flagged, and a calibration as a file."""

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from state.calibrations import read_calibrations
from state.errors import StateError
from state.spam.calibration import Calibration, Calibrations, Weights
from state.spam.names import patterns
from state.spam.posts import OTHER, THREAD, Content
from state.spam.rhythm import Rhythm
from state.store import open_store
from state.weeks import DAY, HOUR, SECOND
from tests.support.logs import CREATE, START, scratch
from tests.support.spam import MINUTE, OTHER_TOPIC, Act, burst, calibrated, flags_of, go_live, messages, wave


@pytest.mark.parametrize(
    ("topic", "kind"),
    [
        ("io.pagure.prod.pagure.issue.new", THREAD),
        ("org.fedoraproject.prod.discourse.topic.topic_created", THREAD),
        ("org.fedoraproject.prod.discourse.post.post_created", OTHER),
        ("io.pagure.prod.pagure.issue.comment.added", OTHER),
        ("pagure.issue.new", THREAD),
        ("org.fedoraproject.prod.badges.badge.award", None),
        ("org.fedoraproject.prod.fas.user.create", None),
        ("org.example.prod.somewhere.something.said", OTHER),
    ],
)
def test_what_makes_content(topic: str, kind: int | None) -> None:
    assert Content().kind_of(topic) == kind


def test_other_communities_say_what_counts() -> None:
    content = Content(threads=frozenset({"forum.thread"}), passive=frozenset())
    assert [content.kind_of(topic) for topic in ("forum.thread", "forum.threads", "fas.x")] == [THREAD, OTHER, OTHER]


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("MegaSpam1234", {"megaspam#", "a8d4", "megasp*", "*gaspam"}),
        ("ab12", {"a2d2"}),
        ("ada", set()),
        ("axcvbnk", {"axcvbn*", "*xcvbnk", "consonants"}),
        ("anna-lena7", {"anna-lena#", "a4-1a4d1", "anna-l*", "*a-lena"}),
        ("1234", {"d4"}),
        ("", set()),
    ],
)
def test_what_names_share(name: str, shown: set[str]) -> None:
    assert set(patterns(name)) == shown


@given(st.text())
def test_any_name_has_each_pattern_once(name: str) -> None:
    found = list(patterns(name))
    assert len(found) == len(set(found))
    assert list(patterns(name.casefold())) == found


def reasons(*acts: Act) -> dict[str, str]:
    with scratch() as directory:
        store = open_store(directory)
        go_live(store, [messages(acts)])
        found = {flag.rule: flag.reason for flag in flags_of(store)}
        store.close()
        return found


def test_why_a_burst() -> None:
    acts = [Act(0, CREATE, "ada"), Act(MINUTE, OTHER_TOPIC, "ada"), *burst("ada", 2 * MINUTE, 6, 10 * SECOND)]
    assert reasons(*acts) == {
        "burst": "3 posts (3 new threads) in 20 s, account 2 min old, 0 earlier active days; score 7.1 "
        "(limit 7.0, about 0.3 such accounts a week); config default"
    }


def test_why_a_drip_and_automation() -> None:
    assert reasons(*burst("ada", DAY, 14, HOUR // 2)) == {
        "cap": "14 new threads within 24 h, account of unknown age, 0 earlier active days (limit 14); config default"
    }
    assert reasons(*burst("ada", 0, 14, HOUR, OTHER_TOPIC)) == {
        "hours": "posts in 14 of 24 hours, account of unknown age, 0 earlier active days (limit 14): "
        "unregistered automation?; config default"
    }


def test_why_an_old_account_is_asked_about() -> None:
    days = [Act(day * DAY, OTHER_TOPIC, "ada") for day in range(5)]
    found = reasons(*days, *burst("ada", 60 * DAY, 5, SECOND))
    assert found == {
        "hijack": "3 posts (3 new threads) in 2 s after four weeks or more away; score 8.3 (limit 7.0): "
        "an account in other hands?; config default"
    }
    assert reasons(*days, *burst("ada", 20 * DAY, 50, SECOND)) == {}


def test_why_a_wave_and_its_members() -> None:
    found = reasons(*wave("megaspam", 0, 5, MINUTE, None))
    assert found["wave-name"].startswith("5 of 5 sign-ups in 24 h named like megas")
    assert found["wave-member"].startswith("signed up as one of wave ")
    assert "that alone says nothing" in found["wave-member"]


@given(
    st.builds(
        Calibration,
        version=st.text(min_size=1),
        since=st.integers(0, 1 << 50),
        limit=st.floats(1, 20),
        signups=st.none() | st.lists(st.floats(0.1, 9), min_size=168, max_size=168).map(tuple),
    )
)
def test_a_calibration_goes_to_a_file_and_back(calibration: Calibration) -> None:
    assert Calibration.from_json(calibration.to_json()) == calibration


@pytest.mark.parametrize("text", ["", "[]", "3", '{"limits": 3}', "{", '"limit"'])
def test_what_is_no_calibration_is_refused(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - json's own, or ours
        Calibration.from_json(text)
    with scratch() as directory:
        calibrated(directory, text)
        with pytest.raises(StateError, match="is no calibration"):
            read_calibrations(directory)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("limit", "high"),
        ("fast", [1]),
        ("fast", [0, 1]),
        ("ordinary", [0, 0]),
        ("signups", [1, 2]),
        ("cap", None),
        ("spread", 0),
    ],
)
def test_a_value_that_cannot_be_is_refused(field: str, value: object) -> None:
    """Where it is read, in one line; not as a traceback in the middle of a batch."""
    text = json.dumps(json.loads(Calibration().to_json()) | {field: value})
    with pytest.raises((ValueError, TypeError)):
        Calibration.from_json(text)


def test_the_version_of_the_time_is_taken() -> None:
    one, two = (replace(Calibration(), version=name, since=since) for name, since in (("one", 100), ("two", 200)))
    versions = Calibrations([two, one])
    found = [versions.in_force(at)[0].version for at in (0, 99, 100, 199, 200, 1 << 60)]
    assert found == ["default", "default", "one", "one", "two", "two"]
    assert versions.in_force(150)[1] == Weights.of(one)


def test_expected_sign_ups_follow_the_hours() -> None:
    rhythm = Rhythm(tuple(float(hour) for hour in range(168)))
    assert rhythm.between(START, START + HOUR) == pytest.approx(0)
    assert rhythm.between(START + 5 * HOUR, START + 7 * HOUR) == pytest.approx(5 + 6)
    assert rhythm.between(START + 167 * HOUR, START + 170 * HOUR) == pytest.approx(167 + 0 + 1)
    assert rhythm.between(START, START + 7 * DAY) == pytest.approx(sum(range(168)))
    assert rhythm.between(START + HOUR * 3 // 2, START + HOUR * 7 // 4) == pytest.approx(0.25)


@given(
    st.lists(st.floats(0, 50), min_size=168, max_size=168),
    st.sampled_from((MINUTE, 10 * MINUTE, HOUR, 6 * HOUR, DAY, 7 * DAY)),
    st.integers(0, 14 * DAY),
)
def test_no_hours_expect_less_than_the_quietest(signups: list[float], length: int, start: int) -> None:
    rhythm = Rhythm(tuple(signups))
    assert rhythm.between(START + start, START + start + length) >= rhythm.least(length) - 1e-6
