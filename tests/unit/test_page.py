"""The page as the server makes it: of a state, for the public."""

import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from starlette.datastructures import QueryParams
from starlette.exceptions import HTTPException

from metrics.context import Context
from metrics.page.routes import render
from metrics.page.view import view_of
from state.coverage import cover
from state.dead_letters import DeadLetter, bury
from state.event import Event, service_of
from state.live import commit_batch
from state.store import open_store
from state.weeks import DAY, HOUR, SECOND, WEEK, week_name, week_named, week_start

START = week_start(week_named("2024-06-03"))
AS_OF = START + 2 * WEEK + 2 * DAY


class Page(HTMLParser):
    """Rows of the triangles as lists of texts, their cells' classes, links by address, tags, and everything said."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.rows: list[list[str]] = []
        self.classes: list[list[str]] = []
        self.links: dict[str, dict[str, str | None]] = {}
        self.tags: set[str] = set()
        self.text = ""
        self._section = ""
        self._inside = False
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        named = dict(attrs)
        self.tags.add(tag)
        if tag == "section":
            self._section = named.get("id") or ""
        if tag == "a":
            self.links[named["href"] or ""] = named
        if self._section == "triangle" and tag == "tr":
            self.rows.append([])
            self.classes.append([])
        elif self._section == "triangle" and tag in {"td", "th"}:
            self.rows[-1].append("")
            self.classes[-1].append(named.get("class") or "")
            self._inside = True

    def handle_endtag(self, tag: str) -> None:
        if tag in {"td", "th"}:
            self._inside = False

    def handle_data(self, data: str) -> None:
        self.text += data
        if self._inside:
            self.rows[-1][-1] += f" {data}" if self.rows[-1][-1] else data


def event(user: str, at: int, action: str = "pagure.issue.new") -> Event:
    topic = f"org.fedoraproject.prod.{action}"
    return Event(f"{user}-{at}-{action}", at, None, topic, user, "actor", service_of(topic))


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """A cohort of six, of whom three came back, and one of three; the third week has begun."""
    events = [event(f"zeb{n}", START + n, "fas.user.create") for n in range(6)]
    events += [event(f"zeb{n}", START + WEEK + DAY) for n in range(3)]
    events += [event(f"yan{n}", START + WEEK + n, "fas.user.create") for n in range(3)]
    events += [event("zeb0", AS_OF)]
    add(tmp_path, events)
    return tmp_path


def add(directory: Path, events: list[Event]) -> None:
    store = open_store(directory)
    commit_batch(store, [[e] for e in events])
    store.close()


def html_of(directory: Path, query: str = "", *, k: int = 5, token: str | None = None, now: int = AS_OF) -> str:
    return render(Context(directory, token, k, lambda: now), view_of(QueryParams(query)))


def page_of(directory: Path, query: str = "", *, k: int = 5) -> Page:
    return Page(html_of(directory, query, k=k))


def section(html: str, name: str) -> str:
    """The text of one section, its white space made even."""
    found = re.search(rf'<(section|div) id="{name}".*?</\1>', html, flags=re.DOTALL)
    assert found, name
    return " ".join(Page(found[0].replace("</dt>", " ")).text.split())


def test_the_triangle_has_rates_counts_and_states(directory: Path) -> None:
    page = page_of(directory)
    header, cohort = page.rows
    assert header == ["Cohort", "Size", *(f"W{offset}" for offset in range(13))]
    assert cohort[:5] == ["2024-06-03", "6", "100% 6/6", "50% 3/6", "17% 1/6 , week still in progress"]
    assert cohort[5:] == ["N/A"] * 10
    assert page.classes[1][4].split()[1:] == ["open"]
    assert "1 cohort of fewer than 5 users is not shown" in page.text
    assert "as of 2024-06-19 00:00 UTC" in page.text
    assert "of the 6 who signed up in the week of 2024-06-03, 50% were active in the week after (W1)" in page.text


def test_the_answers_count_final_cells_alone(directory: Path) -> None:
    answers = page_of(directory, k=1).text
    assert re.search(r"came back the week after\s*50% 3 of 6", answers), "the second cohort's week is not final"
    assert "after 4 weeks" not in answers


@pytest.mark.parametrize("weeks", [13, 4, 52])
def test_as_many_cohorts_are_shown_as_the_columns_need(directory: Path, weeks: int) -> None:
    add(
        directory,
        [event(f"w{w}-{n}", START + w * WEEK + n, "fas.user.create") for w in range(2, 60) for n in range(5)],
    )
    header, *cohorts = page_of(directory, f"weeks={weeks}").rows
    assert header[2:] == [f"W{offset}" for offset in range(weeks)]
    assert len(cohorts) == max(26, weeks)
    assert cohorts[-1][0] == week_name(week_named("2024-06-03") + 59)


def test_cohorts_below_k_are_in_no_figure(directory: Path) -> None:
    assert len(page_of(directory, k=3).rows) == 3
    for query in ("", "view=beside"):
        page = page_of(directory, query, k=7)
        assert page.rows == []
        assert "2 cohorts of fewer than 7 users are not shown" in page.text
        assert "came back" not in page.text
        assert "How return fades" not in page.text


def test_with_and_without_spam_stand_side_by_side(directory: Path) -> None:
    add(directory, [event("zeb5", AS_OF + n * 5 * SECOND) for n in range(6)])  # half a minute
    page = page_of(directory, "view=beside")
    sizes = [row[1] for row in page.rows if row[0] == "2024-06-03"]
    assert sizes == ["6", "5"]
    said = " ".join(page.text.split())
    assert "of the accounts flagged as spam17% 1 of 6" in said
    assert "50% with spam, 3 of 6" in said
    assert "60% without spam, 3 of 5" in said


def test_one_style_one_script_and_nothing_from_elsewhere(directory: Path) -> None:
    html = html_of(directory, token="t")
    assert len(re.findall("<script", html)) == 1
    assert len(re.findall("<style", html)) == 1
    assert not re.search(r"""(?:src|href)=["']?(?:https?:)?//|url\(|@import""", html)


