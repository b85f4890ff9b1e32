"""What a worker, or the bridge, does: series of its process, which start at zero with it."""

import time
from collections import Counter as Tally
from collections.abc import Callable, Iterable, Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge, disable_created_metrics
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

#: What an event was to the worker; replayed and duplicate are ignored by the fold.
DISPOSITIONS = ("new", "old", "replayed", "duplicate", "nobody", "dead_letter")


class WorkerSeries:
    """Called by the worker's loop, read by any thread."""

    def __init__(self, registry: CollectorRegistry, lag: Callable[[], Mapping[int, int]] = dict) -> None:
        """lag: partition -> records that are still to be read, of the partitions that this worker has."""
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self._events = Counter(
            "homecoming_worker_events",
            "Events read, by what they were; replayed and duplicate ones changed nothing.",
            ["disposition"],
            registry=registry,
        )
        for disposition in DISPOSITIONS:
            self._events.labels(disposition)
        self._values = Counter("homecoming_worker_table_values", "Values written to the table.", registry=registry)
        self._rebalances = Counter(
            "homecoming_worker_rebalances", "Times partitions were dealt anew.", registry=registry
        )
        Gauge("homecoming_worker_partitions", "Partitions that this worker has.", registry=registry).set_function(
            lambda: len(lag())
        )
        self._recovering = Gauge(
            "homecoming_worker_recovering", "Whether the table is being read from its changelog.", registry=registry
        )
        self._recovery = Gauge(
            "homecoming_worker_recovery_seconds", "What the last recovery of the table took.", registry=registry
        )
        self._began: float | None = None
        registry.register(_Lag(lag))

    def took(self, dispositions: Iterable[str], values: int) -> None:
        """Count a batch: what its events were, and how many values were written."""
        for disposition, events in Tally(dispositions).items():
            self._events.labels(disposition).inc(events)
        self._values.inc(values)

    def dealt(self) -> None:
        """Partitions are being dealt anew; the table is recovered before anything is read."""
        self._rebalances.inc()
        self._recovering.set(1)
        self._began = time.monotonic()

    def recovered(self) -> None:
        """The table is whole."""
        self._recovering.set(0)
        if self._began is not None:
            self._recovery.set(time.monotonic() - self._began)
            self._began = None


class _Lag(Collector):
    """Read at scrape: partitions come and go."""

    def __init__(self, read: Callable[[], Mapping[int, int]]) -> None:
        self._read = read

    def describe(self) -> Iterable[Metric]:
        return [self._family()]

    def collect(self) -> Iterable[Metric]:
        family = self._family()
        for partition, records in sorted(self._read().items()):
            family.add_metric([str(partition)], records)
        return [family]

    def _family(self) -> GaugeMetricFamily:
        return GaugeMetricFamily(
            "homecoming_worker_lag", "Records of a partition that are still to be read.", labels=["partition"]
        )
