"""From the bus, or from archives, into Kafka: every event under its user, so that these stay in order.

A batch is sent, flushed, and every record's answer looked at; only then is it acknowledged on the bus. The producer is
idempotent, so that a record sent again after a lost answer is in Kafka once.
"""

import logging
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from sqlite3 import Connection
from time import perf_counter
from typing import Any

from consumer.archive import open_archive, reading_archive
from consumer.decode import Decoded, Delivery
from consumer.kafka_records import coverage_record, dead_record, event_record
from consumer.kafka_topics import topics_of
from consumer.pipeline import Outcome, Pipeline
from consumer.settings import KafkaSettings
from metrics.hotpath import HotPath
from state.dead_letters import DeadLetter
from state.duck import connect
from state.errors import StateBusyError
from state.event import Event, service_of
from state.log import COLUMNS
from state.store import Store, open_store
from state.weeks import SECOND

logger = logging.getLogger(__name__)

#: Seconds after which a record that Kafka has not answered counts as not sent.
_DELIVERED_WITHIN_S = 120

#: SQL: the id of a row without one, as an import of the same archive gives it.
_ID = "coalesce(msg_id, 'derived-' || md5(concat_ws(chr(31), epoch_us(sent_at), topic, coalesce(username, ''))))"


class Outlet:
    """The producer: all of a batch, or an error."""

    def __init__(self, settings: KafkaSettings) -> None:
        from kafka import KafkaProducer  # noqa: PLC0415 - an extra

        self._topics = topics_of(settings)
        self._producer = KafkaProducer(
            bootstrap_servers=settings.bootstrap.split(","),
            acks="all",
            enable_idempotence=True,
            linger_ms=5,
            batch_size=256 * 1024,
            delivery_timeout_ms=_DELIVERED_WITHIN_S * 1000,
            max_block_ms=_DELIVERED_WITHIN_S * 1000,
        )

    def send(self, events: Sequence[Event], dead: Sequence[DeadLetter] = ()) -> None:
        """Kafka has all of these; StateBusyError where it has perhaps not, and the same can be sent again."""
        from kafka.errors import KafkaError  # noqa: PLC0415 - an extra

        try:
            sent = [self._producer.send(self._topics.notes, value=dead_record(letter)) for letter in dead]
            for event in events:
                record = event_record(event)
                sent.append(
                    self._producer.send(self._topics.events, key=record.key, value=record.value, headers=record.headers)
                )
            self._producer.flush(timeout=_DELIVERED_WITHIN_S)
            for future in sent:
                future.get(timeout=_DELIVERED_WITHIN_S)
        except KafkaError as problem:
            raise StateBusyError(f"Kafka does not take events: {problem or type(problem).__name__}") from problem

    def say(self, value: bytes) -> None:
        """Send a note; the next one says the same and more, so that nobody waits for it."""
        self._producer.send(self._topics.notes, value=value)

    def close(self) -> None:
        """Send what is left, for a moment."""
        self._producer.close(timeout=5)


class BridgePipeline(Pipeline):
    """The pipeline with Kafka at its end, where `consume` has the state."""

    def __init__(self, outlet: Outlet, store: Store, hot_path: HotPath, clock: Callable[[], int]) -> None:
        super().__init__(store, hot_path, clock)
        self._outlet = outlet

    def commit(
        self,
        deliveries: Sequence[Delivery],
        decoded: Sequence[Decoded],
        dead: Sequence[DeadLetter],
        refused: set[int],
        began: float,
    ) -> list[Outcome]:
        """Send everything; whether a message is new is for the workers and the log to say."""
        self._outlet.send([event for message in decoded for event in message.events], dead)
        outcomes: list[Outcome] = [
            "dead_letter" if place in refused else "accepted" for place in range(len(deliveries))
        ]
        now = self.clock()
        self.hot_path.batch(
            outcomes,
            seconds=perf_counter() - began,
            lags=[(now - message.at) / SECOND for message in decoded],
            dead=[letter.reason for letter in dead],
        )
        return outcomes


class CoverageNotes(Store):
    """A store in which nothing is but when we listened; what is written there is told to the totals' owner."""

    def __init__(self, store: Store, say: Callable[[bytes], None]) -> None:
        super().__init__(store.directory, store.db, store.rules)
        self._say = say

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """A writing step, told after it is done."""
        with super().writing() as conn:
            yield conn
        last = self.conn.execute("SELECT source, start, end FROM coverage ORDER BY id DESC LIMIT 1").fetchone()
        if last is not None:
            self._say(coverage_record(*last))


@contextmanager
def coverage_notes(say: Callable[[bytes], None]) -> Iterator[Store]:
    """Such a store; nothing remains of it."""
    with tempfile.TemporaryDirectory(prefix="homecoming-bridge-") as folder:
        store = CoverageNotes(open_store(Path(folder)), say)
        try:
            yield store
        finally:
            store.close()


def load_archives(
    paths: Sequence[Path], outlet: Outlet, settings: KafkaSettings, now: int
) -> Iterator[tuple[Path, int, int]]:
    """Send archives, each in the order of event time: (path, events, dead letters). The same again changes nothing.

    Raises ArchiveError for a file that cannot be read, StateBusyError where Kafka does not answer.
    """
    for path in paths:
        with tempfile.TemporaryDirectory() as folder, connect(Path(folder)) as duck, reading_archive(path):
            source = open_archive(duck, path, now)
            outlet.send((), source.dead)
            columns = ", ".join(_column(name) for name in COLUMNS if name != "service")
            rows = duck.execute(f"SELECT {columns} FROM {source.relation} ORDER BY sent_at, msg_id")
            sent = 0
            while batch := rows.fetchmany(settings.batch_events):
                outlet.send([_event(row) for row in batch])
                sent += len(batch)
        yield path, sent, len(source.dead)


def _column(name: str) -> str:
    if name == "msg_id":
        return f"{_ID} AS msg_id"
    if name in ("sent_at", "received_at"):
        return f"epoch_us({name})"
    return {"role": "coalesce(role, 'actor')", "is_bot": "coalesce(is_bot, false)"}.get(name, name)


def _event(row: Sequence[Any]) -> Event:
    msg_id, sent_at, received_at, topic, user, role, *others, is_bot = row
    return Event._make([msg_id, sent_at, received_at, topic, user, role, service_of(topic), *others, is_bot])
