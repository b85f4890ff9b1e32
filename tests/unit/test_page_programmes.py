"""The page of events and campaigns: the figures of the data objects, nothing of a few people, never a long wait."""

import re
from collections.abc import Callable, Iterator
from contextlib import closing
from html.parser import HTMLParser
from pathlib import Path
from threading import Event as Signal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metrics.context import Context
from metrics.page.programmes.asked import ProgrammesAsked, last_quarters, quarter_cohort, quarter_name
from metrics.page.programmes.discussions import length
from metrics.page.programmes.figure import HIDDEN, NONE, spoken
from metrics.page.programmes.routes import render
from metrics.page.programmes.shelf import Shelf
from metrics.programmes import suppression
from metrics.programmes.campaigns import BY, By, campaigns, chosen_campaigns
from metrics.programmes.discussions import discussions
from metrics.programmes.events import events
from metrics.programmes.funnel import funnel
from metrics.programmes.spans import month_start
from metrics.rate import percent
from state.cells import ALLOWED_LATENESS
from state.cohorts.definitions import NO_DEFINITIONS, Definitions, parse_definitions
from state.errors import HomecomingError, StateError
from state.store import open_store
from state.weeks import DAY, HOUR, SECOND, event_time_of
from tests.support.program import PATIENCE_S
from tests.support.programmes import AWARD, CREATE, ISSUE, Community, Said, ask, community, state_of
from tests.support.served import BEARER, TOKEN, served

K = 5

ASKED, BY_COUNTRY = ProgrammesAsked(), ProgrammesAsked(by="country")


