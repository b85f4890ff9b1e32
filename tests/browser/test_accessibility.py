"""Contrast, labels and structure by axe-core, and a picture of each view."""

from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe  # type: ignore[import-untyped]  # published without types
from playwright.sync_api import Page, expect

from state.store import open_store
from state.weeks import SECOND
from tests.browser.community import AS_OF, OpenPage, add, event, sign_in

#: name -> (address, width)
VIEWS = {
    "triangle": ("", 1280),
    "triangle-phone": ("", 390),
    "without-spam": ("?population=clean", 1280),
    "side-by-side": ("?view=beside", 1280),
    "year": ("?weeks=52", 1280),
    "operator": ("", 1280),
}


def violations(page: Page) -> list[str]:
    """What axe-core finds wrong, each with where."""
    found = Axe().run(page).response["violations"]
    return [f"{one['id']}: {[node['html'] for node in one['nodes']][:5]}" for one in found]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", VIEWS)
def test_a_view_is_accessible(open_page: OpenPage, directory: Path, name: str, scheme: str, pictures: Path) -> None:
    # A second wave, so that two flags are called the same.
    add(directory, [event(f"finehats{n}", AS_OF + n * SECOND, "fas.user.create") for n in range(2001, 2009)])
    path, width = VIEWS[name]
    page = open_page(path, color_scheme=scheme, viewport={"width": width, "height": 1200})
    if name == "operator":
        sign_in(page)
        expect(page.locator("#named > li", has_text="a wave of sign-ups")).to_have_count(2)
    page.locator("#signups summary").click()
    page.screenshot(path=pictures / f"{name}-{scheme}.png", full_page=True)
    assert violations(page) == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_an_empty_page_is_accessible(open_page: OpenPage, directory: Path, scheme: str, pictures: Path) -> None:
    for file in directory.iterdir():
        if file.is_file():
            file.unlink()
    open_store(directory).close()
    page = open_page(color_scheme=scheme)
    expect(page.get_by_role("heading", name="Nothing to show yet")).to_be_visible()
    page.screenshot(path=pictures / f"empty-{scheme}.png", full_page=True)
    assert violations(page) == []


def test_the_check_can_fail(open_page: OpenPage) -> None:
    page = open_page()
    page.locator("#token").evaluate("field => field.labels[0].remove()")
    assert any(said.startswith("label:") for said in violations(page))
