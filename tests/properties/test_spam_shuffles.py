"""A simulated month in a hundred orders: every message up to six hours late, some twice, the same flags."""

from random import Random

import pytest

from consumer.simulator import Scenario, rows, simulate
from state.event import Event, service_of
from state.live import Message, commit_batch
from state.rules import Rules
from state.spam.lifecycle import Flagged
from state.store import open_store
from state.weeks import HOUR, week_named, week_start
from tests.support.logs import scratch
from tests.support.spam import delivered, flags_of, go_live, parts

SHUFFLES = 100

#: Few ordinary people, so that a month is some thousand messages; what attacks is as it is elsewhere.
SCENARIO = Scenario(
    seed=4,
    weeks=4,
    end=week_start(week_named("2024-06-03")),
    signups_per_week=15,
    core_users=3,
    incidents=(
        ("fast_burst", 1.0),
        ("hand_paced", 2.0),
        ("drip", 2.0),
        ("patterned_wave", 4.0),
        ("shared_text", 4.0),
        ("hackfest", 4.0),
    ),
)


def heard() -> list[Message]:
    """What the scenario's messages say, those of people alone: bots are most of a bus."""
    found: dict[str, list[Event]] = {}
    for row in rows(simulate(SCENARIO)):
        event = Event(
            row.msg_id, row.sent_at, None, row.topic, row.username, row.role,  # type: ignore[arg-type]  # a role
            service_of(row.topic), content_hash=row.content_hash,
        )  # fmt: skip
        if Rules().content.kind_of(row.topic) is not None or "fas" in row.topic:
            found.setdefault(row.msg_id, []).append(event)
    return [tuple(message) for message in found.values()]


@pytest.fixture(scope="module")
def log() -> list[Message]:
    return heard()


@pytest.fixture(scope="module")
def in_order(log: list[Message]) -> list[Flagged]:
    with scratch() as directory:
        store = open_store(directory, Rules())
        go_live(store, parts(log, Random(0), 300))
        found = flags_of(store)
        store.close()
    rules = {flag.rule for flag in found}
    assert {"burst", "wave-name", "wave-member"} <= rules
    return found


def test_a_hundred_shuffles(log: list[Message], in_order: list[Flagged]) -> None:
    for seed in range(SHUFFLES):
        random = Random(seed)
        arriving = delivered(log, random, 6 * HOUR, share=random.choice((0.03, 0.3, 1.0)))
        with scratch() as directory:
            store = open_store(directory, Rules())
            for batch in parts(arriving, random, 1_500):
                if random.random() < 0.2:
                    store.watch = None
                committed = commit_batch(store, batch)
                assert (committed.looked.late, committed.looked.evicted) == (0, 0)
            assert flags_of(store) == in_order, f"seed {seed}"
            store.close()
