"""Cohorts that are kept by name and id: those that people brought, which never change, and those of badges."""

import json
import sqlite3
from difflib import get_close_matches
from typing import TYPE_CHECKING, NamedTuple

from state.cohorts.definitions import NO_DEFINITIONS, Definitions
from state.cohorts.names import check_name
from state.cohorts.upload import Report, Row, check_upload, normal_project, parse_upload
from state.errors import HomecomingError
from state.log import DAYS, files, parquet_sql, with_log
from state.store import Store

if TYPE_CHECKING:
    import duckdb

#: Names that an error lists.
LISTED = 12

#: Users of an upload who are looked up one by one; of more, all that are known are gone through: a tenth of the time.
_LOOKED_UP = 20_000

_TAGS = """
    SELECT id, name, project, notes, owner, grp,
        coalesce(touched, (SELECT max(at) FROM award WHERE award.badge = tag.badge)), enabled, badge,
        CASE WHEN badge IS NULL THEN (SELECT count(DISTINCT user) FROM user_tag WHERE tag = id)
            ELSE (SELECT count(*) FROM award WHERE award.badge = tag.badge) END
    FROM tag"""


class Tag(NamedTuple):
    """A kept cohort. badge: whose awards are its members; None for one that was brought."""

    id: int
    name: str
    project: str | None
    notes: str
    owner: str
    group: str
    touched: int | None  #: when it was made or archived (processing time), or the latest award (event time)
    enabled: bool  #: False for an archived one, which answers to its id alone
    badge: str | None
    members: int  #: distinct users


class Added(NamedTuple):
    """The id of a new cohort, and what became of the lines it was made of."""

    id: int
    report: Report


class ExistsError(HomecomingError):
    """The name is taken, and cohorts do not change once they are made."""


def tags(conn: sqlite3.Connection) -> list[Tag]:
    """Every kept cohort by id, the archived ones too."""
    return [_tag(row) for row in conn.execute(f"{_TAGS} ORDER BY id")]


def tag_named(conn: sqlite3.Connection, name: str) -> Tag:
    """The kept cohort of that name or id, archived or not; HomecomingError lists those that there are."""
    row = conn.execute(f"{_TAGS} WHERE name = ?1 OR CAST(id AS TEXT) = ?1", (name,)).fetchone()
    if row is None:
        raise HomecomingError(f"no cohort {name!r:.80}{hint(name, [tag.name for tag in tags(conn)])}")
    return _tag(row)


def members_of(conn: sqlite3.Connection, tag: Tag) -> list[tuple[str, str | None]]:
    """Who is in it: (user, project), the project None where they count in any."""
    if tag.badge is not None:
        return [(user, None) for (user,) in conn.execute("SELECT user FROM award WHERE badge = ?", (tag.badge,))]
    return conn.execute("SELECT user, nullif(project, '') FROM user_tag WHERE tag = ?", (tag.id,)).fetchall()


