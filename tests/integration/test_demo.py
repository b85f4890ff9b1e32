"""The demo as people start it."""

import json
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from prometheus_client.parser import text_string_to_metric_families

from tests.support.demo import Demo
from tests.support.program import PATIENCE_S, PROGRAM, call, good, refused
from tests.support.waiting import until


@pytest.fixture
def demo(tmp_path: Path) -> Iterator[Demo]:
    demo = Demo(tmp_path, "--weeks", "2")
    yield demo
    demo.close()


def get(url: str) -> requests.Response:
    """The answer, past any proxy."""
    with requests.Session() as session:
        session.trust_env = False
        return session.get(url, timeout=PATIENCE_S)


def series(url: str) -> dict[str, float]:
    """The series without labels."""
    families = text_string_to_metric_families(get(f"{url}/metrics").text)
    samples = (sample for family in families for sample in family.samples)
    return {sample.name: sample.value for sample in samples if not sample.labels}


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_demo_lives_and_leaves_nothing(demo: Demo, number: signal.Signals) -> None:
    url = until(demo.url, lambda: demo.said)
    assert url
    page = get(url)
    assert page.ok
    assert "<table" in page.text
    assert get(f"{url}/live").ok

    before = series(url)
    assert before["homecoming_events_total"] > 1_000, "weeks of history"
    until(lambda: series(url)["homecoming_events_total"] > before["homecoming_events_total"], lambda: demo.said)
    after = series(url)
    assert after["homecoming_watermark_timestamp_seconds"] > before["homecoming_watermark_timestamp_seconds"]
    assert after["homecoming_dead_letters_kept"] == 0
    assert get(f"{url}/ready").ok

    assert list(demo.folder.iterdir())
    demo.process.send_signal(number)
    assert demo.end() == ""
    assert demo.process.returncode == 0, demo.said
    assert list(demo.folder.iterdir()) == [], "nothing remains"
    assert "Traceback" not in demo.said
    assert demo.said.count("\n") < 20


def test_the_demo_ends_while_it_prepares(demo: Demo) -> None:
    until(lambda: "simulating" in demo.said, lambda: demo.said)
    demo.process.terminate()
    demo.end()
    assert demo.process.returncode == 0, demo.said
    assert list(demo.folder.iterdir()) == []


def test_a_state_that_is_named_is_kept_with_its_definitions(tmp_path: Path) -> None:
    demo = Demo(tmp_path, "--weeks", "2", "--state", str(tmp_path / "kept"))
    try:
        until(demo.url, lambda: demo.said)
        demo.process.terminate()
        demo.end()
    finally:
        demo.close()
    defined = tmp_path / "kept" / "definitions.toml"
    told = good(call("events", "--state", tmp_path / "kept", "--definitions", defined, "--format", "json"))
    events = json.loads(told.out)["events"]
    assert len(events) == 4
    assert any(event["attendees"] for event in events), "badges of the imported history"
    assert "has a state already" in refused(call("demo", "--state", tmp_path / "kept"))


def test_a_taken_address_is_one_line(demo: Demo) -> None:
    url = until(demo.url, lambda: demo.said)
    second = subprocess.run(
        [*PROGRAM, "demo", "--listen", url.removeprefix("http://")],
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    assert second.returncode == 2
    assert second.stderr.startswith("homecoming: cannot listen on")
    assert second.stderr.count("\n") == 1
