"""Kept and defined cohorts for programs and for people at a terminal."""

from collections.abc import Iterable, Iterator, Sequence

from rich.console import Console
from rich.table import Table

from state.cohorts.definitions import KINDS, Definitions
from state.cohorts.kept import Added, Tag
from state.cohorts.members import CohortSize
from state.weeks import SECOND, iso

#: Users and lines that a report lists; it counts them all.
LISTED = 1_000

#: The same at a terminal.
_SHOWN = 10


def report_object(name: str, added: Added) -> dict[str, object]:
    """What became of an upload: counts, and the first unknown users and invalid lines."""
    report = added.report
    return {
        "cohort": name,
        "id": added.id,
        "valid": len(report.valid),
        "duplicates": report.duplicates,
        "unknown": len(report.unknown),
        "unknown_users": list(report.unknown[:LISTED]),
        "invalid": len(report.invalid),
        "invalid_rows": [row._asdict() for row in report.invalid[:LISTED]],
    }


def tag_object(tag: Tag) -> dict[str, object]:
    """The fields of a kept cohort; touched as ISO 8601 to the second, or null."""
    return tag._asdict() | {"touched": None if tag.touched is None else iso(tag.touched - tag.touched % SECOND)}


def cohort_objects(tags: Iterable[Tag], definitions: Definitions) -> Iterator[dict[str, object]]:
    """What an expression may name: `cohort` is how; members is null for what is only defined."""
    for tag in tags:
        if tag.enabled:
            kind = "uploaded" if tag.badge is None else "badge"
            yield {
                "cohort": tag.name,
                "kind": kind,
                "id": tag.id,
                "name": tag.notes or tag.name,
                "members": tag.members,
            }
    for kind in KINDS:
        for made in definitions.of(kind).values():
            term = made.id if kind == "cohort" else f"{kind}:{made.id}"
            yield {"cohort": term, "kind": kind, "id": None, "name": made.name, "members": None}


def cohort_object(expression: str, size: CohortSize, members: Sequence[tuple[str, str | None]]) -> dict[str, object]:
    """Who is in the cohort that an expression means; a null project is any."""
    return {
        "cohort": expression,
        "users": size.users,
        "unknown_users": list(size.unknown),
        "members": [{"user": user, "project": project} for user, project in members],
    }


def show_report(name: str, added: Added, console: Console) -> None:
    """Print what became of an upload."""
    report = added.report
    console.print(f"cohort {name} (id {added.id}), members: {len(report.valid):,}", markup=False, highlight=False)
    refused = [f"{user}: has not been seen here" for user in report.unknown[:_SHOWN]]
    invalid = [f"line {row.line}: {row.reason}: {row.text}" for row in report.invalid[:_SHOWN]]
    for count, what, listed in (
        (report.duplicates, "repeated", []),
        (len(report.unknown), "unknown users, left out", refused),
        (len(report.invalid), "invalid lines, left out", invalid),
    ):
        if count:
            lines = [f"{count:,} {what}", *(f"  {line}" for line in listed)]
            if len(listed) < count and listed:
                lines.append(f"  and {count - len(listed):,} more")
            console.print("\n".join(lines), markup=False, highlight=False, soft_wrap=True)


def show_cohort(expression: str, size: CohortSize, members: Sequence[tuple[str, str | None]], console: Console) -> None:
    """Print a member a line, and how many there are."""
    for user, project in members:
        console.print(user if project is None else f"{user},{project}", markup=False, highlight=False, soft_wrap=True)
    unknown = f"; {len(size.unknown):,} defined users have not been seen here" if size.unknown else ""
    console.print(f"{expression}: {size.users:,} users{unknown}", markup=False, highlight=False, style="dim")


def show_rows(rows: Iterable[dict[str, object]], console: Console, nothing: str) -> None:
    """Print objects of the same fields as a table; `nothing` where there are none."""
    listed = list(rows)
    if not listed:
        console.print(nothing, markup=False)
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    filled = [field for field in listed[0] if any(row[field] not in {None, ""} for row in listed)]
    for field in filled:
        value = listed[0][field]
        table.add_column(field, justify="right" if isinstance(value, int) else "left", overflow="fold")
    for row in listed:
        table.add_row(*("" if row[field] is None else str(row[field]).replace("[", r"\[") for field in filled))
    console.print(table)