def add_cohort(
    store: Store,
    name: str,
    content: bytes,
    now: int,
    *,
    project: str | None = None,
    notes: str = "",
    owner: str = "",
    group: str = "",
    definitions: Definitions = NO_DEFINITIONS,
    mediawiki: bool = False,
) -> Added:
    """Keep the users whom a CSV text lists (see parse_upload) as a cohort; those the state does not know are left out.

    project: of rows without one; None counts them in any. now: processing time, microseconds. Raises
    ExistsError where the name is taken; HomecomingError for a bad name, text or project, and where nobody is left.
    """
    _check_free(store.conn, check_name(name), definitions)
    rows = list(parse_upload(content, mediawiki=mediawiki))
    named = {row.project for row in rows if isinstance(row, Row)} - {None}
    projects = _projects(store) if named or project else set()
    if project is not None:
        spelled = normal_project(project, projects, mediawiki=mediawiki)
        if spelled is None:
            raise HomecomingError(f"no project {project!r:.80}{hint(project, sorted(projects))}")
        project = spelled
    known = _known(store.conn, {row.user for row in rows if isinstance(row, Row)})
    report = check_upload(rows, known, projects, project, mediawiki=mediawiki)
    if not report.valid:
        raise HomecomingError(f"no cohort {name} is made: {_nobody(report)}")
    with store.writing() as conn:
        _check_free(conn, name, definitions)
        made = conn.execute(
            "INSERT INTO tag (name, project, notes, owner, grp, touched) VALUES (?, ?, ?, ?, ?, ?)",
            (name, project, notes, owner, group, now),
        ).lastrowid
        by_project: dict[str, list[str]] = {}
        for user, where in report.valid:
            by_project.setdefault(where or "", []).append(user)
        for where, users in by_project.items():
            conn.execute(
                "INSERT INTO user_tag SELECT ?, value, ?, ? FROM json_each(?)",
                (made, where, now, json.dumps(sorted(users))),
            )
    return Added(int(made or 0), report)


def archive_cohort(store: Store, name: str, now: int) -> Tag:
    """Take the cohort's name out of use: it answers to its id from now on. HomecomingError where there is none."""
    with store.writing() as conn:
        tag = tag_named(conn, name)
        if tag.enabled:
            conn.execute("UPDATE tag SET enabled = 0, touched = ? WHERE id = ?", (now, tag.id))
        return tag_named(conn, str(tag.id))


def hint(name: str, valid: list[str]) -> str:
    """What was meant perhaps, and what there is."""
    near = get_close_matches(name, valid, n=1)
    listed = [*near, *(other for other in valid if other not in near)]
    shown = ", ".join(listed[:LISTED]) + (f" and {len(listed) - LISTED:,} more" if len(listed) > LISTED else "")
    return (f"; did you mean {near[0]}?" if near else "") + (f" There are {shown}" if shown else "; there is none yet")


def _tag(row: tuple[object, ...]) -> Tag:
    tag = Tag(*row)  # type: ignore[arg-type]  # the columns of _TAGS
    return tag._replace(enabled=bool(tag.enabled))


def _check_free(conn: sqlite3.Connection, name: str, definitions: Definitions) -> None:
    found = conn.execute("SELECT id FROM tag WHERE name = ?", (name,)).fetchone()
    if found is not None:
        raise ExistsError(
            f"there is a cohort {name} already (id {found[0]}), and it never changes: choose another name"
        )
    if name in definitions.cohorts:
        raise ExistsError(f"there is a cohort {name} already, in the definitions: choose another name")


def _known(conn: sqlite3.Connection, users: set[str]) -> set[str]:
    """Those of the users whom the state has seen."""
    if len(users) > _LOOKED_UP:
        found = conn.execute("SELECT name FROM user")
        return {name for (name,) in found if name in users}
    found = conn.execute(
        "SELECT name FROM user WHERE name IN (SELECT value FROM json_each(?))", (json.dumps([*users]),)
    )
    return {name for (name,) in found}


def _projects(store: Store) -> set[str]:
    """Every project that the log or a day summary names."""
    columns = "SELECT DISTINCT project FROM"

    def find(duck: "duckdb.DuckDBPyConnection", conn: sqlite3.Connection) -> set[str]:
        days = files(conn, DAYS)
        parts = [f"{columns} log", *([f"{columns} {parquet_sql(store.directory, days)}"] if days else [])]
        return {project for (project,) in duck.execute(" UNION ".join(parts)).fetchall() if project is not None}

    return with_log(store.directory, find)


def _nobody(report: Report) -> str:
    if report.unknown:
        return f"none of its {len(report.unknown):,} users has been seen here (the first is {report.unknown[0]!r:.60})"
    if report.invalid:
        first = report.invalid[0]
        return f"none of its {len(report.invalid):,} lines is good (line {first.line}: {first.reason})"
    return "the list is empty"
