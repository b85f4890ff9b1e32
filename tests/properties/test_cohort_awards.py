"""Badge awards: whatever the order, the duplicates and the route, who was awarded has the badge from the first time."""

from typing import Literal

from hypothesis import given, settings
from hypothesis import strategies as st

from state import verify
from state.event import Event, Role
from state.expiry import expire
from state.live import Message
from state.log import with_log
from state.rebuild import rebuild
from state.rules import Rules
from state.segments import seal
from state.store import Store, get_meta, open_store
from state.weeks import WEEK, week_of
from tests.support.logs import START, USERS, bring_in, feed, scratch, small_steps

AWARD = "org.fedoraproject.prod.badges.badge.award"
BADGES = ("white-hat", "o'flock-2024", "flock-2025", None)

#: The second is none: it only sounds like one.
OLD_AWARD = "org.fedoraproject.prod.fedbadges.badge.award"
TOPICS = (AWARD, OLD_AWARD, "org.fedoraproject.prod.old.badges.badge.award", "badges.badge.award", "git.receive")


def message(number: int, at: int, topic: str, badge: str | None, named: dict[str, Role]) -> Message:
    people: list[tuple[str | None, Role]] = [*named.items()] or [(None, "actor")]
    return tuple(Event(f"id-{number}", at, None, topic, user, role, "badges", object=badge) for user, role in people)


_roles: st.SearchStrategy[Role] = st.sampled_from(("actor", "actor", "affected"))
_logs = st.lists(
    st.tuples(
        st.builds(lambda week, within: START + week * WEEK + within, st.integers(0, 7), st.integers(0, WEEK - 1)),
        st.sampled_from(TOPICS),
        st.sampled_from(BADGES),
        st.dictionaries(st.sampled_from(USERS), _roles, max_size=2),
    ),
    min_size=1,
    max_size=30,
).map(lambda rows: [message(number, *row) for number, row in enumerate(rows)])

Step = tuple[Literal["live", "import", "seal", "expire", "rebuild"], list[Message]]


@st.composite
def journeys(draw: st.DrawFn) -> list[Step]:
    """The log's deliveries: shuffled, some twice, cut anywhere, each part by any route, with whatever between."""
    log = draw(_logs)
    deliveries = draw(st.permutations([*log, *draw(st.lists(st.sampled_from(log), max_size=8))]))
    cuts = sorted(draw(st.lists(st.integers(0, len(deliveries)), max_size=3)))
    steps: list[Step] = []
    for first, last in zip([0, *cuts], [*cuts, len(deliveries)], strict=True):
        route: Literal["live", "import"] = draw(st.sampled_from(("live", "import")))
        steps.append((route, deliveries[first:last]))
        between: list[Literal["seal", "expire", "rebuild"]] = draw(
            st.lists(st.sampled_from(("seal", "expire", "rebuild")), max_size=2)
        )
        steps.extend((kind, []) for kind in between)
    return steps


def take(store: Store, step: Step) -> tuple[Store, list[Message]]:
    """The store after the step, and the messages that came too late for a week that had expired."""
    kind, messages = step
    closed = get_meta(store.conn, "expired_through", -1)
    late = [one for one in messages if week_of(one[0].at) <= closed]
    match kind:
        case "live":
            feed(store, messages, batch=5)
        case "import":
            bring_in(store, messages)
        case "seal":
            seal(store)
        case "expire":
            expire(store, 14)
        case "rebuild":
            store.close()
            store = rebuild(store.directory)
    return store, late


def awards(store: Store) -> dict[tuple[str, str], int]:
    return {(badge, user): at for badge, user, at in store.conn.execute("SELECT badge, user, at FROM award")}


def expected(messages: list[Message]) -> dict[tuple[str, str], int]:
    """The plain dict engine."""
    found: dict[tuple[str, str], int] = {}
    for event in (event for one in messages for event in one):
        is_award = event.topic in {AWARD, OLD_AWARD, "badges.badge.award"} and event.role == "actor"
        if is_award and event.user is not None and event.object is not None:
            key = event.object, event.user
            found[key] = min(event.at, found.get(key, event.at))
    return found


def differences(store: Store) -> list[verify.Difference]:
    query = "SELECT msg_id, sent_at, topic, username, role, object FROM log"
    return with_log(store.directory, lambda duck, conn: verify.verify(duck, conn, store.directory, query))


@settings(max_examples=20)
@given(journeys())
def test_every_route_gives_the_same_awards(steps: list[Step]) -> None:
    taken: list[Message] = []
    with scratch() as directory, small_steps():
        store = open_store(directory, Rules())
        for step in steps:
            store, late = take(store, step)
            # A message that was there before its week expired counts, whatever comes after.
            taken += [one for one in step[1] if one not in late]
        assert awards(store) == expected(taken)
        assert differences(store) == []
        badges = {badge for badge, _ in expected(taken)}
        tags = store.conn.execute("SELECT name, badge FROM tag").fetchall()
        assert sorted(tags) == sorted((f"badge:{badge}", badge) for badge in badges)
        store.close()
