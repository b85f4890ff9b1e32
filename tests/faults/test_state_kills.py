"""Kill -9 at every step: the next process finds a whole state, and the same again makes it exact."""

import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from state.errors import StateError
from state.live import Message
from state.rules import Rules
from state.segments import sweep
from state.store import open_store
from tests.support.logs import differences, expected, manifest_holds, orphans, scratch, views
from tests.support.operations import OPERATIONS, PREPARATIONS

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("operation", OPERATIONS)
def test_killed_anywhere_and_run_again(operation: str) -> None:
    with scratch() as folder:
        prepared, killed = folder / "prepared", folder / "killed"
        prepared.mkdir()
        killed.mkdir()
        log = PREPARATIONS[operation](prepared)
        doom = subprocess.run(
            [sys.executable, "-m", "tests.support.doom", operation, prepared, killed],
            cwd=ROOT, check=True, capture_output=True, text=True,
        )  # fmt: skip
        steps = doom.stdout.splitlines()
        assert "before COMMIT" in steps
        assert len(steps) == len(list(killed.iterdir()))
        for place, step in enumerate(steps):
            recovered(operation, killed / str(place), log, f"killed at step {place}, {step}")


def recovered(operation: str, directory: Path, log: list[Message], how: str) -> None:
    with suppress(StateError):  # a lost state is refused until its rebuild has come to an end: nothing is swept
        store = open_store(directory)
        manifest_holds(store)
        sweep(store)
        assert orphans(store) == set(), how
        store.close()
    OPERATIONS[operation](directory)
    store = open_store(directory)
    assert views(store) == expected(log, Rules()), how
    assert differences(store) == [], how
    manifest_holds(store)
    sweep(store)
    assert orphans(store) == set(), how
    store.close()
