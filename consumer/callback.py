"""The ordinary fedora-messaging way: `fedora-messaging --conf config.toml consume --callback=consumer:Callback`.

One commit a message, through the same pipeline. `homecoming consume` is the better choice where it can be had: it
commits in groups, survives messages on which fedora-messaging's own decoder stops, and knows when the connection
was lost. Here an outage that the process survives leaves no gap in coverage.
"""

import logging
from contextlib import ExitStack
from threading import Event as Signal
from time import perf_counter, time_ns

from fedora_messaging.config import conf
from fedora_messaging.exceptions import Drop, Nack
from fedora_messaging.message import Message
from prometheus_client import CollectorRegistry

from consumer import wire
from consumer.amqp_config import queue_survives
from consumer.backoff import delays
from consumer.decode import Delivery, Poison, decode_message
from consumer.intake import reactor
from consumer.pipeline import Outcome, Pipeline, dead_letter
from consumer.schemas import headers_of
from consumer.settings import settings_from
from metrics.hotpath import HotPath
from state.coverage import listen
from state.errors import HomecomingError, StateBusyError
from state.store import only_consumer, open_store
from state.weeks import SECOND

logger = logging.getLogger(__name__)


def _now() -> int:
    return time_ns() // 1000


class Callback:
    """Takes one message at a time into the state that [consumer_config.state] names.

    Raises ValueError, which fedora-messaging prints as one line, where configuration or state cannot be used.
    """

    def __init__(self) -> None:
        self._stopping = Signal()
        self._open = ExitStack()
        wire.tolerate()
        try:
            self._pipeline = self._pipeline_from(conf["consumer_config"])
        except HomecomingError as error:
            self._open.close()
            raise ValueError(str(error)) from error
        reactor.addSystemEventTrigger("before", "shutdown", self._stopping.set)
        reactor.addSystemEventTrigger("after", "shutdown", self._open.close)

    def __call__(self, message: Message) -> None:
        """Commit the message. Raises Drop for a dead letter, Nack where we are stopped while the state is busy."""
        for delay in delays():
            try:
                outcome = self._take_in(message)
            except StateBusyError as busy:
                self._pipeline.hot_path.busy()
                # Nack at once would have the same message back at once.
                logger.warning("%s; trying again in %d s, nothing is lost", busy, delay)
                if self._stopping.wait(delay):
                    raise Nack from busy
            else:
                if outcome == "dead_letter":
                    raise Drop
                return

    def _take_in(self, message: Message) -> Outcome:
        began, now = perf_counter(), _now()
        delivery = Delivery(message.topic, headers_of(message), message._encoded_body, message.id, None)  # noqa: SLF001
        try:
            decoded = decode_message(message, now)
        except Poison as poison:
            letter = dead_letter(delivery, poison, now, self._pipeline.source)
            return self._pipeline.commit([delivery], [], [letter], {0}, began)[0]
        return self._pipeline.commit([delivery], [decoded], [], set(), began)[0]

    def _pipeline_from(self, consumer_config: dict[str, object]) -> Pipeline:
        settings = settings_from(consumer_config)
        directory = settings.state.directory
        self._open.enter_context(only_consumer(directory))
        store = open_store(directory, settings.rules())
        self._open.callback(store.close)
        pipeline = Pipeline(store, HotPath(CollectorRegistry()), _now)
        kept_s = settings.state.queue_kept_s if queue_survives() else 0
        with store.writing() as conn:
            pipeline.interval = listen(conn, pipeline.source, _now(), kept_s * SECOND)
        return pipeline
