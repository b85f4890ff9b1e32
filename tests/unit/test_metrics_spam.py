"""Flags, waves and sign-ups at a scrape; nobody named."""

from collections.abc import Sequence
from pathlib import Path

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families as parse

from metrics.collector import StateCollector
from metrics.hotpath import HotPath
from state.calibrations import write_calibration
from state.flags import decide, flags
from state.live import commit_batch
from state.spam.calibration import Calibration
from state.store import open_store
from state.weeks import DAY, HOUR, SECOND
from tests.support.logs import START
from tests.support.spam import MINUTE, Act, burst, messages, wave

#: Processing time: an hour after what happens below.
NOW = START + 3 * HOUR


def fed(directory: Path, acts: Sequence[Act]) -> None:
    store = open_store(directory)
    commit_batch(store, messages(acts))
    store.close()


def scrape(directory: Path, now: int = NOW, declared: Sequence[tuple[int, int]] = ()) -> dict[str, float]:
    """Sample as it is exposed -> value."""
    registry = CollectorRegistry()
    registry.register(StateCollector(directory, clock=lambda: now, declared_events=declared))
    text = generate_latest(registry).decode()
    return {
        sample.name + "".join(sorted(sample.labels.values())): sample.value
        for family in parse(text)
        for sample in family.samples
        if "cohort_" not in sample.name
    }


def test_open_flags_are_counted_by_rule_until_somebody_decides(tmp_path: Path) -> None:
    fed(tmp_path, [*burst("ada", HOUR, 5, 5 * SECOND), *burst("bob", 2 * HOUR, 5, 5 * SECOND)])
    assert scrape(tmp_path)["homecoming_spam_flags_openburstwarning"] == 2
    assert scrape(tmp_path)["homecoming_spam_flags_opencapwarning"] == 0
    store = open_store(tmp_path)
    with store.writing() as conn:
        decide(conn, store.rules, flags(conn)[0].id, "confirmed", "adverts", NOW)
    store.close()
    assert scrape(tmp_path)["homecoming_spam_flags_openburstwarning"] == 1
    assert scrape(tmp_path, NOW + 8 * DAY)["homecoming_spam_flags_openburstwarning"] == 0


def test_a_wave_is_active_until_it_has_been_quiet(tmp_path: Path) -> None:
    fed(tmp_path, wave("megashop", HOUR, 8, MINUTE, None))
    assert scrape(tmp_path)["homecoming_signup_wave_activename"] == 1
    assert scrape(tmp_path)["homecoming_signup_wave_activerate"] == 0, "nothing says yet how many are usual"
    assert scrape(tmp_path)["homecoming_signups_total"] == 8
    assert scrape(tmp_path, NOW + 2 * DAY)["homecoming_signup_wave_activename"] == 0


def test_a_rule_that_raises_too_much_has_its_breaker_open_for_an_hour(tmp_path: Path) -> None:
    acts = [act for n in range(11) for act in burst(f"ada{n}", HOUR + n * MINUTE, 5, 5 * SECOND)]
    fed(tmp_path, acts)
    assert scrape(tmp_path, START + HOUR + 30 * MINUTE)["homecoming_spam_breaker_openburst"] == 1
    assert scrape(tmp_path, START + 3 * HOUR)["homecoming_spam_breaker_openburst"] == 0


def test_a_declared_event_is_active_while_it_lasts(tmp_path: Path) -> None:
    fed(tmp_path, [])
    declared = [(NOW - HOUR, NOW + HOUR)]
    assert scrape(tmp_path, NOW, declared)["homecoming_declared_event_active"] == 1
    assert scrape(tmp_path, NOW + HOUR, declared)["homecoming_declared_event_active"] == 0


def test_lag_grows_in_silence_and_an_empty_state_has_none(tmp_path: Path) -> None:
    fed(tmp_path / "empty", [])
    assert "homecoming_event_lag_seconds" not in scrape(tmp_path / "empty")
    fed(tmp_path / "fed", [Act(0, "x.y.prod.wiki.article.edit", "ada")])
    assert scrape(tmp_path / "fed", START + HOUR)["homecoming_event_lag_seconds"] == 3600
    assert scrape(tmp_path / "fed", START + DAY)["homecoming_event_lag_seconds"] == 86_400


def test_a_calibration_ages_and_says_what_the_hour_expects(tmp_path: Path) -> None:
    fed(tmp_path, [])
    assert "homecoming_spam_calibration_age_seconds" not in scrape(tmp_path)
    hours = (0.5, *(1.0,) * 167)
    write_calibration(tmp_path, Calibration(version="2024w01", made_at=START, signups=hours))
    assert scrape(tmp_path, START + DAY)["homecoming_spam_calibration_age_seconds"] == 86_400
    assert scrape(tmp_path, START + DAY)["homecoming_signups_expected"] == 1.0
    assert scrape(tmp_path, START + 7 * DAY)["homecoming_signups_expected"] == 0.5


def test_only_flags_about_now_are_live(tmp_path: Path) -> None:
    registry = CollectorRegistry()
    hot_path = HotPath(registry, clock=lambda: NOW)
    store = open_store(tmp_path)
    old = burst("ada", HOUR, 5, 5 * SECOND)
    new = burst("bob", 3 * HOUR - MINUTE, 5, 5 * SECOND)
    hot_path.looked(commit_batch(store, messages(old)).looked)
    assert registry.get_sample_value("homecoming_spam_flags_total", {"rule": "burst", "state": "raised"}) == 0
    hot_path.looked(commit_batch(store, messages([*old, *new])).looked)
    assert len(flags(store.conn)) == 2
    store.close()
    assert registry.get_sample_value("homecoming_spam_flags_total", {"rule": "burst", "state": "raised"}) == 1
    assert registry.get_sample_value("homecoming_spam_flag_delay_seconds_count") == 1
    assert registry.get_sample_value("homecoming_spam_tracked_accounts") == 2
