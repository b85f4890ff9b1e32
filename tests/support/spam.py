"""Histories rich in bursts and waves, and what a state makes of them."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from random import Random
from typing import NamedTuple

from hypothesis import strategies as st

from state.event import Event, Role, service_of
from state.flags import flags
from state.fold import UserState, apply
from state.live import Message, commit_batch
from state.rules import Rules
from state.screening import screen_pending
from state.spam.lifecycle import Flagged
from state.spam.posts import OTHER, THREAD, Post
from state.store import Store
from state.weeks import DAY, HOUR, SECOND
from tests.support.logs import CREATE, START, bring_in

THREAD_TOPIC = "io.pagure.prod.pagure.issue.new"
OTHER_TOPIC = "io.pagure.prod.pagure.issue.comment.added"
PASSIVE_TOPIC = "org.fedoraproject.prod.badges.badge.award"

#: Topics by the weight class of what they post.
TOPIC_OF = {THREAD: THREAD_TOPIC, OTHER: OTHER_TOPIC}

MINUTE = 60 * SECOND


class Act(NamedTuple):
    """Somebody does something; ordered by event time."""

    at: int  #: event time, microseconds since START
    topic: str
    user: str
    role: Role = "actor"


def messages(acts: Iterable[Act]) -> list[Message]:
    """One message an act, in the order of event time; ids do not sort as times do."""
    numbered = enumerate(sorted(acts))
    return [
        (
            Event(
                f"{place * 7919 % 10007:05}-{act.user}",
                START + act.at,
                None,
                act.topic,
                act.user,
                act.role,
                service_of(act.topic),
            ),
        )
        for place, act in numbered
    ]


def burst(user: str, begins: int, posts: int, gap: int, topic: str = THREAD_TOPIC) -> list[Act]:
    """So many posts, `gap` apart."""
    return [Act(begins + place * gap, topic, user) for place in range(posts)]


def wave(stem: str, begins: int, accounts: int, gap: int, posts_after: int | None = MINUTE) -> list[Act]:
    """Sign-ups of names that share a stem, `gap` apart, each with a first thread so long after it, or none."""
    found = []
    for place in range(accounts):
        name, at = f"{stem}{1000 + 37 * place}", begins + place * gap
        found.append(Act(at, CREATE, name))
        if posts_after is not None:
            found.append(Act(at + posts_after, THREAD_TOPIC, name))
    return found


#: Gaps at which a limit is crossed by the fast, the hand-paced, the cap, the hours, or not at all.
_GAPS = st.sampled_from((0, 5 * SECOND, 50 * SECOND, 4 * MINUTE, 20 * MINUTE, HOUR, 100 * MINUTE))

#: Places where windows, days, weeks and horizons end, and anywhere.
_ROLES: st.SearchStrategy[Role] = st.sampled_from(("actor", "actor", "affected"))

_OFFSETS = st.builds(
    lambda days, within: days * DAY + within,
    st.integers(0, 16),
    st.sampled_from((0, SECOND, 12 * HOUR, DAY - SECOND)) | st.integers(0, DAY // SECOND - 1).map(lambda s: s * SECOND),
)


@st.composite
def _lives(draw: st.DrawFn, user: str) -> list[Act]:
    """One account: a sign-up or none, bursts and drips, other actions now and then."""
    found: list[Act] = []
    if draw(st.booleans()):
        found.append(Act(draw(_OFFSETS), CREATE, user))
    for begins, gap, posts, topic in draw(
        st.lists(
            st.tuples(_OFFSETS, _GAPS, st.integers(1, 18), st.sampled_from((THREAD_TOPIC, THREAD_TOPIC, OTHER_TOPIC))),
            min_size=1,
            max_size=4,
        )
    ):
        found += burst(user, begins, posts, gap, topic)
    found += [Act(at, PASSIVE_TOPIC, user, role) for at, role in draw(
        st.lists(st.tuples(_OFFSETS, _ROLES), max_size=5)
    )]  # fmt: skip
    return found


@st.composite
def histories(draw: st.DrawFn, accounts: int = 3) -> list[Message]:
    """Messages of about two weeks in the order of event time: some accounts, and up to two waves."""
    acts: list[Act] = []
    for place in range(draw(st.integers(1, accounts))):
        acts += draw(_lives(("ada", "bob", "zoë")[place]))
    for place, (begins, count, gap, after) in enumerate(
        draw(
            st.lists(
                st.tuples(_OFFSETS, st.integers(4, 13), _GAPS, st.sampled_from((None, 5 * SECOND, MINUTE, 3 * HOUR))),
                max_size=2,
            )
        )
    ):
        acts += wave(("megaspam", "cheap")[place], begins, count, gap, after)
    return messages(acts)


def delivered(log: Sequence[Message], random: Random, late: int, share: float = 1.0) -> list[Message]:
    """The messages in the order in which they arrive, of which that share up to `late` too late; 1 % twice."""
    arrivals = [
        (message[0].at + (random.randrange(late) if random.random() < share else 0), random.random(), message)
        for message in log
    ]
    arrivals += [
        (at + random.randrange(late + 1), random.random(), m) for at, _, m in arrivals if random.random() < 0.01
    ]
    return [message for *_, message in sorted(arrivals, key=lambda arrival: arrival[:2])]


def parts(log: Sequence[Message], random: Random, most: int) -> list[Sequence[Message]]:
    """The messages in batches of 1 to `most`."""
    found, first = [], 0
    while first < len(log):
        last = first + random.randint(1, most)
        found.append(log[first:last])
        first = last
    return found


def go_live(store: Store, batches: Iterable[Sequence[Message]]) -> None:
    """Commit the batches live."""
    for batch in batches:
        commit_batch(store, batch)


def backfilled(store: Store, log: Sequence[Message]) -> None:
    """Import the messages as an archive, and screen it."""
    if log:
        bring_in(store, log)
        screen_pending(store)


def flags_of(store: Store) -> list[Flagged]:
    """Every flag, in one order."""
    return sorted(flags(store.conn), key=lambda flag: (flag.raised_at, flag.rule, flag.id))


def states_of(events: Iterable[Event], rules: Rules) -> dict[str, UserState]:
    """What the fold makes of the events."""
    states: dict[str, UserState] = {}
    for event in events:
        if event.user is not None:
            after, _ = apply(states.get(event.user), event, rules)
            if after is not None:
                states[event.user] = after
    return states


def tenured(*days: int) -> UserState:
    """An account that was active on these days (counted from START), and in their weeks."""
    at = START // DAY
    found = sorted(at + day for day in days)
    return UserState(
        found[0] * DAY,
        found[-1] * DAY,
        None,
        len(found),
        {(day + 3) // 7: 1 for day in found},
        tuple(found[:5]),
    )


def post(at: int, kind: int = THREAD, msg_id: str | None = None) -> Post:
    """A post so long after START."""
    return Post(START + at, msg_id or f"post-{at}", kind)


def calibrated(directory: Path, text: str, version: str = "1") -> None:
    """Put a calibration into a state that is about to be opened."""
    (directory / "calibration").mkdir(parents=True, exist_ok=True)
    (directory / "calibration" / f"{version}.json").write_text(text, encoding="utf-8")
