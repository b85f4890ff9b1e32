"""A community whose figures are known, one of whom means trouble; and how a test deals with its page."""

from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import Page

from state.event import Event, service_of
from state.live import commit_batch
from state.store import open_store
from state.weeks import DAY, HOUR, SECOND, WEEK, week_named, week_start

OpenPage = Callable[..., Page]

START = week_start(week_named("2024-06-03"))

#: The latest event of the state.
AS_OF = START + 4 * WEEK + 3 * DAY

TOKEN = "a-token-of-the-tests-0123456789"

#: Somebody called thus bursts, about something with a name like that: both must stay text.
MALLORY = "<script>document.title='caught'</script>"
TROUBLE = 'x"><img src=x onerror="document.title=\'caught\'">.issue.new'

NAMES = ("ada", "bob", "cleo", "dora", "emil", "finn", "gwen", "hugo", "iris", "jon")


def event(user: str, at: int, action: str = "pagure.issue.new") -> Event:
    topic = f"org.fedoraproject.prod.{action}"
    return Event(f"{user}-{at}-{action}", at, None, topic, user, "actor", service_of(topic))


def add(directory: Path, events: list[Event]) -> None:
    store = open_store(directory)
    commit_batch(store, [[e] for e in events])
    store.close()


def signed_up(week: int, people: int) -> list[Event]:
    """So many, five hours apart: no wave."""
    begins = START + week * WEEK
    return [event(f"{NAMES[n]}-{week}", begins + n * 5 * HOUR, "fas.user.create") for n in range(people)]


def came_back(week: int, people: int, offset: int) -> list[Event]:
    at = START + (week + offset) * WEEK + 3 * DAY
    return [event(f"{NAMES[n]}-{week}", at + n * 5 * HOUR, "wiki.article.edit") for n in range(people)]


def settle(state: Path) -> None:
    """Cohorts of 10, 8, 10 and 6; 5 and 4 of the first two came back the week after; mallory of the last bursts."""
    last = START + 3 * WEEK
    mallory = [event(MALLORY, last + 2 * DAY, "fas.user.create")]
    mallory += [event(MALLORY, last + 5 * DAY + n * 5 * SECOND, TROUBLE) for n in range(6)]
    wave = [event(f"cheapbags{1001 + n}", AS_OF - DAY + n * SECOND, "fas.user.create") for n in range(8)]
    events = [*signed_up(0, 10), *signed_up(1, 8), *signed_up(2, 10), *signed_up(3, 5), *mallory, *wave]
    events += [*came_back(0, 5, 1), *came_back(0, 2, 2), *came_back(1, 4, 1), event("ada-0", AS_OF)]
    add(state, sorted(events, key=lambda e: e.at))


def sign_in(page: Page, token: str = TOKEN) -> None:
    """Show the token in the operator's form."""
    page.get_by_label("Operator's token").fill(token)
    page.get_by_role("button", name="Show names").click()
