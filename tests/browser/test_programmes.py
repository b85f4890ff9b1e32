"""The page of events and campaigns in a browser: no script, no violation, every switch a link, fit for a phone."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe  # type: ignore[import-untyped]  # published without types
from playwright.sync_api import Browser, Page, expect

from state.cohorts.definitions import NO_DEFINITIONS, Definitions
from tests.support.program import PATIENCE_S
from tests.support.programmes import Community, community
from tests.support.served import served

Open = Callable[..., Page]

COMING = "being worked out"

#: name -> (query, width)
VIEWS = {
    "whole": ("", 1280),
    "phone": ("", 390),
    "event": ("event=harbour-days-1", 1280),
    "services": ("by=service&cohort=event:harbour-days-1", 1280),
}


@pytest.fixture(scope="module")
def simulated(tmp_path_factory: pytest.TempPathFactory) -> Community:
    return community(tmp_path_factory.getbasetemp())


class Defined:
    """The definitions in force, which a test may take away."""

    def __init__(self, definitions: Definitions) -> None:
        self.now = definitions

    def __call__(self) -> Definitions:
        return self.now


@pytest.fixture
def defined(simulated: Community) -> Defined:
    return Defined(simulated.definitions)


@pytest.fixture
def open_programmes(browser: Browser, simulated: Community, defined: Defined) -> Iterator[Open]:
    """Opens the page once it has all its figures; whatever the browser complains about fails the test."""
    wrong: list[str] = []
    with served(simulated.directory, definitions=defined) as client:
        contexts = []

        def start(query: str = "", **options: Any) -> Page:
            context = browser.new_context(**{"viewport": {"width": 1280, "height": 900}, **options})
            contexts.append(context)
            page = context.new_page()
            page.on("console", lambda message: wrong.append(message.text) if message.type == "error" else None)
            page.on("request", lambda one: None if one.url.startswith(client.url) else wrong.append(one.url))
            look(page, f"{client.url}/programmes?{query}")
            return page

        yield start
        for context in contexts:
            context.close()
    assert wrong == []


def look(page: Page, url: str) -> None:
    """Each look waits a second for what is not there yet."""
    for _ in range(int(PATIENCE_S)):
        page.goto(url)
        if COMING not in page.content():
            return
    pytest.fail("the figures never came")


def violations(page: Page) -> list[str]:
    """What axe-core finds wrong, each with where."""
    found = Axe().run(page).response["violations"]
    return [f"{one['id']}: {[node['html'] for node in one['nodes']][:5]}" for one in found]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", VIEWS)
def test_a_view_is_accessible(open_programmes: Open, name: str, scheme: str, pictures: Path) -> None:
    query, width = VIEWS[name]
    page = open_programmes(query, color_scheme=scheme, viewport={"width": width, "height": 1200})
    page.screenshot(path=pictures / f"programmes-{name}-{scheme}.png", full_page=True)
    assert violations(page) == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_without_definitions_it_is_accessible(
    open_programmes: Open, defined: Defined, scheme: str, pictures: Path
) -> None:
    defined.now = NO_DEFINITIONS
    page = open_programmes(color_scheme=scheme)
    page.screenshot(path=pictures / f"programmes-undefined-{scheme}.png", full_page=True)
    expect(page.locator("#events .empty")).to_contain_text("No event is defined")
    expect(page.locator("#campaigns .empty")).to_contain_text("No campaign is defined")
    assert violations(page) == []


def test_the_check_can_fail(open_programmes: Open) -> None:
    page = open_programmes()
    page.locator("#events .scroll").evaluate("box => box.setAttribute('role', 'no-such-role')")
    assert any(said.startswith("aria-roles:") for said in violations(page))


@pytest.mark.parametrize("javascript", [True, False])
def test_every_switch_is_a_link(open_programmes: Open, javascript: bool) -> None:
    page = open_programmes("cohort=all", java_script_enabled=javascript)
    expect(page.locator("#funnel")).to_contain_text("all")
    for by in ("year", "service", "country", "campaign"):
        page.get_by_role("link", name=by, exact=True).click()
        look(page, page.url)
        expect(page.get_by_role("link", name=by, exact=True)).to_have_attribute("aria-current", "true")
        expect(page.locator("#campaigns thead th").first).to_have_text(by.capitalize())
        assert "cohort=all" in page.url, "one switch leaves the others alone"
    page.locator("#events tbody a").first.click()
    look(page, page.url)
    expect(page.locator("#event h3")).to_have_text("Harbour Days I")
    page.get_by_role("link", name="the funnel of whoever came").click()
    look(page, page.url)
    expect(page.locator("#funnel code").first).to_have_text("event:harbour-days-1")
    page.get_by_role("link", name="close").click()
    look(page, page.url)
    expect(page.locator("#event")).to_have_count(0)


def test_both_pages_lead_to_each_other(open_programmes: Open) -> None:
    page = open_programmes()
    page.get_by_role("link", name="Who comes back").click()
    expect(page).to_have_title("Homecoming: does this community come back?")
    page.get_by_role("link", name="Events and campaigns").click()
    expect(page).to_have_title("Homecoming: did events and campaigns bring people who stayed?")


@pytest.mark.parametrize("width", [320, 390, 768])
def test_a_phone_scrolls_the_tables_and_not_the_page(open_programmes: Open, width: int) -> None:
    page = open_programmes("event=harbour-days-1", viewport={"width": width, "height": 700})
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    box = page.locator("#events .scroll").first
    assert box.evaluate("box => box.scrollWidth > box.clientWidth")


def test_a_switch_keeps_the_place(open_programmes: Open) -> None:
    page = open_programmes(viewport={"width": 1280, "height": 400})
    page.get_by_role("link", name="country", exact=True).click()
    expect(page.locator("#campaigns h2")).to_be_in_viewport()
