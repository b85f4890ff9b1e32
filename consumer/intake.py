"""The pipeline as the reactor sees it: in a thread, one thing at a time, and coverage kept beside it."""

import logging
from collections.abc import Callable, Sequence
from typing import Any

import twisted.internet.reactor
from twisted.internet.defer import Deferred, DeferredLock
from twisted.internet.threads import deferToThread

from consumer.decode import Delivery
from consumer.pipeline import Outcome, Pipeline
from consumer.settings import LiveSettings
from state.coverage import listen
from state.errors import StateBusyError
from state.live import commit_batch
from state.weeks import SECOND

logger = logging.getLogger(__name__)

#: Which reactor it is shows only when it is installed; its static type, a module of interfaces, cannot be called.
reactor: Any = twisted.internet.reactor


class Intake:
    """What connections and consumers share; every method is called on the reactor's thread.

    queue_kept_s: seconds for which the broker keeps our queue while we are away.
    on_refused: called with the reason where a connection's handshake fails.
    """

    def __init__(
        self,
        pipeline: Pipeline,
        live: LiveSettings,
        queue_kept_s: int,
        on_refused: Callable[[BaseException | None], None],
    ) -> None:
        self.live = live
        self.refused = on_refused
        self.is_connected = False
        self._pipeline = pipeline
        self._queue_kept = queue_kept_s * SECOND
        self._turn = DeferredLock()

    def take_in(self, deliveries: Sequence[Delivery]) -> "Deferred[list[Outcome]]":
        """Commit the batch; fails with StateBusyError where it can be tried again."""
        return self._in_turn(lambda: self._pipeline.take_in(deliveries)).addErrback(self._count_busy)

    def connected(self) -> None:
        """Messages reach us from now on."""
        self.is_connected = True
        self._pipeline.hot_path.connected(True)
        self.tick()

    def disconnected(self) -> None:
        """No message reaches us from now on."""
        self.is_connected = False
        self._pipeline.hot_path.connected(False)
        self._quietly(self._leave)

    def tick(self) -> None:
        """Record that we listen, so that silence is covered too."""
        if self.is_connected:
            self._quietly(self._cover)

    def _cover(self) -> None:
        pipeline = self._pipeline
        now = pipeline.clock()
        if pipeline.interval is not None:
            commit_batch(pipeline.store, [], (), (pipeline.interval, now))
            return
        with pipeline.store.writing() as conn:
            interval = listen(conn, pipeline.source, now, self._queue_kept)
        pipeline.interval = interval

    def _leave(self) -> None:
        self._pipeline.interval = None

    def _in_turn(self, act: Callable[[], Any]) -> "Deferred[Any]":
        return self._turn.run(deferToThread, act)

    def _quietly(self, act: Callable[[], None]) -> None:
        """Coverage that cannot be written now is written by the next tick or batch."""
        self._in_turn(act).addErrback(lambda failure: logger.warning("coverage is not recorded: %s", failure.value))

    def _count_busy(self, failure: Any) -> Any:
        if failure.check(StateBusyError):
            self._pipeline.hot_path.busy()
        return failure