class Tables(HTMLParser):
    """The body rows of each section as lists of texts, the cells' classes, and everything said."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.rows: dict[str, list[list[str]]] = {}
        self.classes: dict[str, list[list[str]]] = {}
        self.text = ""
        self._section = ""
        self._in_body = self._in_cell = False
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        named = dict(attrs)
        if tag == "section" or named.get("id") == "event":
            self._section = named.get("id") or ""
            self.rows.setdefault(self._section, [])
            self.classes.setdefault(self._section, [])
        elif tag == "tbody":
            self._in_body = True
        elif tag == "tr" and self._in_body:
            self.rows[self._section].append([])
            self.classes[self._section].append([])
        elif tag in {"td", "th"} and self._in_body:
            self.rows[self._section][-1].append("")
            self.classes[self._section][-1].append(named.get("class") or "")
            self._in_cell = True

    def handle_endtag(self, tag: str) -> None:
        if tag == "tbody":
            self._in_body = False
        elif tag in {"td", "th"}:
            self._in_cell = False

    def handle_data(self, data: str) -> None:
        self.text += data
        if self._in_cell:
            row = self.rows[self._section][-1]
            row[-1] = f"{row[-1]} {data}".strip()


@pytest.fixture(scope="module")
def simulated(tmp_path_factory: pytest.TempPathFactory) -> Community:
    return community(tmp_path_factory.getbasetemp())


@pytest.fixture
def shelf(simulated: Community) -> Iterator[Shelf]:
    with closing(Shelf(simulated.directory, lambda: simulated.definitions)) as shelf:
        yield shelf


def html_of(directory: Path, definitions: Definitions, asked: ProgrammesAsked = ASKED) -> str:
    with closing(Shelf(directory, lambda: definitions)) as shelf:
        page = render(Context(directory, None, K, lambda: 0), shelf, definitions, asked, PATIENCE_S)
        assert page.is_whole
        return page.html


class Look:
    """The page of the simulated community, its figures worked out once for all tests of the module."""

    def __init__(self, simulated: Community) -> None:
        self._simulated = simulated
        self._shelves: dict[int, Shelf] = {}

    def __call__(self, k: int = K, **asked: Any) -> Tables:
        directory, definitions = self._simulated.directory, self._simulated.definitions
        shelf = self._shelves.setdefault(k, Shelf(directory, lambda: definitions))
        page = render(Context(directory, None, k, lambda: 0), shelf, definitions, ProgrammesAsked(**asked), PATIENCE_S)
        assert page.is_whole
        return Tables(page.html)

    def close(self) -> None:
        for shelf in self._shelves.values():
            shelf.close()


@pytest.fixture(scope="module")
def look(simulated: Community) -> Iterator[Look]:
    with closing(Look(simulated)) as look:
        yield look


def public(simulated: Community, question: Callable[..., Any], hide: Callable[..., Any], *given: Any, k: int) -> Any:
    return hide(ask(simulated.directory, question, *given, exact=False), k)


def events_of(simulated: Community, k: int) -> Any:
    chosen = list(simulated.definitions.events.values())
    return public(simulated, events, suppression.public_events, simulated.definitions, chosen, k=k)


def cell_text(users: int | None, state: str, said: str, of: int | None) -> str:
    """What a cell says, its state aside."""
    if users is None:
        return NONE if state == "future" else HIDDEN
    return f"{said} {users:,}/{of:,}" if of is not None else f"{said} {users:,}"


def without_note(text: str) -> str:
    return text.partition(" ,")[0]


@pytest.mark.parametrize("k", [1, K, 30])
def test_events_have_the_figures_of_the_data(simulated: Community, look: Look, k: int) -> None:
    found = events_of(simulated, k).events
    page = look(k=k)
    assert len(page.rows["events"]) == len(found) > 0
    for event, row in zip(found, page.rows["events"], strict=True):
        everybody = event.row("all")
        counts = [HIDDEN if n is None else f"{n:,}" for n in (event.attendees, event.newcomers, event.existing)]
        assert row[0].startswith(event.name)
        assert row[1:4] == counts
        if event.returned is None:
            assert row[4] == (NONE if event.successor is None else row[4])
            assert row[4] in {NONE, HIDDEN}
        else:
            assert row[4] == f"{percent(event.returned, event.attendees)} {event.returned}/{event.attendees}"
        sides = (everybody.before, everybody.after)
        for mean, said in zip(sides, row[5:7], strict=True):
            assert said in ({HIDDEN, NONE} if mean is None else {spoken(mean)})
        assert [without_note(said) for said in row[7:]] == [
            cell_text(cell.users, cell.state, spoken(cell.mean or 0), event.attendees) for cell in everybody.cells
        ]


@pytest.mark.parametrize("k", [1, K])
def test_an_event_is_told_by_group_and_service(simulated: Community, look: Look, k: int) -> None:
    event = events_of(simulated, k).events[0]
    heads = {"all": event.attendees, "newcomers": event.newcomers, "existing": event.existing}
    page = look(k=k, event=event.id)
    assert len(page.rows["event"]) == len(event.rows)
    for row, said in zip(event.rows, page.rows["event"], strict=True):
        group = "everybody" if row.group == "all" else row.group
        assert said[0] == (group if row.service is None else f"{group}, {row.service}")
        assert [without_note(one) for one in said[3:]] == [
            cell_text(cell.users, cell.state, spoken(cell.mean or 0), heads[row.group]) for cell in row.cells
        ]


def test_cells_are_marked_as_they_are_in_the_triangle(simulated: Community, look: Look) -> None:
    (event, *_), page = events_of(simulated, 1).events, look(k=1)
    for cell, kind in zip(event.row("all").cells, page.classes["events"][0][7:], strict=True):
        assert ("future" in kind.split()) == (cell.state == "future")
        for state in ("open", "partial"):
            assert (state in kind.split()) == (cell.state == state)


@pytest.mark.parametrize("k", [1, K, 30])
@pytest.mark.parametrize("by", BY)
def test_campaigns_have_the_figures_of_the_data(simulated: Community, look: Look, by: By, k: int) -> None:
    chosen = chosen_campaigns(simulated.definitions)
    whole = ask(simulated.directory, campaigns, simulated.definitions, chosen, by)
    found = suppression.public_campaigns(whole, k)
    page = look(k=k, by=by)
    assert len(page.rows["campaigns"]) == len(found.rows) > 0
    for row, said in zip(found.rows, page.rows["campaigns"], strict=True):
        assert said[0] == row.name
        assert said[1:3] == [HIDDEN if n is None else f"{n:,}" for n in (row.participants, row.newcomers)]
        assert [without_note(one) for one in said[3:]] == [
            cell_text(cell.users, cell.state, percent(cell.users or 0, cell.of or 0), cell.of) for cell in row.cells
        ]


@pytest.mark.parametrize("k", [1, K, 60])
def test_discussions_have_the_figures_of_the_data(simulated: Community, look: Look, k: int) -> None:
    found = public(simulated, discussions, suppression.public_discussions, k=k)
    page = look(k=k)
    rows = [row for row in found.rows if row.topics != 0]
    assert len(page.rows["discussions"]) == len(rows) > 0
    for row, said in zip(rows, page.rows["discussions"], strict=True):
        if row.topics is None:
            assert said == [row.service, *[HIDDEN] * 6]
            continue
        assert said[0] == row.service
        assert said[1] == f"{percent(row.answered, row.topics)} {row.answered:,}/{row.topics:,}"
        assert said[2] == length(int(row.first_answer_median_s * SECOND))
        assert said[3:5] == [f"{row.topics:,}", f"{row.replies:,}"]
        assert said[5] == spoken(row.mean_replies)
        assert said[6] == f"{row.participants:,}"


@pytest.mark.parametrize("k", [1, K, 10_000])
@pytest.mark.parametrize("cohort", [None, "all", "event:harbour-days-1", "month:2024-02"])
def test_the_funnel_has_the_figures_of_the_data(simulated: Community, look: Look, cohort: str | None, k: int) -> None:
    as_of = ask(simulated.directory, funnel, simulated.definitions, "all").as_of
    wanted = cohort or quarter_cohort(last_quarters(as_of or 0)[0])
    found = public(simulated, funnel, suppression.public_funnel, simulated.definitions, wanted, k=k)
    page = look(k=k, cohort=cohort)
    steps = found.steps[2:]
    assert [step.name for step in steps] == ["registered", "contributed", "stayed"]
    for step, said in zip(steps, page.rows["funnel"], strict=True):
        assert said[1] == (HIDDEN if step.users is None else f"{step.users:,}")
        share = None if step.share is None else percent(step.users or 0, step.of or 0)
        assert said[2] in ({"", HIDDEN, NONE} if share is None else {share})
        assert said[3] in ({"", HIDDEN, NONE} if step.drop is None else {f"{step.drop:,}"})
    assert wanted in page.text
    assert "Visits before an account are not measured" in page.text


def test_nothing_of_a_few_people_is_shown(look: Look) -> None:
    page = look(k=30, event="harbour-days-1")
    for name in ("events", "event"):
        for row in page.rows[name]:
            for users, of in re.findall(r"([\d,]+)/([\d,]+)", " ".join(row)):
                assert int(users.replace(",", "")) not in range(1, 30)
                assert int(of.replace(",", "")) not in range(1, 30)
    assert HIDDEN in page.text
    page = look(k=10**6, event="harbour-days-1")
    assert page.rows["events"] == []
    assert "events of fewer than 1000000 people are not shown" in page.text
    assert "too few people to tell of" in page.text
    assert "Hidden: it would tell of fewer than 1000000 people" in page.text


def test_nobody_is_named(simulated: Community, look: Look) -> None:
    for asked in ({}, {"event": "harbour-days-1"}, {"by": "service"}, {"cohort": "all"}):
        words = set(re.split(r"[^\w-]+", look(k=1, **asked).text))
        # The names of services and of words are no people's.
        assert not (words & set(simulated.log["username"])) - {"all"}


def test_what_a_community_writes_stays_text(tmp_path: Path) -> None:
    said = Said()
    for n in range(6):
        said(f"2024-01-0{n + 1}", CREATE, f"p{n}")
        said(f"2024-02-0{n + 1}", AWARD, f"p{n}", "fest")
        said(f"2024-04-0{n + 1}", ISSUE, f"p{n}", "thing")
    definitions = parse_definitions(
        """
        [[event]]
        id = "fest"
        name = "<script>alert(1)</script>"
        badge = "fest"
        successor = "next"
        [[event]]
        id = "next"
        name = '"><img src=x onerror=alert(2)>'
        badge = "nothing"
        [[campaign]]
        id = "drive"
        name = "<b>'drive'</b>"
        start = 2024-01-01
        end = 2024-02-01
        badge = "fest"
        country = "<i>&"
        """,
        "test",
    )
    state_of(tmp_path, said.events)
    views = (ASKED, ProgrammesAsked(event="fest"), ProgrammesAsked(event="next"), BY_COUNTRY)
    for html in (html_of(tmp_path, definitions, view) for view in views):
        assert "<script" not in html
        assert not re.search(r"<img|<b>'drive|<i>&", html)
        assert "&lt;script&gt;alert(1)&lt;/script&gt;" in html
    assert "&lt;i&gt;&amp;" in html_of(tmp_path, definitions, BY_COUNTRY)


def test_without_definitions_it_says_how_to_define(simulated: Community) -> None:
    page = Tables(html_of(simulated.directory, NO_DEFINITIONS))
    for kind in ("event", "campaign"):
        assert f"No {kind} is defined: describe it as [[{kind}]] in a TOML file" in page.text
    assert page.rows["events"] == page.rows["campaigns"] == []
    assert page.rows["funnel"], "what needs no definitions is there"
    assert page.rows["discussions"]


def test_an_empty_state_says_what_to_do(tmp_path: Path) -> None:
    open_store(tmp_path).close()
    assert "Nothing to show yet" in html_of(tmp_path, NO_DEFINITIONS)


def test_one_section_s_error_leaves_the_others(simulated: Community) -> None:
    definitions = parse_definitions(
        '[[event]]\nid = "odd"\ntag = "<b>no"\nstart = 2024-01-01\nend = 2024-02-01\n', "test"
    )
    html = html_of(simulated.directory, definitions)
    page = Tables(html)
    assert "no cohort '<b>no'" in page.text
    assert "<b>no" not in html
    assert page.rows["discussions"]


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"cohort": "week:2024-06-04"}, "expected the Monday of a week"),
        ({"cohort": "event:nope"}, "no event 'nope'"),
        ({"cohort": "nope"}, "no cohort 'nope'"),
        ({"event": "nope"}, "no event 'nope': one of harbour-days-1"),
    ],
)
@pytest.mark.parametrize("is_busy", [False, True])
def test_what_there_is_not_is_refused(
    simulated: Community, shelf: Shelf, asked: dict[str, Any], said: str, is_busy: bool
) -> None:
    until = Signal()
    if is_busy:
        shelf._worker.submit(until.wait)
    context = Context(simulated.directory, None, K, lambda: 0)
    try:
        with pytest.raises(HomecomingError, match=said):
            render(context, shelf, simulated.definitions, ProgrammesAsked(**asked), 0 if is_busy else PATIENCE_S)
    finally:
        until.set()


def test_a_page_does_not_wait_for_what_takes_long(simulated: Community, shelf: Shelf) -> None:
    context = Context(simulated.directory, None, K, lambda: 0)
    until = Signal()
    shelf._worker.submit(until.wait)
    try:
        page = render(context, shelf, simulated.definitions, ProgrammesAsked(), 0)
        again = render(context, shelf, simulated.definitions, ProgrammesAsked(), 0)
        waiting = len(shelf._coming)
    finally:
        until.set()
    assert not page.is_whole
    assert waiting == 4, "what is on its way is not asked for again"
    for command in ("events", "campaigns", "discussions", "funnel COHORT"):
        assert f"<code>homecoming {command} --state DIR</code>" in page.html
    assert again.html == page.html
    page = render(context, shelf, simulated.definitions, ProgrammesAsked(), PATIENCE_S)
    assert page.is_whole
    assert "being worked out" not in page.html
    assert render(context, shelf, simulated.definitions, ProgrammesAsked(), 0) == page, "kept"


class Time:
    """A clock that goes when it is told to."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_figures_are_kept_until_the_state_changes_and_so_many_times_what_they_took(tmp_path: Path) -> None:
    said, time = Said(), Time()
    times = 0

    def question(*_: Any) -> int:
        nonlocal times
        times += 1
        time.now += 2.0
        return times

    def commit() -> None:
        said("2024-01-01", CREATE, f"ada{len(said.events)}")
        state_of(tmp_path, said.events)

    commit()

    with closing(Shelf(tmp_path, lambda: NO_DEFINITIONS, time)) as shelf:
        assert shelf.ask("x", question).get(PATIENCE_S) == 1
        time.now += 1e6
        assert shelf.ask("x", question).get(0) == 1, "nothing was committed"
        assert shelf.ask("y", question).get(PATIENCE_S) == 2
        commit()
        assert shelf.ask("y", question).get(0) == 2, "it took two seconds: it is good for a minute"
        assert shelf.ask("x", question).get(PATIENCE_S) == 3
        commit()
        time.now += 59
        assert shelf.ask("x", question).get(0) == 3
        time.now += 2
        assert shelf.ask("x", question).get(PATIENCE_S) == 4


