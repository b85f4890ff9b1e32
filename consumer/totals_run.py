"""`homecoming totals`: the totals' owner with maintenance and the HTTP side, as `consume` has them."""

import signal
from collections.abc import Callable
from pathlib import Path
from threading import Event

import click

from consumer.kafka_topics import prepare_topics
from consumer.service import http_side, maintained, registry_of
from consumer.settings import Settings
from consumer.totals import Totals, consume
from metrics.hotpath import HotPath
from metrics.readiness import consuming
from state.segments import sweep
from state.store import only_consumer, open_store


def run(
    settings: Settings, config: Path | None, directory: Path, host: str, port: int, clock: Callable[[], int]
) -> int:
    """Feed the state from Kafka until SIGTERM; the exit code."""
    stopped = Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopped.set())
    with only_consumer(directory):
        store = open_store(directory, settings.rules())
        sweep(store)
        registry = registry_of(directory, settings, clock)
        hot_path = HotPath(registry, clock)
        ready = consuming(hot_path, settings.http.ready_silence_s)
        listening = Event()
        try:
            with (
                http_side(settings, directory, registry, ready, host, port, clock, hot_path) as address,
                maintained(settings, config, directory, listening),
            ):
                click.echo(f"page and metrics on http://{address}", err=True)
                prepare_topics(settings.kafka, stopped.wait)
                listening.set()
                click.echo(f"reading from Kafka at {settings.kafka.bootstrap}", err=True)
                consume(Totals(settings, store, hot_path, clock), settings, hot_path, stopped.wait)
        finally:
            store.close()
    return 0
