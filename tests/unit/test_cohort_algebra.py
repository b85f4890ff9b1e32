"""The algebra's text: what it means, and what is said of what it does not allow."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from state.cohorts.algebra import Term, canonical, parse, span_of
from state.cohorts.definitions import NO_DEFINITIONS
from state.cohorts.members import define_members
from state.duck import connect
from state.errors import HomecomingError
from state.rules import Rules
from state.store import open_store
from state.weeks import event_time_of

#: Upstream's invalid expressions that are valid here, and why.
DELIBERATELY_VALID = {"a&b": "cohorts have names too, and not numbers alone"}


@pytest.fixture(scope="session")
def cases(shared_data: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((shared_data / "usermetrics_cases.json").read_text())["cohort_algebra"]
    return found


@pytest.fixture
def evaluate(cases: dict[str, Any], tmp_path: Path) -> Callable[[str], set[int]]:
    """The users whom an expression over the cases' sets means; a set's number is the cohort's id."""
    store = open_store(tmp_path)
    with store.writing() as conn:
        for known_as, users in cases["sets"].items():
            conn.execute("INSERT INTO tag (id, name) VALUES (?, ?)", (int(known_as), f"set-{known_as}"))
            conn.executemany("INSERT INTO user_tag VALUES (?, ?, '', 0)", [(int(known_as), str(u)) for u in users])

    def members(expression: str) -> set[int]:
        with connect(tmp_path) as duck:
            size = define_members(duck, store.conn, expression, NO_DEFINITIONS, Rules())
            found = [int(user) for (user,) in duck.execute("SELECT username FROM member").fetchall()]
        assert size.users == len(found) == len(set(found))
        return set(found)

    return members


def test_valid_cases(cases: dict[str, Any], evaluate: Callable[[str], set[int]]) -> None:
    assert len(cases["valid"]) >= 8
    for case in cases["valid"]:
        assert evaluate(case["expr"]) == set(case["expected"]), case


def test_three_are_met_by_whoever_is_in_all_three(cases: dict[str, Any], evaluate: Callable[[str], set[int]]) -> None:
    bug = cases["upstream_bug"]
    assert evaluate(bug["expr"]) == set(bug["correct"]) != set(bug["upstream_result"])


def test_invalid_cases(cases: dict[str, Any]) -> None:
    refused = set()
    for text in cases["invalid"]:
        try:
            parse(text)
        except HomecomingError:
            refused.add(text)
    assert refused == set(cases["invalid"]) - DELIBERATELY_VALID.keys()


def test_intersection_binds_tighter() -> None:
    assert parse("20&29~31") == ((Term("id", "20"), Term("id", "29")), (Term("id", "31"),))
    assert parse("a-b~badge:flock-2025-attendee&week:2024-06-03") == (
        (Term("name", "a-b"),),
        (Term("badge", "flock-2025-attendee"), Term("week", "2024-06-03")),
    )


@pytest.mark.parametrize(
    ("text", "character", "expected"),
    [
        ("", 1, "an id, a name, all, week:2024-06-03"),
        ("1&", 3, "badge:ID"),
        ("1~~2", 3, "an id, a name"),
        ("1 & 2", 2, "no blanks"),
        ("1\n", 2, "no blanks"),
        ("1|2", 2, "~, & or the end"),
        ("(1~2)&3", 1, "an id, a name"),
        ("1&2)", 4, "no nesting"),
        ("a~week:2024-06-05", 3, "week:2024-06-03"),
        ("week:tomorrow", 1, "the Monday of a week"),
        ("month:2024-13", 1, "month:2024-06"),
        ("month:٢٠٢٤-06", 1, "month:2024-06"),
        ("badge:", 7, "after badge:"),
        ("fruit:apple", 1, "badge:ID"),
        ("1" * 100 + "ü", 101, "~, & or the end"),
    ],
)
def test_errors_say_where_and_what(text: str, character: int, expected: str) -> None:
    with pytest.raises(HomecomingError) as error:
        parse(text)
    said = str(error.value)
    assert f"character {character}:" in said
    assert expected in said
    assert "\n" not in said
    assert len(said) < 250


def test_ten_thousand_terms_are_a_flat_scan() -> None:
    union = parse("~".join(f"cohort-{number}" for number in range(10_000)))
    assert len(union) == 10_000
    (product,) = parse("&".join(f"cohort-{number}" for number in range(10_000)))
    assert len(product) == 10_000
    with pytest.raises(HomecomingError, match="character 40002"):
        parse("abc~" * 10_000 + "x(")


def test_what_is_the_same_has_one_canonical_text() -> None:
    texts = ("b&a~c", "c~a&b", "c~c~a&b&a", "c~b&a~a&b")
    assert {canonical(parse(text)) for text in texts} == {"a&b~c"}
    assert canonical(parse("007&badge:x")) == "7&badge:x"
    assert parse(canonical(parse("b&a~c"))) == parse("a&b~c")


def test_spans() -> None:
    def span(text: str) -> tuple[int, int]:
        ((term,),) = parse(text)
        return span_of(term)

    assert span("week:2024-12-30") == (event_time_of("2024-12-30"), event_time_of("2025-01-06"))
    assert span("month:2024-02") == (event_time_of("2024-02-01"), event_time_of("2024-03-01"))
    assert span("month:2024-12") == (event_time_of("2024-12-01"), event_time_of("2025-01-01"))
