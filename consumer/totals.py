"""The totals' owner: what the workers let through, and the notes beside it, into the state directory.

It commits by the same live path as `consume`, so that log, views, flags of every rule, page and API are the same: a
state directory does not show which mode filled it. Workers may hand an event on twice; the log has its key then, and
the second changes nothing. Offsets are committed after the state, so that a crash in between reads again what is known.

Partitions are read side by side, so that one may be days of event time ahead of another after a standstill. Totals do
not care. The detectors do: what is too late for them marks its week, and the log is screened as soon as all is read.
"""

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from time import monotonic, perf_counter
from typing import Any, NamedTuple

from consumer.backoff import delays
from consumer.delivery import Poison, printable
from consumer.kafka_records import event_of, parse_accepted, parse_note
from consumer.kafka_topics import topics_of
from consumer.settings import Settings
from metrics.hotpath import HotPath
from state.coverage import listen, listen_until
from state.dead_letters import DeadLetter
from state.errors import StateBusyError
from state.event import Event
from state.live import commit_batch
from state.screening import UNSCREENED, screen_pending
from state.spam.detector import LATENESS
from state.store import Store, get_meta, set_meta
from state.weeks import SECOND, week_of

logger = logging.getLogger(__name__)

#: Records of the workers in a transaction at most; each holds up to 400 kB of events.
_RECORDS = 16

#: Seconds without a record after which all is read: a pause of the workers is shorter.
_IDLE_S = 3.0

#: Seconds between two screenings of what came too late for the live detectors.
_SCREENED_EVERY_S = 60.0

#: Waits so many seconds; True where the program is to end meanwhile.
Wait = Callable[[float], bool]


class Read(NamedTuple):
    """What a batch of records says."""

    events: list[Event]
    dead: list[DeadLetter]
    covered: list[tuple[str, int, int]]  #: (source, start, end) in processing time


def read(records: Iterable[Any], notes: str, now: int) -> Read:
    """The records decoded, events in the order of event time; what is none of ours becomes a dead letter."""
    found = Read([], [], [])
    for record in records:
        try:
            if record.topic == notes:
                note = parse_note(record.value)
                if isinstance(note, DeadLetter):
                    found.dead.append(note)
                else:
                    found.covered.append(note)
                continue
            for event in parse_accepted(record.value):
                found.events.append(event_of(event, now))
        except Poison as poison:
            where = f"{record.topic}/{record.partition}/{record.offset}"
            found.dead.append(
                DeadLetter(
                    now,
                    poison.reason,
                    poison.detail,
                    "kafka",
                    printable(where),
                    record.topic,
                    None,
                    record.value or b"",
                )
            )
    found.events.sort(key=lambda event: event.at)
    return found


class Totals:
    """Takes batches into the store. One thread uses it at a time."""

    def __init__(self, settings: Settings, store: Store, hot_path: HotPath, clock: Callable[[], int]) -> None:
        self._settings = settings
        self._store = store
        self._hot_path = hot_path
        self._clock = clock
        self._notes = topics_of(settings.kafka).notes
        self._screened = -_SCREENED_EVERY_S

    def take(self, records: Sequence[Any]) -> None:
        """Commit the records; StateBusyError, where the same records can be tried again."""
        began = perf_counter()
        now = self._clock()
        found = read(records, self._notes, now)
        late = self._late_week(found.events)
        # Before, for a crash in between; and after, because maintenance may have screened without these.
        self._mark(late)
        done = commit_batch(self._store, [(event,) for event in found.events], found.dead)
        self._mark(late)
        self._cover(found.covered)
        self._hot_path.batch(
            [*done.dispositions, *("dead_letter" for _ in found.dead)],
            seconds=perf_counter() - began,
            lags=[(now - event.at) / SECOND for event in found.events],
            dead=[letter.reason for letter in found.dead],
        )
        self._hot_path.looked(done.looked)

    def screen(self) -> None:
        """Everything is read: find the flags of what came too late, unless that was done just now."""
        if get_meta(self._store.conn, UNSCREENED) is None or monotonic() < self._screened + _SCREENED_EVERY_S:
            return
        screen_pending(self._store)
        self._screened = monotonic()

    def _late_week(self, events: Sequence[Event]) -> int | None:
        """The first week of what is too late for the live detectors; None where nothing is."""
        if not events or events[0].at >= get_meta(self._store.conn, "watermark", 0) - LATENESS:
            return None
        return week_of(events[0].at)

    def _mark(self, week: int | None) -> None:
        """Have the log screened from that week on; marked twice is no harm."""
        marked = get_meta(self._store.conn, UNSCREENED)
        if week is not None and (marked is None or week < marked):
            with self._store.writing() as conn:
                set_meta(conn, UNSCREENED, week)

    def _cover(self, covered: Sequence[tuple[str, int, int]]) -> None:
        """When the bridge listened. It keeps nothing: how long the broker bridged its absence is judged here."""
        if not covered:
            return
        bridged = self._settings.state.queue_kept_s * SECOND
        with self._store.writing() as conn:
            for source, start, end in covered:
                known = conn.execute(
                    "SELECT id FROM coverage WHERE source = ? AND start <= ? AND end >= ? ORDER BY end DESC LIMIT 1",
                    (source, start, start),
                ).fetchone()
                interval = int(known[0]) if known else listen(conn, source, start, bridged)
                listen_until(conn, interval, end)


def consume(totals: Totals, settings: Settings, hot_path: HotPath, wait: Wait) -> None:
    """Read until `wait` says that the program is to end."""
    from kafka import KafkaConsumer, TopicPartition  # noqa: PLC0415 - an extra

    kafka, topics = settings.kafka, topics_of(settings.kafka)
    consumer = KafkaConsumer(
        bootstrap_servers=kafka.bootstrap.split(","),
        group_id=f"{kafka.prefix}-totals",
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        max_partition_fetch_bytes=2 * 1024 * 1024,
    )
    try:
        # All of them, without a group's dealing: a state has one owner.
        accepted = [TopicPartition(topics.accepted, partition) for partition in range(kafka.partitions)]
        consumer.assign([*accepted, TopicPartition(topics.notes, 0)])
        hot_path.connected(True)
        read_at = monotonic()
        while not wait(0):
            polled: Mapping[Any, list[Any]] = consumer.poll(timeout_ms=kafka.batch_ms, max_records=_RECORDS)
            records = [record for some in polled.values() for record in some]
            if not records:
                if monotonic() > read_at + _IDLE_S:
                    totals.screen()
                continue
            read_at = monotonic()
            if not _committed(totals, records, hot_path, wait):
                return
            _commit_offsets(consumer)
    finally:
        hot_path.connected(False)
        consumer.close(autocommit=False)


def _committed(totals: Totals, records: Sequence[Any], hot_path: HotPath, wait: Wait) -> bool:
    """Whether the records are in the state; False where the program ends before it can be written."""
    for delay in delays():
        try:
            totals.take(records)
        except StateBusyError as busy:
            hot_path.busy()
            logger.warning("%s; trying again in %d s, nothing is lost", busy, delay)
            if wait(delay):
                return False
        else:
            return True
    raise AssertionError  # delays() has no end


def _commit_offsets(consumer: Any) -> None:
    """Where to go on after a restart. What cannot be committed now is read again then, which changes nothing."""
    from kafka.errors import KafkaError  # noqa: PLC0415 - an extra

    try:
        consumer.commit()
    except KafkaError as problem:
        logger.warning("offsets are not committed: %s", problem)
