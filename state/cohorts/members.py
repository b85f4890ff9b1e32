"""Who is in a cohort: an expression of the algebra as DuckDB's temporary table `member`."""

import json
import sqlite3
from typing import TYPE_CHECKING, NamedTuple

from state.cohorts.algebra import Expression, Term, parse, span_of
from state.cohorts.definitions import Definition, Definitions, Kind
from state.cohorts.kept import hint
from state.errors import HomecomingError
from state.log import load_rows
from state.rules import Rules

if TYPE_CHECKING:
    import duckdb

#: Terms whose members are handed to DuckDB at a time.
_TERMS_AT_ONCE = 100

#: SQL: the members of some terms as three JSON lists: terms, users, projects (null where there are none);
#: a null project is any. As lists, because
#: SQLite writes and DuckDB reads them in C: a tenth of the time that rows take.
_HELD = """
    WITH term AS (
        SELECT value ->> 0 AS number, value ->> 1 AS kind, value ->> 2 AS first, value ->> 3 AS last FROM json_each(?)
    )
    SELECT json_group_array(number), json_group_array(name), iif(count(project), json_group_array(project), NULL) FROM (
        SELECT number, name, NULL AS project FROM term CROSS JOIN user WHERE kind = 'all'
        UNION ALL SELECT number, name, NULL FROM term CROSS JOIN user
            ON registered_at >= first AND registered_at < last WHERE kind = 'span'
        UNION ALL SELECT number, user, NULL FROM term CROSS JOIN award ON badge = first WHERE kind = 'badge'
        UNION ALL SELECT number, user, nullif(project, '') FROM term CROSS JOIN user_tag ON tag = first
            WHERE kind = 'tag'
        UNION ALL SELECT number, name, NULL FROM term CROSS JOIN json_each(first) AS one CROSS JOIN user
            ON name = one.value WHERE term.kind = 'users')"""

#: SQL: `member` out of `held` (term, username, project) and `part` (product, term, and how many terms the product has).
_COMBINED = """
    CREATE OR REPLACE TEMP TABLE member AS SELECT username, NULL::VARCHAR AS project FROM (
        SELECT username FROM held JOIN part USING (term) WHERE terms = 1
        UNION SELECT username FROM held JOIN part USING (term) WHERE terms > 1
        GROUP BY product, username HAVING count(*) = any_value(terms))"""

#: The same, three times as long, where there are projects. Whoever counts in any project in one term and in a certain
#: one in another counts in that one in both; and nobody is there for any project and for a certain one as well.
_ONCE = """SELECT {columns} FROM {rows} AS one WHERE project IS NULL OR NOT EXISTS (
    FROM {rows} AS wider WHERE wider.project IS NULL AND wider.username = one.username {same})"""
_COMBINED_BY_PROJECT = f"""
    CREATE OR REPLACE TEMP TABLE in_part AS
    SELECT product, terms, username, project, count(*) AS found
    FROM ({_ONCE.format(columns="*", rows="held", same="AND wider.term = one.term")}) JOIN part USING (term)
    GROUP BY ALL;
    CREATE OR REPLACE TEMP TABLE in_product AS
    SELECT one.username, one.project FROM in_part AS one
    LEFT JOIN in_part AS wider
        ON one.project IS NOT NULL AND wider.project IS NULL
        AND wider.product = one.product AND wider.username = one.username
    WHERE one.found + coalesce(wider.found, 0) = one.terms;
    CREATE OR REPLACE TEMP TABLE member AS
    {_ONCE.format(columns="DISTINCT username, project", rows="in_product", same="")};
    DROP TABLE in_part; DROP TABLE in_product"""


class CohortSize(NamedTuple):
    """users: distinct members. unknown: users of definitions whom the state does not know, and who are left out."""

    users: int
    unknown: tuple[str, ...] = ()


def define_members(
    duck: "duckdb.DuckDBPyConnection",
    conn: sqlite3.Connection,
    expression: str,
    definitions: Definitions,
    rules: Rules,  # noqa: ARG001 - like everything that is worked out of a log, under these
) -> CohortSize:
    """Create the temporary table `member(username VARCHAR, project VARCHAR)`: distinct; a null project is any.

    conn: the views, read-only. Raises HomecomingError for what the algebra does not allow, and for names that there
    are not, listing near ones.
    """
    products = parse(expression)
    terms = list(dict.fromkeys(term for product in products for term in product))
    sources = _Sources(conn, definitions)
    for number, term in enumerate(terms):
        sources.add(number, term)
    sources.load(duck)
    users = _combine(duck, products, {term: number for number, term in enumerate(terms)})
    return CohortSize(users, sources.unknown())


def define_user(duck: "duckdb.DuckDBPyConnection", conn: sqlite3.Connection, name: str) -> CohortSize:
    """The same table for one user; HomecomingError where nobody of that name has been seen."""
    if conn.execute("SELECT 1 FROM user WHERE name = ?", (name,)).fetchone() is None:
        raise HomecomingError(f"no user {name!r:.80} has been seen here: names are exact, capitals too")
    duck.execute(
        "CREATE OR REPLACE TEMP TABLE member AS SELECT ?::VARCHAR AS username, NULL::VARCHAR AS project", [name]
    )
    return CohortSize(1)


