"""The retention triangle: sign-up cohorts by weeks since sign-up."""

from collections.abc import Sequence
from typing import NamedTuple

from metrics.page.view import CLEAN, MEANINGS, View
from metrics.privacy import hide
from metrics.rate import DARKEST, Pooled, percent, pooled, shade
from state.cells import CellState
from state.reading import Cohort, Retention
from state.weeks import week_name

NOTES: dict[CellState, str] = {
    "open": "week still in progress",
    "partial": "nobody listened for a part of the week",
}

_QUESTIONS = ((1, "came back the week after"), (4, "after 4 weeks"), (12, "after 12 weeks"))

#: Offsets that the answers need, however few are shown.
NEEDED = _QUESTIONS[-1][0] + 1


class Shown(NamedTuple):
    """One cell as people see it; note: what its state says beyond the figure."""

    state: CellState
    users: int | None
    rate: str
    shade: int
    note: str | None


class Row(NamedTuple):
    """One cohort."""

    week: str
    size: int
    cells: tuple[Shown, ...]


class Table(NamedTuple):
    """One population's triangle; hidden: cohorts too small to be shown."""

    population: str
    label: str
    title: str
    rows: tuple[Row, ...]
    hidden: int

    @property
    def example(self) -> Row | None:
        """A row by which the table is read: the first of which it is known who came back."""
        return next((row for row in self.rows if row.cells[1].state == "final"), None)


class Answer(NamedTuple):
    """How many came back, in each of the populations that are shown."""

    question: str
    found: tuple[tuple[str, Pooled], ...]


class Triangle(NamedTuple):
    """The section; spam: how many of the accounts are flagged, where both populations are shown."""

    tables: tuple[Table, ...]
    answers: tuple[Answer, ...]
    spam: Pooled | None
    notes: dict[CellState, str]
    weeks: int
    min_cohort: int
    shades: range = range(DARKEST + 1)


def triangle(view: View, retentions: Sequence[Retention], min_cohort: int) -> Triangle:
    """The section for the public: cohorts of fewer than min_cohort users are left out."""
    shown = [hide(retention, min_cohort) for retention in retentions]
    states = {cell.state for retention in shown for cohort in retention.cohorts for cell in cohort.cells[: view.weeks]}
    return Triangle(
        tables=tuple(
            Table(
                public.population,
                label(public.population),
                MEANINGS[public.population],
                tuple(_row(cohort, view.weeks) for cohort in public.cohorts),
                len(whole.cohorts) - len(public.cohorts),
            )
            for whole, public in zip(retentions, shown, strict=True)
        ),
        answers=tuple(_answers(shown)),
        spam=_spam(*shown) if view.beside else None,
        notes={state: note for state, note in NOTES.items() if state in states},
        weeks=view.weeks,
        min_cohort=min_cohort,
    )


def label(population: str) -> str:
    """With or without spam."""
    return "without spam" if population in CLEAN.values() else "with spam"


def _answers(retentions: Sequence[Retention]) -> list[Answer]:
    answers = []
    for offset, question in _QUESTIONS:
        found = [(label(retention.population), pooled(retention, offset)) for retention in retentions]
        known = tuple((name, figure) for name, figure in found if figure is not None)
        if known:
            answers.append(Answer(question, known))
    return answers


def _spam(everybody: Retention, clean: Retention) -> Pooled:
    """Of the cohorts that are shown in both."""
    sizes = {cohort.week: cohort.size for cohort in everybody.cohorts}
    kept = [cohort for cohort in clean.cohorts if cohort.week in sizes]
    size = sum(sizes[cohort.week] for cohort in kept)
    return Pooled(size - sum(cohort.size for cohort in kept), size)


def _row(cohort: Cohort, weeks: int) -> Row:
    return Row(
        week_name(cohort.week),
        cohort.size,
        tuple(
            Shown(
                cell.state,
                cell.users,
                percent(cell.users or 0, cohort.size),
                shade(cell.users or 0, cohort.size),
                NOTES.get(cell.state),
            )
            for cell in cohort.cells[:weeks]
        ),
    )
