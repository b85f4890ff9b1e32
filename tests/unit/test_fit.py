"""Calibration: what weeks of history make of the parameters."""

from dataclasses import replace
from math import exp
from random import Random
from statistics import fmean

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from state.errors import HomecomingError
from state.fold import UserState
from state.spam.baseline import baseline
from state.spam.calibration import Calibration, Calibrations, Weights, hour_of_week
from state.spam.fit import _cap, _tail_limit, bounded_rates, fit, peak
from state.spam.posts import OTHER, THREAD, Post
from state.spam.track import BURST, Track
from state.weeks import DAY, HOUR, SECOND, WEEK, day_of, week_named, week_start

START = week_start(week_named("2024-04-01"))
END = START + 8 * WEEK


def newcomers(seed: int, accounts: int = 900, quick: int = 0) -> tuple[list[tuple[str, Post]], dict[str, UserState]]:
    """So many accounts that post a little on one day; `quick` of them twelve threads 30 s apart."""
    rng = Random(seed)
    posts, users = [], {}
    for number in range(accounts):
        at = first = START + rng.randrange(8 * WEEK - DAY) // SECOND * SECOND
        burst = number < quick
        for place in range(12 if burst else 1 + int(rng.expovariate(0.5))):
            kind = THREAD if burst or rng.random() < 0.3 else OTHER
            posts.append((f"user{number}", Post(at, f"{number}-{place}", kind)))
            at += 30 * SECOND if burst else int(20 + rng.expovariate(1 / 120)) * SECOND
        users[f"user{number}"] = UserState(first, at, first, 1, {}, (day_of(first),))
    return posts, users


def fitted(seed: int = 1, previous: Calibration | None = None, quick: int = 0, budget: float = 0.3) -> Calibration:
    posts, users = newcomers(seed, quick=quick)
    registered = [user.registered_at for user in users.values() if user.registered_at is not None]
    return fit(posts, users, registered, START, END, previous or Calibration(), budget)


@given(st.lists(st.tuples(st.integers(1, 90), st.sampled_from((THREAD, OTHER))), min_size=1, max_size=30))
def test_the_peak_is_the_highest_limit_that_a_track_crosses(steps: list[tuple[int, int]]) -> None:
    at, posts = START, []
    for number, (seconds, kind) in enumerate(steps):
        at += seconds * SECOND
        posts.append(Post(at, str(number), kind))
    user = UserState(START, at, START, 1, {}, (day_of(START),))
    highest = peak(posts, user.early_days, Calibration())

    def crosses(limit: float) -> bool:
        # Scores are held at three limits, which no peak below four times the limit can tell.
        track = Track()
        for post in posts:
            track.add(post)
        track.evaluate(user, Calibrations([replace(Calibration(), limit=limit, cap=1000, hours=25)]))
        return any(crossing.rule == BURST for crossing in track.crossings)

    assert not crosses(highest + 1e-6)
    if highest > 0.1:
        assert crosses(highest - 1e-6)


@pytest.mark.parametrize("flagged", [6.0, 7.0, 100.0])
def test_an_exponential_tail_gives_what_the_budget_allows(flagged: float) -> None:
    rng, beyond = Random(5), []
    for _ in range(200):
        scores = [rng.expovariate(1.0) for _ in range(2000)]
        limit = _tail_limit(scores, 1.2, flagged)
        beyond.append(2000 * exp(-limit))
    assert fmean(beyond) == pytest.approx(1.2, rel=0.35)


def test_how_far_scripts_go_makes_no_difference() -> None:
    rng = Random(5)
    people = [rng.expovariate(1.0) for _ in range(2000)]
    assert _tail_limit([*people, 11.0, 12.0], 1.2, 7.0) == _tail_limit([*people, 300.0, 4000.0], 1.2, 7.0)
    assert _tail_limit([*people, 11.0, 12.0], 1.2, 7.0) > _tail_limit(people, 1.2, 7.0)


@given(st.lists(st.integers(0, 40), min_size=100, max_size=400), st.floats(0.1, 5), st.floats(1, 10))
def test_a_cap_stays_in_bounds_and_falls_with_what_is_allowed(busiest: list[int], allowed: float, more: float) -> None:
    cap = _cap(busiest, allowed)
    assert 8 <= cap <= 16
    assert _cap(busiest, allowed + more) <= cap


def test_a_larger_budget_lowers_the_limit() -> None:
    limits = [fitted(budget=budget, quick=3).limit for budget in (0.05, 0.3, 2.0)]
    assert limits == sorted(limits, reverse=True)
    assert limits[0] > limits[-1]


def test_two_threads_alone_are_never_a_burst() -> None:
    found = fitted(budget=100.0)
    twice = [Post(START, "0", THREAD), Post(START + SECOND, "1", THREAD)]
    assert peak(twice, (), found) < found.limit
    assert peak([*twice, Post(START + 2 * SECOND, "2", THREAD)], (), found) > found.limit


