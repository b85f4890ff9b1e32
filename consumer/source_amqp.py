"""The live bus: fedora-messaging's service with group commit, from the first connection to SIGTERM."""

import gc
import logging
from collections.abc import Callable, Generator
from functools import partial
from typing import Any, cast

from fedora_messaging.config import conf
from fedora_messaging.exceptions import (
    BadDeclaration,
    ConfigurationException,
    ConnectionException,
    ConsumerCanceled,
    NoFreeChannels,
    PermissionException,
)
from fedora_messaging.twisted.service import FedoraMessagingServiceV2
from OpenSSL.crypto import Error as OpenSSLError
from pika import URLParameters
from pika.exceptions import AMQPError, ConnectionClosedByBroker
from twisted.internet import defer, error, task
from twisted.python.failure import Failure
from twisted.python.log import PythonLoggingObserver

from consumer import wire
from consumer.amqp_config import prepare, queue_survives
from consumer.amqp_group import BatchProtocol
from consumer.intake import Intake, reactor
from consumer.pipeline import Pipeline
from consumer.settings import Settings
from state.errors import ConfigError, HomecomingError

logger = logging.getLogger(__name__)

#: Seconds between two looks at the connection, and between two records of a silence.
TICK_S = 10

#: Seconds between two attempts to connect at most; Twisted's own limit is an hour.
LONGEST_RECONNECT_S = 60

#: Ticks for which a connection may be without a consumer. An error while consumers are registered again
#: after a reconnect is swallowed upstream, and then nothing is consumed for days.
IDLE_TICKS = 2

#: AMQP's reply codes for a wrong user or password, and for a virtual host that is not there or not ours.
_FORBIDDEN = {403, 530}

#: Losing the connection while registering is no error of ours: the next connection registers again.
_LOST = (ConnectionException, NoFreeChannels, AMQPError, error.ConnectionDone, error.ConnectionLost)


def run(settings: Settings, pipeline: Pipeline, *, on_ready: Callable[[], None] | None = None) -> int:
    """Consume until SIGTERM or SIGINT; the batch in hand is committed and acknowledged first.

    Call it once a process (Twisted's reactor cannot be started again) and on the main thread (signals), with
    fedora-messaging's configuration loaded. on_ready is called once, when the first consumer is registered.
    Returns the exit code: 0, or 1 after an unexpected error, which has been logged. Raises HomecomingError for
    what trying again cannot mend: configuration, certificates, credentials, permissions, a damaged state.
    """
    parameters = prepare(settings.live.batch_messages)
    _calm_garbage_collection()
    wire.tolerate()
    PythonLoggingObserver().start()  # type: ignore[no-untyped-call]
    source = _Source(settings, pipeline, parameters, on_ready or (lambda: None))
    reactor.callWhenRunning(source.start)
    # As a "before" trigger: later the connections are gone, and nothing can be acknowledged.
    reactor.addSystemEventTrigger("before", "shutdown", source.service.stopService)
    reactor.run()
    if source.failure is None:
        return 0
    if isinstance(source.failure, HomecomingError):
        raise source.failure
    logger.error("consuming ended: %s: %s", type(source.failure).__name__, source.failure)
    return 1


def _calm_garbage_collection() -> None:
    """Collect seldom: a batch makes thousands of objects, and reference counts free them all.

    Looking through them, and through the schemas and libraries that never go, took a fifth of decoding.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)


class _Source:
    """The service and what ends it."""

    def __init__(
        self,
        settings: Settings,
        pipeline: Pipeline,
        parameters: URLParameters,
        on_ready: Callable[[], None],
    ) -> None:
        self.failure: BaseException | None = None
        self._broker = f"{parameters.host}:{parameters.port}"
        self._on_ready = on_ready
        self._registered = False
        self._idle_ticks = 0
        kept_s = settings.state.queue_kept_s if queue_survives() else 0
        self._intake = Intake(pipeline, settings.live, kept_s, self._refused)
        self.service = _service()
        # As Any: an instance gets a method and a class of ours, for which upstream has no parameter.
        self._factory = cast("Any", self.service.factory)
        self._factory.protocol = partial(BatchProtocol, self._intake)
        self._factory.maxDelay = LONGEST_RECONNECT_S
        self._try_again = self._factory.clientConnectionFailed
        self._factory.clientConnectionFailed = self._unreachable

    def start(self) -> None:
        """Connect and consume; called by the reactor."""
        self.service.startService()  # type: ignore[no-untyped-call]
        task.LoopingCall(self._tick).start(TICK_S, now=False)
        self._consume().addErrback(self._fail)

    @defer.inlineCallbacks
    def _consume(self) -> Generator[defer.Deferred[Any], Any, None]:
        while True:
            try:
                consumers = yield self._factory.consume(self._intake, conf["bindings"], conf["queues"])
                self._ready()
                yield defer.gatherResults([consumer.result for consumer in consumers], consumeErrors=True)
            except defer.FirstError as first:
                if not isinstance(first.subFailure.value, ConsumerCanceled):
                    first.subFailure.raiseException()
                logger.warning("the broker cancelled the consumer (was the queue deleted?): declaring it again")
            except _LOST as lost:
                logger.warning("the connection to %s was lost while consumers were registered: %s", self._broker, lost)
            else:
                return  # cancelled by stopService
            yield task.deferLater(reactor, 1)

    def _ready(self) -> None:
        if not self._registered:
            self._registered = True
            self._on_ready()

    def _tick(self) -> None:
        self._intake.tick()
        client = self._factory._client  # noqa: SLF001 - upstream has no way to ask for a new connection
        is_idle = client is not None and client.is_open and not self._factory.consuming
        self._idle_ticks = self._idle_ticks + 1 if is_idle else 0
        if self._idle_ticks >= IDLE_TICKS:
            self._idle_ticks = 0
            logger.warning("connected to %s, but nothing is consumed: reconnecting", self._broker)
            client.abort()

    def _unreachable(self, connector: Any, reason: Failure) -> None:
        logger.warning("the broker at %s cannot be reached, trying again: %s", self._broker, reason.value)
        self._try_again(connector, reason)

    def _refused(self, reason: BaseException | None) -> None:
        """A handshake failed. Wrong from the start is wrong for good; later it may be the broker starting up."""
        code = reason.reply_code if isinstance(reason, ConnectionClosedByBroker) else None
        text = f"the broker at {self._broker} refused the connection: {reason}"
        if not self._registered and code in _FORBIDDEN:
            self._stop(HomecomingError(f"{text}; check user, password and virtual host in amqp_url"))
        else:
            logger.warning("%s; trying again", text)

    def _fail(self, failure: Failure) -> None:
        problem = failure.value
        if isinstance(problem, BadDeclaration):
            problem = HomecomingError(f"{self._broker}: {problem}; check its name, options and your permissions")
        elif isinstance(problem, PermissionException):
            problem = HomecomingError(f"{self._broker}: no permission for {problem}: {problem.reason}")
        self._stop(problem)

    def _stop(self, problem: BaseException | None) -> None:
        self.failure = self.failure or problem
        if reactor.running:
            reactor.stop()


def _service() -> FedoraMessagingServiceV2:
    try:
        return FedoraMessagingServiceV2(publish_confirms=False)
    except ConfigurationException as problem:
        raise ConfigError(problem.message) from problem
    except KeyError as problem:
        raise ConfigError(f"[tls]: expected ca_cert, certfile and keyfile, got no {problem.args[0]}") from problem
    except (OSError, ValueError, OpenSSLError) as problem:
        raise ConfigError(f"[tls]: the certificates cannot be used: {problem}") from problem
