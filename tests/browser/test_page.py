"""The page in a browser: the right figures, every switch, with and without script, up to date by itself."""

from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from metrics.serving import HttpServer
from state.weeks import HOUR
from tests.browser.community import AS_OF, OpenPage, add, came_back, event

#: The script asks again at once when a hidden page is seen again; tests need not wait for its next turn.
LOOK_AGAIN = "document.dispatchEvent(new Event('visibilitychange'))"


def cell(page: Page, cohort: str, offset: int, table: int = 0) -> str:
    """What a cell of the triangle says, as it is seen."""
    row = page.locator("#triangle table").nth(table).locator("tbody tr", has_text=cohort)
    return " ".join(row.locator("td").nth(offset + 1).inner_text().split())


def size(page: Page, cohort: str, table: int = 0) -> str:
    row = page.locator("#triangle table").nth(table).locator("tbody tr", has_text=cohort)
    return row.locator("td").first.inner_text()


def columns(page: Page) -> int:
    return page.locator("#triangle thead th").count() - 2


@pytest.mark.parametrize("javascript", [True, False])
def test_the_triangle_has_the_state_s_figures(open_page: OpenPage, javascript: bool) -> None:
    page = open_page(java_script_enabled=javascript)
    assert size(page, "2024-06-03") == "10"
    assert cell(page, "2024-06-03", 1) == "50% 5/10"
    assert cell(page, "2024-06-03", 2) == "20% 2/10"
    assert cell(page, "2024-06-10", 1) == "50% 4/8"
    assert cell(page, "2024-06-10", 2) == "0% 0/8"
    assert cell(page, "2024-07-01", 1) == "N/A"
    assert cell(page, "2024-07-01", 0).startswith("100% 8/8")
    expect(page.locator(".answers")).to_contain_text("came back the week after")
    # Of 10, 8, 10 and 6: 5, 4, none, and the last one's week is still open.
    expect(page.locator(".answers")).to_contain_text("9 of 28")


@pytest.mark.parametrize("javascript", [True, False])
def test_every_switch_is_a_link(open_page: OpenPage, javascript: bool) -> None:
    page = open_page(java_script_enabled=javascript)
    assert size(page, "2024-06-24") == "6"
    page.get_by_role("link", name="without", exact=True).click()
    expect(page.get_by_role("link", name="without", exact=True)).to_have_attribute("aria-current", "page")
    assert size(page, "2024-06-24") == "5", "mallory is flagged"
    page.get_by_role("link", name="engaged", exact=True).click()
    assert page.url.endswith("?population=engaged_clean")
    assert size(page, "2024-06-03") == "5"
    page.get_by_role("link", name="side by side").click()
    expect(page.locator("#triangle table")).to_have_count(2)
    page.get_by_role("link", name="everybody").click()
    assert [size(page, "2024-06-24", table) for table in (0, 1)] == ["6", "5"]
    expect(page.locator(".answers")).to_contain_text("without spam")
    page.get_by_role("link", name="with", exact=True).click()
    page.get_by_role("link", name="4", exact=True).click()
    assert columns(page) == 4
    page.get_by_role("link", name="52", exact=True).click()
    assert columns(page) == 52


def test_the_keyboard_reaches_everything(open_page: OpenPage) -> None:
    page = open_page()
    reached = []
    for _ in range(24):
        page.keyboard.press("Tab")
        reached.append(
            page.evaluate("document.activeElement.textContent.trim().slice(0, 20) || document.activeElement.id")
        )
    pages = ["Who comes back", "Events and campaigns"]
    assert reached[:7] == [*pages, "everybody", "engaged", "with", "without", "side by side"]
    assert {"52", "The days as a table", "token", "Show names", "Prometheus metrics"} <= set(reached)
    page.get_by_role("link", name="without", exact=True).focus()
    page.keyboard.press("Enter")
    page.wait_for_url("**/?population=clean")


def test_it_is_up_to_date_by_itself(open_page: OpenPage, directory: Path) -> None:
    page = open_page()
    expect(page.locator("#connection")).to_have_text("live")
    assert cell(page, "2024-06-03", 4).startswith("10% 1/10")
    add(directory, [event("bob-0", AS_OF + HOUR, "wiki.article.edit")])
    expect(page.locator("#triangle")).to_contain_text("2/10, week still in progress")
    expect(page.locator("#as-of")).to_contain_text("01:00 UTC")


def test_an_update_leaves_readers_where_they_are(open_page: OpenPage, directory: Path) -> None:
    page = open_page("?weeks=52")
    page.locator("#signups summary").click()
    page.get_by_label("Operator's token").fill("half a tok")
    page.locator("#triangle .scroll").evaluate("box => { box.scrollLeft = 300 }")
    page.get_by_role("link", name="side by side").focus()
    before = page.evaluate("scrollY")
    mark = page.locator("#triangle").evaluate_handle("part => part")
    add(directory, [event("bob-0", AS_OF + HOUR, "fas.user.create"), *came_back(2, 1, 2)])
    page.evaluate(LOOK_AGAIN)
    expect(page.locator("#as-of")).to_contain_text("01:00 UTC")
    assert not mark.evaluate("part => part.isConnected"), "another one has taken its place"
    assert page.evaluate("document.activeElement.textContent") == "side by side"
    assert page.locator("#triangle .scroll").evaluate("box => box.scrollLeft") == 300
    assert page.evaluate("scrollY") == before
    expect(page.locator("#signups details")).to_have_attribute("open", "")
    expect(page.get_by_label("Operator's token")).to_have_value("half a tok")


def test_nothing_changes_under_a_selection(open_page: OpenPage, directory: Path) -> None:
    page = open_page()
    page.evaluate("getSelection().selectAllChildren(document.querySelector('#triangle caption'))")
    add(directory, [event("bob-0", AS_OF + HOUR, "wiki.article.edit")])
    page.evaluate(LOOK_AGAIN)
    expect(page.locator("#as-of")).to_contain_text("01:00 UTC")
    assert "Sign-up cohorts" in page.evaluate("getSelection().toString()")
    assert cell(page, "2024-06-03", 4).startswith("10% 1/10")
    page.evaluate("getSelection().removeAllRanges()")
    page.evaluate(LOOK_AGAIN)
    expect(page.locator("#triangle")).to_contain_text("2/10, week still in progress")


def test_a_lost_server_is_told_and_found_again(open_page: OpenPage, server: HttpServer) -> None:
    page = open_page()
    host, port = server.address.split(":")
    server.stop()
    page.evaluate(LOOK_AGAIN)
    expect(page.locator("#connection")).to_have_text("not connected, trying again")
    assert cell(page, "2024-06-03", 1) == "50% 5/10"
    server.start(host, int(port))
    expect(page.locator("#connection")).to_have_text("live")


@pytest.mark.parametrize("width", [390, 320])
@pytest.mark.parametrize("path", ["", "?view=beside", "?weeks=52"])
def test_a_phone_scrolls_the_table_and_not_the_page(open_page: OpenPage, path: str, width: int) -> None:
    page = open_page(path, viewport={"width": width, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_waves_are_marked_without_their_pattern(open_page: OpenPage) -> None:
    page = open_page()
    expect(page.locator("#signups .wave.critical")).to_have_count(1)
    expect(page.locator("#signups ol")).to_contain_text("at least 5 with names of one pattern")
    assert "cheapbags" not in page.content()
    assert page.get_by_role("img", name="Sign-ups in each hour").count() == 1
