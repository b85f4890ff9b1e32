"""The HTTP side at a million users: what an answer takes, and what readers and scrapes cost the ingestion beside it."""

import argparse
import http.client
import json
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from functools import partial
from itertools import cycle, islice
from pathlib import Path
from statistics import median, quantiles
from time import monotonic, perf_counter
from typing import Any
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

from benchmarks.support.measure import ENVIRONMENT, REPOSITORY, homecoming, interleaved, scratch, script, show, spread

#: Route -> its bar in milliseconds, if it has one; all that is asked for at the first view of the page and by programs.
ANSWERS = {
    "/": "100 ms",
    "/metrics": "100 ms",
    "/api/retention?weeks=13&latest=26": "",
    "/api/retention": "",
    "/api/cohorts": "",
    "/api/signups?hours=168": "",
    "/api/signups?hours=672": "",
    "/api/status": "",
    "/api/flags": "",
}

#: What readers look at, in turn: the page stays open and asks for itself again.
_READ = ("/", "/", "/?population=clean", "/", "/api/retention?weeks=13&latest=26", "/api/signups", "/api/flags")

#: Seconds between two scrapes: three times as often as Prometheus does by itself.
_SCRAPED_EVERY_S = 5

#: Events of a user in the mean.
_EVENTS = 6


class Crowd:
    """So many readers at a request a second each, and a scraper, between `come` and `leave`."""

    def __init__(self, url: str, readers: int) -> None:
        self._netloc = urlsplit(url).netloc
        self._readers = readers
        self._gone = threading.Event()
        self._threads: list[threading.Thread] = []
        self.codes: Counter[int] = Counter()
        self.milliseconds: list[float] = []

    def come(self) -> None:
        self._gone.clear()
        jobs: list[Callable[[], None]] = [partial(self._read, number) for number in range(self._readers)]
        self._threads = [threading.Thread(target=job) for job in (*jobs, self._scrape)]
        for thread in self._threads:
            thread.start()

    def leave(self) -> None:
        self._gone.set()
        for thread in self._threads:
            thread.join()

    def _read(self, number: int) -> None:
        known: dict[str, str] = {}
        paths = islice(cycle(_READ), number % len(_READ), None)
        with closing(http.client.HTTPConnection(self._netloc)) as connection:
            due = monotonic() + number / self._readers
            while not self._gone.wait(max(0.0, due - monotonic())):
                due += 1
                path = next(paths)
                headers = {"Accept-Encoding": "gzip"} | ({"If-None-Match": known[path]} if path in known else {})
                if etag := self._ask(connection, path, headers):
                    known[path] = etag

    def _scrape(self) -> None:
        with closing(http.client.HTTPConnection(self._netloc)) as connection:
            while True:
                self._ask(connection, "/metrics", {"Accept-Encoding": "gzip"})
                connection.close()  # the server would, before the next one
                if self._gone.wait(_SCRAPED_EVERY_S):
                    return

    def _ask(self, connection: http.client.HTTPConnection, path: str, headers: dict[str, str]) -> str | None:
        began = perf_counter()
        connection.request("GET", path, headers=headers)
        answer = connection.getresponse()
        answer.read()
        self.milliseconds.append(1000 * (perf_counter() - began))
        self.codes[answer.status] += 1
        return answer.headers["ETag"]


