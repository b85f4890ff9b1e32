"""`serve` as it is deployed: beside whatever feeds the state, and through the state's absence."""

import signal
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
import requests

from consumer import simulator
from state.weeks import week_named, week_start
from tests.support.program import PATIENCE_S, PROGRAM, call, good
from tests.support.waiting import until


class Serving:
    """`homecoming serve` over a state directory."""

    def __init__(self, state: Path, log: Path) -> None:
        self._log = log
        with log.open("w", encoding="utf-8") as file:
            self.process = subprocess.Popen(
                [*PROGRAM, "serve", "--state", str(state), "--listen", "127.0.0.1:0"], stdout=file, stderr=file
            )
        self._session = requests.Session()
        self._session.trust_env = False
        said = until(self._up, self.said)
        self.url = said.rpartition(" ")[2].strip()

    def _up(self) -> str | None:
        assert self.process.poll() is None, self.said()
        return next((line for line in self.said().splitlines() if "http://" in line), None)

    def said(self) -> str:
        return self._log.read_text(encoding="utf-8")

    def get(self, path: str) -> requests.Response:
        return self._session.get(self.url + path, timeout=PATIENCE_S)

    def series(self, name: str) -> float:
        """The value of a series without labels."""
        (line,) = (line for line in self.get("/metrics").text.splitlines() if line.startswith(f"{name} "))
        return float(line.split()[1])

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        self._session.close()
        self.process.send_signal(number)
        return self.process.wait(PATIENCE_S)


@pytest.fixture(scope="session")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("simulated")
    scenario = simulator.Scenario(seed=4, weeks=6, end=week_start(week_named("2024-06-03")), signups_per_week=50)
    simulator.write(simulator.simulate(scenario), folder)
    return folder / "events.parquet"


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Serving]:
    serving = Serving(tmp_path / "state", tmp_path / "log")
    yield serving
    if serving.process.poll() is None:
        serving.stop(signal.SIGKILL)


def test_an_empty_state_is_served(served: Serving) -> None:
    assert served.get("/live").status_code == 200
    assert served.get("/ready").json() == {"ready": True}
    assert served.get("/").status_code == 200
    assert served.series("homecoming_state_up") == 1
    assert served.series("homecoming_events_total") == 0
    assert served.get("/nonsense").status_code == 404


def test_readers_see_a_backfill_arrive_and_never_fail(served: Serving, archive: Path, tmp_path: Path) -> None:
    feeding = subprocess.Popen(
        [*PROGRAM, "backfill", str(archive), "--state", str(tmp_path / "state")],
        stderr=subprocess.PIPE,
        text=True,
    )
    seen = [0.0]
    while feeding.poll() is None:
        for path in ("/", "/ready", "/live"):
            assert served.get(path).status_code == 200
        assert served.series("homecoming_state_up") == 1
        seen.append(served.series("homecoming_events_total"))
    _, said = feeding.communicate()
    assert feeding.returncode == 0, said
    assert seen == sorted(seen)
    assert served.series("homecoming_events_total") > max(seen[0], 1_000)
    until(lambda: "2024-05-06" in served.get("/").text, served.said)  # an answer is given again for seconds


def test_a_state_that_vanishes_is_503_until_it_is_back(served: Serving, archive: Path, tmp_path: Path) -> None:
    state = tmp_path / "state"
    good(call("backfill", archive, "--state", state))
    page = served.get("/").text
    state.rename(tmp_path / "away")
    for path in ("/", "/ready"):
        gone = served.get(path)
        assert gone.status_code == 503
        assert gone.json()
    assert served.get("/live").status_code == 200
    assert served.series("homecoming_state_up") == 0
    assert not state.exists(), "a reader makes no state"
    (tmp_path / "away").rename(state)
    assert served.get("/ready").status_code == 200
    assert served.get("/").text == page
    assert served.series("homecoming_state_up") == 1


def test_a_state_that_breaks_is_503_and_the_service_stays(served: Serving, archive: Path, tmp_path: Path) -> None:
    database = tmp_path / "state" / "homecoming.sqlite"
    good(call("backfill", archive, "--state", tmp_path / "state"))
    content = database.read_bytes()
    database.write_bytes(b"no database" * 1_000)
    assert served.get("/").status_code == 503
    assert served.get("/ready").status_code == 503
    assert served.series("homecoming_state_up") == 0
    assert str(tmp_path) not in served.get("/").text, "the public page tells no paths"
    database.write_bytes(content)
    assert served.get("/ready").status_code == 200
    assert "Traceback" not in served.said()


def test_a_writer_does_not_hold_readers_up(served: Serving, tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "state" / "homecoming.sqlite", isolation_level=None)) as conn:
        conn.execute("BEGIN IMMEDIATE")
        assert served.get("/").status_code == 200
        assert served.get("/ready").status_code == 200
        assert served.series("homecoming_state_up") == 1
        conn.execute("ROLLBACK")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_cleanly(served: Serving, number: signal.Signals) -> None:
    assert served.stop(number) == 0
    assert served.said().count("\n") == 1, served.said()
