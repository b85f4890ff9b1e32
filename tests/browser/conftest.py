"""A real browser on the real server, over a state whose figures are known."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright
from prometheus_client import CollectorRegistry

from metrics.collector import StateCollector
from metrics.readiness import readable
from metrics.serving import HttpServer
from metrics.web import make_app
from state.weeks import SECOND
from tests.browser.community import AS_OF, TOKEN, settle
from tests.support.program import PATIENCE_S
from tests.support.server import program

expect.set_options(timeout=PATIENCE_S * 1000)


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    settle(tmp_path / "state")
    return tmp_path / "state"


@pytest.fixture
def server(directory: Path) -> Iterator[HttpServer]:
    """Started; the clock stands a minute after the latest event."""
    registry = CollectorRegistry()
    registry.register(StateCollector(directory))
    app = make_app(directory, registry, readable(directory), token=TOKEN, clock=lambda: AS_OF + 60 * SECOND)
    running = HttpServer(app)
    running.start("127.0.0.1", 0)
    yield running
    running.stop()


@pytest.fixture
def url(server: HttpServer) -> str:
    return f"http://{server.address}/"


# No longer than a module: while playwright runs, so does its event loop, over which tests elsewhere would stumble.
@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    chromium = program("chromium", "chromium-browser", "google-chrome", package="chromium")
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield running
        running.close()


class Opened:
    """A page, and all that must not happen in it."""

    def __init__(self, page: Page, url: str) -> None:
        self.page = page
        self.url = url
        self.wrong: list[str] = []
        page.on("console", lambda message: self.wrong.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: self.wrong.append(str(error)))
        page.on("dialog", lambda dialog: self.wrong.append(dialog.message))
        page.on("request", lambda request: None if request.url.startswith(url) else self.wrong.append(request.url))


@pytest.fixture
def open_page(browser: Browser, url: str) -> Iterator[Any]:
    """Opens the page in a context of its own; whatever the browser complains about fails the test."""
    opened: list[Opened] = []

    def start(path: str = "", **options: Any) -> Page:
        context = browser.new_context(**{"viewport": {"width": 1280, "height": 900}, **options})
        found = Opened(context.new_page(), url)
        opened.append(found)
        found.page.goto(url + path)
        return found.page

    yield start
    for one in opened:
        title = one.page.title()
        one.page.context.close()
        assert title == "Homecoming: does this community come back?"
        assert [said for said in one.wrong if "401" not in said and "ERR_CONNECTION" not in said] == []


@pytest.fixture(scope="session")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where screenshots are kept: HOMECOMING_SCREENSHOTS, or a folder of the test run."""
    named = os.environ.get("HOMECOMING_SCREENSHOTS")
    folder = Path(named) if named else tmp_path_factory.mktemp("screenshots")
    folder.mkdir(parents=True, exist_ok=True)
    return folder
