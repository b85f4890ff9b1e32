"""The retention table: its cells, its width, what is future, and real communities against their known tables."""

import json
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest

from state.coverage import cover
from state.duck import connect, literal
from state.errors import HomecomingError
from state.importer import Source, import_source
from state.reading import Cell, Retention, retention, status
from state.rules import POPULATIONS
from state.screening import screen_pending
from state.segments import seal
from state.store import SCHEMA_VERSION, Store, open_store, read_store
from state.weeks import DAY, WEEK, week_name, week_of
from tests.support.logs import CREATE, START, archived, differences, feed, message

COHORT = week_of(START)
POST = "io.pagure.prod.pagure.issue.new"

Table = dict[str, dict[str, object]]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = open_store(tmp_path)
    yield store
    store.close()


def fill(store: Store) -> None:
    """Ada comes back in her third week, Bob never does; Cy's cohort is the second; the fifth week has just begun."""
    history = [
        (START, CREATE, "ada"),
        (START, CREATE, "bob"),
        (START + WEEK, CREATE, "cy"),
        (START + 2 * WEEK, POST, "ada"),
        (START + 4 * WEEK + DAY, POST, "dan"),
    ]
    feed(store, [message(n, at, topic, {user: "actor"}) for n, (at, topic, user) in enumerate(history)])


def users_of(found: Retention) -> list[list[int | None]]:
    return [[cell.users for cell in cohort.cells] for cohort in found.cohorts]


def test_every_cell_up_to_the_watermark_zeros_included(store: Store) -> None:
    fill(store)
    found = retention(store.conn)
    assert found.as_of == START + 4 * WEEK + DAY
    assert [cohort.week for cohort in found.cohorts] == [COHORT, COHORT + 1]
    assert [cohort.size for cohort in found.cohorts] == [2, 1]
    assert users_of(found) == [[2, 0, 1, 0, 0], [1, 0, 0, 0]]
    assert [cell.state for cell in found.cohorts[0].cells] == ["final"] * 4 + ["open"]
    assert [cell.offset for cell in found.cohorts[0].cells] == [0, 1, 2, 3, 4]


def test_populations_are_counted_sizes_included(store: Store) -> None:
    fill(store)
    assert users_of(retention(store.conn, "engaged")) == [[1, 0, 1, 0, 0]]
    assert retention(store.conn, "engaged").cohorts[0].size == 1
    assert users_of(retention(store.conn, "clean")) == users_of(retention(store.conn))
    with pytest.raises(HomecomingError, match="one of all, engaged"):
        retention(store.conn, "everybody")


@pytest.mark.parametrize("width", [1, 3, 5, 9])
def test_a_width_is_kept_and_what_has_not_begun_is_no_number(store: Store, width: int) -> None:
    fill(store)
    whole = users_of(retention(store.conn))
    found = retention(store.conn, weeks=width)
    padded = [[*cells, *[None] * width][:width] for cells in whole]
    assert users_of(found) == padded
    for cohort in found.cohorts:
        assert all((cell.users is None) == (cell.state == "future") for cell in cohort.cells)


def test_the_newest_cohorts_alone(store: Store) -> None:
    fill(store)
    assert retention(store.conn, latest=1).cohorts == retention(store.conn).cohorts[-1:]
    assert retention(store.conn, latest=9) == retention(store.conn)


def test_a_gap_makes_the_cells_that_it_touches_partial(store: Store) -> None:
    fill(store)
    with store.writing() as conn:
        cover(conn, "amqp", START, START + WEEK)
        cover(conn, "amqp", START + 2 * WEEK, START + 5 * WEEK)
    found = retention(store.conn)
    assert [[cell.state for cell in cohort.cells] for cohort in found.cohorts] == [
        ["final", "partial", "final", "final", "open"],
        ["partial", "final", "final", "open"],
    ]
    assert found.cohorts[0].cells[1] == Cell(1, 0, "partial")


def test_an_empty_state_has_an_empty_table(store: Store) -> None:
    assert retention(store.conn) == Retention(None, "all", ())
    assert status(store.conn) == (0, 0, 0, 0, None, 0, SCHEMA_VERSION)


def test_activity_without_any_account_is_no_cohort(store: Store) -> None:
    feed(store, [message(1, START, POST, {"ada": "actor"}), message(2, START, POST, {})])
    assert retention(store.conn).cohorts == ()
    assert status(store.conn)[:3] == (2, 1, 1)


def test_a_reader_sees_what_is_committed(store: Store) -> None:
    reader = read_store(store.directory)
    fill(store)
    for population in POPULATIONS:
        assert retention(reader, population) == retention(store.conn, population)
    reader.close()


def table(store: Store) -> Table:
    """The table as the expectations have it: no zeros."""
    return {
        week_name(cohort.week): {
            "size": cohort.size,
            "users": {str(cell.offset): cell.users for cell in cohort.cells if cell.users},
        }
        for cohort in retention(store.conn).cohorts
    }


def bring(store: Store, rows: str) -> None:
    """Import rows of msg_id, sent_at, topic, username."""
    with connect(store.directory) as duck:
        columns = ", ".join(
            f"NULL::{kind} AS {name}"
            for name, kind in {
                "received_at": "TIMESTAMP", "role": "VARCHAR", "project": "VARCHAR", "namespace": "VARCHAR",
                "object": "VARCHAR", "size": "BIGINT", "unit": "VARCHAR", "content_hash": "VARCHAR",
                "is_bot": "BOOLEAN",
            }.items()
        )  # fmt: skip
        import_source(store, duck, Source(None, f"SELECT msg_id, sent_at, topic, username, {columns} FROM {rows}"))


@pytest.fixture(params=["jellyfin", "github_humans_a"])
def community(request: pytest.FixtureRequest, shared_data: Path) -> tuple[Path, Table]:
    """An archive in the notebooks' layout, and the table that the first notebook's code makes of it."""
    name: str = request.param
    expected: Table = json.loads((shared_data / f"{name}.retention.json").read_text(encoding="utf-8"))
    return shared_data / f"{name}.parquet", expected


def test_a_community_has_its_known_table(store: Store, community: tuple[Path, Table]) -> None:
    path, expected = community
    bring(store, literal(str(path)))
    assert table(store) == expected
    assert differences(store) == []


def test_a_community_has_it_however_it_arrives(store: Store, community: tuple[Path, Table]) -> None:
    """The first rows live in batches, shuffled and doubled; then all of them, shuffled; then again, without ids."""
    path, expected = community
    live = archived(path)[:5_000]
    again = [*live, *live[::3]]
    Random(1).shuffle(again)
    feed(store, again, batch=500)
    bring(store, f"(FROM {literal(str(path))} ORDER BY hash(msg_id))")
    screen_pending(store)
    seal(store)
    whole = table(store), status(store.conn)
    assert whole[0] == expected
    bring(
        store,
        f"(SELECT * REPLACE (NULL::VARCHAR AS msg_id) FROM {literal(str(path))} ORDER BY hash(username, sent_at))",
    )
    screen_pending(store)
    assert (table(store), status(store.conn)) == whole
    late = archived(path)[20_000:21_000]
    assert feed(store, late) == ["duplicate"] * len(late)
    assert (table(store), status(store.conn)) == whole
    assert differences(store) == []
