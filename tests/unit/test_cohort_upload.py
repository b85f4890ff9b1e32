"""Lists of users as people bring them: every line is a member, or said with a reason."""

import json
from pathlib import Path
from typing import Any

import pytest

from state.cohorts.names import check_name
from state.cohorts.upload import (
    LARGEST_UPLOAD,
    Refused,
    Row,
    check_upload,
    normal_project,
    normal_user,
    parse_upload,
)
from state.errors import HomecomingError


@pytest.fixture(scope="session")
def cases(shared_data: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((shared_data / "usermetrics_cases.json").read_text())["cohort_upload"]
    return found


def rows(content: str | bytes) -> list[tuple[str, str | None]]:
    found = list(parse_upload(content if isinstance(content, bytes) else content.encode()))
    assert all(isinstance(row, Row) for row in found), found
    return [(row.user, row.project) for row in found if isinstance(row, Row)]


def test_cases_of_names(cases: dict[str, Any]) -> None:
    for given, expected in cases["normalise_username"]:
        assert normal_user(given, mediawiki=True) == expected
        assert normal_user(given) == given.strip(), "on Fedora's bus a name is exactly what it is"


def test_cases_of_newlines(cases: dict[str, Any]) -> None:
    for case in cases["newlines"]:
        # Upstream is given the file's lines, of which some end within themselves.
        text = "".join(line if line.endswith(("\r", "\n")) else f"{line}\n" for line in case["inp"])
        assert [user for user, _ in rows(text)] == case["expected"]


def test_cases_of_rows(cases: dict[str, Any]) -> None:
    for case in cases["rows"]:
        (row,) = parse_upload(case["line"].encode(), mediawiki=True)
        assert isinstance(row, Row)
        assert [row.user, row.project or case["default"]] == case["expected"]


def test_cases_of_projects(cases: dict[str, Any]) -> None:
    for given, expected in cases["project"]:
        assert normal_project(given, {"enwiki", "wiki"}, mediawiki=True) == expected


def test_cases_of_validation(cases: dict[str, Any]) -> None:
    for case in cases["validation"]:
        lines = "\n".join(",".join(record.split("@")) for record in case["records"])
        known = {"Editor test-specific-0", "Editor test-specific-1"}
        report = check_upload(parse_upload(lines.encode()), known, {"wiki"})
        assert len(report.valid) == case["valid"]
        said = dict.fromkeys(report.unknown, "invalid user_name")
        said |= {row.text.partition(",")[0]: "invalid project" for row in report.invalid}
        assert said == case["invalid"]


def test_cases_of_the_cohorts_name(cases: dict[str, Any]) -> None:
    # The guide's pattern holds; wikimetrics' allows blanks, which the algebra does not.
    assert cases["name_regex_guide"] == "^[A-Za-z0-9_-]+$"
    assert check_name("Flock-2025_attendees") == "Flock-2025_attendees"
    for name in ("", "a b", "a~b", "a:b", "ü", "a\n", "x" * 256, "all", "20"):
        with pytest.raises(HomecomingError, match="cohort name"):
            check_name(name)


def test_cases_of_the_size(cases: dict[str, Any]) -> None:
    assert cases["max_upload_bytes"] == LARGEST_UPLOAD
    assert len(rows(b"a" * 200 + b"\n" * (LARGEST_UPLOAD - 200))) == 1
    with pytest.raises(HomecomingError, match="at most 16,777,216 bytes"):
        next(parse_upload(b"a" * (LARGEST_UPLOAD + 1)))


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
@pytest.mark.parametrize("header", ["", "user", "Username,project", '"user","project"'])
def test_marks_headers_blanks_and_ends(end: str, mark: str, header: str) -> None:
    lines = [*([header] if header else []), "", "ada", "  ", "bob , wiki ", "zoë"]
    assert rows(mark + end.join(lines)) == [("ada", None), ("bob", "wiki"), ("zoë", None)]


def test_only_the_first_line_is_a_header() -> None:
    assert rows("ada\nuser\n") == [("ada", None), ("user", None)]
    assert rows("user-1\n") == [("user-1", None)]
    assert rows("user,wiki") == [("user", "wiki")]


def test_names_may_hold_commas_quotes_and_other_line_separators() -> None:
    assert rows('Khalsa250,000,commonswiki\n"a,b",wiki\n"c ""d"""\ne "f"\n') == [
        ("Khalsa250,000", "commonswiki"),
        ("a,b", "wiki"),
        ('c "d"', None),
        ('e "f"', None),
    ]


def test_what_is_no_row_is_refused_with_its_line() -> None:
    found = list(parse_upload('ada\n,wiki\n"open\nb\x00b\nc\x0bd\n{}\n'.replace("{}", "x" * 256).encode()))
    assert found[0] == Row(1, "ada", None)
    refused = [row for row in found if isinstance(row, Refused)]
    assert [row.line for row in refused] == [2, 3, 4, 5, 6]
    reasons = ("no user name", "not closed", "unprintable", "unprintable", "at most 255")
    assert all(reason in row.reason for row, reason in zip(refused, reasons, strict=True))


def test_another_encoding_is_refused() -> None:
    with pytest.raises(HomecomingError, match="UTF-8, got another encoding at byte 2"):
        next(parse_upload("zoë".encode("latin-1")))


def test_the_report_accounts_for_every_line() -> None:
    lines = b"ada\nada\nbob,wiki\nbob,WIKI\nbob\nzoe\nzoe\nbob,nowhere\n,\n"
    report = check_upload(parse_upload(lines), {"ada", "bob"}, {"wiki"}, project=None)
    assert report.valid == (("ada", None), ("bob", "wiki"), ("bob", None))
    assert report.duplicates == 3
    assert report.unknown == ("zoe",)
    assert [(row.line, row.reason) for row in report.invalid] == [(8, "no project 'nowhere'"), (9, "no user name")]


def test_a_default_project_is_that_of_rows_without_one() -> None:
    report = check_upload(parse_upload(b"ada\nada,wiki\nbob,enwiki\n"), {"ada", "bob"}, {"wiki", "enwiki"}, "wiki")
    assert report.valid == (("ada", "wiki"), ("bob", "enwiki"))
    assert report.duplicates == 1


def test_a_million_rows() -> None:
    content = "\r\n".join(f"user{number}" for number in range(1_000_000)).encode()
    report = check_upload(parse_upload(content), {f"user{number}" for number in range(0, 1_000_000, 2)}, ())
    assert (len(report.valid), len(report.unknown), report.duplicates) == (500_000, 500_000, 0)
