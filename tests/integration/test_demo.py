"""The demo as people start it."""

import re
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from threading import Thread

import pytest
import requests
from prometheus_client.parser import text_string_to_metric_families

from tests.support.program import PATIENCE_S, PROGRAM
from tests.support.waiting import until


class Demo:
    """A running demo; `said` grows with its standard error."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.said = ""
        self.process = subprocess.Popen(
            [*PROGRAM, "demo", "--weeks", "2", "--listen", "127.0.0.1:0"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={"PATH": "", "TMPDIR": str(folder)},
        )
        self._reader = Thread(target=self._listen)
        self._reader.start()

    def _listen(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.said += line

    def url(self) -> str | None:
        """Where the page is, once that was said."""
        assert self.process.poll() is None, self.said
        found = re.search(r"http://127\.0\.0\.1:\d+", self.said)
        return found[0] if found else None

    def end(self) -> str:
        """Its standard output, once it has ended."""
        self.process.wait(PATIENCE_S)
        self._reader.join()
        assert self.process.stdout is not None
        return self.process.stdout.read()

    def close(self) -> None:
        """End it by force, if it has not ended."""
        self.process.kill()
        self.end()
        with self.process:
            pass  # closes the pipes


@pytest.fixture
def demo(tmp_path: Path) -> Iterator[Demo]:
    demo = Demo(tmp_path)
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
