"""The funnel: of whoever signed up, how many contributed, and how many stayed."""

import sqlite3
from typing import TYPE_CHECKING, NamedTuple

from metrics.page.programmes.asked import ProgrammesAsked
from metrics.page.programmes.figure import HIDDEN, NONE, count
from metrics.page.view import Choices
from metrics.programmes.funnel import Funnel, Step, StepName, funnel
from metrics.programmes.suppression import public_funnel
from metrics.rate import percent
from state.cohorts.definitions import Definitions
from state.rules import Rules

if TYPE_CHECKING:
    import duckdb

_STEPS: dict[StepName, str] = {
    "visited": "visited",
    "attempted": "tried to edit",
    "registered": "signed up",
    "contributed": "contributed",
    "stayed": "stayed",
}


class Shown(NamedTuple):
    """The funnel for the public; measured: the steps of which anything is known."""

    funnel: Funnel
    measured: frozenset[StepName]


class Bar(NamedTuple):
    """One step; width: per cent of the widest; undecided: whose time to take it has only begun."""

    name: str
    users: str
    width: float
    share: str
    drop: str
    undecided: int


class Section(NamedTuple):
    """The section; cohort: the expression. unmeasured: steps before the account."""

    as_of: int | None
    exact: bool
    choices: Choices
    cohort: str
    members: str
    hours: int
    bars: tuple[Bar, ...]
    unmeasured: bool


def ask_funnel(
    k: int,
    cohort: str,
    duck: "duckdb.DuckDBPyConnection",
    conn: sqlite3.Connection,
    rules: Rules,
    definitions: Definitions,
) -> Shown:
    """The cohort's funnel as the public sees it. Raises HomecomingError for a cohort that there is not."""
    whole = funnel(duck, conn, rules, definitions, cohort, exact=False)
    return Shown(public_funnel(whole, k), frozenset(step.name for step in whole.steps if step.users is not None))


def section(shown: Shown, asked: ProgrammesAsked, as_of: int) -> Section:
    """The section out of the figures; as_of: the watermark from which quarters are counted back."""
    found = shown.funnel
    steps = [step for step in found.steps if step.name in shown.measured]
    widest = max((step.users or 0 for step in steps), default=0)
    return Section(
        found.as_of,
        found.exact,
        asked.quarters(as_of),
        found.cohort,
        count(found.members),
        found.t_h,
        tuple(_bar(step, widest, first=place == 0) for place, step in enumerate(steps)),
        len(steps) < len(found.steps),
    )


def _bar(step: Step, widest: int, *, first: bool) -> Bar:
    # What came before is not known of the first step, and of the others not shown.
    none = "" if first else HIDDEN if step.users is None or step.of is None else NONE
    return Bar(
        _STEPS[step.name],
        count(step.users),
        round(100 * step.users / widest, 2) if step.users else 0,
        none if step.share is None or step.users is None or step.of is None else percent(step.users, step.of),
        none if step.drop is None else count(step.drop),
        step.undecided,
    )
