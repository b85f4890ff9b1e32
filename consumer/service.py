"""`consume` and `serve`: source, maintenance and HTTP side together."""

import logging
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from difflib import get_close_matches
from pathlib import Path
from threading import Event, Thread

import click
from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector

from consumer.settings import Settings
from metrics.collector import StateCollector
from metrics.hotpath import HotPath, wall_clock
from metrics.operator import read_token
from metrics.readiness import Readiness, consuming, readable
from metrics.serving import HttpServer
from metrics.web import make_app
from state.cohorts.definitions_file import DefinitionsFile
from state.coverage import last_covered
from state.segments import sweep
from state.store import Store, get_meta, only_consumer, open_store
from state.weeks import iso

logger = logging.getLogger(__name__)

#: Processing time, microseconds since 1970 UTC.
Clock = Callable[[], int]

#: Seconds that maintenance may take to end when the service does; each of its steps is safe against a kill.
_GRACE_S = 10

#: Seconds for which a public answer is given again at least: readers see the state as it was a moment ago, and cost
#: next to nothing however many they are.
_REUSE_S = 2.0

#: Seconds after which the beginning of a coverage interval is certainly committed.
_SETTLE_S = 3


def consume(settings: Settings, config: Path | None, directory: Path, host: str, port: int, clock: Clock) -> int:
    """Feed the state from the live bus until SIGTERM; the exit code."""
    from consumer.amqp_config import load  # noqa: PLC0415 - `serve` does without the bus's libraries
    from consumer.pipeline import Pipeline  # noqa: PLC0415
    from consumer.schemas import SCHEMAS  # noqa: PLC0415
    from consumer.source_amqp import run  # noqa: PLC0415

    load(config)
    with only_consumer(directory):
        store = open_store(directory, settings.rules())
        sweep(store)
        registry = registry_of(directory, settings, clock)
        hot_path = HotPath(registry, clock, fallbacks=SCHEMAS.fallbacks.total)
        ready = consuming(hot_path, settings.http.ready_silence_s)
        try:
            listening = Event()
            _say_what_was_missed(settings, store, directory)
            _say_who_is_unknown(settings, store)
            with (
                http_side(settings, directory, registry, ready, host, port, clock, hot_path) as address,
                maintained(settings, config, directory, listening),
            ):
                click.echo(f"listening to the bus; page and metrics on http://{address}", err=True)
                return run(settings, Pipeline(store, hot_path, clock), on_ready=listening.set)
        finally:
            store.close()


def serve(settings: Settings, directory: Path, host: str, port: int) -> None:
    """The HTTP side alone, until SIGTERM or SIGINT."""
    open_store(directory).close()
    stopped = Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopped.set())
    registry = registry_of(directory, settings)
    with http_side(settings, directory, registry, readable(directory), host, port) as address:
        click.echo(f"page and metrics on http://{address}", err=True)
        stopped.wait()


def registry_of(directory: Path, settings: Settings, clock: Clock = wall_clock) -> CollectorRegistry:
    """A registry with the state's series and those of the process."""
    registry = CollectorRegistry()
    registry.register(StateCollector(directory, settings.http.min_cohort, clock, settings.spam.declared_events))
    ProcessCollector(registry=registry)
    PlatformCollector(registry=registry)
    GCCollector(registry=registry)
    return registry


@contextmanager
def http_side(
    settings: Settings,
    directory: Path,
    registry: CollectorRegistry,
    ready: Readiness,
    host: str,
    port: int,
    clock: Clock = wall_clock,
    hot_path: HotPath | None = None,
) -> Iterator[str]:
    """Serve page, metrics and API; the address that was taken. ConfigError for an operator's token that is none.

    hot_path: of the stream that this process listens to.
    """
    app = make_app(
        directory,
        registry,
        ready,
        min_cohort=settings.http.min_cohort,
        token=read_token(os.environ, settings.http.token_file),
        clock=clock,
        hot_path=hot_path,
        reuse_s=_REUSE_S,
        definitions=DefinitionsFile(settings.cohorts.definitions),
    )
    server = HttpServer(app)
    server.start(host, port)
    try:
        yield server.address
    finally:
        server.stop()


def _say_what_was_missed(settings: Settings, store: Store, directory: Path) -> None:
    """A gap in coverage begins where we last listened; it is known as one once we listen again."""
    since = last_covered(store.conn)
    if since is not None:
        mended = (
            "is filled from datagrepper"
            if settings.state.heal_gaps
            else (f"can be filled by `homecoming catch-up --gaps --state {directory}`")
        )
        click.echo(f"nobody listened since {iso(since)}: a gap from there {mended}", err=True)


def _say_who_is_unknown(settings: Settings, store: Store) -> None:
    """A name on the allowlist that nobody has may be mis-typed; the bot it was meant for is then not on it."""
    for name in sorted(settings.spam.allowlist):
        if (
            get_meta(store.conn, "users", 0)
            and not store.conn.execute("SELECT 1 FROM user WHERE name = ?", (name,)).fetchone()
        ):
            names = [
                user
                for (user,) in store.conn.execute(
                    "SELECT name FROM user WHERE abs(length(name) - length(?)) <= 2", (name,)
                )
            ]
            near = get_close_matches(name, names, n=1)
            hint = f"; did you mean {near[0]}?" if near else ""
            click.echo(f"spam.allowlist: nobody called {name} has been seen{hint}", err=True)


@contextmanager
def maintained(settings: Settings, config: Path | None, directory: Path, listening: Event) -> Iterator[None]:
    """Seal, expire and heal now and then, in processes of their own: they need DuckDB, the hot path does not."""
    stopped = Event()
    common = ["--state", str(directory), *(["--config", str(config)] if config else [])]

    def work() -> None:
        while not stopped.is_set():
            _run(["seal", *common], stopped)
            if settings.state.heal_gaps and _heard(listening, stopped):
                _run(["catch-up", "--gaps", *common], stopped)
            stopped.wait(settings.state.seal_every_s)

    thread = Thread(target=work, name="maintenance", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stopped.set()
        thread.join(_GRACE_S)


def _heard(listening: Event, stopped: Event) -> bool:
    """Wait until we listen: only then does the time before it count as a gap; False where we stop first."""
    while not listening.wait(1):
        if stopped.is_set():
            return False
    return not stopped.wait(_SETTLE_S)


def _run(verb: list[str], stopped: Event) -> None:
    """Run a verb of ours to its end, or until the service stops."""
    command = [sys.executable, "-m", "homecoming", *verb]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as process:  # noqa: S603
        while True:
            try:
                _, said = process.communicate(timeout=1)
            except subprocess.TimeoutExpired:
                if stopped.is_set():
                    process.terminate()
                continue
            break
    if process.returncode and not stopped.is_set():
        logger.warning("maintenance (%s): %s", verb[0], " ".join(said.split()))