def test_nobody_is_named(directory: Path) -> None:
    add(directory, [event("zeb5", AS_OF + n * 5 * SECOND) for n in range(6)])
    for query in ("", "population=clean", "view=beside"):
        html = html_of(directory, query, token="t")
        assert "1 burst of posts warning" in section(html, "flags")
        assert not re.search(r"zeb\d|yan\d", html)


def test_waves_are_told_without_their_pattern(directory: Path) -> None:
    add(directory, [event(f"cheapbags{n}", AS_OF + HOUR + n * SECOND, "fas.user.create") for n in range(1001, 1009)])
    html = html_of(directory)
    assert "at least 5 with names of one pattern" in section(html, "signups")
    assert "wave of names critical" in section(html, "flags")
    assert "cheapbags" not in html


@pytest.mark.parametrize("token", [None, "t"])
def test_the_operator_s_form_is_there_where_there_is_a_token(directory: Path, token: str | None) -> None:
    html = html_of(directory, token=token)
    assert ('id="token"' in html) == (token is not None)
    assert not re.search(r"<input[^>]* name=", html), "what has no name is sent with no form"


def test_health_tells_lag_gaps_and_dead_letters(directory: Path) -> None:
    store = open_store(directory)
    with store.writing() as conn:
        for day in range(5):
            cover(conn, "amqp", START + day * DAY, START + day * DAY + (22 - day) * HOUR)
        bury(conn, [DeadLetter(AS_OF, "<b>odd</b>", "", "amqp", f"id{n}", None, None, b"") for n in range(2)])
    store.close()
    said = section(html_of(directory, now=AS_OF + 3 * HOUR + 59 * 60 * SECOND), "health")
    assert "Newest event 3 hours ago 2024-06-19 00:00 UTC" in said
    assert "Listened until 2024-06-07 18:00 UTC" in said
    assert "5 hours 2024-06-06 19:00 UTC to 2024-06-07 00:00 UTC" in said
    assert "3 hours 2024-06-04 21:00 UTC to 2024-06-05 00:00 UTC and 1 before" in said
    assert "2 <b>odd</b>" in said
    assert "Last message" not in said, "nobody listens in this process"


def test_an_empty_state_says_what_to_do(tmp_path: Path) -> None:
    open_store(tmp_path).close()
    page = page_of(tmp_path)
    assert "homecoming backfill" in page.text
    assert "table" not in page.tags
    assert "svg" not in page.tags


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("population=<b>", "no population '<b>': one of all, engaged, clean, engaged_clean"),
        ("view=x", "no view 'x': one of single, beside"),
        ("weeks=3", "weeks: expected 4 to 52, got '3'"),
        ("weeks=53", "weeks: expected 4 to 52, got '53'"),
        ("weeks=", "weeks: expected 4 to 52, got ''"),
        ("weeks=²", "weeks: expected 4 to 52, got '²'"),
        (f"weeks={'1' * 5000}", "weeks: expected 4 to 52, got '1"),
    ],
)
def test_what_there_is_not_is_refused_with_what_there_is(query: str, said: str) -> None:
    with pytest.raises(HTTPException) as caught:
        view_of(QueryParams(query))
    assert caught.value.status_code == 422
    assert caught.value.detail.startswith(said)
    assert len(caught.value.detail) < 150
