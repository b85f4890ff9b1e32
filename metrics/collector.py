"""What the state holds, read at each scrape: it survives a restart and knows imports too."""

import logging
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from metrics.hotpath import wall_clock
from metrics.privacy import MIN_COHORT, hide
from metrics.rate import pooled
from metrics.snapshot import snapshot
from metrics.spam import spam_families
from state.coverage import gaps
from state.errors import StateError
from state.reading import Status, retention, status
from state.rules import POPULATIONS
from state.store import DATABASE
from state.weeks import SECOND, week_name

#: Half a year of cohorts by a quarter of weeks and four populations: at most 1,504 series, for ever.
COHORTS = 26
OFFSETS = 13

_log = logging.getLogger(__name__)


class StateCollector(Collector):
    """The state in `directory`; cohorts of fewer than min_cohort users are hidden.

    A state that cannot be read is `homecoming_state_up 0` and nothing else: the scrape itself succeeds.
    """

    def __init__(
        self,
        directory: Path,
        min_cohort: int = MIN_COHORT,
        clock: Callable[[], int] = wall_clock,
        declared_events: Sequence[tuple[int, int]] = (),
    ) -> None:
        """clock: processing time, microseconds since 1970 UTC. declared_events: spans of it."""
        self.directory = directory
        self.min_cohort = min_cohort
        self._clock = clock
        self._declared_events = declared_events

    def describe(self) -> Iterable[Metric]:
        """The names, so that a clash with another collector is an error at the start."""
        nothing = Status(0, 0, 0, 0, None, 0, 0)
        return [_up(is_up=True), *_counts(nothing, gaps=0, log_bytes=0, database_bytes=0), *_cohort_families()]

    def collect(self) -> Iterable[Metric]:
        try:
            with snapshot(self.directory) as conn:
                spam = spam_families(conn, self.directory, self._clock(), self._declared_events)
                return [_up(is_up=True), *self._totals(conn), *self._cohorts(conn), *spam]
        except StateError as error:
            _log.warning("nothing to scrape: %s", error)
            return [_up(is_up=False)]

    def _totals(self, conn: sqlite3.Connection) -> Iterator[Metric]:
        (log_bytes,) = conn.execute("SELECT coalesce(sum(bytes), 0) FROM segment").fetchone()
        return _counts(
            status(conn),
            gaps=len(gaps(conn)),
            log_bytes=log_bytes,
            database_bytes=sum(file.stat().st_size for file in self._database_files() if file.exists()),
        )

    def _database_files(self) -> Iterable[Path]:
        return self.directory / DATABASE, self.directory / f"{DATABASE}-wal"

    def _cohorts(self, conn: sqlite3.Connection) -> Iterable[Metric]:
        sizes, users, ratios = _cohort_families()
        for population in POPULATIONS:
            table = hide(retention(conn, population, weeks=OFFSETS, latest=COHORTS), self.min_cohort)
            for cohort in table.cohorts:
                week = week_name(cohort.week)
                sizes.add_metric([week, population], cohort.size)
                for cell in cohort.cells:
                    if cell.users is not None:
                        users.add_metric([week, str(cell.offset), population], cell.users)
            for offset in range(1, OFFSETS):
                if found := pooled(table, offset):
                    ratios.add_metric([str(offset), population], found.share)
        return sizes, users, ratios


def _up(*, is_up: bool) -> Metric:
    return GaugeMetricFamily("homecoming_state_up", "Whether the state can be read.", value=is_up)


def _counts(state: Status, gaps: int, log_bytes: int, database_bytes: int) -> Iterator[Metric]:
    yield CounterMetricFamily(
        "homecoming_accepted_messages", "Distinct messages that the state has accepted.", state.messages
    )
    yield CounterMetricFamily("homecoming_events", "Events in the log: (message, user) pairs.", state.events)
    yield GaugeMetricFamily("homecoming_users", "Accounts seen.", value=state.users)
    if state.watermark is not None:
        yield GaugeMetricFamily(
            "homecoming_watermark_timestamp_seconds",
            "The greatest event time accepted.",
            value=state.watermark / SECOND,
        )
    yield GaugeMetricFamily("homecoming_dead_letters_kept", "Dead letters in the state.", value=state.dead_letters)
    yield GaugeMetricFamily("homecoming_flags_open", "Flags that nobody has cleared.", value=state.flags_open)
    yield GaugeMetricFamily("homecoming_coverage_gaps", "Times in which nobody listened.", value=gaps)
    yield GaugeMetricFamily("homecoming_database_bytes", "The views in SQLite, with the WAL.", value=database_bytes)
    yield GaugeMetricFamily("homecoming_log_bytes", "The sealed log in Parquet.", value=log_bytes)


def _cohort_families() -> tuple[GaugeMetricFamily, GaugeMetricFamily, GaugeMetricFamily]:
    return (
        GaugeMetricFamily("homecoming_cohort_size", "Users of a sign-up cohort.", labels=["cohort", "population"]),
        GaugeMetricFamily(
            "homecoming_cohort_users",
            "Users of a cohort who were active so many weeks after it.",
            labels=["cohort", "offset", "population"],
        ),
        GaugeMetricFamily(
            "homecoming_retention_ratio",
            "Share of the users of all these cohorts who were active so many weeks later; final weeks alone.",
            labels=["offset", "population"],
        ),
    )
