"""The sealed log: when a week is sealed, what its files hold, which of them count, and how they are found again."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st

from state.duck import connect
from state.errors import StateError
from state.event import Event, event_key, key_of, service_of
from state.expiry import expire
from state.live import Message
from state.log import COLUMNS, KEY_SQL, MESSAGE_KEY_SQL, SAME_TIME, WEEK_SQL, files_reaching, load_log_rows, with_log
from state.rebuild import rebuild
from state.rules import Rules
from state.segments import MERGE_AT, SEAL_AFTER, seal, sealable, sweep
from state.store import DATABASE, Store, get_meta, open_store, read_store
from state.weeks import DAY, HOUR, WEEK, week_end, week_named, week_of
from tests.support.logs import (
    START,
    bring_in,
    differences,
    expected,
    feed,
    manifest_holds,
    message,
    orphans,
    small_steps,
    views,
)
from tests.support.operations import history

POST = "io.pagure.prod.pagure.issue.new"
LOG = history(5, 60, 6)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = open_store(tmp_path)
    yield store
    store.close()


def one(number: int, at: int, user: str = "ada") -> Message:
    return message(number, at, POST, {user: "actor"})


def names(store: Store) -> list[str]:
    return [name for (name,) in store.conn.execute("SELECT file FROM segment ORDER BY file")]


def lose(store: Store) -> Path:
    """The state's directory without its database."""
    store.close()
    for path in store.directory.glob(f"{DATABASE}*"):
        path.unlink()
    return store.directory


def test_a_week_is_sealed_three_days_after_its_end() -> None:
    week = week_named("2024-06-03")
    assert SEAL_AFTER == 3 * DAY
    assert not sealable(week, week_end(week) + SEAL_AFTER - 1)
    assert sealable(week, week_end(week) + SEAL_AFTER)


def test_sealing_moves_the_week_out_of_sqlite(store: Store) -> None:
    feed(store, [one(1, START), one(2, START + WEEK), one(3, START + WEEK + 3 * DAY)])
    assert seal(store) == 1
    assert names(store) == ["events/2024-06-03.1.parquet"]
    assert [week for (week,) in store.conn.execute("SELECT DISTINCT week FROM event")] == [week_of(START) + 1]
    assert store.conn.execute("SELECT count(*) FROM message").fetchone() == (2,)
    assert seal(store) == 0
    manifest_holds(store)


def test_the_files_hold_every_column_of_every_event(store: Store) -> None:
    event = Event(
        "m", START + 123_456, START + 9, POST, "dö's", "actor", "pagure",
        "p", "n", "o", -5, "lines", "hash", is_bot=True
    )  # fmt: skip
    nobody = Event("n", START, None, POST, None, "actor", service_of(POST))
    feed(store, [(event,), (nobody,), one(1, START + 3 * WEEK)])
    seal(store)
    [file] = names(store)
    with connect(store.directory) as duck:
        columns = duck.execute("DESCRIBE FROM read_parquet(?)", [str(store.directory / file)]).fetchall()
        assert {name: kind for name, kind, *_ in columns} == COLUMNS
        found = duck.execute(
            "SELECT * REPLACE (epoch_us(sent_at) AS sent_at, epoch_us(received_at) AS received_at) "
            "FROM read_parquet(?)",
            [str(store.directory / file)],
        ).fetchall()
    assert sorted(Event(*row) for row in found) == sorted([event, nobody])


def test_the_fifth_file_of_a_week_is_a_merge(store: Store) -> None:
    feed(store, [one(0, START + 5 * WEEK)])
    for number in range(1, MERGE_AT + 2):
        feed(store, [one(number, START + number)])
        assert seal(store) == 1
        assert len(names(store)) == (number if number < MERGE_AT else number - MERGE_AT + 1)
        assert orphans(store) == set()
        assert views(store) == expected(
            [one(0, START + 5 * WEEK), *(one(n, START + n) for n in range(1, number + 1))], Rules()
        )
    assert feed(store, [one(3, START + 3)]) == ["duplicate"]
    assert differences(store) == []


def test_a_late_message_is_looked_up_in_the_sealed_week(store: Store) -> None:
    log = [
        message(1, START, POST, {"ada": "actor", "bob": "affected"}),
        message(2, START, POST, {}),
        one(3, START + 3 * WEEK),
    ]
    feed(store, log)
    seal(store)
    assert feed(store, log) == ["duplicate"] * 3
    more = message(1, START, POST, {"ada": "actor", "bob": "affected", "cy": "affected"})
    assert feed(store, [more]) == ["accepted"]
    assert views(store) == expected([*log, more], Rules())
    seal(store)
    assert feed(store, [more]) == ["duplicate"]
    assert differences(store) == []


def test_sweeping_takes_orphans_and_nothing_else(store: Store) -> None:
    bring_in(store, LOG)
    expire(store, 20)
    [*kept] = names(store)
    shutil.copy(store.directory / kept[0], store.directory / "days" / "2020-01-06.1.parquet")
    shutil.copy(store.directory / kept[-1], store.directory / kept[-1].replace(".1.", ".7."))
    assert sweep(store) == 2
    assert sweep(store) == 0
    assert orphans(store) == set()
    manifest_holds(store)
    assert views(store) == expected(LOG, Rules())


def test_a_rebuild_takes_no_orphan_in(store: Store) -> None:
    """A crash between a file's rename and its commit leaves the file beside the hot rows that it holds."""
    feed(store, LOG)
    elsewhere = open_store(store.directory / "elsewhere")
    feed(elsewhere, LOG)
    seal(elsewhere)
    elsewhere.close()
    shutil.copytree(elsewhere.directory / "events", store.directory / "events")
    rebuild(store.directory).close()
    assert views(store) == expected(LOG, Rules())


