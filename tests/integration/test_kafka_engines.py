"""One story, three engines: the plain dict, SQLite, and Faust on a real Kafka. Tables and flags are the same."""

from collections import Counter
from pathlib import Path

import pytest

from state.fold import Facts, facts
from state.rules import Rules
from state.screening import screen_pending
from state.store import open_store
from tests.integration.kafka import Cluster, bootstrap, cluster, kafka_node
from tests.support.kafka_story import closed, events_of, of_accounts, outcome, story
from tests.support.logs import Oracle, bring_in, expected, views

__all__ = ["bootstrap", "cluster", "kafka_node"]

LOG = story(users=120, events=1_800)


@pytest.fixture(scope="module")
def by_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The state that one import of everything makes, as the batch engine has it."""
    store = open_store(tmp_path_factory.mktemp("batch"), Rules())
    bring_in(store, LOG)
    screen_pending(store)
    assert views(store)._replace(users={}, totals={}) == expected(LOG, Rules())._replace(users={}, totals={})
    return closed(store)


def test_dict_sqlite_and_faust_agree(cluster: Cluster, by_sqlite: Path) -> None:
    events = cluster.feed(events_of(LOG))
    cluster.totals()
    worker = cluster.worker()
    cluster.settled(events)
    assert outcome(cluster.state) == outcome(by_sqlite)
    tables, found = outcome(by_sqlite)
    assert {"burst", "cap", "wave-name"} <= {flag.rule for flag in found}
    assert sum(cohort.size for cohort in tables[0].cohorts) > 100

    # What the workers hold and tell by themselves, without the totals' owner.
    truth = Oracle(Rules()).take_in(LOG)
    accounts = cluster.accounts()
    assert {name: account.state for name, account in accounts.items()} == truth.states
    totals: Facts = Counter()
    for account in accounts.values():
        totals.update(facts(account.state, Rules()))
    assert totals == Counter({fact: users for fact, users in truth.totals.items() if users})
    assert cluster.told() == of_accounts(found)
    assert cluster.end(worker) == 0
