"""A worker of the distributed mode: Faust folds the events of its partitions, account by account, over a table.

Read a batch, fold it, write each account's value once, hand on what is new; only when Kafka has all of that are the
events acknowledged. Faust delivers at least once, so an event may be read again after a crash: its account knows the
offset, and it is handed on once more, because nobody knows whether it had been. The log's keys decide at the end.
"""

import asyncio
import logging
import time
import weakref
from collections import defaultdict
from collections.abc import Awaitable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import faust
from faust.streams import _current_event
from faust.types import TP

from consumer.delivery import Poison, printable
from consumer.kafka_records import ID_HEADER, accepted_record, dead_record, parse_event
from consumer.kafka_topics import topics_of, worker_group
from consumer.settings import KafkaSettings
from consumer.worker_account import Account, Definitions
from consumer.worker_flags import flag_record
from consumer.worker_stream import EmittedStream, Order, Quiet, SkippedError
from metrics.hotpath import wall_clock
from metrics.worker import WorkerSeries
from state.dead_letters import DeadLetter

logger = logging.getLogger(__name__)

#: Accounts whose decoded values are kept in memory; the table has the others.
_ACCOUNTS_KEPT = 50_000

#: Bytes of events in a record at most; Kafka's own limit is 1 MB.
_RECORD_BYTES = 400_000

#: Seconds without a heartbeat after which a worker's partitions go to others.
_SESSION_S = 10.0

#: Seconds for which records may lie there without one being taken.
_STALLED_S = 10.0


