"""`homecoming bridge`: the live bus into Kafka until SIGTERM, or archives and then the end."""

import signal
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path

import click
from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector

from consumer.bridge import BridgePipeline, Outlet, coverage_notes, load_archives
from consumer.kafka_topics import prepare_topics
from consumer.settings import Settings
from metrics.hotpath import HotPath
from metrics.readiness import consuming
from metrics.serving import HttpServer
from metrics.worker_web import probes_app

Clock = Callable[[], int]


def load(settings: Settings, paths: Sequence[Path], now: int) -> None:
    """Load archives into Kafka."""
    prepare_topics(settings.kafka, _sleep)
    with closing(Outlet(settings.kafka)) as outlet:
        for path, events, dead in load_archives(paths, outlet, settings.kafka, now):
            click.echo(f"{path}: {events} events sent" + (f", {dead} dead letters" if dead else ""), err=True)


def run(settings: Settings, config: Path | None, host: str, port: int, clock: Clock) -> int:
    """Listen to the bus until SIGTERM; the exit code."""
    from consumer.amqp_config import load as load_amqp  # noqa: PLC0415 - archives go without the bus's libraries
    from consumer.schemas import SCHEMAS  # noqa: PLC0415
    from consumer.source_amqp import run as run_source  # noqa: PLC0415

    load_amqp(config)
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    PlatformCollector(registry=registry)
    GCCollector(registry=registry)
    hot_path = HotPath(registry, clock, fallbacks=SCHEMAS.fallbacks.total)
    server = HttpServer(probes_app(registry, consuming(hot_path, settings.http.ready_silence_s)))
    server.start(host, port)
    # Until the bus's own handlers are there.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        click.echo(f"metrics on http://{server.address}", err=True)
        prepare_topics(settings.kafka, _sleep)
        with closing(Outlet(settings.kafka)) as outlet, coverage_notes(outlet.say) as store:
            return run_source(settings, BridgePipeline(outlet, store, hot_path, clock))
    finally:
        server.stop()


def _sleep(seconds: float) -> bool:
    time.sleep(seconds)
    return False
