"""Who is as busy every week is suggested for the allowlist."""

from pathlib import Path

from state.bots import steady_accounts
from state.live import commit_batch
from state.store import open_store
from state.weeks import HOUR, WEEK
from tests.support.spam import PASSIVE_TOPIC, Act, messages


def weekly(user: str, *events: int) -> list[Act]:
    """So many actions in each of the weeks."""
    return [Act(week * WEEK + n * HOUR, PASSIVE_TOPIC, user) for week, count in enumerate(events) for n in range(count)]


def test_steady_for_four_whole_weeks(tmp_path: Path) -> None:
    acts = [
        *weekly("clockwork", 60, 60, 62, 60, 60, 1),
        *weekly("person", 10, 70, 0, 90, 55, 1),
        *weekly("newcomer", 0, 0, 0, 60, 60, 1),
        *weekly("retired", 60, 60, 60, 60, 0, 0),
        *weekly("quiet", 12, 12, 12, 12, 12, 1),
    ]
    store = open_store(tmp_path)
    commit_batch(store, messages(acts))
    assert [(account.name, account.events) for account in steady_accounts(store.conn)] == [
        ("clockwork", (60, 62, 60, 60))
    ]
    store.close()


def test_nothing_is_steady_in_an_empty_state(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    assert steady_accounts(store.conn) == []
    store.close()
