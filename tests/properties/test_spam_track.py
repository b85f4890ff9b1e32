"""One account's crossings against a slow oracle that shares no code with the track, and laws of suspicion."""

from collections.abc import Sequence
from math import log
from random import Random
from typing import NamedTuple

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from state.fold import UserState, apply
from state.live import Message
from state.rules import Rules
from state.spam.calibration import Calibration, Calibrations
from state.spam.detector import Detector
from state.spam.posts import OTHER, THREAD, Post
from state.spam.track import BURST, CAP, HIJACK, HOURS, Crossing, Track
from state.weeks import DAY, HOUR, SECOND
from tests.support.logs import START
from tests.support.spam import Act, delivered, messages, parts, post, tenured

CALIBRATION = Calibration()
CALIBRATIONS = Calibrations()


class Found(NamedTuple):
    """What the oracle says of a crossing."""

    rule: str
    at: int
    msg_id: str
    posts: int
    run: int
    threads: int
    begins: int
    hours: int
    evidence: tuple[str, ...]


def score_of(posts: Sequence[Post], bursting: tuple[float, float], c: Calibration) -> tuple[list[float], list[bool]]:
    """The greatest over all starts of a run, nothing below zero being carried on; and whether a run begins anew."""
    drift = (bursting[0] + bursting[1] - c.ordinary[0] - c.ordinary[1]) / 1_000_000
    ceiling = 3 * c.limit
    scores: list[float] = []
    fresh: list[bool] = []
    runs: list[float] = []
    for place, one in enumerate(posts):
        weight = max(0.0, log(bursting[one.kind] / c.ordinary[one.kind]))
        passed = one.at - posts[place - 1].at if place else 0
        decayed = [run - drift * passed for run in runs]
        fresh.append(max(decayed, default=0.0) <= 0)
        runs = [min(ceiling, run + weight) for run in [*decayed, 0.0]]
        scores.append(max(runs))
    return scores, fresh


