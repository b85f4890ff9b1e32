"""Kept cohorts: immutable, of unique names, archived but never gone; and what the algebra says of names."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from state.cohorts import kept
from state.cohorts.definitions import NO_DEFINITIONS, Definitions, parse_definitions
from state.cohorts.kept import ExistsError, add_cohort, archive_cohort, tag_named, tags
from state.cohorts.members import define_members, define_user
from state.duck import connect
from state.errors import HomecomingError
from state.event import Event
from state.expiry import expire
from state.live import Message
from state.rebuild import rebuild
from state.rules import Rules
from state.schema import migrations
from state.segments import seal
from state.store import DATABASE, SCHEMA_VERSION, Store, open_store
from state.weeks import DAY, WEEK, week_named, week_start
from tests.support.logs import feed

START = week_start(week_named("2024-06-03"))
AWARD = "org.fedoraproject.prod.badges.badge.award"


def acted(number: int, user: str, project: str | None = None, at: int = START) -> Message:
    return (Event(f"id-{number}", at, None, "git.receive", user, "actor", "git", project=project),)


def awarded(number: int, user: str, badge: str, at: int = START) -> Message:
    return (Event(f"id-{number}", at, None, AWARD, user, "actor", "badges", object=badge),)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = open_store(tmp_path / "state")
    feed(store, [acted(1, "ada", "enwiki"), acted(2, "bob", "frwiki"), acted(3, "zoë"), awarded(4, "ada", "white-hat")])
    yield store
    store.close()


def members(store: Store, expression: str, definitions: Definitions = NO_DEFINITIONS) -> set[str]:
    with connect(store.directory) as duck:
        define_members(duck, store.conn, expression, definitions, Rules())
        return {user for (user,) in duck.execute("SELECT username FROM member").fetchall()}


def test_a_cohort_never_changes(store: Store) -> None:
    added = add_cohort(store, "team", b"ada\nzoe\n", now=1, notes="ours", owner="me", group="core")
    assert added.report.unknown == ("zoe",)
    with pytest.raises(ExistsError, match=r"team already.*never changes"):
        add_cohort(store, "team", b"bob\n", now=2)
    archive_cohort(store, "team", now=3)
    with pytest.raises(ExistsError, match="team already"):
        add_cohort(store, "team", b"bob\n", now=4)
    feed(store, [acted(9, "zoe")])
    assert members(store, str(added.id)) == {"ada"}, "whoever was unknown stays left out"
    tag = tag_named(store.conn, "team")
    assert (tag.notes, tag.owner, tag.group, tag.touched, tag.enabled, tag.members) == (
        "ours",
        "me",
        "core",
        3,
        False,
        1,
    )


@pytest.mark.parametrize("looked_up", [0, 1_000])
def test_long_lists_are_looked_up_as_short_ones(store: Store, monkeypatch: pytest.MonkeyPatch, looked_up: int) -> None:
    monkeypatch.setattr(kept, "_LOOKED_UP", looked_up)
    report = add_cohort(store, "team", "zoë\nbob\nzoe\nBob\nada,enwiki\n".encode(), now=1).report
    assert report.valid == (("zoë", None), ("bob", None), ("ada", "enwiki"))
    assert report.unknown == ("zoe", "Bob")
    assert members(store, "team") == {"ada", "bob", "zoë"}


def test_an_archived_cohort_answers_to_its_id_alone(store: Store) -> None:
    known_as = add_cohort(store, "team", b"ada\n", now=1).id
    assert members(store, "team") == members(store, "tag:team") == {"ada"}
    archive_cohort(store, "team", now=2)
    assert members(store, str(known_as)) == {"ada"}
    for expression in ("team", "tag:team", f"{known_as}&team"):
        with pytest.raises(HomecomingError, match=f"archived: it answers to its id, {known_as}"):
            members(store, expression)
    assert not tag_named(store.conn, str(known_as)).enabled


def test_an_id_is_never_given_again(store: Store) -> None:
    first = add_cohort(store, "first", b"ada\n", now=1).id
    with store.writing() as conn:
        conn.execute("DELETE FROM tag WHERE id = ?", (first,))
    assert add_cohort(store, "second", b"ada\n", now=1).id > first


def test_nothing_is_made_of_a_list_of_nobody(store: Store) -> None:
    for content, said in ((b"zoe\n", "'zoe'"), (b",wiki\n", "line 1: no user name"), (b"\n\n", "the list is empty")):
        with pytest.raises(HomecomingError, match=said):
            add_cohort(store, "team", content, now=1)
    add_cohort(store, "team", b"ada\n", now=1)


def test_projects_are_those_of_the_log_and_of_day_summaries(store: Store) -> None:
    feed(store, [acted(10, "bob", "dewiki", START + 30 * WEEK)])
    assert expire(store, 14)
    added = add_cohort(store, "wikis", b"ada,en\nada,dewiki\nbob,xx\n", now=1, mediawiki=False)
    assert added.report.valid == (("ada", "dewiki"),)
    assert [row.reason for row in added.report.invalid] == ["no project 'en'", "no project 'xx'"]
    feed(store, [acted(11, "Zoë", at=START + 30 * WEEK)])
    added = add_cohort(store, "languages", "zoë,EN\nada,de\n".encode(), now=1, mediawiki=True)
    assert added.report.valid == (("Zoë", "enwiki"),)
    assert added.report.unknown == ("Ada",)


def test_a_default_project_must_be_one(store: Store) -> None:
    with pytest.raises(HomecomingError, match="no project 'enwikki'; did you mean enwiki"):
        add_cohort(store, "team", b"ada\n", now=1, project="enwikki")
    assert add_cohort(store, "team", b"ada\n", now=1, project="ENWIKI").report.valid == (("ada", "enwiki"),)


def test_a_defined_name_is_taken(store: Store) -> None:
    defined = parse_definitions("[[cohort]]\nid = 'team'\nusers = ['ada']", "file")
    with pytest.raises(ExistsError, match="in the definitions"):
        add_cohort(store, "team", b"ada\n", now=1, definitions=defined)
    with pytest.raises(HomecomingError, match="cohort name"):
        add_cohort(store, "20", b"ada\n", now=1)


def test_badges_are_kept_cohorts_that_grow(store: Store) -> None:
    (tag,) = tags(store.conn)
    assert (tag.name, tag.badge, tag.members, tag.touched) == ("badge:white-hat", "white-hat", 1, START)
    feed(store, [awarded(20, "bob", "white-hat", START + DAY), awarded(21, "ada", "white-hat", START - DAY)])
    assert members(store, "badge:white-hat") == members(store, str(tag.id)) == {"ada", "bob"}
    assert store.conn.execute("SELECT user, at FROM award").fetchall() == [("ada", START - DAY), ("bob", START + DAY)]


def test_a_badges_id_stays_through_a_rebuild(store: Store) -> None:
    before = tags(store.conn)
    store.close()
    again = rebuild(store.directory)
    assert tags(again.conn) == before
    again.close()


@pytest.mark.parametrize(
    ("expression", "said"),
    [
        ("taem", "no cohort 'taem'; did you mean team? There are team"),
        ("tag:taem", "did you mean team"),
        ("99", "no cohort has the id 99"),
        ("badge:whit-hat", "no badge 'whit-hat' has been awarded; did you mean white-hat?"),
        ("event:flok", "no event 'flok' is defined; did you mean flock?"),
        ("campaign:x", "no campaign 'x' is defined; there is none yet"),
        ("event:lost", "event lost: no cohort 'gone'"),
    ],
)
def test_names_that_there_are_not_list_near_ones(store: Store, expression: str, said: str) -> None:
    add_cohort(store, "team", b"ada\n", now=1)
    text = "[[event]]\nid='flock'\nbadge='not-yet'\n[[event]]\nid='lost'\ntag='gone'"
    defined = parse_definitions(text, "file")
    assert members(store, "event:flock", defined) == set(), "a definition may be ahead of the first award"
    with pytest.raises(HomecomingError) as error:
        members(store, f"team~{expression}", defined)
    assert said in str(error.value)
    assert "ada" not in str(error.value)


def test_ten_thousand_terms(store: Store) -> None:
    with store.writing() as conn:
        conn.executemany("INSERT INTO tag (id, name) VALUES (?, ?)", [(n, f"t{n}") for n in range(100, 10_100)])
        conn.executemany("INSERT INTO user_tag VALUES (?, 'ada', '', 0)", [(n,) for n in range(100, 10_100)])
    assert members(store, "~".join(f"t{n}" for n in range(100, 10_100))) == {"ada"}
    assert members(store, "&".join(str(n) for n in range(100, 10_100))) == {"ada"}
    assert members(store, "&".join(["badge:white-hat", "all"] * 5_000)) == {"ada"}


def test_one_user(store: Store) -> None:
    with connect(store.directory) as duck:
        assert define_user(duck, store.conn, "zoë").users == 1
        assert duck.execute("FROM member").fetchall() == [("zoë", None)]
        with pytest.raises(HomecomingError, match="no user 'Ada'"):
            define_user(duck, store.conn, "Ada")


def test_a_name_is_data_and_never_sql(store: Store) -> None:
    name = "o'neil\"; --"
    feed(store, [acted(30, name), awarded(31, name, "it's")])
    assert members(store, "badge:it's") == {name}
    add_cohort(store, "odd", f'"{name.replace(chr(34), chr(34) * 2)}"\n'.encode(), now=1)
    assert members(store, "odd&badge:it's") == {name}


def test_an_older_state_learns_its_awards_from_its_log(store: Store) -> None:
    feed(store, [awarded(40, "zoë", "old", START + DAY), awarded(41, "ada", "old", START + 40 * WEEK)])
    seal(store)
    wanted = store.conn.execute("SELECT * FROM award").fetchall()
    assert len(wanted) == 3
    store.close()
    path = store.directory / DATABASE
    conn = sqlite3.connect(path, isolation_level=None)
    for name in ("award", "tag", "user_tag"):
        conn.execute(f"DROP TABLE {name}")
    conn.execute("DROP INDEX user_registered")
    conn.execute("DELETE FROM _sqlite_migrations WHERE name = '0004_cohorts'")
    conn.execute("PRAGMA user_version = 3")
    conn.close()
    again = open_store(store.directory)
    assert again.conn.execute("SELECT * FROM award").fetchall() == wanted
    assert {tag.name for tag in tags(again.conn)} == {"badge:old", "badge:white-hat"}
    assert again.conn.execute("PRAGMA user_version").fetchone()[0] == SCHEMA_VERSION
    again.close()


def test_the_schema_version_is_the_number_of_migrations(store: Store) -> None:
    assert len(migrations.applied(store.db)) == SCHEMA_VERSION
