"""One community's story in a few thousand events, for the engines that must agree about it."""

from collections.abc import Sequence
from pathlib import Path
from random import Random

from state.event import Event
from state.flags import flags
from state.live import Message
from state.reading import Retention, retention
from state.rules import POPULATIONS
from state.spam.lifecycle import ACCOUNT_RULES, Flagged
from state.spam.track import SAME_TEXT
from state.store import Store, read_store
from state.weeks import DAY, HOUR, SECOND, iso
from tests.support.logs import CREATE
from tests.support.spam import MINUTE, OTHER_TOPIC, PASSIVE_TOPIC, THREAD_TOPIC, Act, burst, messages, wave

#: What a story comes to: the tables of every population, and every flag.
Outcome = tuple[list[Retention], list[Flagged]]


def story(users: int, events: int, seed: int = 1, days: int = 24) -> list[Message]:
    """About so many events of so many users over so many days, bursts and two waves of sign-ups among them."""
    random = Random(seed)
    acts: list[Act] = []
    for number in range(users):
        name, joined = f"user{number}", random.randrange(days * DAY // SECOND) * SECOND
        acts.append(Act(joined, CREATE, name))
        for _ in range(events // users - 1):
            at = joined + int(random.expovariate(1 / (5 * DAY)))
            acts.append(Act(at, random.choice((OTHER_TOPIC, PASSIVE_TOPIC, THREAD_TOPIC)), name))
    for number in range(max(2, users // 40)):
        begins = random.randrange(days) * DAY + number * HOUR
        name, gap = f"flood{number}", random.choice((5 * SECOND, 50 * SECOND, 4 * MINUTE, 100 * MINUTE))
        acts += [Act(begins, CREATE, name), *burst(name, begins + MINUTE, 16, gap)]
    acts += wave("megaspam", 9 * DAY, 12, 5 * MINUTE) + wave("cheap", 17 * DAY, 9, MINUTE)
    # Ids that do not sort as times do, and of which there are enough.
    return [
        tuple(event._replace(msg_id=f"{place * 7919 % 1_000_003:07}-{event.user}") for event in message)
        for place, message in enumerate(messages(acts))
    ]


def events_of(log: Sequence[Message]) -> list[Event]:
    """The log's events, one by one."""
    return [event for message in log for event in message]


def outcome(directory: Path) -> Outcome:
    """What a state makes of its log."""
    conn = read_store(directory)
    try:
        tables = [retention(conn, population) for population in POPULATIONS]
        return tables, sorted(flags(conn), key=lambda flag: (flag.raised_at, flag.rule, flag.id))
    finally:
        conn.close()


def of_accounts(found: Sequence[Flagged]) -> dict[str, tuple[str | None, str, int]]:
    """The flags that show in one account alone, which a worker tells: id -> (user, when, posts)."""
    alone = [flag for flag in found if flag.rule in ACCOUNT_RULES and flag.rule != SAME_TEXT]
    return {flag.id: (flag.user, iso(flag.raised_at), flag.posts) for flag in alone}


def closed(store: Store) -> Path:
    """The store's directory, released."""
    store.close()
    return store.directory
