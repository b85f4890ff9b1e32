"""Whatever comes, the detector's memory has bounds, and what it gives up is counted."""

from collections.abc import Iterable, Iterator
from itertools import islice

from state.event import Event
from state.fold import UserState, apply
from state.rules import Rules
from state.spam.calibration import Calibrations
from state.spam.detector import ACCOUNTS_KEPT, COPIES_KEPT, SIGNUPS_AT_MOST, Detector
from state.spam.track import POSTS_KEPT
from state.spam.waves import MEMBERS_KEPT, SignUps
from state.weeks import DAY, HOUR, SECOND
from tests.support.logs import CREATE, START
from tests.support.spam import OTHER_TOPIC, THREAD_TOPIC

RULES = Rules()


def event(number: int, at: int, topic: str, user: str) -> Event:
    return Event(f"m{number}", START + at, None, topic, user, "actor", "")


def fed(events: Iterable[Event]) -> Iterator[Detector]:
    """The detector after each batch of them."""
    detector = Detector(RULES, Calibrations())
    users: dict[str, UserState] = {}
    remaining = iter(events)
    while batch := list(islice(remaining, 500)):
        touched: dict[str, UserState] = {}
        for each in batch:
            after, _ = apply(users.get(str(each.user)), each, RULES)
            assert after is not None
            users[str(each.user)] = touched[str(each.user)] = after
        for _ in detector.take(batch, touched):
            pass
        yield detector


def last(detectors: Iterator[Detector]) -> Detector:
    *_, found = detectors
    return found


def kept(detector: Detector) -> tuple[int, int]:
    return len(detector.tracks), max(len(track.posts) for track in detector.tracks.values())


def test_a_flood_of_accounts_of_one_post_each() -> None:
    many = 50_000
    for detector in fed(event(n, n * SECOND, OTHER_TOPIC, f"u{n}") for n in range(many)):
        assert len(detector.tracks) <= ACCOUNTS_KEPT
    assert kept(detector) == (ACCOUNTS_KEPT, 1)
    assert detector.evictions == many - ACCOUNTS_KEPT
    assert f"u{many - 1}" in detector.tracks
    assert "u0" not in detector.tracks


def test_an_account_of_a_hundred_thousand_posts() -> None:
    many = 100_000
    for detector in fed(event(n, n * SECOND // 2, THREAD_TOPIC, "ada") for n in range(many)):
        assert kept(detector)[1] <= POSTS_KEPT
    assert detector.evictions == many - POSTS_KEPT
    assert detector.tracks["ada"].settled["burst"] == START + SECOND


def test_accounts_that_are_silent_are_forgotten_without_being_given_up() -> None:
    detector = last(fed(event(n, n * HOUR, OTHER_TOPIC, f"u{n}") for n in range(24 * 30)))
    assert len(detector.tracks) < 24 * 5
    assert detector.evictions == 0


def test_a_flood_of_sign_ups() -> None:
    many = SIGNUPS_AT_MOST + 10_000
    for detector in fed(event(n, n * 5 * SECOND, CREATE, f"{n:x}".translate(_LETTERS)) for n in range(many)):
        assert len(detector.signups.entries) <= SIGNUPS_AT_MOST + 1_000
    assert detector.evictions + len(detector.signups.entries) == many
    assert len(detector.tracks) == 0


#: Digits as letters, so that few names share anything.
_LETTERS = str.maketrans("0123456789abcdef", "aeiouybdghklmnpr")


def test_a_flood_of_texts() -> None:
    many = COPIES_KEPT + 10_000
    posts = (event(n, n * 5 * SECOND, OTHER_TOPIC, f"u{n % 1000}") for n in range(many))
    for detector in fed(post._replace(content_hash=f"t{post.msg_id}") for post in posts):
        assert detector.texts.size <= COPIES_KEPT + HOUR // (5 * SECOND)
    assert detector.evictions == many - detector.texts.size


def test_texts_and_who_posted_them_are_forgotten() -> None:
    posts = (event(n, n * 6 * HOUR, OTHER_TOPIC, f"u{n}") for n in range(4 * 400))
    detector = last(fed(post._replace(content_hash=f"t{post.msg_id}") for post in posts))
    assert detector.texts.size < 4 * 12
    assert len(detector.texts.early_days) < 1_100
    assert detector.evictions == 0


def test_sign_ups_of_long_ago_are_forgotten() -> None:
    detector = last(fed(event(n, n * DAY, CREATE, f"u{n}") for n in range(200)))
    assert len(detector.signups.entries) < 100
    assert detector.evictions == 0


def test_a_flood_of_one_pattern_is_one_wave_of_so_many_members() -> None:
    signups = SignUps()
    for place in range(3 * MEMBERS_KEPT):
        signups.sign_up(START + place * SECOND, f"{place:05}", f"mega{place}")
    signups.evaluate(Calibrations())
    (wave,) = signups.waves
    assert wave.until == START + (3 * MEMBERS_KEPT - 1) * SECOND, "it goes on"
    assert list(wave.members) == [f"mega{place}" for place in range(MEMBERS_KEPT)], "the first of them are listed"
