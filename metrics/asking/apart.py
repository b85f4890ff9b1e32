"""How far a cohort is from the parts of its expression: what two public answers would tell of those in between."""

import sqlite3
from typing import TYPE_CHECKING

from state.cohorts.algebra import parse
from state.cohorts.definitions import Definitions
from state.cohorts.members import define_members
from state.rules import Rules

if TYPE_CHECKING:
    import duckdb

#: Terms and intersections of an expression of which the public is told: each is compared with the whole.
PUBLIC_TERMS = 24


def parts_of(cohort: str) -> tuple[str, ...]:
    """The terms and intersections of the expression; none where it is a single term."""
    products = parse(cohort)
    terms = [str(term) for product in products for term in product]
    joined = ["&".join(map(str, product)) for product in products if len(products) > 1]
    return tuple(dict.fromkeys((*terms, *joined))) if len(terms) > 1 else ()


def fewest_apart(
    duck: "duckdb.DuckDBPyConnection",
    conn: sqlite3.Connection,
    cohort: str,
    definitions: Definitions,
    rules: Rules,
) -> int | None:
    """The fewest users, 0 aside, by whom the table `member` (the cohort's) differs from a part of its expression.

    None where there is no such part, or none differs; 0 where there are too many parts to compare.
    """
    parts = parts_of(cohort)
    if not parts:
        return None
    if len(parts) > PUBLIC_TERMS:
        return 0
    duck.execute("CREATE OR REPLACE TEMP TABLE whole AS FROM member")
    fewest: list[int] = []
    for part in parts:
        define_members(duck, conn, part, definitions, rules)
        for one, other in (("whole", "member"), ("member", "whole")):
            (users,) = duck.execute(
                f"SELECT count(DISTINCT username) FROM {one} ANTI JOIN {other} USING (username)"
            ).fetchall()[0]
            fewest += [users] if users else []
    duck.execute("CREATE OR REPLACE TEMP TABLE member AS FROM whole; DROP TABLE whole")
    return min(fewest, default=None)
