"""A list of users as people bring it: CSV, one user a line, perhaps with a project as the last field.

Reading goes line by line, because a user's name may hold commas and quotes; what cannot be a member is said with its
line and a reason, and never added.
"""

import csv
from collections.abc import Collection, Iterable, Iterator
from typing import NamedTuple

from state.errors import HomecomingError

#: Bytes of one upload.
LARGEST_UPLOAD = 16 * 1024 * 1024

#: Characters of a user's name or a project.
_LONGEST = 255

#: First fields of a header, in small letters.
_HEADERS = {"user", "username", "user_name"}


class Row(NamedTuple):
    """What one line names; project is None where the line has none."""

    line: int
    user: str
    project: str | None


class Refused(NamedTuple):
    """A line that is no row, or whose row is no member, and why."""

    line: int
    text: str
    reason: str


class Report(NamedTuple):
    """What became of each line that is not blank."""

    valid: tuple[tuple[str, str | None], ...]  #: distinct (user, project), in the order of the lines
    duplicates: int
    unknown: tuple[str, ...]  #: distinct users of whom the state has never heard, in the order of the lines
    invalid: tuple[Refused, ...]


def parse_upload(content: bytes, *, mediawiki: bool = False) -> Iterator[Row | Refused]:
    """The lines of a CSV text in UTF-8, with or without a byte order mark, a header, and blank lines.

    Lines end with LF, CRLF or CR. mediawiki: the first letter of a user's name is large.
    Raises HomecomingError where it is no such text or larger than LARGEST_UPLOAD.
    """
    if len(content) > LARGEST_UPLOAD:
        raise HomecomingError(f"expected at most {LARGEST_UPLOAD:,} bytes, got {len(content):,}: split the list")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise HomecomingError(f"expected UTF-8, got another encoding at byte {error.start}") from None
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    begun = False
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        if begun or not _is_header(line):
            yield _row(number, line, mediawiki=mediawiki)
        begun = True


def check_upload(
    rows: Iterable[Row | Refused],
    known: Collection[str],
    projects: Collection[str],
    project: str | None = None,
    *,
    mediawiki: bool = False,
) -> Report:
    """Which rows are members: known users, each project one of `projects`.

    project: of rows without one, None being any. mediawiki: projects may go by their language ("en").
    """
    valid: dict[tuple[str, str | None], None] = {}
    unknown: dict[str, None] = {}
    invalid: list[Refused] = []
    duplicates = 0
    spelled: dict[str | None, str | None] = {None: project}
    for row in rows:
        if isinstance(row, Refused):
            invalid.append(row)
            continue
        if row.project not in spelled:
            spelled[row.project] = normal_project(row.project or "", projects, mediawiki=mediawiki)
        where = spelled[row.project]
        if where is None and row.project is not None:
            invalid.append(Refused(row.line, f"{row.user},{row.project}", f"no project {row.project!r}"))
        elif row.user not in known:
            duplicates += row.user in unknown
            unknown[row.user] = None
        else:
            duplicates += (row.user, where) in valid
            valid[row.user, where] = None
    return Report(tuple(valid), duplicates, tuple(unknown), tuple(invalid))


def normal_project(text: str, projects: Collection[str], *, mediawiki: bool = False) -> str | None:
    """The project that is meant, None where there is none: it itself, or in small letters, or a wiki's language."""
    small = text.lower()
    spellings = (text, small, f"{small}wiki") if mediawiki else (text, small)
    return next((spelling for spelling in spellings if spelling in projects), None)


def normal_user(text: str, *, mediawiki: bool = False) -> str:
    """The name without blanks around it; MediaWiki's begin with a large letter."""
    name = text.strip()
    return name[:1].upper() + name[1:] if mediawiki else name


def _row(number: int, line: str, *, mediawiki: bool) -> Row | Refused:
    """The project is the last field, if there are several: names may hold commas."""
    name, comma, project = line.rpartition(",")
    if not comma:
        name, project = line, ""
    if line.lstrip().startswith('"'):
        try:
            *fields, project = next(csv.reader([line.strip()], strict=True))
        except csv.Error:
            return Refused(number, line[:_LONGEST], "a quotation mark is not closed, or text follows it")
        name, project = (",".join(fields), project) if fields else (project, "")
    user, project = normal_user(name, mediawiki=mediawiki), project.strip()
    reason = _wrong(user, "user name") or (_wrong(project, "project") if project else None)
    return Row(number, user, project or None) if reason is None else Refused(number, line[:_LONGEST], reason)


def _wrong(text: str, what: str) -> str | None:
    if not text:
        return f"no {what}"
    if len(text) > _LONGEST:
        return f"a {what} of {len(text):,} characters, at most {_LONGEST}"
    return None if text.isprintable() else f"a {what} with unprintable characters"


def _is_header(line: str) -> bool:
    fields = [field.strip(' "').lower() for field in line.split(",")]
    return fields[0] in _HEADERS and fields[1:] in ([], ["project"])
