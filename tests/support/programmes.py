"""States for tests of events, campaigns, discussions and funnels, and the log behind them for pandas."""

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

import pandas as pd

from consumer import simulator
from consumer.archive import open_archive
from state.awards import derive_awards
from state.cohorts.definitions import Definitions, parse_definitions
from state.duck import connect
from state.event import Event, service_of
from state.importer import import_source
from state.live import commit_batch
from state.log import with_log
from state.rules import Rules
from state.store import open_store
from state.weeks import event_time_of

CREATE = "org.fedoraproject.prod.fas.user.create"
AWARD = "org.fedoraproject.prod.badges.badge.award"
ISSUE = "io.pagure.prod.pagure.issue.new"
COMMENT = "io.pagure.prod.pagure.issue.comment.added"
EDIT = "io.pagure.prod.pagure.issue.edit"
TOPIC = "org.fedoraproject.prod.discourse.topic.topic_created"
POST = "org.fedoraproject.prod.discourse.post.post_created"
SOLVED = "org.fedoraproject.prod.discourse.like.accepted_solution"
MAIL = "org.fedoraproject.prod.mailman.receive"
UPDATE = "org.fedoraproject.prod.bodhi.update.request.testing"
WIKI = "org.fedoraproject.prod.wiki.article.edit"

T = TypeVar("T")


class Said:
    """Events in the words of a test: `said("2024-06-03", ISSUE, "ada", "thing")`."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    def __call__(self, at: str | int, topic: str, user: str | None, thing: str | None = None, **more: Any) -> None:
        moment = event_time_of(at) if isinstance(at, str) else at
        msg_id = f"id-{len(self.events)}"
        self.events.append(
            Event(msg_id, moment, None, topic, user, more.pop("role", "actor"), service_of(topic), object=thing, **more)
        )


def state_of(directory: Path, events: list[Event]) -> Path:
    """A state of these events, by the live path."""
    store = open_store(directory, Rules())
    commit_batch(store, [(event,) for event in sorted(events, key=lambda event: event.at)])
    store.close()
    return directory


def ask(directory: Path, question: Callable[..., T], *arguments: Any, **options: Any) -> T:
    """The answer to `question(duck, conn, rules, *arguments, **options)` over the state."""
    return with_log(directory, lambda duck, conn: question(duck, conn, Rules(), *arguments, **options))


class Community:
    """A simulated community in a state, with its definitions, and its log as pandas has it."""

    def __init__(self, directory: Path) -> None:
        scenario = simulator.Scenario(
            seed=3, weeks=46, end=event_time_of("2024-06-03"), signups_per_week=12, core_users=45, programmes=True
        )
        simulation = simulator.simulate(scenario)
        simulator.write(simulation, directory)
        self.directory = directory / "state"
        store = open_store(self.directory, Rules())
        with connect(self.directory) as duck:
            archive = open_archive(duck, directory / "events.parquet", scenario.end)
            import_source(store, duck, archive)
        with store.writing():
            derive_awards(store)
        store.close()
        self.toml = simulator.definitions_toml(scenario)
        self.definitions: Definitions = parse_definitions(self.toml, "simulated")
        log = pd.read_parquet(directory / "events.parquet")
        log = log[log["role"] == "actor"]
        self.log = log.assign(
            action=log["topic"].str.replace(r"^[^.]+\.[^.]+\.(?:prod|stg|dev)\.", "", regex=True),
            service=log["topic"].map(service_of),
        )
        self.registered: pd.Series[Any] = (
            self.log[self.log["action"] == "fas.user.create"].groupby("username")["sent_at"].min()
        )
        self.as_of = log["sent_at"].max() if len(log) else pd.NaT

    def awarded(self, badge: str) -> pd.DataFrame:
        """Who has the badge."""
        awards = self.log[self.log["action"] == "badges.badge.award"]
        return awards[awards["object"] == badge]


@cache
def community(folder: Path) -> Community:
    """One for all tests of a session, whose folder it is."""
    return Community(folder / "community")