@contextmanager
def ingesting(state: Path, messages: int, kind: str) -> Iterator[tuple[str, Callable[[], Any]]]:
    """The process of support/ingest.py: its address, and one round of it."""
    command = [sys.executable, "-m", "benchmarks.support.ingest", str(state), str(messages), kind]
    with subprocess.Popen(
        command, cwd=REPOSITORY, env=ENVIRONMENT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        taking, said = process.stdin, process.stdout

        def round_() -> Any:
            taking.write("go\n")
            taking.flush()
            return json.loads(said.readline())

        try:
            yield said.readline().strip(), round_
        finally:
            taking.close()


def answer_ms(url: str, path: str) -> float:
    """Milliseconds for an answer that is made for us: with credentials, nothing that was made before is given."""
    asked = Request(url + path, headers={"Authorization": "Basic Og=="})  # noqa: S310 - our own server
    began = perf_counter()
    with urlopen(asked) as answer:  # noqa: S310
        assert answer.status == 200
        assert answer.read()
    return 1000 * (perf_counter() - began)


def answers(url: str, rounds: int, title: str) -> None:
    """What each route takes, made anew every time; the first time apart."""
    found = interleaved(rounds + 1, {path: partial(answer_ms, url, path) for path in ANSWERS})
    show(
        title,
        ("", "milliseconds", "the first", "bar"),
        [(path, spread(figures[1:]), f"{figures[0]:,.1f}", ANSWERS[path]) for path, figures in found.items()],
    )


def beside(url: str, one_round: Callable[[], Any], rounds: int, readers: int) -> None:
    """Ingestion alone and with readers, in turn."""
    crowd = Crowd(url, readers)

    def watched() -> Any:
        crowd.come()
        try:
            return one_round()
        finally:
            crowd.leave()

    one_round()  # what is compiled and cached then is so every day
    found = interleaved(rounds, {"alone": one_round, "watched": watched})
    rates = {name: [one["messages"] / one["seconds"] for one in results] for name, results in found.items()}
    cpu_us = {name: [1e6 * one["cpu_s"] / one["messages"] for one in results] for name, results in found.items()}
    ratios = [watched / alone for watched, alone in zip(rates["watched"], rates["alone"], strict=True)]
    assert set(crowd.codes) <= {200, 304}, crowd.codes
    names = {"alone": "ingestion alone", "watched": f"with {readers} readers and scrapes"}
    show(
        f"{found['alone'][0]['messages']:,} messages a round at full speed",
        ("", "messages/s", "CPU us each", "of alone, round by round", "bar"),
        [
            (
                names[name],
                spread(rates[name], 0),
                f"{median(cpu_us[name]):,.0f}",
                spread(ratios, 2) if name == "watched" else "",
                "0.90" if name == "watched" else "",
            )
            for name in names
        ],
    )
    late = quantiles(crowd.milliseconds, n=100)
    seconds = sum(one["seconds"] for one in found["watched"])
    print(
        f"  the readers: {len(crowd.milliseconds) / seconds:,.0f} requests a second, {crowd.codes[304]:,} of "
        f"{crowd.codes.total():,} unchanged; {late[49]:.1f} ms in the median, {late[98]:.1f} ms in the 99th percentile"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--users", type=int, default=1_000_000, help="whose answers are timed")
    parser.add_argument("--beside", type=int, default=100_000, help="users of the state that is fed and read")
    parser.add_argument("--weeks", type=int, default=104)
    parser.add_argument("--messages", type=int, default=20_000, help="that are taken in a round")
    parser.add_argument("--kind", choices=("noggin", "pagure"), default="noggin")
    parser.add_argument("--readers", type=int, default=50)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    with scratch() as folder:
        with ingesting(filled(folder / "large", options.users, options.weeks), 0, options.kind) as (url, _):
            answers(url, options.rounds, f"{options.users:,} users, {_EVENTS * options.users:,} events, made anew")
        state = filled(folder / "small", options.beside, options.weeks)
        with ingesting(state, options.messages, options.kind) as (url, one_round):
            beside(url, one_round, options.rounds, options.readers)


def filled(folder: Path, users: int, weeks: int) -> Path:
    """A state of so many users."""
    folder.mkdir()
    script("archive.py", folder / "archive.parquet", *map(str, (_EVENTS * users, users, weeks)))
    homecoming("backfill", folder / "archive.parquet", "--state", folder / "state")
    return folder / "state"


if __name__ == "__main__":
    main()
