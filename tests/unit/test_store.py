"""A state directory that cannot be used says so in one line, and what was not written whole was not written."""

import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from state.errors import StateBusyError, StateError
from state.rebuild import rebuild
from state.rules import Rules
from state.segments import seal, sweep
from state.store import DATABASE, SCHEMA_VERSION, Store, only_consumer, open_store, read_store
from tests.support.logs import bring_in, differences, expected, feed, orphans, views
from tests.support.operations import history

ROOT = Path(__file__).parents[2]

LOG = history(3, 60, 6)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = open_store(tmp_path)
    yield store
    store.close()


def one_line(error: pytest.ExceptionInfo[Exception], *parts: str) -> None:
    text = str(error.value)
    assert "\n" not in text
    for part in parts:
        assert part in text


def in_child(code: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)], cwd=ROOT, capture_output=True, text=True, check=False
    )


def test_a_newer_schema_is_refused_by_readers_and_writers(tmp_path: Path) -> None:
    open_store(tmp_path).close()
    with sqlite3.connect(tmp_path / DATABASE) as conn:
        conn.execute(f"PRAGMA user_version = {SCHEMA_VERSION + 1}")
    conn.close()
    openers: list[Callable[[Path], object]] = [open_store, read_store, rebuild]
    for opener in openers:
        with pytest.raises(StateError) as error:
            opener(tmp_path)
        one_line(error, str(tmp_path), f"version {SCHEMA_VERSION + 1}", "newer Homecoming")


@pytest.mark.parametrize("opener", [open_store, read_store, rebuild])
def test_a_file_that_is_no_database_is_refused(tmp_path: Path, opener: Callable[[Path], object]) -> None:
    (tmp_path / DATABASE).write_bytes(b"this is no database at all" * 500)
    with pytest.raises(StateError) as error:
        opener(tmp_path)
    one_line(error, str(tmp_path / DATABASE), "damaged", "homecoming rebuild")


def test_a_damaged_page_is_an_error_that_a_person_can_act_on(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    feed(store, LOG)
    store.close()
    path = tmp_path / DATABASE
    whole = path.read_bytes()
    path.write_bytes(whole[:4096] + b"\xff" * (len(whole) - 4096))
    with pytest.raises(StateError) as error:
        feed(open_store(tmp_path), LOG)
    one_line(error, str(path), "damaged")


def test_a_state_in_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StateError) as error:
        open_store(tmp_path / "file" / "state")
    one_line(error, "cannot create the state directory")


@pytest.mark.parametrize("made", [True, False], ids=["of another owner", "in a directory of another owner"])
def test_what_may_not_be_written_is_refused(made: bool) -> None:
    # Modes do not stop root: a child without its rights has to try, in a place that it can reach.
    directory = Path(subprocess.run(["mktemp", "-d"], capture_output=True, text=True, check=True).stdout.strip())
    try:
        state = directory / "state"
        if made:
            open_store(state).close()
        directory.chmod(0o755 if os.geteuid() == 0 else 0o555)
        if made and os.geteuid() != 0:
            state.chmod(0o555)
        child = in_child(
            "import os, sys; from pathlib import Path\n"
            "from state.errors import StateError; from state.store import open_store, _sqlite_utils\n"
            "_sqlite_utils(); import state.schema\n"
            "if os.geteuid() == 0: os.setuid(65534)\n"
            "try: open_store(Path(sys.argv[1]))\n"
            "except StateError as error: print(error)",
            state,
        )
        assert child.stderr == ""
        assert str(state) in child.stdout
        assert child.stdout.count("\n") == 1
    finally:
        for folder in (directory, directory / "state"):
            if folder.exists():
                folder.chmod(0o755)
        shutil.rmtree(directory)


def test_a_locked_state_is_busy_and_nothing_was_written(store: Store) -> None:
    store.conn.execute("PRAGMA busy_timeout = 10")
    other = open_store(store.directory)
    with other.writing():
        with pytest.raises(StateBusyError) as error:
            feed(store, LOG)
        one_line(error, "locked", str(store.directory))
    other.close()
    assert views(store) == expected([], Rules())
    feed(store, LOG)
    assert views(store) == expected(LOG, Rules())


