"""Standard metrics uncached, aggregated over 100,000 users and 5 million events, beside one DuckDB query.

A request is measured from nothing: opening the state, the log's snapshot, the cohort, the metric. The same requests go
to the HTTP side, for the cohort `all`: once while nothing is kept, and again while the answer is. The query beside them
counts, over the archive's one Parquet file, who came back within a day of signing up: no state, no statuses.

Caveats: aggregates of one metric differ by the milliseconds that 100,000 rows take (--every shows them). The cohort is
handed over as a table of names; what it costs to find its members is part of the figures over HTTP alone. The log
has no content hashes, by which wikis tell reverts: --wiki makes one that has, for --only revert_rate.
"""

import argparse
import json
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

from benchmarks.support.measure import ENVIRONMENT, REPOSITORY, homecoming, interleaved, scratch, script, show, spread

#: A month of days.
MONTH = {"start": "20230601", "end": "20230701", "time_series": "true", "slice": "24"}

#: Requests for an answer that is kept.
_AGAIN = 20


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--users", type=int, default=100_000)
    parser.add_argument("--weeks", type=int, default=61)
    parser.add_argument("--events", type=int, default=5_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--state", type=Path, help="a state that is there already, with --archive")
    parser.add_argument("--archive", type=Path)
    parser.add_argument("--only", nargs="*", help="names of metrics; all without it")
    parser.add_argument("--wiki", action="store_true", help="edits of pages, a tenth of which bring back a content")
    parser.add_argument("--every", action="store_true", help="every aggregator; without it the first of each metric")
    parser.add_argument("--ask", nargs=3, help=argparse.SUPPRESS)
    parser.add_argument("--http", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.http:
        state, requests = options.http
        print(json.dumps(over_http(Path(state), json.loads(requests))))
        return
    if options.ask:
        state, users, requests = options.ask
        print(json.dumps([ask(Path(state), int(users), **request) for request in json.loads(requests)]))
        return
    with scratch() as folder:
        archive, state = options.archive or folder / "archive.parquet", options.state or folder / "state"
        if not options.archive:
            script("archive.py", archive, *map(str, (options.events, options.users, options.weeks)))
            (as_wiki if options.wiki else with_subjects)(archive, folder / "subjects.parquet")
            archive = folder / "subjects.parquet"
        if not options.state:
            homecoming("backfill", archive, "--state", state)
        requests = asked(options.only, every=options.every)
        contenders: dict[str, Callable[[], Any]] = {
            "metrics": partial(in_a_process, "--ask", state, options.users, json.dumps(requests)),
            "http": partial(in_a_process, "--http", state, json.dumps(requests)),
            "query": partial(plain, archive, options.users),
        }
        found = interleaved(options.rounds, contenders)
        query = found["query"]
        rows = [("one DuckDB query on the archive", spread(query, 2), "", "1.0", "", "")]
        for place, request in enumerate(requests):
            seconds = [run[place]["seconds"] for run in found["metrics"]]
            cpu = median(run[place]["cpu_s"] for run in found["metrics"])
            ratio = median(seconds) / median(query)
            first, again = ([run[place][key] for run in found["http"]] for key in ("first_s", "again_ms"))
            rows.append(
                (label(request), spread(seconds, 2), f"{cpu:.2f}", f"{ratio:.1f}", spread(first, 2), spread(again, 1))
            )
        show(
            f"{options.users:,} users, {options.events:,} events",
            ("bars: 2 s, cached 10 ms", "seconds", "CPU s", "of the query", "HTTP s", "HTTP cached ms"),
            rows,
        )


def asked(only: list[str] | None, *, every: bool) -> list[dict[str, Any]]:
    """Each metric, from registration and over everything; and a month of days."""
    from metrics.standard.registry import METRICS  # noqa: PLC0415 - imports nothing large, but others measure memory

    requests = []
    for name, metric in METRICS.items():
        if only and name not in only:
            continue
        for aggregator in metric.aggregators if every else [*metric.aggregators][:1]:
            one = {"metric": name, "aggregator": aggregator}
            requests.append(one)
            if "group" in metric.parameters:
                requests.append(one | {"group": "activity"})
        if metric.series == "once":
            first = {"metric": name, "aggregator": next(iter(metric.aggregators)), **MONTH}
            requests.append(first | ({"group": "activity"} if "group" in metric.parameters else {}))
    return requests


def label(request: dict[str, str]) -> str:
    words = [request["metric"], request["aggregator"], request.get("group", "")]
    return " ".join((*words, "30 days of June" if "slice" in request else "")).strip()


def in_a_process(*arguments: object) -> Any:
    """Every request in a process that has asked one before: what is imported then is so every day."""
    command = [sys.executable, "-m", "benchmarks.bench_metrics", *map(str, arguments)]
    done = subprocess.run(command, cwd=REPOSITORY, env=ENVIRONMENT, check=True, stdout=subprocess.PIPE, text=True)
    return json.loads(done.stdout)


def ask(state: Path, users: int, metric: str, **given: str) -> dict[str, float]:
    """Wall and CPU seconds of one request, the cohort's table left out."""
    from time import process_time  # noqa: PLC0415 - the rest of this is the child's alone

    from metrics.standard.answer import answer  # noqa: PLC0415
    from metrics.standard.options import parse  # noqa: PLC0415
    from state.log import with_log  # noqa: PLC0415
    from state.rules import Rules  # noqa: PLC0415
    from state.store import get_meta  # noqa: PLC0415

    apart = [0.0, 0.0]

    def use(duck: Any, conn: Any) -> None:
        began, cpu = perf_counter(), process_time()
        names = conn.execute(
            "SELECT json_group_array(name) FROM (SELECT name FROM user WHERE registered_at IS NOT NULL LIMIT ?)",
            (users,),
        ).fetchone()
        duck.execute(
            """CREATE TEMP TABLE member AS
            SELECT unnest(from_json(?, '["VARCHAR"]')) AS username, NULL::VARCHAR AS project""",
            names,
        )
        apart[:] = perf_counter() - began, process_time() - cpu
        found = answer(duck, conn, Rules(), metric, parse(metric, given), get_meta(conn, "watermark"))
        assert found.rows, metric
        assert max(found.sizes, default=0) > 0, metric

    began, cpu = perf_counter(), process_time()
    with_log(state, use)
    return {"seconds": perf_counter() - began - apart[0], "cpu_s": process_time() - cpu - apart[1]}


def over_http(state: Path, requests: list[dict[str, Any]]) -> list[dict[str, float]]:
    """Wall seconds of each request that nobody asked before, and milliseconds once its answer is kept."""
    import requests as http  # noqa: PLC0415 - the rest of this is the child's alone
    from prometheus_client import CollectorRegistry  # noqa: PLC0415

    from metrics.serving import HttpServer  # noqa: PLC0415
    from metrics.web import make_app  # noqa: PLC0415

    server = HttpServer(make_app(state, CollectorRegistry(), lambda: None))
    server.start("127.0.0.1", 0)
    found: list[dict[str, float]] = []
    with http.Session() as session:
        session.trust_env = False

        def get(number: int, asked: dict[str, Any]) -> float:
            given = {name: value for name, value in asked.items() if name != "metric"}
            began = perf_counter()
            answer = session.get(
                f"http://{server.address}/cohorts/all/{asked['metric']}",
                params=given,
                headers={"X-Forwarded-For": f"10.0.0.{number}"},  # the limit on one client's rate is no part of this
                timeout=600,
            )
            took = perf_counter() - began
            assert answer.status_code == 200, answer.text
            return took

        for number, asked in enumerate(requests):
            first = get(number, asked)
            again = median(get(number, asked) for _ in range(_AGAIN))
            found.append({"first_s": first, "again_ms": 1000 * again})
    server.stop()
    return found


def with_subjects(archive: Path, target: Path) -> None:
    """The archive with objects, sizes, and namespaces, so that every metric has something to work on."""
    import duckdb  # noqa: PLC0415 - only where an archive is made

    with duckdb.connect() as duck:
        duck.execute(
            f"""COPY (
                SELECT *, 'thing/' || (hash(msg_id) % 200000) AS object, (hash(msg_id) % 201)::BIGINT - 100 AS size
                FROM '{archive}'
            ) TO '{target}' (FORMAT parquet, COMPRESSION zstd)"""
        )


def as_wiki(archive: Path, target: Path) -> None:
    """The archive with every contribution an edit of a page, a few pages having most of them."""
    import duckdb  # noqa: PLC0415 - only where an archive is made

    with duckdb.connect() as duck:
        duck.execute(
            f"""COPY (
                WITH edit AS (
                    SELECT msg_id, sent_at, username, hash(msg_id) AS drawn,
                        'page/' || (200000 * pow((hash(msg_id) % 1000003) / 1000003, 2))::BIGINT AS object
                    FROM '{archive}' WHERE topic NOT LIKE '%.fas.user.create'
                ), placed AS (
                    SELECT *, row_number() OVER (PARTITION BY object ORDER BY sent_at, msg_id) AS place,
                        hash(drawn, 1) % 10 = 0 AS restores
                    FROM edit
                )
                SELECT msg_id, sent_at, username, 'wiki.article.edit' AS topic, 'wiki' AS service, 'enwiki' AS project,
                    '0' AS namespace, object, (drawn % 201)::BIGINT - 100 AS size, 'bytes' AS unit,
                    md5(concat_ws('|', object, place - if(restores, 2 + hash(drawn, 2) % 3, 0)::BIGINT)) AS content_hash
                FROM placed
                UNION ALL BY NAME
                SELECT msg_id, sent_at, username, topic FROM '{archive}' WHERE topic LIKE '%.fas.user.create'
                ORDER BY sent_at, msg_id
            ) TO '{target}' (FORMAT parquet, COMPRESSION zstd)"""
        )


def plain(archive: Path, users: int) -> float:
    """Seconds of one query over the archive; it is told who has registered by the same file."""
    import duckdb  # noqa: PLC0415 - only where it runs

    began = perf_counter()
    with duckdb.connect() as duck:
        (found,) = duck.execute(
            """WITH newcomer AS (
                SELECT username, min(sent_at) AS registered FROM read_parquet($file)
                WHERE topic LIKE '%.fas.user.create' GROUP BY username ORDER BY username LIMIT $users
            )
            SELECT count(DISTINCT username) FROM read_parquet($file) JOIN newcomer USING (username)
            WHERE topic NOT LIKE '%.fas.user.create'
                AND sent_at >= registered AND sent_at < registered + INTERVAL 24 HOUR""",
            {"file": str(archive), "users": users},
        ).fetchall()[0]
    assert found
    return perf_counter() - began


if __name__ == "__main__":
    main()
