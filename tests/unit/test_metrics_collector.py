"""The state at a scrape: names by the rules, figures of the state, nobody to be recognised."""

import re
import sqlite3
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import Metric
from prometheus_client.openmetrics.exposition import generate_latest as generate_openmetrics
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse

from metrics.collector import COHORTS, OFFSETS, StateCollector
from metrics.hotpath import HotPath
from metrics.snapshot import snapshot
from state.coverage import cover
from state.dead_letters import DeadLetter
from state.errors import StateError
from state.event import Event, service_of
from state.live import commit_batch
from state.reading import retention
from state.store import DATABASE, open_store
from state.weeks import DAY, SECOND, WEEK, week_name, week_named, week_start

FIRST = week_named("2024-06-03")
START = week_start(FIRST)


def event(user: str, at: int, action: str = "pagure.issue.new") -> Event:
    topic = f"org.fedoraproject.prod.{action}"
    return Event(f"{user}-{at}-{action}", at, None, topic, user, "actor", service_of(topic))


def sign_up(user: str, at: int) -> Event:
    return event(user, at, "fas.user.create")


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """Two cohorts, of six and of three; half of the first came back; the third week has begun."""
    events = [sign_up(f"ada{n}", START + n * SECOND) for n in range(6)]
    events += [event(f"ada{n}", START + WEEK + DAY) for n in range(3)]
    events += [sign_up(f"bob{n}", START + WEEK + n * SECOND) for n in range(3)]
    events += [event("ada0", START + 2 * WEEK + DAY)]
    letter = DeadLetter(START, "json", "no JSON", "amqp", None, None, None, b"{")
    store = open_store(tmp_path / "state")
    commit_batch(store, [[e] for e in events], [letter])
    with store.writing() as conn:
        cover(conn, "amqp", START, START + WEEK)
        cover(conn, "amqp", START + WEEK + DAY, START + 3 * WEEK)
    store.close()
    return tmp_path / "state"


def scrape(directory: Path, min_cohort: int = 5) -> CollectorRegistry:
    registry = CollectorRegistry()
    registry.register(StateCollector(directory, min_cohort))
    return registry


def cohort_samples(registry: CollectorRegistry) -> Iterator[tuple[str, dict[str, str], float]]:
    for family in registry.collect():
        for sample in family.samples:
            if sample.name.startswith("homecoming_cohort_"):
                yield sample.name, sample.labels, sample.value


def test_totals_are_those_of_the_state(directory: Path) -> None:
    value = scrape(directory).get_sample_value
    assert value("homecoming_state_up") == 1
    assert value("homecoming_accepted_messages_total") == 13
    assert value("homecoming_events_total") == 13
    assert value("homecoming_users") == 9
    assert value("homecoming_dead_letters_kept") == 1
    assert value("homecoming_coverage_gaps") == 1
    assert value("homecoming_flags_open") == 0
    assert value("homecoming_watermark_timestamp_seconds") == (START + 2 * WEEK + DAY) / SECOND
    assert value("homecoming_log_bytes") == 0
    assert value("homecoming_database_bytes") == (directory / DATABASE).stat().st_size


def test_cohorts_are_those_of_the_table_and_the_future_is_absent(directory: Path) -> None:
    found = {
        (labels["cohort"], labels["population"], labels["offset"]): users
        for name, labels, users in cohort_samples(scrape(directory, min_cohort=1))
        if name == "homecoming_cohort_users"
    }
    with snapshot(directory) as conn:
        tables = [retention(conn, p) for p in ("all", "engaged", "clean", "engaged_clean")]
    assert found == {
        (week_name(cohort.week), table.population, str(cell.offset)): cell.users
        for table in tables
        for cohort in table.cohorts
        for cell in cohort.cells
    }
    assert found["2024-06-03", "all", "1"] == 3
    assert ("2024-06-10", "all", "2") not in found


def test_cohorts_of_few_are_hidden_in_each_population_by_itself(directory: Path) -> None:
    shown = {(labels["cohort"], labels["population"]) for _, labels, _ in cohort_samples(scrape(directory))}
    assert shown == {("2024-06-03", "all"), ("2024-06-03", "clean")}  # three of six are engaged


