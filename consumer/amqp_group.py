"""Group commit inside fedora-messaging: a batch off the queue, one commit, one acknowledgement.

Upstream's consumer acknowledges each message after its callback returns, so its callback cannot group.
What is overridden here are internals of fedora-messaging 3.9, which
tests/integration/test_contract_fedora_messaging.py holds it to.
"""

import logging
from collections.abc import Generator, Sequence
from contextlib import suppress
from itertools import compress
from typing import Any

from fedora_messaging.twisted.consumer import Consumer
from fedora_messaging.twisted.protocol import FedoraMessagingProtocolV2
from pika.adapters.twisted_connection import ClosableDeferredQueue
from pika.exceptions import AMQPError, ChannelClosed, ConnectionClosedByClient, ConsumerCancelled
from twisted.internet import defer, error, task
from twisted.python.failure import Failure

from consumer.backoff import delays
from consumer.decode import Delivery
from consumer.intake import Intake, reactor
from consumer.pipeline import Outcome
from consumer.settings import LiveSettings
from state.errors import StateBusyError

logger = logging.getLogger(__name__)

#: What fedora-messaging's queue yields: (channel, Basic.Deliver, BasicProperties, body).
Received = tuple[Any, Any, Any, bytes]

#: Seconds that pass at most before a stop or a lost channel is noticed.
ATTENTION_S = 1.0


class BatchConsumer(Consumer):
    """A consumer whose callback is the Intake, and which takes many messages at a time."""

    callback: Any  # an Intake, where upstream has a function of one message
    #: The connection of the current read loop; after a reconnect `_protocol` is ahead of it for a moment.
    _reading_from: "BatchProtocol | None" = None

    @defer.inlineCallbacks
    def consume(self) -> Generator[defer.Deferred[Any], Any, None]:
        # After a reconnect the loop on the lost channel may still be committing: there must never be two.
        yield self._read_loop
        self._reading_from = self._protocol
        yield super().consume()

    @defer.inlineCallbacks
    def _read_one(self, queue_object: ClosableDeferredQueue) -> Generator[defer.Deferred[Any], Any, None]:
        batch: list[Received] = yield self._gather(queue_object)
        if not batch:
            return
        self.stats.received += len(batch)
        try:
            outcomes = yield self._take_in(queue_object, [_delivery(*message) for message in batch])
        except Exception as problem:
            logger.error("a batch of %d messages cannot be taken in: %s", len(batch), problem)  # noqa: TRY400
            logger.debug("where it happened", exc_info=problem)
            self.stats.failed += len(batch)
            if not queue_object.closed:
                batch[0][0].basic_nack(delivery_tag=0, multiple=True, requeue=True)
            raise
        # On a lost channel nothing can be settled: the broker delivers again, and those are duplicates.
        if outcomes is not None and not queue_object.closed:
            self._settle(batch, outcomes)

    @defer.inlineCallbacks
    def _gather(self, queue_object: ClosableDeferredQueue) -> Generator[defer.Deferred[Any], Any, list[Received]]:
        """Up to batch_messages, after waiting batch_ms for more of them at most; none where none came."""
        live: LiveSettings = self.callback.live
        try:
            batch = [(yield queue_object.get().addTimeout(ATTENTION_S, reactor))]
        except (defer.TimeoutError, defer.CancelledError):
            return []
        deadline = reactor.seconds() + live.batch_ms / 1000
        while len(batch) < live.batch_messages:
            if room := queue_object.pending[: live.batch_messages - len(batch)]:
                # What is there already is taken at once: a Deferred for each costs as much as its decoding.
                del queue_object.pending[: len(room)]
                batch.extend(room)
                continue
            left = deadline - reactor.seconds()
            if left <= 0 or not self._running:
                break
            with suppress(defer.TimeoutError, defer.CancelledError):
                batch.append((yield queue_object.get().addTimeout(min(left, ATTENTION_S), reactor)))
        return batch

    @defer.inlineCallbacks
    def _take_in(
        self, queue_object: ClosableDeferredQueue, deliveries: Sequence[Delivery]
    ) -> Generator[defer.Deferred[Any], Any, list[Outcome] | None]:
        """What became of each; None where the state stayed busy until we were stopped or cut off."""
        for delay in delays():
            try:
                outcomes: list[Outcome] = yield self.callback.take_in(deliveries)
            except StateBusyError as busy:
                logger.warning("%s; trying again in %d s, nothing is lost", busy, delay)
            else:
                return outcomes
            until = reactor.seconds() + delay
            while (left := until - reactor.seconds()) > 0:
                if queue_object.closed or not self._running:
                    return None
                yield task.deferLater(reactor, min(left, ATTENTION_S))
        raise AssertionError  # delays() has no end

    def _settle(self, batch: Sequence[Received], outcomes: Sequence[Outcome]) -> None:
        """Reject the dead letters, then acknowledge the rest at once.

        Acknowledging everything up to a tag skips what is settled already, but the tag itself must not be:
        RabbitMQ closes the channel for that (PRECONDITION_FAILED).
        """
        channel = batch[-1][0]
        tags = [delivery.delivery_tag for _, delivery, _, _ in batch]
        is_dead = [outcome == "dead_letter" for outcome in outcomes]
        for tag in compress(tags, is_dead):
            channel.basic_nack(delivery_tag=tag, requeue=False)
        good = [tag for tag, dead in zip(tags, is_dead, strict=True) if not dead]
        if good:
            channel.basic_ack(delivery_tag=good[-1], multiple=True)
        self.stats.processed += len(good)
        self.stats.dropped += len(batch) - len(good)

    def _read_loop_errback(self, failure: Failure) -> None:
        """A lost connection or channel: reconnect. Upstream leaves a consumer whose channel was closed dead."""
        problem = failure.value
        forbidden = isinstance(problem, ChannelClosed) and problem.args[0] == 403
        lost = isinstance(problem, (AMQPError, error.ConnectionDone, error.ConnectionLost))
        if forbidden or not lost or isinstance(problem, ConsumerCancelled):
            super()._read_loop_errback(failure)
            return
        self._running = False
        if isinstance(problem, ChannelClosed):
            logger.warning("the broker closed the channel of %s, reconnecting: %s", self.queue, problem)
        if self._reading_from is not None:
            self._reading_from.abort()