def test_the_last_figures_stand_in_while_new_ones_are_worked_out(tmp_path: Path) -> None:
    said, time, until = Said(), Time(), Signal()
    said("2024-01-01", CREATE, "ada")
    state_of(tmp_path, said.events)
    with closing(Shelf(tmp_path, lambda: NO_DEFINITIONS, time)) as shelf:
        assert shelf.ask("x", lambda *_: "old").get(PATIENCE_S) == "old"
        said("2024-01-02", CREATE, "bob")
        state_of(tmp_path, said.events)
        shelf._worker.submit(until.wait)
        try:
            ordered = shelf.ask("x", lambda *_: "new")
            assert ordered.get(0) == "old"
        finally:
            until.set()
        assert ordered.get(PATIENCE_S) == "new"


def test_no_figures_outlive_their_state_or_its_definitions(tmp_path: Path) -> None:
    said, other, time = Said(), tmp_path / "other", Time()
    said("2024-01-01", CREATE, "ada")
    state, defined = state_of(tmp_path / "state", said.events), [NO_DEFINITIONS]
    state_of(other, said.events)
    with closing(Shelf(state, lambda: defined[0], time)) as shelf:
        assert shelf.ask("x", lambda *_: 1).get(PATIENCE_S) == 1
        assert shelf.ask("x", lambda *_: 2).get(PATIENCE_S) == 1
        defined[0] = parse_definitions('[[cohort]]\nid = "c"\nusers = ["ada"]\n', "test")
        assert shelf.ask("x", lambda *_: 3).get(PATIENCE_S) == 3
        (other / "homecoming.sqlite").replace(state / "homecoming.sqlite")
        assert shelf.ask("x", lambda *_: 4).get(PATIENCE_S) == 4
        (state / "homecoming.sqlite").unlink()
        with pytest.raises(StateError):
            shelf.ask("x", lambda *_: 5)


