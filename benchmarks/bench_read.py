"""Reading at a million users: the whole table out of the store, by the command, and over HTTP."""

import argparse
import json
import subprocess
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from statistics import median
from time import perf_counter
from urllib.request import urlopen

from prometheus_client.parser import text_string_to_metric_families

from benchmarks.support.measure import (
    ENVIRONMENT,
    HOMECOMING,
    REPOSITORY,
    homecoming,
    interleaved,
    scratch,
    script,
    show,
    spread,
)
from benchmarks.support.tables import Table, table_of
from metrics.formats import retention_json
from state.reading import retention
from state.rules import POPULATIONS
from state.store import read_store, reading


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--users", type=int, default=1_000_000)
    parser.add_argument("--weeks", type=int, default=104)
    parser.add_argument("--events", type=int, default=6_000_000)
    parser.add_argument("--rounds", type=int, default=5, help="2 or more: the first one is given apart")
    options = parser.parse_args()
    with scratch() as folder:
        archive, state, recomputed = folder / "archive.parquet", folder / "state", folder / "table.json"
        script("archive.py", archive, *map(str, (options.events, options.users, options.weeks)))
        homecoming("backfill", archive, "--state", state)
        command = partial(homecoming, "retention", "--state", state, "--format", "json")
        table = table_of(command().output)  # once beforehand: what is compiled and cached then is so every day
        readers: dict[str, Callable[[], float]] = {
            "one": partial(out_of_the_store, state, ("all",), table),
            "four": partial(out_of_the_store, state, POPULATIONS, table),
            "command": lambda: command().seconds,
            "query": lambda: script("tables.py", "duckdb", archive, recomputed).seconds,
        }
        found = interleaved(options.rounds, readers)
        assert table == json.loads(recomputed.read_text(encoding="utf-8")), "the two tables differ"
        with served(state) as url:
            found |= interleaved(
                options.rounds, {"metrics": partial(scrape, url, table), "page": partial(view, url, options.users)}
            )
        first_ms = {name: found[name].pop(0) * 1000 for name in ("metrics", "page")}
        milliseconds = {name: [1000 * seconds for seconds in figures] for name, figures in found.items()}
        query_ms = median(milliseconds["query"])
        names = {
            "one": ("the whole table out of the store", "50 ms"),
            "four": ("the tables of all four populations", ""),
            "command": ("homecoming retention --format json", "500 ms"),
            "metrics": (f"/metrics (the first: {first_ms['metrics']:,.0f} ms)", "100 ms"),
            "page": (f"the page (the first: {first_ms['page']:,.0f} ms)", ""),
            "query": ("recomputed: one DuckDB query on the archive", ""),
        }
        show(
            f"{options.users:,} users, {options.events:,} events, {len(table)} cohorts, "
            f"{sum(map(len, table.values())):,} cells that agree",
            ("", "milliseconds", "of the query", "bar"),
            [
                (label, spread(milliseconds[name]), f"1/{query_ms / median(milliseconds[name]):,.1f}", bar)
                for name, (label, bar) in names.items()
            ],
        )


def out_of_the_store(state: Path, populations: tuple[str, ...], table: Table) -> float:
    """Seconds to open the state and read the tables, every cell of them."""
    began = perf_counter()
    with closing(read_store(state)) as conn, reading(state, conn):
        tables = [retention(conn, population) for population in populations]
    seconds = perf_counter() - began
    assert table_of(retention_json(tables[0])) == table
    return seconds


@contextmanager
def served(state: Path) -> Iterator[str]:
    """`homecoming serve` on the state; its address."""
    command = [*HOMECOMING, "serve", "--state", str(state), "--listen", "127.0.0.1:0"]
    with subprocess.Popen(command, cwd=REPOSITORY, env=ENVIRONMENT, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        try:
            yield process.stderr.readline().split()[-1]
        finally:
            process.terminate()


def scrape(url: str, table: Table) -> float:
    """Seconds that Prometheus would wait; what it gets are the cells of the table."""
    seconds, text = get(f"{url}/metrics")
    cells = 0
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            if sample.name == "homecoming_cohort_users" and sample.labels["population"] == "all":
                cells += 1
                kept = table[sample.labels["cohort"]].get(sample.labels["offset"], 0)
                assert sample.value == kept, sample
    assert cells, "no cohort in /metrics"
    return seconds


def view(url: str, users: int) -> float:
    """Seconds until the page is there, and it is the page of this state."""
    seconds, text = get(f"{url}/")
    assert f"{users:,}" in text
    return seconds


def get(url: str) -> tuple[float, str]:
    began = perf_counter()
    with urlopen(url) as answer:  # noqa: S310 - our own server
        body: bytes = answer.read()
    return perf_counter() - began, body.decode()


if __name__ == "__main__":
    main()