def test_a_full_disk_is_busy_and_nothing_was_written(store: Store) -> None:
    feed(store, LOG[:5])
    before = views(store)
    (pages,) = store.conn.execute("PRAGMA page_count").fetchone()
    store.conn.execute(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(StateBusyError) as error:
        feed(store, history(4, 3000, 6), batch=3000)
    one_line(error, "disk is full")
    assert views(store) == before
    assert differences(store) == []
    store.conn.execute("PRAGMA max_page_count = 1000000")
    feed(store, LOG)
    assert views(store) == expected(LOG, Rules())


@pytest.mark.parametrize("operation", ["import", "seal"])
def test_a_log_file_that_cannot_be_written_whole_leaves_nothing(store: Store, operation: str) -> None:
    if operation == "seal":
        feed(store, LOG)
    before = views(store)
    child = in_child(
        "import resource, sys; from pathlib import Path\n"
        "from state.errors import StateBusyError\n"
        "from state.segments import seal; from state.store import open_store\n"
        "from tests.support.logs import bring_in\n"
        "from tests.support.operations import history\n"
        "import duckdb, state.schema\n"
        "store = open_store(Path(sys.argv[1]))\n"
        "log = history(3, 60, 6)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1000, resource.RLIM_INFINITY))\n"
        "try: seal(store) if sys.argv[2] == 'seal' else bring_in(store, log)\n"
        "except StateBusyError as error: print(error)",
        store.directory,
        operation,
    )
    assert child.stderr == ""
    assert child.stdout.count("\n") == 1
    assert str(store.directory) in child.stdout
    assert views(store) == before
    bring_in(store, LOG)
    seal(store)
    sweep(store)
    assert orphans(store) == set()
    assert views(store) == expected(LOG, Rules())


def test_a_second_consumer_is_refused_while_the_first_lives(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path\n"
        "from state.errors import StateError; from state.store import only_consumer\n"
        "try:\n"
        "    with only_consumer(Path(sys.argv[1])): print('consuming')\n"
        "except StateError as error: print(error)"
    )
    with only_consumer(tmp_path):
        refused = in_child(code, tmp_path)
    assert refused.stdout.startswith("another `homecoming consume`")
    assert str(tmp_path) in refused.stdout
    assert in_child(code, tmp_path).stdout == "consuming\n"


def test_rules_that_the_views_were_not_derived_under_are_refused(tmp_path: Path) -> None:
    other = Rules(attribution="any", engaged_events=3)
    store = open_store(tmp_path, Rules())
    feed(store, LOG)
    store.close()
    with pytest.raises(StateError) as error:
        open_store(tmp_path, other)
    one_line(error, "homecoming rebuild", str(tmp_path))
    rebuild(tmp_path, other).close()
    with pytest.raises(StateError):
        open_store(tmp_path, Rules())
    store = open_store(tmp_path)
    assert store.rules == other
    assert views(store) == expected(LOG, other)
    store.close()


def test_a_process_with_the_old_rules_writes_nothing_after_a_rebuild(tmp_path: Path) -> None:
    old = open_store(tmp_path, Rules())
    feed(old, LOG[:30])
    rebuild(tmp_path, Rules(attribution="any")).close()
    for way in (feed, bring_in):
        with pytest.raises(StateError, match="homecoming rebuild"):
            way(old, LOG[30:])
    assert differences(old) == []
    old.close()
    store = open_store(tmp_path, Rules(attribution="any"))
    feed(store, LOG)
    assert views(store) == expected(LOG, Rules(attribution="any"))
    store.close()


def test_a_rebuild_without_rules_keeps_those_of_the_state(tmp_path: Path) -> None:
    rules = Rules(attribution="any", engaged_events=4, registrations=frozenset({"git.receive", "fas.user.create"}))
    store = open_store(tmp_path, rules)
    feed(store, LOG)
    store.close()
    store = rebuild(tmp_path)
    assert store.rules == rules
    assert views(store) == expected(LOG, rules)
    store.close()


def test_processes_that_create_one_state_at_once_agree(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path\n"
        "from state.store import open_store, read_store\n"
        "from tests.support.logs import feed\n"
        "from tests.support.operations import history\n"
        "sys.stdin.read()\n"
        "if sys.argv[2] == 'read': read_store(Path(sys.argv[1])).execute('SELECT * FROM user')\n"
        "else: feed(open_store(Path(sys.argv[1])), history(3, 60, 6), batch=20)"
    )
    for attempt in range(3):
        directory = tmp_path / str(attempt)
        children = [
            subprocess.Popen(
                [sys.executable, "-c", code, directory, way],
                cwd=ROOT, stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            )
            for way in ("write", "read") * 3
        ]  # fmt: skip
        for child in children:  # each waits for its input to end, so that they start together
            assert child.stdin is not None
            child.stdin.close()
            child.stdin = None
        assert [child.communicate()[1] for child in children] == [""] * len(children)
        store = open_store(directory)
        assert views(store) == expected(LOG, Rules())
        store.close()


def test_an_error_in_a_step_undoes_the_step(store: Store) -> None:
    def half(conn: sqlite3.Connection) -> None:
        conn.execute("INSERT INTO meta VALUES ('half', 1)")
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError), store.writing() as conn:
        half(conn)
    assert store.conn.execute("SELECT count(*) FROM meta WHERE key = 'half'").fetchone() == (0,)
    feed(store, LOG)