@settings(max_examples=5)
@given(st.integers())
def test_order_makes_no_difference(seed: int) -> None:
    rng = Random(seed)
    posts, users = newcomers(1)
    registered = [user.registered_at for user in users.values() if user.registered_at is not None]
    expected = fit(posts, users, registered, START, END, Calibration(), 0.3)
    rng.shuffle(posts)
    rng.shuffle(registered)
    assert fit(posts, users, registered, START, END, Calibration(), 0.3) == expected


def test_known_spam_and_old_hands_are_left_out() -> None:
    quiet, users = newcomers(1)
    registered = [user.registered_at for user in users.values() if user.registered_at is not None]
    expected = fit(quiet, users, registered, START, END, Calibration(), 0.3)
    loud = [*quiet, *((name, Post(START + DAY + n * SECOND, f"{name}{n}", THREAD)) for name in "ab" for n in range(90))]
    seen = UserState(START, END, None, 90, {}, (day_of(START + DAY),))
    users |= {"a": seen._replace(registered_at=START), "b": seen}
    assert fit(loud, users, registered, START, END, Calibration(), 0.3, {"a"}) == expected
    assert fit(loud, users, registered, START, END, Calibration(), 0.3) != expected


def test_a_version_stays_near_the_one_before() -> None:
    before = replace(Calibration(), version="2024w01", limit=11.0, ordinary=(1 / 150, 1 / 90), cap=14)
    after = fitted(previous=before)
    assert after.limit == pytest.approx(9.9)
    assert after.cap == 13
    assert after.ordinary == pytest.approx([rate * 0.9 for rate in before.ordinary])
    assert fitted().limit < 9.9


def test_versions_are_named_by_the_week() -> None:
    first = fitted()
    second = fitted(previous=first)
    assert (first.version, second.version) == ("2024w22", "2024w22.2")
    assert fitted(previous=second).version == "2024w22.3"
    assert fitted(previous=replace(first, version="2024w21.4")).version == "2024w22"
    assert first.since == END


@pytest.mark.parametrize("weeks", [0, 3])
def test_a_short_history_changes_nothing(weeks: int) -> None:
    posts, users = newcomers(1)
    recent = [one for one in posts if one[1].at >= END - weeks * WEEK]
    with pytest.raises(HomecomingError, match="default stay") as raised:
        fit(recent, users, [], START, END, Calibration(), 0.3)
    assert "\n" not in str(raised.value)


def test_few_accounts_change_nothing() -> None:
    posts, users = newcomers(1, accounts=50)
    with pytest.raises(HomecomingError, match="50 accounts"):
        fit(posts, users, [], START, END, Calibration(), 0.3)


def sign_ups(rng: Random, *, weekly: int = 400) -> list[int]:
    """Eight weeks of sign-ups, three times as many by day as by night."""
    found = []
    for week in range(8):
        for _ in range(weekly):
            hour = rng.choices(range(168), [3 if 8 <= hour % 24 < 20 else 1 for hour in range(168)])[0]
            found.append(START + week * WEEK + hour * HOUR + rng.randrange(3600) * SECOND)
    return found


def test_the_baseline_knows_day_and_night() -> None:
    found = baseline(sign_ups(Random(1)), START, END)
    assert found is not None
    rates, spread = found
    assert sum(rates) == pytest.approx(400, rel=0.06)
    assert fmean(rates[hour] for hour in range(168) if 10 <= hour % 24 < 18) > 2 * fmean(
        rates[hour] for hour in range(168) if hour % 24 < 6
    )
    assert spread > 10


def test_a_wave_is_no_rhythm() -> None:
    usual = sign_ups(Random(1))
    wave = [START + 3 * WEEK + 50 * HOUR + second * SECOND for second in range(2000)]
    with_wave, without = baseline(usual + wave, START, END), baseline(usual, START, END)
    assert with_wave is not None
    assert without is not None
    hour = hour_of_week(wave[0])
    assert with_wave[0][hour] < 1.5 * without[0][hour]
    assert sum(with_wave[0]) == pytest.approx(sum(without[0]), rel=0.02)
    assert min(with_wave[0]) > 0


def test_without_enough_sign_ups_the_baseline_stays() -> None:
    assert baseline([], START, END) is None
    assert baseline(sign_ups(Random(1))[-400:], START, END) is None
    posts, users = newcomers(1)
    before = replace(Calibration(), signups=(1.0,) * 168, spread=5.0)
    after = fit(posts, users, [], START, END, before, 0.3)
    assert (after.signups, after.spread) == (before.signups, before.spread)


@given(st.floats(0, 1), st.floats(0, 1))
def test_whatever_rates_are_measured_scores_fall_in_silence(threads: float, other: float) -> None:
    weights = Weights.of(Calibration(ordinary=bounded_rates(threads, other)))
    assert min(weights.fast_drift, weights.hand_drift) > 0
