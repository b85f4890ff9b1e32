"""`homecoming worker`: wait for Kafka, check the topics, run Faust until SIGTERM; /ready tells how far that is."""

import logging
import signal
import time
from pathlib import Path
from threading import Event

import click
from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector

from consumer.backoff import begin_again
from consumer.kafka_topics import prepare_topics
from consumer.settings import Settings
from consumer.worker_account import Definitions
from metrics.serving import HttpServer
from metrics.worker import WorkerSeries
from metrics.worker_web import probes_app
from state.calibrations import read_calibrations

logger = logging.getLogger(__name__)

_AGAIN_AFTER_S = 2

#: Faust logs every step of a rebalance, aiokafka every attempt to reach a broker that is away.
_LEVELS = {"faust": logging.WARNING, "mode": logging.WARNING, "aiokafka": logging.CRITICAL, "kafka": logging.WARNING}


def run(settings: Settings, directory: Path, calibrations: Path, host: str, port: int) -> int:
    """Work until SIGTERM; the exit code. directory: this worker's own files, made where absent.

    calibrations: the state directory whose calibrations hold; without any, the defaults.
    """
    logging.basicConfig(format="%(asctime)s %(levelname)s %(name)s: %(message)s", level=logging.INFO)
    for name, level in _LEVELS.items():
        logging.getLogger(name).setLevel(level)
    stopped = Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopped.set())
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    PlatformCollector(registry=registry)
    GCCollector(registry=registry)
    progress = _Progress(settings.kafka.bootstrap)
    server = HttpServer(probes_app(registry, progress.lacking))
    server.start(host, port)
    try:
        click.echo(f"metrics on http://{server.address}", err=True)
        prepare_topics(settings.kafka, stopped.wait)
        definitions = Definitions(settings.rules(), read_calibrations(calibrations))
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, signal.SIG_DFL)  # until Faust has its own: nothing is taken before
        if stopped.is_set():
            return 0
        code = _work(settings, definitions, directory, registry, progress)
    finally:
        server.stop()
    if code:
        # Faust ends where its broker goes away. Nothing of a batch that was not handed on is acknowledged, so that
        # beginning again is all it takes; as a new program, because a Faust app cannot be started twice.
        logger.warning("starting again in %d s", _AGAIN_AFTER_S)
        time.sleep(_AGAIN_AFTER_S)
        begin_again()
    return code


class _Progress:
    """Why the worker does not work yet."""

    def __init__(self, bootstrap: str) -> None:
        self.worker: object | None = None
        self._bootstrap = bootstrap

    def lacking(self) -> str | None:
        """None, or the reason."""
        if self.worker is None:
            return f"Kafka at {self._bootstrap} is not reached yet"
        return None if getattr(self.worker, "is_recovered", False) else "the table is being recovered"


def _work(
    settings: Settings, definitions: Definitions, directory: Path, registry: CollectorRegistry, progress: _Progress
) -> int:
    import faust  # noqa: PLC0415 - an extra, and slow to load

    from consumer.worker import Worker  # noqa: PLC0415

    series = WorkerSeries(registry, lambda: worker.lag() if progress.worker else {})
    worker = Worker(settings.kafka, definitions, directory, series)
    progress.worker = worker
    worker.app.finalize()
    service = faust.Worker(worker.app, loglevel="WARNING", override_logging=False, redirect_stdouts=False, quiet=True)
    try:
        service.execute_from_commandline()
    except SystemExit as done:
        return int(done.code or 0)
    return 0
