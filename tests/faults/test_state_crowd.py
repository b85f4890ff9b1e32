"""Many processes on one state: live batches, imports, sealing, rebuilds and readers at the same time."""

import subprocess
import sys
from pathlib import Path

from state.bulk import fold_pending
from state.rules import Rules
from state.segments import seal, sweep
from state.store import open_store
from tests.support.crowd import LOG, ROLES
from tests.support.logs import differences, expected, manifest_holds, orphans, views

ROOT = Path(__file__).parents[2]


def test_nothing_is_lost_doubled_or_locked_out(tmp_path: Path) -> None:
    crowd = {
        role: subprocess.Popen(
            [sys.executable, "-m", "tests.support.crowd", role, tmp_path],
            cwd=ROOT, stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )
        for role in ROLES
    }  # fmt: skip
    for process in crowd.values():
        assert process.stdin is not None
        process.stdin.close()
        process.stdin = None
    errors = {role: process.communicate()[1] for role, process in crowd.items()}
    assert errors == dict.fromkeys(ROLES, "")
    assert {role: process.returncode for role, process in crowd.items()} == dict.fromkeys(ROLES, 0)

    store = open_store(tmp_path)
    sweep(store)
    fold_pending(store)
    for _ in range(2):
        assert views(store) == expected(LOG, Rules())
        assert differences(store) == []
        manifest_holds(store)
        assert orphans(store) == set()
        seal(store)
    store.close()
