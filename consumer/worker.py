"""A worker of the distributed mode: Faust folds the events of its partitions, account by account, over a table.

Read a batch, fold it, write each account's value once, hand on what is new; only when Kafka has all of that are the
events acknowledged. Faust delivers at least once, so an event may be read again after a crash: its account knows the
offset, and it is handed on once more, because nobody knows whether it had been. The log's keys decide at the end.
"""

import asyncio
import logging
import os
import threading
import time
import weakref
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import aclosing
from pathlib import Path
from typing import Any, cast

import faust
from faust.streams import _current_event
from faust.types import TP

from consumer.backoff import begin_again
from consumer.delivery import Poison, printable
from consumer.kafka_records import ID_HEADER, accepted_record, dead_record, parse_event
from consumer.kafka_topics import topics_of, worker_group
from consumer.settings import KafkaSettings
from consumer.worker_account import Account, Definitions
from consumer.worker_chunks import AsFetched, batches, in_chunks
from consumer.worker_flags import flag_record
from consumer.worker_send import Sent, send
from consumer.worker_stream import ByHandStream, Order, Quiet, SkippedError
from consumer.worker_table import AccountTable
from metrics.hotpath import wall_clock
from metrics.worker import WorkerSeries
from state.dead_letters import DeadLetter

logger = logging.getLogger(__name__)

#: Accounts whose decoded values are kept in memory; the table has the others.
_ACCOUNTS_KEPT = 50_000

#: Bytes of events in a record at most; Kafka's own limit is 1 MB.
_RECORD_BYTES = 400_000

#: Chunks of events that wait for their turn at most; more are not fetched before.
_CHUNKS_WAITING = 8

#: Seconds without a heartbeat after which a worker's partitions go to others.
_SESSION_S = 10.0

#: Seconds in which Faust may come to its end.
_GRACE_S = 20.0

#: Seconds for which records may lie there without one being taken.
_STALLED_S = 10.0