@given(st.integers(event_time_of("1990-01-01"), event_time_of("2200-01-01")), st.integers(1, 8))
def test_quarters_are_whole_and_follow_each_other(as_of: int, count: int) -> None:
    found = last_quarters(as_of, count)
    assert found == [found[0] - 3 * n for n in range(count)]
    assert all(month % 3 == 0 for month in found)
    assert month_start(found[0] + 3) + ALLOWED_LATENESS <= as_of < month_start(found[0] + 6) + ALLOWED_LATENESS


def test_a_quarter_s_name_and_cohort() -> None:
    (quarter,) = last_quarters(event_time_of("2024-07-02"))
    assert (quarter_name(quarter), quarter_cohort(quarter)) == (
        "2024 Q2",
        "month:2024-04~month:2024-05~month:2024-06",
    )
    assert quarter_name(*last_quarters(event_time_of("2024-07-02") - 1)) == "2024 Q1", "late events may still come"


@given(st.floats(0, 1e6))
def test_a_mean_is_spoken_to_three_digits(mean: float) -> None:
    said = spoken(mean)
    assert abs(float(said.replace(",", "")) - mean) <= max(0.00501, 0.00501 * mean)
    assert len(said.replace(",", "").replace(".", "")) >= 3


@pytest.mark.parametrize(
    ("span", "said"),
    [(29 * SECOND, "0 min"), (59 * 60 * SECOND, "59 min"), (HOUR, "1.0 hours"), (5 * HOUR // 2, "2.5 hours"),
     (2 * DAY, "2.0 days")],
)  # fmt: skip
def test_a_length_of_time(span: int, said: str) -> None:
    assert length(span) == said


def test_it_is_served_beside_the_page(simulated: Community) -> None:
    with served(simulated.directory, TOKEN, definitions=lambda: simulated.definitions) as client:
        until_whole(client.get)
        answer = client.get("/programmes")
        assert answer.status_code == 200
        assert answer.headers["Content-Type"].startswith("text/html")
        assert "<script" not in answer.text, "no script is needed"
        assert client.get("/programmes", If_None_Match=answer.headers["ETag"]).status_code == 304
        assert client.get("/programmes", Authorization=BEARER).text == answer.text, "the page is the public's"
        for path, other in (("/", "/programmes"), ("/programmes", "/")):
            html = client.get(path).text
            assert f'<a href="{path}" aria-current="page">' in html
            assert f'<a href="{other}">' in html
        for query, said in (
            ("by=nope", "no by 'nope': one of campaign, year, service, country"),
            ("cohort=", "cohort: expected"),
            ("cohort=nope", "no cohort 'nope'"),
            ("event=nope", "no event 'nope'"),
            ("nope=1", "no parameter 'nope': one of event, by, cohort"),
        ):
            refused = client.get(f"/programmes?{query}")
            assert (refused.status_code, refused.json()["error"][: len(said)]) == (422, said)


def until_whole(get: Callable[[str], Any]) -> None:
    """Look until every section has its figures, which no cache may have kept before."""
    for _ in range(int(PATIENCE_S)):
        answer = get("/programmes")
        if "being worked out" not in answer.text:
            return
        assert answer.headers["Cache-Control"] == "no-store"
    pytest.fail("the figures never came")
