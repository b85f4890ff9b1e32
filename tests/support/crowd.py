"""One process of a crowd that works on one state at the same time.

    python -m tests.support.crowd ROLE STATE

It starts when its standard input ends, and fails with whatever escapes.
"""

import sys
from collections.abc import Callable
from pathlib import Path

from state.bulk import fold_pending
from state.errors import StateError
from state.rebuild import rebuild
from state.segments import seal, sweep
from state.store import open_store
from tests.support.logs import bring_in, differences, feed
from tests.support.operations import history

USERS = [f"user{number}" for number in range(40)]

#: Live traffic, and two archives that overlap with it and with each other.
LOG = history(7, 1_500, 12, USERS)

TURNS = 12


def live(directory: Path) -> None:
    store = open_store(directory)
    sweep(store)
    feed(store, LOG[300:1200], batch=15)


def early(directory: Path) -> None:
    for first in range(0, 800, 200):
        bring_in(open_store(directory), LOG[first : first + 300])


def late(directory: Path) -> None:
    for first in range(1_200, 400, -200):
        bring_in(open_store(directory), LOG[first : first + 300])


def maintain(directory: Path) -> None:
    for _ in range(TURNS):
        store = open_store(directory)
        sweep(store)
        fold_pending(store)
        seal(store)
        store.close()


def rebuild_often(directory: Path) -> None:
    for _ in range(TURNS // 3):
        rebuild(directory).close()


def read(directory: Path) -> None:
    for _ in range(TURNS):
        store = open_store(directory)
        try:
            found = differences(store)
        except StateError as error:
            if "has not come to its end" not in str(error):
                raise
        else:
            if found:  # every snapshot must be whole
                raise AssertionError(found)
        finally:
            store.close()


ROLES: dict[str, Callable[[Path], None]] = {
    "live": live,
    "early": early,
    "late": late,
    "maintain": maintain,
    "rebuild": rebuild_often,
    "read": read,
}

if __name__ == "__main__":
    sys.stdin.read()
    ROLES[sys.argv[1]](Path(sys.argv[2]))