class _App(faust.App):
    """Ends in time, though Faust may wait for ever for what it stops: what is not acknowledged is read again."""

    async def on_stop(self) -> None:
        deadline = threading.Timer(_GRACE_S, self._end)
        deadline.daemon = True
        deadline.start()
        await super().on_stop()

    def _end(self) -> None:
        if self.crashed:
            begin_again()
        os._exit(0)


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
        self.table = cast(
            "AccountTable",
            self.app.Table(
                "accounts",
                partitions=settings.partitions,
                key_type=bytes,
                value_type=bytes,
                extra_topic_configs={"cleanup.policy": "compact"},
            ),
        )
        source = self.app.topic(
            self._topics.events,
            schema=AsFetched(),
            maxsize=_CHUNKS_WAITING,
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
        return _App(
            worker_group(settings),
            broker=[f"kafka://{broker}" for broker in settings.bootstrap.split(",")],
            store="rocksdb://",
            datadir=str(directory),
            topic_partitions=settings.partitions,
            topic_replication_factor=settings.replicas,
            topic_disable_leader=True,
            web_enabled=False,
            Stream=ByHandStream,
            Table=AccountTable,
            ConsumerScheduler=in_chunks(self._topics.events),
            Monitor=Quiet,
            consumer_auto_offset_reset="earliest",
            broker_commit_interval=1.0,
            broker_session_timeout=_SESSION_S,
            broker_heartbeat_interval=_SESSION_S / 4,
            broker_max_poll_records=settings.batch_events,
            producer_max_batch_size=256 * 1024,
            producer_max_request_size=2 * 1024 * 1024,
            producer_linger_ms=2,
            table_standby_replicas=0,
            worker_redirect_stdouts=False,
        )

    async def _fold(self, stream: Any) -> None:
        settings = self._settings
        try:
            async with aclosing(batches(stream, settings.batch_events, settings.batch_ms / 1000)) as found:
                async for batch in found:
                    is_taken = await self._take(batch)
                    for chunk in batch:
                        if is_taken:
                            await stream.ack(chunk)
                        else:  # before partitions are dealt, Faust waits for all that it has handed to us
                            self.app.consumer.unacked.discard(chunk.message)
        except asyncio.CancelledError:
            raise
        except Exception as problem:
            logger.log(logging.WARNING if isinstance(problem, SkippedError) else logging.ERROR, "%s", problem)
            # Nothing of the batch is acknowledged: whoever gets its partitions reads it again.
            await self.app.crash(problem)
            raise

    async def _take(self, batch: Sequence[Any]) -> bool:
        """Whether Kafka has all that comes of these chunks, so that they may be acknowledged."""
        self._active = time.monotonic()
        deal, generation = self._deals, self.app.consumer_generation_id
        if any(chunk.message.generation_id != generation for chunk in batch):
            return False  # fetched before partitions were dealt anew: whoever has theirs reads them again
        by_partition: dict[int, list[Any]] = defaultdict(list)
        for chunk in batch:
            await self._order.take(chunk.message.tp, chunk.value)
            by_partition[chunk.message.partition].append(chunk)
        dispositions: list[str] = []
        dead: list[bytes] = []
        written = 0
        kept: list[tuple[int, Sent]] = []
        others: list[Sent] = []
        for partition, chunks in by_partition.items():
            # A table finds its partition by the event at hand, which within a batch is any of them.
            _current_event.set(weakref.ref(chunks[0]))
            touched: dict[str, Account] = {}
            records = (record for chunk in chunks for record in chunk.value)
            passed = [value for record in records if (value := self._look(record, touched, dispositions, dead))]
            await self._tell(partition, touched)
            values = {name.encode(): account.to_bytes() for name, account in touched.items()}
            if deal != self._deals:
                # The partition may be another worker's by now, and its values later than these. Nothing of the batch
                # is acknowledged, so its events are read again.
                return False
            kept.append((partition, await self._keep(partition, values)))
            accepted = [(None, accepted_record(part)) for part in _parts(passed)]
            others.append(await send(self.app, self._topics.accepted, partition, accepted))
            written += len(values)
        others.append(await send(self.app, self._topics.notes, 0, [(None, letter) for letter in dead]))
        await asyncio.gather(*(self._persisted(*sent) for sent in kept), *(sent.arrived() for sent in others))
        self._series.took(dispositions, written)
        self._active = time.monotonic()
        return True

    async def _watch(self) -> None:
        """What is left out at the end of a partition shows by nothing else: there is more, and nothing comes."""
        if not self.is_recovered or time.monotonic() < self._active + _STALLED_S:
            return
        if where := await self._order.stalled():
            problem = SkippedError(f"{where}: there is more, and nothing has come for {_STALLED_S:.0f} s")
            logger.warning("%s", problem)
            await self.app.crash(problem)

    def _look(
        self, record: Any, touched: dict[str, Account], dispositions: list[str], dead: list[bytes]
    ) -> bytes | None:
        """Fold the event into its account; its text where it is to be handed on."""
        value: bytes = record.value
        try:
            found = parse_event(record.key, value, wall_clock())
        except Poison as poison:
            dispositions.append("dead_letter")
            dead.append(dead_record(self._dead(record, poison)))
            return None
        if found.user is None:
            dispositions.append("nobody")
            return value
        account = touched.get(found.user)
        if account is None:
            account = touched[found.user] = self._account(found.user)
        taken = account.take(found, record.partition, record.offset)
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
        records = []
        for name, account in touched.items():
            crossings = account.crossings()
            if crossings or account.has_told:
                records.append((name.encode(), flag_record(name, account, crossings)))
            account.has_told = bool(crossings)
        await (await send(self.app, self._topics.flags, partition, records)).arrived()

    async def _keep(self, partition: int, values: Mapping[bytes, bytes]) -> Sent:
        """Write the accounts' values to the table, each once a batch."""
        # `table[key] = value` makes a changelog record that goes its way one by one and that nobody waits for.
        for key, value in values.items():
            self.table.data[key] = value
        return await send(self.app, self._topics.accounts, partition, values.items())

    async def _persisted(self, partition: int, sent: Sent) -> None:
        """Note how far the changelog is in the local files, so that a restart reads only what came after."""
        offset = await sent.arrived()
        if offset >= 0:
            store: Any = self.table.data
            store.set_persisted_offset(TP(self._topics.accounts, partition), offset)

    def _dead(self, record: Any, poison: Poison) -> DeadLetter:
        ids = [value for name, value in record.headers or () if name == ID_HEADER]
        where = f"{record.topic}/{record.partition}/{record.offset}"
        return DeadLetter(
            received_at=wall_clock(),
            reason=poison.reason,
            detail=poison.detail,
            source="kafka",
            msg_id=printable(ids[0].decode("utf-8", "replace")) if ids else where,
            topic=record.topic,
            headers=None,
            body=record.value or b"",
        )

    async def _revoked(self, *_: Any, **__: Any) -> None:
        self.is_recovered = False
        self.table.overtaken.clear()
        self._forget()
        self._series.dealt()

    async def _recovered(self, *_: Any) -> None:
        await self._write_again()
        self._forget()
        self._active = time.monotonic()
        self.is_recovered = True
        self._series.recovered()

    async def _write_again(self) -> None:
        """Put values that were overtaken by older ones at the changelog's end again."""
        store: Any = self.table.data
        for partition, keys in self.table.overtaken.items():
            db = store._db_for_partition(partition)  # noqa: SLF001 - no event is at hand, which would tell it
            sent = await send(self.app, self._topics.accounts, partition, [(key, db.get(key)) for key in keys])
            await sent.arrived()
        self.table.overtaken.clear()

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