def oracle(posts: Sequence[Post], user: UserState, c: Calibration = CALIBRATION) -> list[Found]:
    """Every rule at every post, from the definition."""
    posts = sorted(set(posts))
    (fast, fast_anew), (hand, hand_anew) = score_of(posts, c.fast, c), score_of(posts, c.hand, c)
    found: list[Found] = []

    def is_open(rule: str, at: int) -> bool:
        return any(each.rule == rule and at - each.at < 7 * DAY for each in found)

    begins = 0
    for place, one in enumerate(posts):
        if fast_anew[place] and hand_anew[place]:
            begins = place
        day = one.at // DAY
        earlier_days = sum(known < day for known in user.early_days)
        score = max(fast[place], hand[place])
        window = [each for each in posts[: place + 1] if one.at - each.at < DAY]
        threads = sum(each.kind == THREAD for each in window)
        hours = len({each.at // HOUR for each in window})
        run = posts[begins : place + 1]
        if earlier_days >= 5:
            week = (day + 3) // 7
            away = not {week - 1, week - 2, week - 3, week - 4} & set(user.weeks)
            rule = HIJACK if away and score >= c.limit else None
        elif score >= c.limit + c.trust * earlier_days:
            rule = BURST
        elif is_open(BURST, one.at):
            rule = None
        elif threads >= c.cap + max(0, earlier_days - 1):
            rule, run = CAP, window
        elif hours >= c.hours and not is_open(CAP, one.at):
            rule, run = HOURS, window
        else:
            rule = None
        if rule is not None and not is_open(rule, one.at):
            shown = [each for each in run if each.kind == THREAD] if rule == CAP else run
            found.append(
                Found(
                    rule,
                    one.at,
                    one.msg_id,
                    place + 1,
                    len(run),
                    sum(each.kind == THREAD for each in run),
                    run[0].at,
                    hours,
                    tuple(each.msg_id for each in shown)[-20:],
                )
            )
    return found


def told(crossings: Sequence[Crossing]) -> list[Found]:
    return [Found(*(getattr(crossing, name) for name in Found._fields)) for crossing in crossings]


#: Seconds between two posts: from none to weeks, often those at which a rule crosses.
_GAPS = st.sampled_from((0, 1, 5, 20, 50, 120, 240, 1200, 3600, 5000, 7 * 86_400)) | st.integers(0, 12 * 86_400)

_RUNS = st.tuples(
    _GAPS, _GAPS, st.integers(1, 18), st.lists(st.sampled_from((THREAD, THREAD, OTHER)), min_size=1, max_size=3)
)


@st.composite
def post_sets(draw: st.DrawFn) -> list[Post]:
    """Posts of one account: runs of one pace each, and pauses between them."""
    at = 0
    found: list[Post] = []
    for pause, gap, count, kinds in draw(st.lists(_RUNS, min_size=1, max_size=6)):
        at += pause * SECOND
        for place in range(count):
            found.append(Post(START + at, f"{len(found) * 37 % 101:03}-{len(found)}", kinds[place % len(kinds)]))
            at += gap * SECOND
    return found


@st.composite
def users_of(draw: st.DrawFn, posts: Sequence[Post]) -> UserState:
    """Their account: active on the days of the posts, and perhaps before, between and after."""
    days = {(each.at - START) // DAY for each in posts}
    return tenured(*days, *draw(st.sets(st.integers(-60, 80), max_size=6)))


POSTS_AND_USER = post_sets().flatmap(lambda posts: st.tuples(st.just(posts), users_of(posts)))


@settings(max_examples=300)
@given(POSTS_AND_USER, st.integers(0, 1 << 32))
@example(([post(place * 3 * HOUR // 2) for place in range(40)], tenured(0, 1, 2)), 1)
def test_crossings_are_the_oracle_s(case: tuple[list[Post], UserState], seed: int) -> None:
    """In any order, some twice, looked at in any pieces."""
    posts, user = case
    random = Random(seed)
    arriving = [*posts, *random.choices(posts, k=5)]
    random.shuffle(arriving)
    track, known = Track(), set()
    for each in arriving:
        assert track.add(each) is (each not in known)
        known.add(each)
        if random.random() < 0.3:
            track.evaluate(user, CALIBRATIONS)
    track.evaluate(user, CALIBRATIONS)
    assert told(track.crossings) == oracle(posts, user)


@settings(max_examples=100)
@given(POSTS_AND_USER, st.integers(0, 1 << 32))
def test_whoever_is_left_alone_as_harmless_has_crossed_nothing(case: tuple[list[Post], UserState], seed: int) -> None:
    """In any order, and after earlier posts were gone through or were not."""
    posts, user = case
    random = Random(seed)
    arriving = random.sample(posts, len(posts)) if random.random() < 0.5 else posts
    track = Track()
    for place, each in enumerate(arriving, 1):
        track.add(each)
        if track.is_harmless(CALIBRATIONS.floor):
            assert oracle(arriving[:place], user) == []
        else:
            track.evaluate(user, CALIBRATIONS)
    track.evaluate(user, CALIBRATIONS)
    assert told(track.crossings) == oracle(posts, user)


@settings(max_examples=150)
@given(POSTS_AND_USER, st.integers(0, 1 << 32))
def test_forgetting_old_posts_changes_nothing(case: tuple[list[Post], UserState], seed: int) -> None:
    """In order, whatever is a day and more behind may go at any time: what crossed then is settled."""
    posts, user = case
    random = Random(seed)
    track, found = Track(), {}
    for each in sorted(posts):
        track.add(each)
        track.evaluate(user, CALIBRATIONS)
        found.update({(crossing.rule, crossing.at): crossing for crossing in track.crossings})
        if random.random() < 0.5:
            assert track.drop_before(each.at - DAY - random.choice((0, 1, HOUR))) == 0
    assert told(list(found.values())) == oracle(posts, user)


@settings(max_examples=150)
@given(POSTS_AND_USER, st.data())
def test_one_more_post_takes_no_suspicion_away(case: tuple[list[Post], UserState], data: st.DataObject) -> None:
    posts, user = case
    more = Post(
        data.draw(st.sampled_from(posts)).at + data.draw(st.integers(-DAY, DAY)), "more", data.draw(st.integers(0, 1))
    )
    before, after = Track(), Track()
    before.posts, after.posts = sorted(posts), sorted([*posts, more])
    before.evaluate(user, CALIBRATIONS)
    after.evaluate(user, CALIBRATIONS)
    assert [c for c in told(before.crossings) if c.at < more.at] == [c for c in told(after.crossings) if c.at < more.at]
    for rules in ({HIJACK}, {BURST}, {BURST, CAP, HOURS}):
        firsts = [min((c.at for c in track.crossings if c.rule in rules), default=1 << 62) for track in (before, after)]
        assert firsts[1] <= firsts[0]


@settings(max_examples=150)
@given(POSTS_AND_USER)
def test_who_is_flagged_at_all(case: tuple[list[Post], UserState]) -> None:
    posts, user = case
    track = Track()
    track.posts = sorted(posts)
    track.evaluate(user, CALIBRATIONS)
    for crossing in track.crossings:
        earlier = sum(day < crossing.at // DAY for day in user.early_days)
        assert (earlier >= 5) == (crossing.rule == HIJACK)
        here = (crossing.at, crossing.msg_id)
        others = [each for each in track.crossings if (each.at, each.msg_id) < here]
        for other in others:
            if crossing.at - other.at < 7 * DAY:
                assert other.rule != crossing.rule
                assert (other.rule, crossing.rule) not in {(BURST, CAP), (BURST, HOURS), (CAP, HOURS)}


@settings(max_examples=100)
@given(post_sets(), st.integers(2, 20), st.floats(1, 15), st.floats(0, 2))
def test_other_parameters(posts: list[Post], cap: int, limit: float, trust: float) -> None:
    calibration = Calibration(limit=limit, trust=trust, cap=cap, hours=cap, ordinary=(1 / 500, 1 / 90))
    user = tenured(*{(each.at - START) // DAY for each in posts})
    track = Track()
    track.posts = sorted(posts)
    track.evaluate(user, Calibrations([calibration]))
    assert told(track.crossings) == oracle(posts, user, calibration)


class Ledger:
    """What a state makes of a detector's steps: flags from `since` on are replaced, older ones stay."""

    def __init__(self) -> None:
        self.flags: dict[str, list[Crossing]] = {}
        self.users: dict[str, UserState] = {}
        self.known: set[str] = set()
        self.detector = Detector(Rules(), CALIBRATIONS, self.settled)

    def settled(self, name: str, before: int) -> dict[str, int]:
        found = sorted((c.at, c.rule) for c in self.flags.get(name, ()) if c.at < before)
        return {rule: at for at, rule in found}

    def take(self, batch: Sequence[Message]) -> None:
        events = [m[0] for m in dict.fromkeys(batch) if m[0].msg_id not in self.known]
        self.known.update(event.msg_id for event in events)
        for event in events:
            name = str(event.user)
            after, _ = apply(self.users.get(name), event, Rules())
            assert after is not None
            self.users[name] = after
        for seen in self.detector.take(events, self.users):
            for name in seen.accounts:
                kept = [c for c in self.flags.get(name, ()) if c.at < seen.since]
                self.flags[name] = kept + [c for c in self.detector.crossings(name) if c.at >= seen.since]


@settings(max_examples=300)
@given(post_sets(), st.integers(0, 1 << 32), st.sampled_from((1, 6 * HOUR, 2 * DAY)), st.sampled_from((1, 5, 100)))
@pytest.mark.parametrize("passive", [0, 6])
def test_a_detector_s_flags_are_the_oracle_s(passive: int, posts: list[Post], seed: int, late: int, batch: int) -> None:
    """Up to two days late, some twice, in any batches, while other accounts move the watermark or do not."""
    random = Random(seed)
    topics = {THREAD: "pagure.issue.new", OTHER: "pagure.issue.comment.added"}
    acts = [Act(each.at - START, topics[each.kind], "ada") for each in posts]
    others = ("badges.badge.award", "fas.user.create")
    acts += [Act(random.randrange(20 * DAY), random.choice(others), "ada") for _ in range(passive)]
    log = messages(acts)
    if random.random() < 0.5:
        hours = range(0, max(act.at for act in acts), random.choice((HOUR, DAY, 3 * DAY)))
        log = sorted([*log, *messages(Act(at, "fas.user.update", "zoë") for at in hours)], key=lambda m: m[0].at)
    ledger = Ledger()
    for part in parts(delivered(log, random, late), random, batch):
        ledger.take(part)
    assert ledger.detector.evictions == 0
    assert ledger.detector.late == 0
    mine = [m[0] for m in log if m[0].user == "ada"]
    kinds = {"pagure.issue.new": THREAD, "pagure.issue.comment.added": OTHER}
    content = [Post(e.at, e.msg_id, kinds[e.topic]) for e in mine if e.topic in kinds]
    wanted = oracle(content, ledger.users["ada"])
    found = told(sorted(ledger.flags.get("ada", ()), key=lambda crossing: (crossing.at, crossing.msg_id)))
    assert [f._replace(posts=0) for f in found] == [w._replace(posts=0) for w in wanted]
