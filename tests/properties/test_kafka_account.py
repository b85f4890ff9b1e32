"""A worker's account under everything that Kafka and the bus may do to its events: the fold stays the fold."""

import json
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from consumer.worker_account import Account, Definitions
from consumer.worker_flags import flag_record
from state.event import Event
from state.live import Message
from state.rules import Rules
from state.spam.calibration import Calibrations
from state.spam.lifecycle import ACCOUNT_RULES
from state.spam.track import SAME_TEXT
from state.store import open_store
from state.weeks import iso
from tests.support.logs import Oracle, logs, scratch
from tests.support.spam import backfilled, flags_of, histories

RULES = st.sampled_from((Rules(), Rules(attribution="any"), Rules(engaged_events=3)))


def again(account: Account, definitions: Definitions) -> Account:
    """What a worker has of it after a restart."""
    return Account.from_bytes(account.to_bytes(), definitions)


@settings(max_examples=25)
@given(logs(), RULES, st.integers(0, 1 << 32))
def test_replayed_and_delivered_twice_changes_nothing(log: list[Message], rules: Rules, seed: int) -> None:
    """In order, and a table that is a few events behind after each crash."""
    random, definitions = Random(seed), Definitions(rules, Calibrations())
    log = sorted(log, key=lambda message: message[0].at)
    by_user: dict[str, list[Event]] = {}
    for message in log:
        for event in message:
            if event.user is not None:
                by_user.setdefault(event.user, []).append(event)
    truth = Oracle(rules).take_in(log).states
    for name, events in by_user.items():
        offsets = [event for event in events for _ in range(random.choice((1, 1, 2)))]  # the bus delivers twice
        account, kept, offset = Account(definitions), Account(definitions).to_bytes(), 0
        while offset < len(offsets):
            account.take(offsets[offset], 0, offset)
            offset += 1
            if random.random() < 0.3:
                kept, committed = account.to_bytes(), offset
                if random.random() < 0.5:  # killed: the table is as it was, the offset was committed earlier
                    account = Account.from_bytes(kept, definitions)
                    offset = max(0, committed - random.randrange(4))
        assert again(account, definitions).state == truth.get(name)


@settings(max_examples=12)
@given(histories(), st.integers(0, 1 << 32))
def test_accounts_burst_where_the_log_says_so(log: list[Message], seed: int) -> None:
    """A reader of the flags takes each record in the place of what was told from `since` on."""
    random, definitions = Random(seed), Definitions(Rules(), Calibrations())
    accounts: dict[str, Account] = {}
    told: dict[str, dict[str, tuple[str, str, int]]] = {}

    def tell(name: str) -> None:
        account = accounts[name]
        crossings = account.crossings()
        if crossings or account.has_told:
            found = json.loads(flag_record(name, account, crossings))
            kept = {known: flag for known, flag in told.get(name, {}).items() if flag[1] < found["since"]}
            told[name] = kept | {flag["id"]: (name, flag["raised_at"], flag["posts"]) for flag in found["flags"]}
        account.has_told = bool(crossings)

    for offset, (event,) in enumerate(log):
        name = str(event.user)
        accounts.setdefault(name, Account(definitions)).take(event, 0, offset)
        if random.random() < 0.6:
            tell(name)
        if random.random() < 0.1:
            accounts[name] = again(accounts[name], definitions)
    for name in accounts:
        tell(name)
    with scratch() as folder:
        store = open_store(folder, Rules())
        backfilled(store, log)
        wanted = {
            flag.id: (flag.user, iso(flag.raised_at), flag.posts)
            for flag in flags_of(store)
            if flag.rule in ACCOUNT_RULES and flag.rule != SAME_TEXT
        }
        store.close()
    assert {known: flag for flags in told.values() for known, flag in flags.items()} == wanted


@given(st.integers(0, 30))
def test_what_is_too_old_to_be_known_is_not_counted(days: int) -> None:
    definitions = Definitions(Rules(), Calibrations())
    account = Account(definitions)
    day = 86_400_000_000
    newest = Event("newest", 19_000 * day, None, "wiki.edit", "ada", "actor", "wiki")
    older = newest._replace(msg_id="older", at=newest.at - days * day)
    assert account.take(newest, 0, 0) == "new"
    is_known = days <= 8
    assert account.take(older, 0, 1) == ("new" if is_known else "old")
    assert account.version == (2 if is_known else 1)
    assert account.state is not None
    assert account.state.first_seen == older.at  # when it was active is true in any case
