"""The series of the process: exact, complete from the start, and silent where nothing happened."""

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Histogram

from metrics.histogram import BatchHistogram
from metrics.hotpath import DISPOSITIONS, REASONS, HotPath

ROOT = Path(__file__).parents[2]
BOUNDS = (0.1, 1.0, 60.0)
SECOND = 1_000_000


class Clock:
    """Processing time in microseconds, moved by hand."""

    def __init__(self) -> None:
        self.now = 1_000 * SECOND

    def __call__(self) -> int:
        return self.now


def value(registry: CollectorRegistry, name: str, **labels: str) -> float | None:
    return registry.get_sample_value(name, labels)


def samples(registry: CollectorRegistry) -> dict[tuple[str, str], float]:
    return {
        (s.name, s.labels.get("le", "")): s.value
        for family in registry.collect()
        for s in family.samples
        if not s.name.endswith("_created")
    }


seconds = st.one_of(st.sampled_from(BOUNDS), st.floats(0, 1e6))


@given(st.lists(st.lists(seconds, max_size=30), max_size=5))
def test_a_batch_histogram_is_the_library_s_own_histogram(batches: list[list[float]]) -> None:
    ours, theirs = CollectorRegistry(), CollectorRegistry()
    histogram = BatchHistogram("lag_seconds", "Lag.", BOUNDS, ours)
    reference = Histogram("lag_seconds", "Lag.", buckets=BOUNDS, registry=theirs)
    for batch in batches:
        histogram.observe(batch)
        for lag in batch:
            reference.observe(lag)
    assert samples(ours) == pytest.approx(samples(theirs))


@given(st.lists(st.floats(-600, 600), min_size=1))
def test_messages_from_the_future_never_lower_the_sum(lags: list[float]) -> None:
    registry = CollectorRegistry()
    histogram = BatchHistogram("lag_seconds", "Lag.", BOUNDS, registry)
    histogram.observe(lags)
    assert value(registry, "lag_seconds_sum") == pytest.approx(sum(max(lag, 0) for lag in lags))
    assert value(registry, "lag_seconds_count") == len(lags)


@given(st.lists(st.lists(st.sampled_from(DISPOSITIONS), max_size=20), max_size=5))
def test_every_message_is_counted_once(batches: list[list[str]]) -> None:
    registry = CollectorRegistry()
    hot_path = HotPath(registry)
    for outcomes in batches:
        dead = ["json"] * outcomes.count("dead_letter")
        lags = [0.2] * (len(outcomes) - len(dead))
        hot_path.batch(outcomes, seconds=0.01, lags=lags, dead=dead)
    every = [outcome for outcomes in batches for outcome in outcomes]
    for disposition in DISPOSITIONS:
        counted = value(registry, "homecoming_messages_total", disposition=disposition)
        assert counted == every.count(disposition)
    assert value(registry, "homecoming_dead_letters_total", reason="json") == every.count("dead_letter")
    assert value(registry, "homecoming_batch_messages_sum") == len(every)
    assert value(registry, "homecoming_batch_messages_count") == sum(map(bool, batches))
    assert value(registry, "homecoming_lag_seconds_count") == len(every) - every.count("dead_letter")


def test_every_label_value_exists_before_the_first_message() -> None:
    registry = CollectorRegistry()
    HotPath(registry)
    for disposition in DISPOSITIONS:
        assert value(registry, "homecoming_messages_total", disposition=disposition) == 0
    for reason in REASONS:
        assert value(registry, "homecoming_dead_letters_total", reason=reason) == 0
    assert value(registry, "homecoming_fallback_messages_total") == 0
    assert value(registry, "homecoming_connected") == 0
    assert value(registry, "homecoming_state_busy_total") == 0


def test_the_reasons_are_those_that_the_consumer_gives() -> None:
    given_by_consumer = {
        reason
        for path in (ROOT / "consumer").glob("*.py")
        for reason in re.findall(r'Poison\(\s*"(\w+)"', path.read_text(encoding="utf-8"))
    }
    assert given_by_consumer
    assert given_by_consumer <= set(REASONS)


def test_silence_counts_from_the_start_and_then_from_the_last_message() -> None:
    clock, registry = Clock(), CollectorRegistry()
    hot_path = HotPath(registry, clock)
    clock.now += 30 * SECOND
    assert hot_path.last_message_age() is None
    assert value(registry, "homecoming_last_message_age_seconds") == 30
    assert value(registry, "homecoming_last_message_timestamp_seconds") == 0

    hot_path.batch(["duplicate"], seconds=0.1, lags=[1.0], dead=[])
    clock.now += 5 * SECOND
    hot_path.batch([], seconds=0.1, lags=[], dead=[])  # a commit of coverage alone is no message
    assert hot_path.last_message_age() == 5
    assert value(registry, "homecoming_last_message_age_seconds") == 5
    assert value(registry, "homecoming_last_message_timestamp_seconds") == 1_030

    clock.now -= 60 * SECOND
    assert hot_path.last_message_age() == 0


def test_connection_busy_state_and_fallbacks_are_told() -> None:
    registry = CollectorRegistry()
    seen = {"fallbacks": 0}
    hot_path = HotPath(registry, fallbacks=lambda: seen["fallbacks"])
    hot_path.connected(True)
    hot_path.busy()
    seen["fallbacks"] = 7
    assert hot_path.is_connected()
    assert value(registry, "homecoming_connected") == 1
    assert value(registry, "homecoming_state_busy_total") == 1
    assert value(registry, "homecoming_fallback_messages_total") == 7
    hot_path.connected(False)
    assert value(registry, "homecoming_connected") == 0
