"""What a request comes to: the cohort's members found, the metric worked out, of one snapshot of the state."""

import sqlite3
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from metrics.asking.apart import fewest_apart
from metrics.asking.request import Request
from metrics.programmes.activity import rules_of
from metrics.standard.answer import Answer, answer
from state.cohorts.definitions import Definitions
from state.cohorts.members import define_members, define_user
from state.log import with_log
from state.store import get_meta

if TYPE_CHECKING:
    import duckdb


@dataclass(frozen=True, slots=True)
class Worked:
    """An answer, and what is to be known of its cohort.

    users: of the cohort. unknown: users of definitions whom the state does not know. apart: the fewest users, 0 aside,
    by whom the cohort differs from a part of its expression, as `fewest_apart` has it; None where it was not asked.
    made_at: processing time, microseconds. texts: what metrics.asking.shape made of it, by rows withheld; a copy made
    with other rows begins with none.
    """

    request: Request
    answer: Answer
    users: int
    unknown: int
    apart: int | None
    made_at: int
    texts: dict[int, bytes] = field(default_factory=dict, init=False, repr=False, compare=False)


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
            apart = fewest_apart(duck, conn, request.cohort, definitions, rules) if compare else None
        options = request.options
        found = answer(duck, conn, rules, options.metric, options, get_meta(conn, "watermark"))
        return Worked(request, found, size.users, len(size.unknown), apart, made_at)

    return with_log(directory, use)
