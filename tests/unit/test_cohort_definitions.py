"""Definitions of events, campaigns and cohorts, and the file that they are read from again."""

import os
from pathlib import Path

import pytest

from state.cohorts.definitions import NO_DEFINITIONS, Definition, parse_definitions
from state.cohorts.definitions_file import DefinitionsFile, read_definitions
from state.errors import ConfigError
from state.weeks import event_time_of

GOOD = """
[[event]]
id = "flock-2024"
name = "Flock to Fedora 2024"
start = 2024-08-07
end = 2024-08-11T00:00:00Z
badge = "flock-2024-attendee"
successor = "flock-2025"
country = "US"

[[event]]
id = "flock-2025"
badge = "flock-2025-attendee"

[[campaign]]
id = "spring"
start = "2024-03-01"
end = "2024-06-01T02:00+02:00"

[[cohort]]
id = "team"
users = ["ada", "bob", "ada"]
"""


def test_what_a_file_may_say() -> None:
    events, campaigns, cohorts = parse_definitions(GOOD, "file")
    assert list(events) == ["flock-2024", "flock-2025"]
    assert events["flock-2024"] == Definition(
        kind="event",
        id="flock-2024",
        name="Flock to Fedora 2024",
        start=event_time_of("2024-08-07"),
        end=event_time_of("2024-08-11"),
        badge="flock-2024-attendee",
        tag=None,
        users=None,
        successor="flock-2025",
        country="US",
    )
    assert events["flock-2025"].name == "flock-2025"
    assert campaigns["spring"].end == event_time_of("2024-06-01")
    assert cohorts["team"].users == ("ada", "bob")
    assert parse_definitions("", "file") == NO_DEFINITIONS


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[[event]", "file: expected TOML"),
        ("a = " + "[" * 100_000, "file: expected"),
        ("[[evnt]]\nid = 'x'", 'file: expected one of event, campaign, cohort, got "evnt"; did you mean event?'),
        ("event = 1", "file: event: expected [[event]] tables, got 1"),
        ("[event]\nid = 'x'", "file: event: expected [[event]] tables"),
        ("[[event]]\nbadge = 'x'", "file: [[event]] 1.id: expected an id of letters, digits, _ and -, got nothing"),
        ("[[event]]\nid = 'a b'", '[[event]] 1.id: expected an id of letters, digits, _ and -, got "a b"'),
        ("[[event]]\nid = 'x'\nbagde = 'b'", 'got "bagde"; did you mean badge?'),
        ("[[event]]\nid = 'x'\nbadge = 1", "[[event]] 1.badge: expected a text, got 1"),
        ("[[event]]\nid = 'x'", "[[event]] 1 (x): expected badge, tag, users, or start and end"),
        ("[[event]]\nid = 'x'\nbadge = 'b'\ntag = 't'", "expected one of badge, tag and users, got badge and tag"),
        ("[[event]]\nid = 'x'\nusers = []", "[[event]] 1.users: expected a list of user names, got []"),
        ("[[event]]\nid = 'x'\nusers = 'ada'", "[[event]] 1.users: expected a list of user names"),
        ("[[event]]\nid = 'x'\nstart = 2024-06-03", "[[event]] 1 (x): expected start and end together"),
        ("[[event]]\nid = 'x'\nstart = 10:00:00", "[[event]] 1.start: expected a date or time from 1990 on"),
        ("[[event]]\nid = 'x'\nstart = 'soon'", '1990 on such as 2024-06-03, got "soon"'),
        ("[[event]]\nid = 'x'\nstart = '0001-01-01T00:00+09:00'", "1.start: expected a date or time from 1990 on"),
        ("[[event]]\nid = 'x'\nstart = 2024-06-03\nend = 2024-06-03", "expected a start before the end"),
        ("[[campaign]]\nid = 'x'\nbadge = 'b'", "[[campaign]] 1 (x): expected start and end, which a campaign needs"),
        ("[[cohort]]\nid = '20'\nbadge = 'b'", "[[cohort]] 1 (20): cohort name: 20 means the cohort with that id"),
        ("[[event]]\nid = 'x'\nbadge = 'b'\n[[cohort]]\nid = 'x'\ntag = 't'", "an id of its own ([[event]] 1"),
        ("[[event]]\nid = 'x'\nbadge = 'b'\nsuccessor = 'x'", "x.successor: expected the id of another event"),
        (
            "[[event]]\nid = 'x'\nbadge = 'b'\nsuccessor = 'flok'\n[[event]]\nid = 'flock'\nbadge = 'b'",
            '[[event]] x.successor: expected the id of another event (flock), got "flok"; did you mean flock?',
        ),
    ],
)  # fmt: skip
def test_errors_say_where_what_was_expected_and_what_was_got(text: str, said: str) -> None:
    with pytest.raises(ConfigError) as error:
        parse_definitions(text, "file")
    assert said in str(error.value)
    assert "\n" not in str(error.value)


def write(path: Path, text: str, modified_s: int) -> None:
    path.write_text(text, encoding="utf-8")
    os.utime(path, (modified_s, modified_s))


def test_a_file_that_has_changed_is_read_again(tmp_path: Path) -> None:
    path = tmp_path / "definitions.toml"
    write(path, "[[cohort]]\nid = 'aaa'\nbadge = 'x'", 1)
    file = DefinitionsFile(path)
    first = file()
    assert list(first.cohorts) == ["aaa"]
    assert file() is first, "an unchanged file is not read again"
    write(path, "[[cohort]]\nid = 'bbb'\nbadge = 'x'", 2)
    assert list(file().cohorts) == ["bbb"]


def test_the_last_good_definitions_hold_until_the_file_is_good_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "definitions.toml"
    write(path, "[[cohort]]\nid = 'a'\nbadge = 'x'", 1)
    file = DefinitionsFile(path)
    for text in ("[[cohort]]\nid = 1", None):
        path.unlink() if text is None else write(path, text, 2)
        assert list(file().cohorts) == ["a"]
        assert file.error is not None
        assert file.error.startswith(str(path))
        assert list(file().cohorts) == ["a"]
    assert len(caplog.records) == 2, "once a change, not once a request"
    write(path, "[[cohort]]\nid = 'b'\nbadge = 'x'", 4)
    assert list(file().cohorts) == ["b"]
    assert file.error is None


def test_a_file_that_is_wrong_from_the_start_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="No such file"):
        DefinitionsFile(tmp_path / "absent.toml")
    (tmp_path / "latin.toml").write_bytes("# ü".encode("latin-1"))
    with pytest.raises(ConfigError, match="expected UTF-8, got another encoding at byte 2"):
        read_definitions(tmp_path / "latin.toml")
    with pytest.raises(ConfigError, match="directory"):
        read_definitions(tmp_path)
    assert DefinitionsFile(None)() is NO_DEFINITIONS
