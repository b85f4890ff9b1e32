"""What people read at a terminal."""

from io import StringIO
from pathlib import Path

from rich.console import Console

from metrics.programmes.campaigns import campaigns
from metrics.programmes.discussions import discussions
from metrics.programmes.events import events
from metrics.programmes.funnel import funnel
from metrics.programmes.table import show_campaigns, show_discussions, show_events, show_funnel
from state.cohorts.definitions import NO_DEFINITIONS, parse_definitions
from tests.support.programmes import AWARD, CREATE, ISSUE, WIKI, Said, ask, state_of

DEFINED = parse_definitions(
    '[[event]]\nid = "flock"\nbadge = "flock"\n'
    '[[campaign]]\nid = "photos"\nstart = 2024-06-01\nend = 2024-07-01\nbadge = "flock"\ncountry = "DE"\n',
    "x",
)


def printed(show: object, found: object) -> list[str]:
    file = StringIO()
    show(found, Console(file=file, width=80))  # type: ignore[operator]
    return file.getvalue().splitlines()


def state(tmp_path: Path) -> Path:
    said = Said()
    said("2024-01-01", ISSUE, "bob", "issue/1")
    said("2024-05-20", CREATE, "ada")
    for name in ("ada", "bob"):
        said("2024-06-03", AWARD, name, "flock")
    said("2024-07-01", WIKI, "ada", "page")
    said("2024-10-10", WIKI, "ada", "page")
    return state_of(tmp_path, said.events)


def test_one_event_with_its_months(tmp_path: Path) -> None:
    lines = printed(show_events, ask(state(tmp_path), events, DEFINED, list(DEFINED.events.values())))
    assert lines[1].split() == ["flock", "2024-06-03", "2", "1", "(50", "%)", "1", "(50", "%)", "0.00", "0.17", "-"]
    assert lines[3].split() == ["group", "service", "M-4", "M-3", "M-2", "M-1", "M+1", "M+2", "M+3", "M+4"]
    assert lines[4].split() == ["all", "all", "0.00", "0.00", "0.00", "0.00", "0.50", "0.00", "0.00", "0.50…"]
    assert lines[-1].endswith("as of 2024-10-10T00:00:00Z")


def test_campaigns(tmp_path: Path) -> None:
    found = ask(state(tmp_path), campaigns, DEFINED, list(DEFINED.campaigns.values()))
    header, row, _ = printed(show_campaigns, found)
    assert header.split() == [
        *("campaign", "participants", "newcomers"),
        *("+3", "months", "+6", "months", "+9", "months", "+12", "months"),
    ]
    assert row.split() == ["photos", "2", "0", "0", "(0", "%)"]


def test_discussions(tmp_path: Path) -> None:
    lines = printed(show_discussions, ask(state(tmp_path), discussions))
    pagure = next(line for line in lines if line.startswith("pagure"))
    assert pagure.split() == ["pagure", "1", "0", "0.0", "1", "0", "(0", "%)", "0", "0", "-"]


def test_a_funnel_says_what_was_not_measured(tmp_path: Path) -> None:
    lines = printed(show_funnel, ask(state(tmp_path), funnel, NO_DEFINITIONS, "month:2024-05"))
    assert lines[1].split() == ["visited", "not", "measured"]
    assert lines[4].split() == ["contributed", "1", "100.0", "%", "0"]


def test_where_nothing_is_defined_it_says_what_to_do(tmp_path: Path) -> None:
    nothing = state(tmp_path)
    assert "[[event]]" in " ".join(printed(show_events, ask(nothing, events, NO_DEFINITIONS, [])))
    assert "[[campaign]]" in printed(show_campaigns, ask(nothing, campaigns, NO_DEFINITIONS, []))[0]
    by_service = ask(nothing, campaigns, NO_DEFINITIONS, [], "service")
    assert printed(show_campaigns, by_service) == ["nobody who took part contributed anywhere in these months"]
