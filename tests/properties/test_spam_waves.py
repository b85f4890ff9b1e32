"""Waves of sign-ups against a brute-force oracle: for any sign-ups and first posts, in any order of arrival."""

from collections.abc import Sequence
from math import comb, exp, lgamma, log
from random import Random
from typing import NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from state.spam.calibration import Calibration, Calibrations
from state.spam.names import patterns
from state.spam.posts import OTHER, THREAD
from state.spam.waves import SignUps, Wave
from state.weeks import DAY, HOUR, SECOND, WEEK
from tests.support.logs import START
from tests.support.spam import MINUTE

#: So many sign-ups an hour are usual, whichever hour it is.
USUAL = 0.2

CALIBRATION = Calibration("quiet", signups=(USUAL,) * 168)


class Met(NamedTuple):
    """A sign-up (no kind) or a post."""

    at: int
    msg_id: str
    name: str
    kind: int | None


class Found(NamedTuple):
    key: str
    pattern: str | None
    at: int
    msg_id: str
    counted: int
    of: int
    window: int
    until: int
    members: frozenset[str]


def rarely(at_least: int, mean: float, size: float) -> float:
    """P(X >= at_least) of a negative binomial, by what is left."""
    pmf = (
        exp(
            lgamma(k + size)
            - lgamma(size)
            - lgamma(k + 1)
            + size * log(size / (size + mean))
            + k * log(mean / (mean + size))
        )
        for k in range(at_least)
    )
    return 1 - sum(pmf)


def chance(at_least: int, of: int, share: float) -> float:
    return sum(comb(of, k) * share**k * (1 - share) ** (of - k) for k in range(at_least, of + 1))


class Oracle:
    """Everything anew at every entry."""

    def __init__(self, met: Sequence[Met], calibration: Calibration | None) -> None:
        self.signups = sorted(min(each for each in met if each.name == name and each.kind is None)
                              for name in {each.name for each in met if each.kind is None})  # fmt: skip
        created = {each.name: each.at for each in self.signups}
        posts = [e for e in met if e.kind is not None and e.name in created and 0 <= e.at - created[e.name] <= 28 * DAY]
        self.posts = sorted(min(p for p in posts if p.name == name) for name in {p.name for p in posts})
        self.calibration = calibration
        self.waves: list[Found] = []
        for entry in sorted([*self.signups, *self.posts], key=lambda each: (each.at, each.msg_id)):
            if entry.kind is None:
                self.rate(entry)
                self.name(entry)
            else:
                self.cohort(entry)

    def between(self, entries: Sequence[Met], upto: Met, longest: int, least: int = 0) -> list[Met]:
        """The entries up to this one that are at least `least` and less than `longest` before it."""
        known = [each for each in entries if (each.at, each.msg_id) <= (upto.at, upto.msg_id)]
        return [each for each in known if least <= upto.at - each.at < longest]

    def latest(self, key: str, pattern: str | None = None) -> Found | None:
        return next((w for w in reversed(self.waves) if (w.key, w.pattern) == (key, pattern)), None)

    def fire(
        self, entry: Met, key: str, pattern: str | None, count: int, of: int, window: int, members: set[str]
    ) -> None:
        quiet = {"rate": 2 * HOUR, "name": DAY, "cohort": 6 * HOUR}[key]
        wave = self.latest(key, pattern)
        if wave is None or entry.at - wave.until >= quiet:
            self.waves.append(
                Found(key, pattern, entry.at, entry.msg_id, count, of, window, entry.at, frozenset(members))
            )
        else:
            self.waves[self.waves.index(wave)] = wave._replace(until=entry.at, members=wave.members | members)

    def expected(self, entry: Met, window: int) -> float | None:
        if self.calibration is not None:
            return USUAL * window / HOUR
        before = self.between(self.signups, entry, 29 * DAY, DAY)
        length = min(28 * DAY, entry.at - DAY - self.signups[0].at)
        return len(before) * window / length if len(before) >= 50 and length >= 14 * DAY else None

    def rate(self, entry: Met) -> None:
        spread = (self.calibration or Calibration()).spread
        for window in (10 * MINUTE, HOUR, 6 * HOUR, DAY, WEEK):
            members = self.between(self.signups, entry, window)
            expected = self.expected(entry, window)
            if expected is None or len(members) < max(5, expected):
                continue
            if rarely(len(members), expected, spread) < 1e-3:
                self.fire(entry, "rate", None, len(members), len(members), window, {m.name for m in members})
                return
        wave = self.latest("rate")
        if wave is not None and entry.at - wave.until < 2 * HOUR:
            self.waves[self.waves.index(wave)] = wave._replace(members=wave.members | {entry.name})

    def name(self, entry: Met) -> None:
        today = self.between(self.signups, entry, DAY)
        before = self.between(self.signups, entry, 29 * DAY, DAY)
        best: tuple[float, str, set[str]] | None = None
        for pattern in patterns(entry.name):
            members = {each.name for each in today if pattern in patterns(each.name)}
            share = (sum(pattern in patterns(each.name) for each in before) + 1) / (len(before) + 200)
            if len(members) >= 5 and share < 1 and len(members) > len(today) * share:
                found = chance(len(members), len(today), share)
                if found < (1e-6 if pattern.endswith("#") else 1e-8) and (best is None or found < best[0] * (1 - 1e-9)):
                    best = found, pattern, members
        if best is not None:
            self.fire(entry, "name", best[1], len(best[2]), len(today), DAY, best[2])

    def cohort(self, entry: Met) -> None:
        wave = self.latest("rate")
        if wave is None or entry.at - wave.until >= DAY:
            return
        first = [each for each in self.between(self.posts, entry, DAY) if each.name in wave.members]
        usual = self.between(self.posts, entry, 29 * DAY, DAY)
        share = (sum(each.kind == THREAD for each in usual) + 5) / (len(usual) + 20)
        threads = sum(each.kind == THREAD for each in first)
        if len(first) >= 6 and threads > len(first) * share and chance(threads, len(first), share) < 1e-5:
            self.fire(entry, "cohort", None, threads, len(first), DAY, {each.name for each in first})


