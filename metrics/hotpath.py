"""What this process does with messages, as counters and histograms: it starts at zero with the process.

What the state holds, whoever brought it there, is metrics/collector.py.
"""

import time
from collections import Counter as Tally
from collections.abc import Callable, Iterable, Sequence

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics
from prometheus_client.core import CounterMetricFamily, Metric
from prometheus_client.registry import Collector

from metrics.histogram import BatchHistogram
from state.spam.lifecycle import FLAG_STATES, SEVERITIES
from state.watch import Looked

DISPOSITIONS = ("accepted", "duplicate", "expired", "dead_letter")

#: Why a message became a dead letter; what `Poison` says in consumer/delivery.py.
REASONS = ("topic", "msg_id", "sent_at", "headers", "encoding", "json", "schema", "username", "unexpected")

_BATCH_MESSAGES = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000)

#: Seconds: a commit takes milliseconds; waiting for an import's chunk takes about two seconds.
_BATCH_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)

#: Seconds: below the linger of a batch nothing is to be told apart, beyond an hour it is an outage.
_LAG_SECONDS = (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900, 3600)

_MICROSECONDS = 1_000_000

#: Processing time after a flag's event time within which it counts as raised now: 10 minutes.
_LIVE = 600 * _MICROSECONDS


def wall_clock() -> int:
    """Processing time, microseconds since 1970 UTC."""
    return time.time_ns() // 1_000


class HotPath:
    """The series of this process. Called by one thread, read by any."""

    def __init__(
        self,
        registry: CollectorRegistry,
        clock: Callable[[], int] = wall_clock,
        fallbacks: Callable[[], int] = lambda: 0,
    ) -> None:
        """clock: processing time, microseconds since 1970 UTC. fallbacks: messages so far without a schema."""
        # One switch for the whole library: a _created sample beside each series only doubles the scrape.
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self._clock = clock
        self._started_at = clock()
        self._last_message_at: int | None = None
        self._is_connected = False

        self._messages = Counter(
            "homecoming_messages", "Messages taken in, by what became of them.", ["disposition"], registry=registry
        )
        self._dead_letters = Counter(
            "homecoming_dead_letters", "Messages that could not be decoded, by reason.", ["reason"], registry=registry
        )
        for disposition in DISPOSITIONS:
            self._messages.labels(disposition)
        for reason in REASONS:
            self._dead_letters.labels(reason)
        self._batch_messages = Histogram(
            "homecoming_batch_messages", "Messages in a transaction.", buckets=_BATCH_MESSAGES, registry=registry
        )
        self._batch_seconds = Histogram(
            "homecoming_batch_seconds", "Time from decoding to commit.", buckets=_BATCH_SECONDS, registry=registry
        )
        self._lag = BatchHistogram(
            "homecoming_lag_seconds", "Time from a message's event time to its commit.", _LAG_SECONDS, registry
        )
        self._busy = Counter("homecoming_state_busy", "Batches tried again: the state was busy.", registry=registry)
        self._tracked = 0
        self._flags = Counter(
            "homecoming_spam_flags",
            "Flags about now, by the state in which they were raised; a replay of the past counts none.",
            ["rule", "state"],
            registry=registry,
        )
        for rule in SEVERITIES:
            for state in FLAG_STATES:
                self._flags.labels(rule, state)
        self._flag_delay = Histogram(
            "homecoming_spam_flag_delay_seconds",
            "Time from the crossing event's time to the flag's commit, of flags about now.",
            buckets=_LAG_SECONDS,
            registry=registry,
        )
        self._evictions = Counter(
            "homecoming_spam_evictions",
            "Accounts, posts and sign-ups that the detector gave up because of its bounds.",
            registry=registry,
        )
        self._late = Counter(
            "homecoming_late_events",
            "Events too late for the detector: flags see them at a rebuild.",
            registry=registry,
        )
        Gauge(
            "homecoming_spam_tracked_accounts", "Accounts whose posts the detector keeps.", registry=registry
        ).set_function(lambda: float(self._tracked))
        Gauge("homecoming_connected", "Whether the channel to the bus is open.", registry=registry).set_function(
            lambda: float(self._is_connected)
        )
        Gauge(
            "homecoming_last_message_timestamp_seconds",
            "Processing time of the last message, 0 before the first.",
            registry=registry,
        ).set_function(lambda: (self._last_message_at or 0) / _MICROSECONDS)
        Gauge(
            "homecoming_last_message_age_seconds",
            "Time since the last message, before the first one since the start.",
            registry=registry,
        ).set_function(self.silence)
        registry.register(_Fallbacks(fallbacks))

    def batch(self, outcomes: Sequence[str], *, seconds: float, lags: Sequence[float], dead: Sequence[str]) -> None:
        """Count a committed batch: a disposition a message, lags in seconds, a reason a dead letter."""
        if not outcomes:
            return
        self._last_message_at = self._clock()
        for disposition, messages in Tally(outcomes).items():
            self._messages.labels(disposition).inc(messages)
        for reason, letters in Tally(dead).items():
            self._dead_letters.labels(reason).inc(letters)
        self._batch_messages.observe(len(outcomes))
        self._batch_seconds.observe(seconds)
        self._lag.observe(lags)

    def looked(self, looked: Looked) -> None:
        """Count what the detector made of a committed batch; only flags about now are live ones."""
        self._tracked = looked.tracked
        self._evictions.inc(looked.evicted)
        self._late.inc(looked.late)
        now = self._clock()
        for flag in looked.flags:
            if now - flag.raised_at <= _LIVE:
                self._flags.labels(flag.rule, flag.state).inc()
                self._flag_delay.observe(max(0, now - flag.raised_at) / _MICROSECONDS)

    def connected(self, is_connected: bool) -> None:
        """The channel to the bus has opened or closed."""
        self._is_connected = is_connected

    def is_connected(self) -> bool:
        """Whether the channel to the bus is open."""
        return self._is_connected

    def busy(self) -> None:
        """Count a batch that has to be tried again."""
        self._busy.inc()

    def last_message_age(self) -> float | None:
        """Seconds since the last message; None before the first."""
        return None if self._last_message_at is None else self.silence()

    def silence(self) -> float:
        """Seconds since the last message, or since the start where none has come.

        An alert on this one sees a consumer that never received anything, too, and stays quiet while a new
        process waits for its first message.
        """
        since = self._started_at if self._last_message_at is None else self._last_message_at
        return max(0, self._clock() - since) / _MICROSECONDS


class _Fallbacks(Collector):
    """Topics come from the wire, so their number has no bound: they are no label."""

    def __init__(self, read: Callable[[], int]) -> None:
        self._read = read

    def describe(self) -> Iterable[Metric]:
        return [self._family(None)]

    def collect(self) -> Iterable[Metric]:
        return [self._family(self._read())]

    def _family(self, value: int | None) -> Metric:
        documentation = "Messages whose schema is not installed: their people are read from well-known fields."
        return CounterMetricFamily("homecoming_fallback_messages", documentation, value)
