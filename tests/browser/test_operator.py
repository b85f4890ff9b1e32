"""The operator in a browser: names and decisions for the token alone, which leaves no trace."""

import sqlite3
from contextlib import closing
from pathlib import Path

from playwright.sync_api import Locator, Page, expect

from state.store import DATABASE
from state.weeks import DAY, HOUR, SECOND
from tests.browser.community import AS_OF, MALLORY, TOKEN, TROUBLE, OpenPage, add, event, sign_in


def flag_of(page: Page, name: str) -> Locator:
    return page.locator("#named > li", has=page.get_by_role("heading", name=name))


def decisions(directory: Path) -> list[tuple[str, str, str]]:
    with closing(sqlite3.connect(directory / DATABASE)) as conn:
        return conn.execute("SELECT user, verdict, reason FROM decision").fetchall()


def test_names_are_the_operator_s_alone(open_page: OpenPage, directory: Path) -> None:
    page = open_page()
    expect(page.locator("#flags")).to_contain_text("1 burst of posts")
    assert "document.title" not in page.locator("main").inner_text()
    sign_in(page, "not-the-operator-s-token")
    expect(page.locator("#said")).to_have_text("this is not the operator's token")
    expect(page.locator("#named > li")).to_have_count(0)
    expect(page.get_by_label("Operator's token")).to_be_visible()
    assert page.evaluate("Object.keys(sessionStorage).length") == 0
    assert decisions(directory) == []


def test_names_and_topics_stay_text(open_page: OpenPage) -> None:
    page = open_page()
    sign_in(page)
    flag = flag_of(page, MALLORY)
    expect(flag).to_contain_text("burst of posts")
    expect(flag).to_contain_text("new threads")
    flag.locator("summary").click()
    expect(flag.locator("ol")).to_contain_text(TROUBLE)
    assert page.locator("main script, main img").count() == 0


def test_a_flag_is_cleared_with_a_reason(open_page: OpenPage, directory: Path) -> None:
    page = open_page("?population=clean")
    sign_in(page)
    flag = flag_of(page, MALLORY)
    row = page.locator("#triangle tbody tr", has_text="2024-06-24")
    expect(row.locator("td").first).to_have_text("5")
    flag.get_by_role("button", name="Clear").click()
    assert decisions(directory) == [], "not without a reason"
    flag.get_by_label("Why").fill("imports <b>their</b> own tracker")
    flag.get_by_role("button", name="Clear").click()
    expect(flag).to_contain_text("cleared")
    assert decisions(directory) == [(MALLORY, "cleared", "imports <b>their</b> own tracker")]
    expect(row.locator("td").first).to_have_text("6")
    expect(page.locator("#flags")).not_to_contain_text("burst of posts")
    # A second thought.
    flag.get_by_label("Why").fill("it was spam after all")
    flag.get_by_role("button", name="Confirm").click()
    expect(flag).to_contain_text("confirmed")
    expect(row.locator("td").first).to_have_text("5")


def test_a_new_flag_comes_while_a_reason_is_typed(open_page: OpenPage, directory: Path) -> None:
    page = open_page()
    sign_in(page)
    flag_of(page, MALLORY).get_by_label("Why").fill("half a rea")
    begins = AS_OF + HOUR
    add(directory, [event("nemo", begins, "fas.user.create")])
    add(directory, [event("nemo", begins + HOUR + n * 5 * SECOND) for n in range(6)])
    expect(flag_of(page, "nemo")).to_contain_text("burst of posts")
    expect(flag_of(page, MALLORY).get_by_label("Why")).to_have_value("half a rea")
    expect(page.locator("#flags")).to_contain_text("2 burst of posts")
    # Flags expire after a week, but nothing that is being typed goes away.
    add(directory, [event("ada-0", AS_OF + 10 * DAY)])
    expect(flag_of(page, "nemo")).to_have_count(0)
    expect(flag_of(page, MALLORY).get_by_label("Why")).to_have_value("half a rea")


def test_the_token_stays_in_the_tab(open_page: OpenPage) -> None:
    page = open_page()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    sign_in(page)
    expect(flag_of(page, MALLORY)).to_be_visible()
    assert page.context.cookies() == []
    assert page.evaluate("Object.keys(localStorage).length") == 0
    assert page.evaluate("Object.values(sessionStorage)") == [TOKEN]
    assert TOKEN not in page.url
    assert TOKEN not in "".join(asked)
    page.reload()
    expect(flag_of(page, MALLORY)).to_be_visible()
    page.get_by_role("button", name="Forget the token").click()
    expect(page.locator("#named > li")).to_have_count(0)
    assert page.evaluate("Object.keys(sessionStorage).length") == 0
    expect(page.get_by_label("Operator's token")).to_be_focused()
    assert page.context.new_page().goto(asked[0]) is not None


def test_without_script_there_is_no_form_to_send(open_page: OpenPage) -> None:
    page = open_page(java_script_enabled=False)
    expect(page.get_by_label("Operator's token")).to_be_hidden()
    expect(page.get_by_text("homecoming flags")).to_be_visible()
