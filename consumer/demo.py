"""The demo: a simulated community with months of history, and then its life, live; no broker, no network."""

import json
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Event

import click

from consumer import simulator
from consumer.archive import open_archive
from consumer.decode import Delivery
from consumer.pipeline import Pipeline
from consumer.schemas import SCHEMAS
from consumer.service import http_side, registry_of
from consumer.settings import CohortSettings, Settings
from consumer.simulation.model import SimMessage
from metrics.hotpath import HotPath
from metrics.readiness import consuming
from state.coverage import listen, listen_until
from state.duck import connect
from state.errors import HomecomingError
from state.importer import import_source
from state.screening import screen_pending
from state.store import DATABASE, Store, open_store
from state.weeks import DAY, SECOND, iso

#: Simulated seconds a second: a community of 80 sign-ups a week is lively to watch at this speed.
SPEED = 300

#: A smaller community than the simulator's usual one, for its history is long: a year after a campaign is to be seen.
_SIGNUPS_PER_WEEK, _CORE_USERS = 80, 60

#: The live part begins so long ago and catches up with today: spam is told by its pace, so time must not be squeezed.
_BEGINS_AGO = 28 * DAY

#: The month whose funnel is shown ended well before.
_FUNNEL_AGO = 90 * DAY

#: Live messages are committed so often; seconds.
_TICK_S = 0.5

Clock = Callable[[], int]


def demo(
    settings: Settings, host: str, port: int, *, seed: int, weeks: int, clock: Clock, keep: Path | None = None
) -> None:
    """Run until SIGTERM or SIGINT; nothing remains but what is in the directory `keep`: state and definitions.

    Raises HomecomingError where that has a state already.
    """
    stopped = Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopped.set())
    with TemporaryDirectory(prefix="homecoming-demo-") as folder:
        directory = keep or Path(folder) / "state"
        if (directory / DATABASE).exists():
            raise HomecomingError(
                f"demo: {directory} has a state already, and the demo makes one: name another --state"
            )
        store = open_store(directory, settings.rules())
        time = _SimulatedTime(clock)
        scenario = simulator.Scenario(seed, weeks, time.begins, _SIGNUPS_PER_WEEK, _CORE_USERS, programmes=True)
        settings = replace(settings, cohorts=CohortSettings(_define(scenario, directory)))
        registry = registry_of(directory, settings, time.now)
        hot_path = HotPath(registry, time.now, fallbacks=SCHEMAS.fallbacks.total)
        ready = consuming(hot_path, settings.http.ready_silence_s * SPEED)
        with http_side(settings, directory, registry, ready, host, port, time.now, hot_path) as address:
            click.echo(f"simulating {weeks} weeks of a community ...", err=True)
            _import_history(store, simulator.simulate(scenario), Path(folder), clock)
            _say(f"http://{address}", directory, time.begins, kept=keep is not None)
            time.start()
            _live(Pipeline(store, hot_path, time.now, source="demo"), scenario, stopped)
        store.close()


class _SimulatedTime:
    """Processing time as the simulated community has it: `SPEED` times as fast, until it is today."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._started: int | None = None
        self.begins = (clock() - _BEGINS_AGO) // SECOND * SECOND

    def start(self) -> None:
        """From now on time passes."""
        self._started = self._clock()

    def now(self) -> int:
        """Microseconds since 1970 UTC."""
        wall = self._clock()
        return self.begins if self._started is None else min(wall, self.begins + (wall - self._started) * SPEED)


def _import_history(store: Store, simulation: simulator.Simulation, folder: Path, clock: Clock) -> None:
    simulator.write(simulation, folder / "simulated")
    with connect(store.directory) as duck:
        import_source(store, duck, open_archive(duck, folder / "simulated" / "events.parquet", clock()))
    screen_pending(store)


def _define(scenario: simulator.Scenario, directory: Path) -> Path:
    """Write what the community organises beside its state."""
    path = directory / "definitions.toml"
    path.write_text(simulator.definitions_toml(scenario), encoding="utf-8")
    return path


def _say(url: str, directory: Path, begins: int, *, kept: bool) -> None:
    defined = f"--state {directory} --definitions {directory / 'definitions.toml'}"
    click.echo(
        f"""
Homecoming is live with a simulated community.

  {url}           the page: who of each week's sign-ups came back
  {url}/programmes   did events and campaigns bring people who stayed
  {url}/metrics   what Prometheus scrapes
  homecoming retention --state {directory}
  homecoming flags --state {directory}
  homecoming status --state {directory}
  homecoming events {defined}
  homecoming campaigns {defined}
  homecoming discussions --state {directory}
  homecoming funnel month:{iso(begins - _FUNNEL_AGO)[:7]} --state {directory}

It is {iso(begins)[:10]} there, and a day passes in {DAY // SECOND // SPEED // 60} minutes until it is today.
Ctrl-C ends it; {"the state stays" if kept else "nothing remains"}.
""",
        err=True,
    )


def _live(pipeline: Pipeline, scenario: simulator.Scenario, stopped: Event) -> None:
    """Feed what happens next through the same pipeline as any bus, `SPEED` times as fast."""
    began = pipeline.clock()
    with pipeline.store.writing() as conn:
        pipeline.interval = listen(conn, pipeline.source, began)
    pipeline.hot_path.connected(True)
    due: list[Delivery] = []
    for message in simulator.live(scenario, scenario.end):
        while message.at > pipeline.clock():
            if due:
                pipeline.take_in(due)
                due = []
            if stopped.wait(_TICK_S):
                return
            with pipeline.store.writing() as conn:
                listen_until(conn, pipeline.interval, pipeline.clock())
        due.append(delivery_of(message))


def delivery_of(message: SimMessage) -> Delivery:
    """The message as a bus would deliver it."""
    wire = simulator.wire(message)
    return Delivery(wire["topic"], wire["headers"], json.dumps(wire["body"]).encode(), wire["id"], "utf-8")