def test_a_lost_database_comes_back_from_the_sealed_log(store: Store) -> None:
    directory, rules = store.directory, Rules(attribution="any")
    store.close()
    store = rebuild(directory, rules)
    bring_in(store, LOG)
    expire(store, 20)
    hot = {msg_id for (msg_id,) in store.conn.execute("SELECT msg_id FROM event")}
    closed, kept = get_meta(store.conn, "expired_through"), names(store)
    lose(store)
    for _ in range(2):  # to look does not make it any less lost
        for opener in (open_store, read_store):
            with pytest.raises(StateError, match=f"homecoming rebuild --state {directory}"):
                opener(directory)
    store = rebuild(directory, rules)
    assert names(store) == kept
    assert get_meta(store.conn, "expired_through") == closed
    assert views(store) == expected([m for m in LOG if m[0].msg_id not in hot], rules)
    assert differences(store) == []
    assert sweep(store) == 0
    bring_in(store, [m for m in LOG if m[0].msg_id in hot])
    assert views(store) == expected(LOG, rules)
    store.close()
    read_store(directory).close()


def test_a_lost_database_comes_back_where_everything_has_expired(store: Store) -> None:
    log = [one(n, START + n * DAY) for n in range(9)]
    feed(store, [*log, one(9, START + 9 * WEEK)])
    assert expire(store, 7) == 2
    directory = lose(store)
    assert not list(directory.glob("events/*"))
    with pytest.raises(StateError, match="homecoming rebuild"):
        open_store(directory)
    store = rebuild(directory)
    assert views(store) == expected(log, Rules())
    assert feed(store, log) == ["expired"] * 9
    store.close()


@pytest.mark.parametrize("crash", ["merge", "expiry"])
def test_a_lost_database_counts_nothing_twice_that_a_crash_left_twice(store: Store, crash: str) -> None:
    """The files that a merge or an expiry replaces go after its commit: a crash may leave both."""
    log = [*(one(n, START + n * HOUR) for n in range(1, MERGE_AT + 1)), one(99, START + 5 * WEEK)]
    feed(store, log[-1:])
    before = store.directory / "before"
    for number, late in enumerate(log[:-1], start=1):
        if number == MERGE_AT:
            shutil.copytree(store.directory / "events", before)
        feed(store, [late])
        if number < MERGE_AT or crash == "merge":
            seal(store)
    if crash == "expiry":
        expire(store, 7)
    directory = lose(store)
    shutil.copytree(before, directory / "events", dirs_exist_ok=True)
    shutil.rmtree(before)
    store = rebuild(directory)
    assert views(store) == expected(log[:-1], Rules())
    assert differences(store) == []
    sweep(store)
    assert differences(store) == []
    assert len(names(store)) == 1
    store.close()


def test_a_reader_starts_again_where_a_merge_took_its_file(store: Store) -> None:
    """The snapshot names a file; before it is read, the file is merged away."""
    feed(store, [one(0, START + 5 * WEEK)])
    for number in range(1, MERGE_AT):
        feed(store, [one(number, START + number)])
        seal(store)
    feed(store, [one(MERGE_AT, START + MERGE_AT)])
    looked = 0

    def count(duck: duckdb.DuckDBPyConnection, _: object) -> int:
        nonlocal looked
        looked += 1
        if looked == 1:
            seal(store)
        return int(duck.execute("SELECT count(*) FROM log").fetchall()[0][0])

    assert with_log(store.directory, count) == 1 + MERGE_AT
    assert looked == 2


def test_a_log_file_that_is_gone_for_good_is_one_line(store: Store) -> None:
    bring_in(store, LOG)
    gone = names(store)[0]
    (store.directory / gone).unlink()
    with pytest.raises(StateError, match=gone):
        differences(store)
    with pytest.raises(StateError, match=gone) as error:
        rebuild(store.directory)
    assert "\n" not in str(error.value)


@given(
    st.lists(
        st.tuples(st.text(max_size=8), st.none() | st.text(min_size=1, max_size=8), st.integers(0, 2**52)), max_size=20
    )
)
def test_duckdb_and_python_agree_on_keys_and_weeks(rows: list[tuple[str, str | None, int]]) -> None:
    rows = [(m.replace("\0", ""), u and u.replace("\0", ""), at) for m, u, at in rows]
    events = [Event(m, at, None, POST, u, "actor", "pagure") for m, u, at in rows]
    with connect(Path()) as duck:
        load_log_rows(duck, "log", [events])
        found = duck.execute(f"SELECT {KEY_SQL}, {MESSAGE_KEY_SQL}, {WEEK_SQL} FROM log").fetchall()
    assert sorted(found) == sorted((event_key(m, u), key_of(m), week_of(at)) for m, u, at in rows)


def test_live_asks_the_files_of_its_week_that_reach_its_time(store: Store) -> None:
    log = [one(number, START + number * HOUR) for number in range(4)]
    with small_steps():
        bring_in(store, log)
    [file] = names(store)
    week = week_of(START)
    last = START + 3 * HOUR
    assert files_reaching(store.conn, {week: last + SAME_TIME}) == [file]
    assert files_reaching(store.conn, {week: last + SAME_TIME + 1, week - 1: START, week + 1: START}) == []
    assert feed(store, [*log, one(4, last), one(5, last + HOUR)]) == ["duplicate"] * 4 + ["accepted"] * 2
    store.conn.execute("UPDATE segment SET last_at = NULL")  # a file of an older version
    assert files_reaching(store.conn, {week: last + WEEK}) == [file]
    assert feed(store, log) == ["duplicate"] * 4
    assert differences(store) == []