class Worker:
    """The Faust app and what its one agent does."""

    def __init__(
        self, settings: KafkaSettings, definitions: Definitions, directory: Path, series: WorkerSeries
    ) -> None:
        """directory: RocksDB's files; another worker on the machine needs another one."""
        self._settings = settings
        self._definitions = definitions
        self._series = series
        self._topics = topics_of(settings)
        self._accounts: dict[str, Account] = {}
        self._active = 0.0  #: when the last batch began or ended
        self._deals = 0  #: how often partitions were dealt
        self.is_recovered = False
        self.app = self._app(directory)
        self._order = Order(self.app, self._topics.events)
        self.table = self.app.Table(
            "accounts",
            partitions=settings.partitions,
            key_type=bytes,
            value_type=bytes,
            extra_topic_configs={"cleanup.policy": "compact"},
        )
        source = self.app.topic(
            self._topics.events,
            key_type=bytes,
            value_type=bytes,
            key_serializer="raw",
            value_serializer="raw",
            partitions=settings.partitions,
        )
        # concurrency other than 1 is broken in Faust 0.15.3: a second stream takes what the first one has.
        self.app.agent(source, name="fold", concurrency=1)(self._fold)
        self.app.timer(_STALLED_S / 4)(self._watch)
        self.app.on_partitions_revoked.connect(self._revoked)
        self.table.on_recover(self._recovered)

    def lag(self) -> dict[int, int]:
        """Partition -> records that are still to be taken, of those partitions that we have."""
        return self._order.lag()

    def _app(self, directory: Path) -> faust.App:
        settings = self._settings
        return faust.App(
            worker_group(settings),
            broker=[f"kafka://{broker}" for broker in settings.bootstrap.split(",")],
            store="rocksdb://",
            datadir=str(directory),
            topic_partitions=settings.partitions,
            topic_replication_factor=settings.replicas,
            topic_disable_leader=True,
            web_enabled=False,
            Stream=EmittedStream,
            Monitor=Quiet,
            consumer_auto_offset_reset="earliest",
            broker_commit_interval=1.0,
            broker_session_timeout=_SESSION_S,
            broker_heartbeat_interval=_SESSION_S / 4,
            broker_max_poll_records=settings.batch_events,
            stream_buffer_maxsize=2 * settings.batch_events,
            producer_max_batch_size=256 * 1024,
            producer_max_request_size=2 * 1024 * 1024,
            producer_linger_ms=2,
            table_standby_replicas=0,
            worker_redirect_stdouts=False,
        )

    async def _fold(self, stream: Any) -> None:
        try:
            async for batch in stream.take_events(self._settings.batch_events, self._settings.batch_ms / 1000):
                await self._take(stream, batch)
        except asyncio.CancelledError:
            raise
        except Exception as problem:
            logger.log(logging.WARNING if isinstance(problem, SkippedError) else logging.ERROR, "%s", problem)
            # Nothing of the batch is acknowledged: whoever gets its partitions reads it again.
            await self.app.crash(problem)
            raise

    async def _take(self, stream: Any, batch: Sequence[Any]) -> None:
        self._active = time.monotonic()
        deal = self._deals
        dispositions: list[str] = []
        waiting: list[Awaitable[Any]] = []
        by_partition: dict[int, list[Any]] = defaultdict(list)
        for event in batch:
            await self._order.take(event.message)
            by_partition[event.message.partition].append(event)
        values = 0
        for partition, events in by_partition.items():
            # A table finds its partition by the event at hand, which within a batch is any of them.
            _current_event.set(weakref.ref(events[0]))
            touched: dict[str, Account] = {}
            passed = [value for event in events if (value := self._look(event, touched, dispositions, waiting))]
            await self._tell(partition, touched)
            if deal != self._deals:
                # The partition may be another worker's by now, and its values later than these. Nothing of the batch
                # is acknowledged, so its events are read again.
                return
            waiting += [await self._keep(partition, name, account) for name, account in touched.items()]
            waiting += [
                await self._send(self._topics.accepted, None, accepted_record(part), partition)
                for part in _parts(passed)
            ]
            values += len(touched)
        await asyncio.gather(*waiting)
        for event in batch:
            stream.emitted[event.message.tp] = event.message.offset
        self._series.took(dispositions, values)
        self._active = time.monotonic()

    async def _watch(self) -> None:
        """What is left out at the end of a partition shows by nothing else: there is more, and nothing comes."""
        if not self.is_recovered or time.monotonic() < self._active + _STALLED_S:
            return
        if where := await self._order.stalled():
            problem = SkippedError(f"{where}: there is more, and nothing has come for {_STALLED_S:.0f} s")
            logger.warning("%s", problem)
            await self.app.crash(problem)

    def _look(
        self, event: Any, touched: dict[str, Account], dispositions: list[str], waiting: list[Awaitable[Any]]
    ) -> bytes | None:
        """Fold the event into its account; its text where it is to be handed on."""
        message = event.message
        value: bytes = message.value
        try:
            found = parse_event(message.key, value, wall_clock())
        except Poison as poison:
            dispositions.append("dead_letter")
            letter = dead_record(self._dead(message, poison))
            waiting.append(asyncio.ensure_future(self._send_and_wait(self._topics.notes, None, letter, 0)))
            return None
        if found.user is None:
            dispositions.append("nobody")
            return value
        account = touched.get(found.user)
        if account is None:
            account = touched[found.user] = self._account(found.user)
        taken = account.take(found, message.partition, message.offset)
        dispositions.append(taken)
        return None if taken == "duplicate" else value

    def _account(self, name: str) -> Account:
        account = self._accounts.pop(name, None)
        if account is None:
            value = self.table.data.get(name.encode())
            account = Account(self._definitions) if value is None else Account.from_bytes(value, self._definitions)
        self._accounts[name] = account  # seen last
        if len(self._accounts) > _ACCOUNTS_KEPT:
            del self._accounts[next(iter(self._accounts))]
        return account

    async def _tell(self, partition: int, touched: Mapping[str, Account]) -> None:
        """Say where accounts burst. Before their values are kept: what is kept as told is never told again."""
        waiting: list[Awaitable[Any]] = []
        for name, account in touched.items():
            crossings = account.crossings()
            if crossings or account.has_told:
                record = flag_record(name, account, crossings)
                waiting.append(await self._send(self._topics.flags, name.encode(), record, partition))
            account.has_told = bool(crossings)
        await asyncio.gather(*waiting)

    async def _keep(self, partition: int, name: str, account: Account) -> Awaitable[Any]:
        """Write the account's value to the table, once a batch."""
        key, value = name.encode(), account.to_bytes()
        # `table[key] = value` makes a changelog record that goes its way one by one and that nobody waits for.
        self.table.data[key] = value
        return await self._send(self._topics.accounts, key, value, partition, self._persisted)

    def _persisted(self, done: Any) -> None:
        """How far the changelog is in the local files, so that a restart reads only what came after."""
        if not done.cancelled() and done.exception() is None:
            sent = done.result()
            store: Any = self.table.data
            store.set_persisted_offset(TP(sent.topic, sent.partition), sent.offset)

    async def _send(
        self, topic: str, key: bytes | None, value: bytes, partition: int, on_sent: Any = None
    ) -> "asyncio.Future[Any]":
        sent: asyncio.Future[Any] = await self.app.producer.send(  # type: ignore[assignment]
            topic, key, value, partition, None, None
        )
        if on_sent is not None:
            sent.add_done_callback(on_sent)
        return sent

    async def _send_and_wait(self, topic: str, key: bytes | None, value: bytes, partition: int) -> None:
        await (await self._send(topic, key, value, partition))

    def _dead(self, message: Any, poison: Poison) -> DeadLetter:
        ids = [value for name, value in message.headers or () if name == ID_HEADER]
        where = f"{message.topic}/{message.partition}/{message.offset}"
        return DeadLetter(
            received_at=wall_clock(),
            reason=poison.reason,
            detail=poison.detail,
            source="kafka",
            msg_id=printable(ids[0].decode("utf-8", "replace")) if ids else where,
            topic=message.topic,
            headers=None,
            body=message.value or b"",
        )

    async def _revoked(self, *_: Any, **__: Any) -> None:
        self.is_recovered = False
        self._forget()
        self._series.dealt()

    async def _recovered(self, *_: Any) -> None:
        self._forget()
        self._active = time.monotonic()
        self.is_recovered = True
        self._series.recovered()

    def _forget(self) -> None:
        """Partitions may come back after another worker has gone on with them."""
        self._deals += 1
        self._accounts.clear()
        self._order.forget()


def _parts(values: Sequence[bytes]) -> Iterator[Sequence[bytes]]:
    """The values in parts that a record can hold."""
    first = size = 0
    for place, value in enumerate(values):
        if size and size + len(value) > _RECORD_BYTES:
            yield values[first:place]
            first, size = place, 0
        size += len(value)
    if first < len(values):
        yield values[first:]