def told(waves: Sequence[Wave]) -> list[Found]:
    return [
        Found(w.key, w.pattern, w.at, w.msg_id, w.count, w.of, w.window, w.until, frozenset(w.members)) for w in waves
    ]


_PAUSES = st.sampled_from((0, MINUTE, HOUR, 2 * HOUR, DAY - SECOND, DAY, 20 * DAY)) | st.integers(0, 3 * DAY)


@st.composite
def sign_ups(draw: st.DrawFn, ordinary: int = 0) -> list[Met]:
    """Groups of sign-ups of one pace, of one stem or of unlike names, and what they post, on top of ordinary ones."""
    random = Random(draw(st.integers(0, 1 << 32)))
    found: list[Met] = []
    for place in range(ordinary):
        at = START + place * 20 * DAY // max(1, ordinary) + random.randrange(HOUR)
        found.append(Met(at, f"o{random.random()}", random.choice(("anna", "ben", "cem")) + str(place), None))
    begins = START + ordinary * 20 * DAY // max(1, ordinary)
    groups = st.tuples(
        _PAUSES,
        st.sampled_from((0, 20 * SECOND, 3 * MINUTE, HOUR, 5 * HOUR)),
        st.integers(1, 14),
        st.sampled_from(("megaspam", "cheapcasino", "")),
        st.sampled_from((None, 0, 5 * MINUTE, 30 * HOUR)),
        st.sampled_from((THREAD, THREAD, OTHER)),
    )
    for pause, gap, count, stem, after, kind in draw(st.lists(groups, min_size=1, max_size=4)):
        begins += pause
        for _ in range(count):
            other = "".join(random.choice("aeioubdgklmn") for _ in range(8))
            name = f"{stem}{random.randrange(10_000)}" if stem else other
            found.append(Met(begins, f"s{random.random()}", name, None))
            if after is not None:
                found.append(Met(begins + after, f"p{random.random()}", name, kind))
                found.append(Met(begins + after + HOUR, f"q{random.random()}", name, OTHER))
            begins += gap
    return found


def show(signups: SignUps, met: Met, waiting: dict[str, list[Met]]) -> None:
    """As the detector does: what was posted before the sign-up was known is shown once more after it."""
    if met.kind is None:
        signups.sign_up(*met[:3])
        for post in waiting.get(met.name, ()):
            signups.post(*post[:3], kind=post.kind or 0)
    else:
        waiting.setdefault(met.name, []).append(met)
        signups.post(*met[:3], kind=met.kind)


@settings(max_examples=60)
@pytest.mark.parametrize(("ordinary", "calibration"), [(0, CALIBRATION), (0, None), (70, None)])
@given(data=st.data())
def test_waves_are_the_oracle_s(ordinary: int, calibration: Calibration | None, data: st.DataObject) -> None:
    """In order and in any other, looked at after any of them."""
    met = data.draw(sign_ups(ordinary))
    random = Random(data.draw(st.integers(0, 1 << 32)))
    wanted = Oracle(met, calibration).waves
    versions = Calibrations([] if calibration is None else [calibration])
    for arriving in (sorted(met), random.sample(met, len(met))):
        signups, waiting = SignUps(), dict[str, list[Met]]()
        for each in arriving:
            show(signups, each, waiting)
            if random.random() < 0.2:
                signups.evaluate(versions)
        signups.evaluate(versions)
        assert told(signups.waves) == wanted


def test_a_new_name_is_a_new_account() -> None:
    """Nobody follows a rename: what was posted under the old name belongs to no sign-up of the new one."""
    signups = SignUps()
    signups.sign_up(START, "a", "ada")
    signups.post(START + 1, "b", "ada", THREAD)
    signups.post(START + 2, "c", "ada-lovelace", THREAD)
    signups.sign_up(START + 3, "d", "ada-lovelace")
    signups.post(START + 4, "e", "ada-lovelace", OTHER)
    assert [entry.msg_id for entry in signups.entries] == ["a", "b", "d", "e"]


def test_an_earlier_creation_and_an_earlier_first_post_count() -> None:
    signups = SignUps()
    for at in (5, 3, 9):
        signups.sign_up(START + at, f"c{at}", "ada")
    for at in (20, 12, 30):
        signups.post(START + at, f"p{at}", "ada", OTHER)
    assert [entry.msg_id for entry in signups.entries] == ["c3", "p12"]