def test_the_number_of_series_has_a_bound(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    weeks = COHORTS + 10
    commit_batch(store, [[sign_up(f"u{w}", START + w * WEEK)] for w in range(weeks)])
    commit_batch(store, [[event("u0", START + w * WEEK)] for w in range(weeks)])
    store.close()
    samples = list(cohort_samples(scrape(tmp_path, min_cohort=1)))
    cohorts = {labels["cohort"] for _, labels, _ in samples if labels["population"] == "all"}
    assert cohorts == {week_name(FIRST + w) for w in range(weeks - COHORTS, weeks)}
    offsets = {labels["offset"] for name, labels, _ in samples if name == "homecoming_cohort_users"}
    assert offsets == {str(offset) for offset in range(OFFSETS)}


def damage(directory: Path) -> None:
    (directory / DATABASE).write_bytes(b"no database at all " * 1000)


def remove(directory: Path) -> None:
    for file in directory.glob(f"{DATABASE}*"):
        file.unlink()


@pytest.mark.parametrize("harm", [damage, remove])
def test_an_unreadable_state_is_a_sample_and_no_failed_scrape(directory: Path, harm: Callable[[Path], None]) -> None:
    registry = scrape(directory)
    harm(directory)
    assert registry.get_sample_value("homecoming_state_up") == 0
    assert registry.get_sample_value("homecoming_users") is None
    with pytest.raises(StateError), snapshot(directory):
        pass


def test_a_locked_state_is_a_sample_too(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("state.store.BUSY_TIMEOUT_MS", 1)
    with closing(sqlite3.connect(directory / DATABASE, isolation_level=None)) as conn:
        conn.execute("PRAGMA locking_mode = EXCLUSIVE")
        conn.execute("BEGIN EXCLUSIVE")
        assert scrape(directory).get_sample_value("homecoming_state_up") == 0


def test_a_missing_state_is_not_made_anew(directory: Path) -> None:
    remove(directory)
    scrape(directory).get_sample_value("homecoming_state_up")
    assert not (directory / DATABASE).exists()


def test_an_empty_state_has_no_watermark(tmp_path: Path) -> None:
    open_store(tmp_path).close()
    registry = scrape(tmp_path)
    assert registry.get_sample_value("homecoming_users") == 0
    assert registry.get_sample_value("homecoming_watermark_timestamp_seconds") is None


@pytest.fixture
def everything(directory: Path) -> CollectorRegistry:
    registry = scrape(directory)
    hot_path = HotPath(registry)
    hot_path.batch(["accepted", "dead_letter"], seconds=0.1, lags=[1.5], dead=["json"])
    return registry


def test_both_formats_say_the_same(everything: CollectorRegistry) -> None:
    def samples(families: Iterable[Metric]) -> set[tuple[str, frozenset[tuple[str, str]]]]:
        return {(s.name, frozenset(s.labels.items())) for family in families for s in family.samples}

    # The library's own types cover one half of it.
    openmetrics = generate_openmetrics(everything).decode()  # type: ignore[no-untyped-call]
    strict = parse_openmetrics(openmetrics)  # type: ignore[no-untyped-call]
    assert samples(parse(generate_latest(everything).decode())) == samples(strict)


def test_names_obey_the_rules(everything: CollectorRegistry) -> None:
    families = list(parse(generate_latest(everything).decode()))
    assert len({family.name for family in families}) == len(families)
    for family in families:
        assert re.fullmatch(r"homecoming_[a-z_]+[a-z]", family.name)
        assert family.documentation.endswith(".")
        assert not re.search(r"_(total|count|sum|bucket|info|created|ms|millis|minutes|days|kb|mb)$", family.name)
        names = {sample.name for sample in family.samples}
        if family.type == "counter":
            assert names == {f"{family.name}_total"}
        assert family.type == "histogram" or all("le" not in s.labels for s in family.samples)


def test_no_label_names_a_person(everything: CollectorRegistry) -> None:
    labels = {label for f in everything.collect() for s in f.samples for label in s.labels}
    assert labels == {
        "cohort", "offset", "population", "disposition", "reason", "le", "rule", "severity", "state", "key",
    }  # fmt: skip
    assert not re.search(r"ada\d|bob\d", generate_latest(everything).decode())


def test_two_collectors_of_one_name_are_an_error_at_the_start(directory: Path) -> None:
    registry = scrape(directory)
    with pytest.raises(ValueError, match="Duplicated timeseries"):
        registry.register(StateCollector(directory))