class BatchProtocol(FedoraMessagingProtocolV2):
    """One connection, whose consumers are BatchConsumers."""

    ready: Any  # pika's, a Deferred until the handshake is over

    def __init__(self, intake: Intake, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._intake = intake

    @defer.inlineCallbacks
    def consume(
        self, callback: Any, queue: str, previous_consumer: Consumer | None = None
    ) -> Generator[defer.Deferred[Any], Any, Consumer]:
        consumer: Consumer = yield super().consume(callback, queue, previous_consumer or BatchConsumer(queue, callback))
        self._intake.connected()
        return consumer

    def abort(self) -> None:
        """Cut the connection, so that the factory makes a new one."""
        if self.transport is not None and not self.is_closed:
            self.transport.abortConnection()

    def connectionLost(self, reason: Failure) -> None:  # noqa: N802 - Twisted's name
        # pika's Twisted adapter forgets what the broker said before it closed the connection.
        why = self._impl._error or reason.value  # noqa: SLF001 - the only place
        if self.ready is not None:
            self.ready = None  # upstream would fail whoever waits for a connection, we try again
            self._intake.refused(why)
        elif not isinstance(why, ConnectionClosedByClient):
            logger.warning("the connection was lost, reconnecting: %s", why)
        self._intake.disconnected()
        super().connectionLost(reason)


def _delivery(_channel: Any, delivery: Any, properties: Any, body: bytes) -> Delivery:
    return Delivery(
        topic=delivery.routing_key,
        headers=properties.headers,
        body=body,
        msg_id=properties.message_id,
        content_encoding=properties.content_encoding,
    )