class _Sources:
    """Where the members of each term come from: rows for _HELD."""

    def __init__(self, conn: sqlite3.Connection, definitions: Definitions) -> None:
        self.conn = conn
        self.definitions = definitions
        self.found: list[tuple[int, str, object, object]] = []

    def add(self, number: int, term: Term) -> None:
        """Find what the term names; HomecomingError where there is no such thing."""
        match term.kind:
            case "all":
                self._is(number, "all")
            case "week" | "month":
                self._is(number, "span", *span_of(term))
            case "badge":
                self._badge(number, term.value)
            case "tag":
                self._tag(number, term.value)
            case "id":
                self._id(number, int(term.value))
            case "event" | "campaign":
                self._defined(number, self._definition(term.kind, term.value))
            case "name" if term.value in self.definitions.cohorts:
                self._defined(number, self.definitions.cohorts[term.value])
            case "name":
                self._tag(number, term.value)

    def load(self, duck: "duckdb.DuckDBPyConnection") -> None:
        """Create DuckDB's table `held` (term, username, project)."""
        duck.execute("CREATE OR REPLACE TEMP TABLE held (term INTEGER, username VARCHAR, project VARCHAR)")
        for first in range(0, len(self.found), _TERMS_AT_ONCE):
            terms = json.dumps(self.found[first : first + _TERMS_AT_ONCE])
            lists = self.conn.execute(_HELD, (terms,)).fetchone()
            duck.execute(
                """INSERT INTO held
                SELECT unnest(?::JSON::INTEGER[]), unnest(?::JSON::VARCHAR[]), unnest(?::JSON::VARCHAR[])""",
                lists,
            )

    def unknown(self) -> tuple[str, ...]:
        """Users of definitions whom nobody has seen here."""
        named = {user for _, kind, users, _ in self.found if kind == "users" for user in json.loads(str(users))}
        if not named:
            return ()
        found = self.conn.execute(
            "SELECT value FROM json_each(?) WHERE value NOT IN (SELECT name FROM user)", (json.dumps(sorted(named)),)
        )
        return tuple(name for (name,) in found)

    def _is(self, number: int, kind: str, first: object = None, last: object = None) -> None:
        self.found.append((number, kind, first, last))

    def _defined(self, number: int, made: Definition) -> None:
        if made.badge is not None:
            self._is(number, "badge", made.badge)  # which may be ahead of its first award
        elif made.tag is not None:
            self._tag(number, made.tag, said_by=f"{made.kind} {made.id}: ", archived=True)
        elif made.users is not None:
            self._is(number, "users", json.dumps(made.users))
        elif made.start is not None and made.end is not None:
            self._is(number, "span", made.start, made.end)

    def _badge(self, number: int, badge: str) -> None:
        if not self.conn.execute("SELECT 1 FROM tag WHERE badge = ?", (badge,)).fetchone():
            badges = [name for (name,) in self.conn.execute("SELECT badge FROM tag WHERE badge NOT NULL ORDER BY 1")]
            raise HomecomingError(f"no badge {badge!r:.80} has been awarded{hint(badge, badges)}")
        self._is(number, "badge", badge)

    def _tag(self, number: int, name: str, said_by: str = "", *, archived: bool = False) -> None:
        found = self.conn.execute("SELECT id, enabled, badge FROM tag WHERE name = ?", (name,)).fetchone()
        if found is None:
            raise HomecomingError(f"{said_by}no cohort {name!r:.80}{hint(name, self._names())}")
        known_as, enabled, badge = found
        if not enabled and not archived:
            raise HomecomingError(f"the cohort {name} is archived: it answers to its id, {known_as}")
        self._kept(number, known_as, badge)

    def _id(self, number: int, known_as: int) -> None:
        found = self.conn.execute("SELECT badge FROM tag WHERE id = ?", (known_as,)).fetchone()
        if found is None:
            ids = [str(one) for (one,) in self.conn.execute("SELECT id FROM tag ORDER BY id")]
            raise HomecomingError(f"no cohort has the id {known_as}{hint(str(known_as), ids)}")
        self._kept(number, known_as, *found)

    def _kept(self, number: int, known_as: int, badge: str | None) -> None:
        if badge is None:
            self._is(number, "tag", known_as)
        else:
            self._is(number, "badge", badge)

    def _definition(self, kind: Kind, known_as: str) -> Definition:
        defined = self.definitions.of(kind)
        if known_as not in defined:
            raise HomecomingError(f"no {kind} {known_as!r:.80} is defined{hint(known_as, sorted(defined))}")
        return defined[known_as]

    def _names(self) -> list[str]:
        kept = [name for (name,) in self.conn.execute("SELECT name FROM tag WHERE enabled ORDER BY name")]
        made = self.definitions
        return [
            *kept,
            *made.cohorts,
            *(f"event:{one}" for one in made.events),
            *(f"campaign:{one}" for one in made.campaigns),
        ]


def _combine(duck: "duckdb.DuckDBPyConnection", products: Expression, numbers: dict[Term, int]) -> int:
    """`member` out of `held`; how many users it has."""
    parts = [(place, numbers[term], len(product)) for place, product in enumerate(products) for term in product]
    load_rows(duck, "part", {"product": "INTEGER", "term": "INTEGER", "terms": "INTEGER"}, [parts])
    (by_project,) = duck.execute("SELECT count(project) > 0 FROM held").fetchall()[0]
    duck.execute(_COMBINED_BY_PROJECT if by_project else _COMBINED)
    duck.execute("DROP TABLE held; DROP TABLE part")
    users = "DISTINCT username" if by_project else "*"
    return int(duck.execute(f"SELECT count({users}) FROM member").fetchall()[0][0])
