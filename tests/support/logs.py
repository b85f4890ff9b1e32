"""Small random logs, every way into a state, and the plain dict engine that all of them must agree with."""

import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple
from unittest.mock import patch

import duckdb
from hypothesis import strategies as st

from state import bulk, importer, verify
from state.duck import connect, literal
from state.event import Event, Role, service_of
from state.fold import Facts, UserState, apply
from state.importer import Imported, Source, import_source
from state.live import Message, commit_batch
from state.log import load_log_rows, with_log
from state.reading import Status, status
from state.rules import Rules
from state.store import Store, get_meta
from state.users import load_users
from state.weeks import DAY, SECOND, WEEK, week_named, week_start

#: A Monday 00:00, where the logs begin.
START = week_start(week_named("2024-06-03"))

#: So many weeks a log spans: enough for sealed, merged, hot and expired ones.
WEEKS = 8

CREATE = "org.fedoraproject.prod.fas.user.create"
TOPICS = (CREATE, "io.pagure.prod.pagure.issue.new", "org.fedoraproject.stg.wiki.article.edit", "git.receive")
USERS = ("ada", "bob", "cy's", "dörte", "Eve", "zoë")

#: Event times crowd at the edges of days and weeks, where an off-by-one shows.
_at = st.builds(
    lambda week, day, within: START + week * WEEK + day * DAY + within,
    st.integers(0, WEEKS - 1),
    st.integers(0, 6),
    st.sampled_from((0, 1, 43_200 * SECOND, DAY - 1)) | st.integers(0, DAY - 1),
)
_roles: st.SearchStrategy[Role] = st.sampled_from(("actor", "affected"))
_named = st.dictionaries(st.sampled_from(USERS), _roles, max_size=3)


def message(number: int, at: int, topic: str, named: dict[str, Role]) -> Message:
    """One message as events: one a user, or a single one without a user."""
    people: list[tuple[str | None, Role]] = [*named.items()] or [(None, "actor")]
    return tuple(
        Event(f"id-{number}", at, None, topic, user, role, service_of(topic), size=number % 7 - 3, unit="lines")
        for user, role in people
    )


def logs(max_size: int = 40) -> st.SearchStrategy[list[Message]]:
    """Logs of distinct messages, some of which name nobody and some of which name several users."""
    content = st.lists(st.tuples(_at, st.sampled_from(TOPICS), _named), min_size=1, max_size=max_size)
    return content.map(lambda rows: [message(number, *row) for number, row in enumerate(rows)])


class Oracle:
    """The plain dict engine: the pure fold over the distinct events, in the order in which they come."""

    def __init__(self, rules: Rules) -> None:
        self.rules = rules
        self.seen: set[tuple[str, str | None]] = set()
        self.states: dict[str, UserState] = {}
        self.totals: Facts = Counter()

    def take_in(self, messages: Sequence[Message]) -> "Oracle":
        for event in (event for message in messages for event in message):
            if (event.msg_id, event.user) in self.seen:
                continue
            self.seen.add((event.msg_id, event.user))
            if event.user is not None:
                after, delta = apply(self.states.get(event.user), event, self.rules)
                if after is not None:
                    self.states[event.user] = after
                self.totals.update(delta)
        return self


class Views(NamedTuple):
    """Everything that the views hold, decoded."""

    messages: int
    events: int
    watermark: int | None
    users: dict[str, UserState]
    totals: dict[tuple[int, int, str], int]


def expected(messages: Sequence[Message], rules: Rules) -> Views:
    """The views that these messages make, by the dict engine."""
    engine = Oracle(rules).take_in(messages)
    return Views(
        messages=len({msg_id for msg_id, _ in engine.seen}),
        events=sum(user is not None for _, user in engine.seen),
        watermark=max((message[0].at for message in messages), default=None),
        users=engine.states,
        totals={fact: users for fact, users in engine.totals.items() if users},
    )


def views(store: Store) -> Views:
    """The views as the state has them; its counter of users must agree with its rows."""
    names = [name for (name,) in store.conn.execute("SELECT name FROM user")]
    found: Status = status(store.conn)
    assert found.users == len(names)
    return Views(
        messages=found.messages,
        events=found.events,
        watermark=found.watermark,
        users=load_users(store.conn, names),
        totals={(c, o, p): users for c, o, p, users in store.conn.execute("SELECT * FROM cohort_week")},
    )


def differences(store: Store) -> list[verify.Difference]:
    """What the independent recomputation from the state's own log finds."""
    query = "SELECT msg_id, sent_at, topic, username, role, object FROM log"
    return with_log(store.directory, lambda duck, conn: verify.verify(duck, conn, store.directory, query))


def bring_in(store: Store, messages: Sequence[Message], name: str | None = None, *, with_ids: bool = True) -> Imported:
    """Import the messages as an archive; without ids it looks like a notebook's."""
    rows = [event if with_ids else event._replace(msg_id=None) for message in messages for event in message]  # type: ignore[arg-type]
    with connect(store.directory) as duck:
        load_log_rows(duck, "archive", [rows])
        return import_source(store, duck, Source(name, "SELECT * FROM archive"))


def archived(path: Path) -> list[Message]:
    """The messages of an archive in the notebooks' layout, in order."""
    with duckdb.connect() as duck:
        rows = duck.execute(
            f"SELECT msg_id, epoch_us(sent_at), topic, username FROM {literal(str(path))} ORDER BY sent_at, msg_id"
        ).fetchall()
    return [(Event(m, at, None, topic, user, "actor", service_of(topic)),) for m, at, topic, user in rows]


def feed(store: Store, messages: Sequence[Message], batch: int = 500) -> list[str]:
    """Commit the messages live, so many a batch; what became of each."""
    found: list[str] = []
    for first in range(0, len(messages), batch):
        found += commit_batch(store, messages[first : first + batch]).dispositions
    return found


@contextmanager
def scratch() -> Iterator[Path]:
    """A directory for one example, in memory where there is such a place: hundreds of them sync often."""
    memory = Path("/dev/shm")  # noqa: S108 - a directory of its own is made in it
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as directory:
        yield Path(directory)


@contextmanager
def small_steps() -> Iterator[None]:
    """Imports in chunks of few rows and folds in steps of few users, so that small logs cross the borders."""
    fold: Any = partial(bulk.fold_pending, users_a_step=2)
    with (
        patch.object(importer, "CHUNK_ROWS", 10),
        patch.object(importer, "fold_pending", fold),
        patch.object(importer, "HOT_ROWS", 2),
    ):
        yield


def manifest_holds(store: Store) -> None:
    """Whatever the manifest names is there, whole."""
    for name, size in store.conn.execute("SELECT file, bytes FROM segment"):
        assert (store.directory / name).stat().st_size == size


def orphans(store: Store) -> set[str]:
    """Files of the log that the manifest does not name."""
    named = {name for (name,) in store.conn.execute("SELECT file FROM segment")}
    found = {f"{kind}/{p.name}" for kind in ("events", "days") for p in (store.directory / kind).glob("*.parquet")}
    return found - named


def expired_messages(store: Store) -> int:
    return int(get_meta(store.conn, "expired_messages", 0))
