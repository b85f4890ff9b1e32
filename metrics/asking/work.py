"""What a request comes to: the cohort's members found, the metric worked out, of one snapshot of the state."""

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from metrics.asking.request import Request
from metrics.programmes.activity import rules_of
from metrics.standard.answer import Answer, answer
from state.cohorts.algebra import parse
from state.cohorts.definitions import Definitions
from state.cohorts.members import define_members, define_user
from state.log import with_log
from state.rules import Rules
from state.store import get_meta

if TYPE_CHECKING:
    import duckdb

#: Terms of an expression of which the public is told: each is compared with the whole.
PUBLIC_TERMS = 24


@dataclass(frozen=True, slots=True)
class Worked:
    """An answer, and what is to be known of its cohort.

    users: of the cohort. unknown: users of definitions whom the state does not know. apart: the fewest users, 0 aside,
    by whom the cohort differs from a part of its expression; None where there is no such part, or it was not asked.
    made_at: processing time, microseconds.
    """

    request: Request
    answer: Answer
    users: int
    unknown: int
    apart: int | None
    made_at: int


def work_out(directory: Path, definitions: Definitions, request: Request, made_at: int, *, compare: bool) -> Worked:
    """The answer out of the state in `directory`. compare: find `apart`, for the public's sake.

    Raises HomecomingError for a cohort that there is not, and for what the log cannot answer.
    """

    def use(duck: "duckdb.DuckDBPyConnection", conn: sqlite3.Connection) -> Worked:
        rules = rules_of(conn)
        if request.is_user:
            size, apart = define_user(duck, conn, request.cohort), None
        else:
            size = define_members(duck, conn, request.cohort, definitions, rules)
            parts = parts_of(request.cohort) if compare else ()
            apart = _apart(duck, conn, parts, definitions, rules) if len(parts) <= PUBLIC_TERMS else None
        options = request.options
        found = answer(duck, conn, rules, options.metric, options, get_meta(conn, "watermark"))
        return Worked(request, found, size.users, len(size.unknown), apart, made_at)

    return with_log(directory, use)


def parts_of(cohort: str) -> tuple[str, ...]:
    """The terms and intersections of the expression; none where it is a single term."""
    products = parse(cohort)
    terms = [str(term) for product in products for term in product]
    joined = ["&".join(map(str, product)) for product in products if len(products) > 1]
    return tuple(dict.fromkeys((*terms, *joined))) if len(terms) > 1 else ()


def _apart(
    duck: "duckdb.DuckDBPyConnection",
    conn: sqlite3.Connection,
    parts: Sequence[str],
    definitions: Definitions,
    rules: Rules,
) -> int | None:
    if not parts:
        return None
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
