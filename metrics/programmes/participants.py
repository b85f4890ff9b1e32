"""Who took part in events and campaigns, and when each of them registered."""

import json
import sqlite3
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from state.cohorts.definitions import Definition, Definitions
from state.cohorts.members import define_members
from state.errors import HomecomingError
from state.log import load_rows
from state.rules import Rules

if TYPE_CHECKING:
    import duckdb

_ROWS_AT_ONCE = 20_000


def define_participants(
    duck: "duckdb.DuckDBPyConnection",
    conn: sqlite3.Connection,
    rules: Rules,
    definitions: Definitions,
    chosen: Iterable[Definition],
) -> None:
    """Create the DuckDB tables participant(definition, username) and registration(username, registered_at).

    `definition` is an id, `registered_at` event time in microseconds. Whose registration is not known is in the first
    alone. Raises HomecomingError where a definition names a tag that there is not.
    """
    duck.execute("CREATE OR REPLACE TABLE participant (definition VARCHAR, username VARCHAR)")
    for one in chosen:
        if one.badge is not None:
            _add_awarded(duck, conn, one)
            continue
        define_members(duck, conn, f"{one.kind}:{one.id}", definitions, rules)
        duck.execute("INSERT INTO participant SELECT DISTINCT ?, username FROM member", [one.id])
    define_registrations(duck, conn, "participant")


def _add_awarded(duck: "duckdb.DuckDBPyConnection", conn: sqlite3.Connection, one: Definition) -> None:
    # Not by the algebra: a badge that was found among the awards may have any name.
    awarded = conn.execute("SELECT DISTINCT ?, user FROM award WHERE badge = ?", (one.id, one.badge))
    columns = {"definition": "VARCHAR", "username": "VARCHAR"}
    load_rows(duck, "awarded", columns, iter(lambda: awarded.fetchmany(_ROWS_AT_ONCE), []))
    duck.execute("INSERT INTO participant FROM awarded")


def define_registrations(duck: "duckdb.DuckDBPyConnection", conn: sqlite3.Connection, people: str) -> None:
    """Create the DuckDB table registration(username, registered_at) of those of `people` who have registered."""
    names = [name for (name,) in duck.execute(f"SELECT DISTINCT username FROM {people}").fetchall()]
    found = conn.execute(
        "SELECT name, registered_at FROM user WHERE registered_at IS NOT NULL "
        "AND name IN (SELECT value FROM json_each(?))",
        (json.dumps(names),),
    )
    columns = {"username": "VARCHAR", "registered_at": "BIGINT"}
    load_rows(duck, "registration", columns, iter(lambda: found.fetchmany(_ROWS_AT_ONCE), []))


def one_of(known: Mapping[str, Definition], kind: str, wanted: str) -> Definition:
    """The definition of that id; HomecomingError lists valid ones."""
    if wanted not in known:
        valid = f"one of {', '.join(sorted(known))}" if known else "consumer_config.cohorts.definitions defines none"
        raise HomecomingError(f"no {kind} {wanted!r:.60}: {valid}")
    return known[wanted]
