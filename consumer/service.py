"""`consume` and `serve`: source, maintenance and HTTP side together."""

import logging
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread

import click
from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector

from consumer.settings import Settings
from metrics.collector import StateCollector
from metrics.hotpath import HotPath
from metrics.readiness import Readiness, consuming, readable
from metrics.serving import HttpServer
from metrics.web import make_app
from state.segments import sweep
from state.store import only_consumer, open_store

logger = logging.getLogger(__name__)

#: Processing time, microseconds since 1970 UTC.
Clock = Callable[[], int]

#: Seconds that maintenance may take to end when the service does; each of its steps is safe against a kill.
_GRACE_S = 10


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
        registry = registry_of(directory, settings)
        hot_path = HotPath(registry, clock, fallbacks=SCHEMAS.fallbacks.total)
        ready = consuming(hot_path, settings.http.ready_silence_s)
        try:
            with (
                http_side(settings, directory, registry, ready, host, port) as address,
                maintained(settings, config, directory),
            ):
                click.echo(f"listening to the bus; page and metrics on http://{address}", err=True)
                return run(settings, Pipeline(store, hot_path, clock))
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


def registry_of(directory: Path, settings: Settings) -> CollectorRegistry:
    """A registry with the state's series and those of the process."""
    registry = CollectorRegistry()
    registry.register(StateCollector(directory, settings.http.min_cohort))
    ProcessCollector(registry=registry)
    PlatformCollector(registry=registry)
    GCCollector(registry=registry)
    return registry


@contextmanager
def http_side(
    settings: Settings, directory: Path, registry: CollectorRegistry, ready: Readiness, host: str, port: int
) -> Iterator[str]:
    """Serve page and metrics; the address that was taken."""
    server = HttpServer(make_app(directory, registry, ready, min_cohort=settings.http.min_cohort))
    server.start(host, port)
    try:
        yield server.address
    finally:
        server.stop()


@contextmanager
def maintained(settings: Settings, config: Path | None, directory: Path) -> Iterator[None]:
    """Seal, expire and heal now and then, in processes of their own: they need DuckDB, the hot path does not."""
    stopped = Event()
    common = ["--state", str(directory), *(["--config", str(config)] if config else [])]
    verbs = [["seal", *common]]
    if settings.state.heal_gaps:
        verbs.append(["catch-up", "--gaps", *common])

    def work() -> None:
        while True:
            for verb in verbs:
                _run(verb, stopped)
            if stopped.wait(settings.state.seal_every_s):
                return

    thread = Thread(target=work, name="maintenance", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stopped.set()
        thread.join(_GRACE_S)


def _run(verb: list[str], stopped: Event) -> None:
    """Run a verb of ours to its end, or until the service stops."""
    if stopped.is_set():
        return
    command = [sys.executable, "-m", "homecoming", *verb]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:  # noqa: S603 - our own program
        while True:
            try:
                _, said = process.communicate(timeout=1)
            except subprocess.TimeoutExpired:
                if stopped.is_set():
                    process.terminate()
                continue
            break
    if process.returncode and not stopped.is_set():
        logger.warning("maintenance: %s", " ".join(said.split()))
