"""One live batch, one transaction: ids, events, users, totals, dead letters, watermark, coverage."""

import json
import sqlite3
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Literal, NamedTuple

from state.awards import add_awards, awards_among
from state.coverage import listen_until
from state.dead_letters import DeadLetter, bury
from state.duck import connect
from state.event import Event, event_key, key_of
from state.fold import Facts, UserState, add, apply
from state.log import files_reaching, parquet_sql
from state.store import Store, add_meta, get_meta, raise_watermark
from state.users import add_to_totals, load_users, save_users
from state.watch import Looked, Watch, look, watch_of
from state.weeks import week_of

#: What became of one message: expired means that its week has been replaced by day summaries.
Disposition = Literal["accepted", "duplicate", "expired"]

_INSERT_EVENT = f"INSERT INTO event VALUES ({', '.join('?' * 16)})"

#: One message: an event for each user it names, or a single one without a user.
Message = Sequence[Event]


class Committed(NamedTuple):
    """What became of each message of a batch, in their order, and what the detector made of them."""

    dispositions: list[Disposition]
    looked: Looked


def commit_batch(
    store: Store,
    messages: Sequence[Message],
    dead: Sequence[DeadLetter] = (),
    listening: tuple[int, int] | None = None,
) -> Committed:
    """Commit the batch in one writing step.

    listening: (id of the coverage interval, event time up to which we have listened).
    Raises StateBusyError, with nothing written, where trying again helps.
    """
    # What a failed step has shown the detector is not in the log: it is then read again.
    watch, store.watch = store.watch, None
    with store.writing() as conn:
        bury(conn, dead)
        if listening:
            listen_until(conn, *listening)
        committed = Committed([], Looked())
        if messages:
            watch, committed = _take_in(store, conn, watch, messages)
    store.watch = watch
    return committed


def _take_in(
    store: Store, conn: sqlite3.Connection, watch: Watch | None, messages: Sequence[Message]
) -> tuple[Watch, Committed]:
    watch = watch_of(store, watch)
    expired_through = get_meta(conn, "expired_through")
    keyed = [[(event_key(e.msg_id, e.user), e) for e in message] for message in messages]
    message_keys = [key_of(message[0].msg_id) for message in messages]
    known_events, known_messages = _known(store, conn, keyed, message_keys)

    fresh: list[tuple[int, Event]] = []
    new_messages: dict[int, int] = {}
    dispositions: list[Disposition] = []
    expired = 0
    for message_key, message in zip(message_keys, keyed, strict=True):
        first = message[0][1]
        if expired_through is not None and week_of(first.at) <= expired_through:
            dispositions.append("expired")
            expired += 1
            continue
        added = [(key, event) for key, event in message if key not in known_events]
        known_events.update(key for key, _ in added)
        fresh.extend(added)
        if message_key not in known_messages:
            known_messages.add(message_key)
            new_messages[message_key] = week_of(first.at)
        dispositions.append("accepted" if added else "duplicate")

    conn.executemany("INSERT INTO message VALUES (?, ?)", new_messages.items())
    conn.executemany(_INSERT_EVENT, (_row(key, event) for key, event in fresh))
    named = [event for _, event in fresh if event.user is not None]
    users = _fold(store, conn, named)
    add_awards(conn, awards_among(named))
    if fresh:
        raise_watermark(conn, max(event.at for _, event in fresh))
    add_meta(conn, "messages", len(new_messages))
    add_meta(conn, "events", sum(event.user is not None for _, event in fresh))
    add_meta(conn, "expired_messages", expired)
    return watch, Committed(dispositions, look(store, watch, named, users))


def _row(key: int, event: Event) -> tuple[object, ...]:
    return (key, week_of(event.at), *event)


def _known(
    store: Store,
    conn: sqlite3.Connection,
    keyed: Sequence[Sequence[tuple[int, Event]]],
    message_keys: Sequence[int],
) -> tuple[set[int], set[int]]:
    """Which events and which messages of the batch the log has already, hot or sealed."""
    event_keys = [key for message in keyed for key, _ in message]
    events = _present(conn, "event", event_keys)
    messages = _present(conn, "message", message_keys)

    firsts = [message[0][1] for message in keyed]
    earliest: dict[int, int] = {}
    for event in sorted(firsts, key=lambda event: event.at):
        earliest.setdefault(week_of(event.at), event.at)
    if sealed := files_reaching(conn, earliest):
        # Late: its time lies within files of the week, so these are asked, once for the whole batch.
        ids = sorted({event.msg_id for event in firsts})
        with connect(store.directory) as duck:
            rows = parquet_sql(store.directory, sealed)
            found = duck.execute(
                f"SELECT msg_id, username FROM {rows} WHERE msg_id IN (SELECT unnest(?))", [ids]
            ).fetchall()
        events.update(event_key(msg_id, user) for msg_id, user in found)
        messages.update(key_of(msg_id) for msg_id, _ in found)
    return events, messages


def _present(conn: sqlite3.Connection, table: str, keys: Iterable[int]) -> set[int]:
    found = conn.execute(
        f"SELECT key FROM {table} WHERE key IN (SELECT value FROM json_each(?))", (json.dumps(list(keys)),)
    )
    return {key for (key,) in found}


def _fold(store: Store, conn: sqlite3.Connection, events: Sequence[Event]) -> dict[str, UserState]:
    """Fold the events into users and totals; the states of all whom they name."""
    store.check_rules()
    states = load_users(conn, {event.user for event in events if event.user is not None})
    known = states.keys() | set()
    touched: set[str] = set()
    delta: Facts = Counter()
    for event in events:
        name = event.user
        if name is None:
            continue
        before = states.get(name)
        after, change = apply(before, event, store.rules)
        if after is not None and after is not before:
            states[name] = after
            touched.add(name)
            add(delta, change)
    add_meta(conn, "users", len(touched - known))
    save_users(conn, {name: states[name] for name in touched})
    add_to_totals(conn, delta)
    return states
