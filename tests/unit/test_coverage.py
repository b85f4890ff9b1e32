"""When we listened: intervals, bridged absences, gaps and what heals them."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from state.cells import Gap
from state.coverage import cover, gaps, gaps_between, listen, listen_until
from state.store import Store, open_store

#: Instants of a small clock: every case of touching, overlapping and enclosing comes up.
intervals = st.lists(
    st.tuples(st.integers(0, 30), st.integers(0, 8)).map(lambda pair: (pair[0], pair[0] + pair[1])), max_size=6
)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = open_store(tmp_path)
    yield store
    store.close()


def stored(conn: sqlite3.Connection) -> list[Gap]:
    return conn.execute("SELECT start, end FROM coverage ORDER BY id").fetchall()


@given(intervals)
def test_gaps_are_the_instants_between_that_nobody_covered(heard: list[Gap]) -> None:
    missed = {at for start, end in gaps_between(sorted(heard)) for at in range(start, end)}
    covered = {at for start, end in heard for at in range(start, end)}
    # Listening that began and ended in one instant bounds a gap without covering any of it.
    begin, end = min((s for s, _ in heard), default=0), max((e for _, e in heard), default=0)
    assert missed == set(range(begin, end)) - covered


def test_before_the_first_and_after_the_last_interval_there_is_no_gap(store: Store) -> None:
    with store.writing() as conn:
        cover(conn, "archive", 100, 200)
    assert gaps(store.conn) == []


def test_listening_extends_and_an_absence_is_a_gap(store: Store) -> None:
    with store.writing() as conn:
        first = listen(conn, "amqp", 100)
        listen_until(conn, first, 150)
        listen_until(conn, first, 140)  # a clock that steps back takes nothing away
        second = listen(conn, "amqp", 300)
        listen_until(conn, second, 310)
    assert stored(store.conn) == [(100, 150), (300, 310)]
    assert gaps(store.conn) == [(150, 300)]


def test_an_absence_that_the_broker_bridges_is_none(store: Store) -> None:
    with store.writing() as conn:
        first = listen(conn, "amqp", 100)
        assert listen(conn, "amqp", 160, bridged=60) == first
        listen_until(conn, first, 170)
        assert listen(conn, "amqp", 231, bridged=60) != first
    assert gaps(store.conn) == [(170, 231)]


def test_another_source_neither_bridges_nor_hides_a_gap_of_its_own(store: Store) -> None:
    with store.writing() as conn:
        listen_until(conn, listen(conn, "amqp", 100), 150)
        other = listen(conn, "kafka", 155, bridged=60)
        listen_until(conn, other, 160)
    assert stored(store.conn) == [(100, 150), (155, 160)]
    assert gaps(store.conn) == [(150, 155)]


def test_covering_heals_a_gap(store: Store) -> None:
    with store.writing() as conn:
        listen_until(conn, listen(conn, "amqp", 100), 150)
        listen_until(conn, listen(conn, "amqp", 300), 400)
        cover(conn, "archive", 120, 250)
    assert gaps(store.conn) == [(250, 300)]
    with store.writing() as conn:
        cover(conn, "datagrepper", 250, 300)
    assert gaps(store.conn) == []
