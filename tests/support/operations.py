"""Operations on a state that a process may be killed in, each safe to run again."""

from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random

from state.bulk import fold_pending
from state.expiry import expire
from state.live import Message
from state.rebuild import rebuild as rebuild_views
from state.segments import seal as seal_weeks
from state.segments import sweep
from state.store import Store, open_store
from state.weeks import DAY, WEEK
from tests.support.logs import START, TOPICS, USERS, bring_in, feed, message, small_steps

TTL_DAYS = 14


def history(seed: int, rows: int, weeks: int, users: Sequence[str] = USERS) -> list[Message]:
    """A seeded log in the order of its events, whose last one is in the last week."""
    random = Random(seed)
    times = sorted(random.randrange(weeks * WEEK) for _ in range(rows - 1))
    return [
        message(
            seed * 1_000_000 + number,
            START + at,
            random.choice(TOPICS),
            {user: random.choice(("actor", "affected")) for user in random.sample(users, random.randrange(4))},
        )
        for number, at in enumerate([*times, weeks * WEEK - DAY])
    ]


#: Two weeks; one of them is open at the end.
LOG = history(1, 20, 2)

#: Messages of the first week, one for each file that it gets.
PIECES = history(2, 12, 1)[:4]


def opened(directory: Path) -> Store:
    """The state as every process opens it that is going to write: what a crash left behind is dealt with."""
    store = open_store(directory)
    sweep(store)
    fold_pending(store)
    return store


def live(directory: Path) -> None:
    feed(opened(directory), LOG, batch=8)


def bring(directory: Path) -> None:
    with small_steps():
        bring_in(opened(directory), LOG, name="archive")


def seal(directory: Path) -> None:
    seal_weeks(opened(directory))


def expire_weeks(directory: Path) -> None:
    expire(opened(directory), TTL_DAYS)


def rebuild(directory: Path) -> None:
    rebuild_views(directory)


#: Before each operation: what the state holds by then, which the log makes in the end.
def prepare_absent(_: Path) -> list[Message]:
    return LOG


def prepare_nothing(directory: Path) -> list[Message]:
    open_store(directory).close()
    return LOG


def prepare_hot(directory: Path, later: int = 4) -> list[Message]:
    """Everything hot; a message some weeks later makes the weeks due."""
    log = [*LOG, message(99, START + (1 + later) * WEEK, TOPICS[1], {"bob": "actor"})]
    store = open_store(directory)
    feed(store, log)
    store.close()
    return log


def prepare_pieces(directory: Path) -> list[Message]:
    """The first week in four files, and a fifth piece of it hot."""
    log = prepare_hot(directory)
    store = open_store(directory)
    seal_weeks(store)
    for piece in PIECES[:-1]:
        feed(store, [piece])
        seal_weeks(store)
    feed(store, PIECES[-1:])
    store.close()
    return [*log, *PIECES]


def prepare_lost(directory: Path) -> list[Message]:
    """A sealed log whose database is gone."""
    log = prepare_hot(directory)
    store = open_store(directory)
    feed(store, [message(100, START + 9 * WEEK, TOPICS[1], {})])
    seal_weeks(store)
    store.close()
    for path in directory.glob("homecoming.sqlite*"):
        path.unlink()
    return log


OPERATIONS: dict[str, Callable[[Path], None]] = {
    "live": live,
    "import": bring,
    "seal": seal,
    "merge": seal,
    "expire": expire_weeks,
    "rebuild": rebuild,
    "rebuild_lost": rebuild,
}

PREPARATIONS: dict[str, Callable[[Path], list[Message]]] = {
    "live": prepare_absent,
    "import": prepare_nothing,
    "seal": prepare_hot,
    "merge": prepare_pieces,
    "expire": prepare_pieces,
    "rebuild": prepare_pieces,
    "rebuild_lost": prepare_lost,
}
