"""Kill -9 at every step of an operation on a state.

    python -m tests.support.doom OPERATION PREPARED SCRATCH

For n = 0, 1, ... a copy of PREPARED is made as SCRATCH/n, and a child runs the operation on it and is killed at
its n-th step: before a transaction begins (right after the last one committed), before a commit, before a file is
synced, before and after it is renamed, before it is removed. It ends with the first child that comes through, and
prints the name of every step at which one died.
"""

import os
import shutil
import signal
import sqlite3
import sys
from collections.abc import Callable
from pathlib import Path
from threading import Lock
from typing import Any

from tests.support.operations import OPERATIONS


class Doom:
    """Counts the steps of this process, and kills it at one of them."""

    def __init__(self, last: int, out: int) -> None:
        self.left = last
        self.out = out
        self.lock = Lock()  # files are written by two threads

    def step(self, name: str) -> None:
        with self.lock:
            if self.left == 0:
                os.write(self.out, f"{name}\n".encode())
                os.kill(os.getpid(), signal.SIGKILL)
            self.left -= 1

    def arm(self) -> None:
        connect, rename, unlink, fsync = sqlite3.connect, Path.rename, Path.unlink, os.fsync

        def connect_traced(*args: Any, **options: Any) -> sqlite3.Connection:
            conn: sqlite3.Connection = connect(*args, **options)
            conn.set_trace_callback(self.statement)
            return conn

        def rename_and_after(path: Path, target: Path) -> Path:
            self.step(f"before {target.name} is renamed")
            moved = rename(path, target)
            self.step(f"after {target.name} is renamed")
            return moved

        sqlite3.connect = connect_traced  # type: ignore[assignment]
        Path.rename = rename_and_after  # type: ignore[assignment,method-assign]
        Path.unlink = self.before("a file is removed", unlink)  # type: ignore[method-assign]
        os.fsync = self.before("a file is synced", fsync)

    def before(self, name: str, act: Callable[..., Any]) -> Callable[..., Any]:
        def acting(*args: Any, **options: Any) -> Any:
            self.step(f"before {name}")
            return act(*args, **options)

        return acting

    def statement(self, sql: str) -> None:
        if sql.startswith(("BEGIN", "COMMIT")):
            self.step(f"before {sql}")


def main(operation: str, prepared: Path, scratch: Path) -> None:
    for last in range(10_000):
        directory = scratch / str(last)
        shutil.copytree(prepared, directory)
        child = os.fork()
        if child == 0:
            Doom(last, sys.stdout.fileno()).arm()
            OPERATIONS[operation](directory)
            os._exit(0)
        _, status = os.waitpid(child, 0)
        if os.WIFEXITED(status):
            shutil.rmtree(directory)
            sys.exit(os.WEXITSTATUS(status))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]))
