"""Every panel and every alert, asked of a real Prometheus that scrapes a running demo."""

import csv
import io
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import requests
import yaml

from tests.integration.prometheus import RULES, prometheus
from tests.support.demo import Demo
from tests.support.program import PATIENCE_S, run
from tests.support.server import Server
from tests.support.waiting import until

FOLDER = Path(__file__).parents[2] / "deploy" / "grafana" / "dashboards"

#: Scraped once a second, so that a rate has its samples soon.
_RATE_INTERVAL = "10s"


class Watched(NamedTuple):
    """A demo and the Prometheus that scrapes it."""

    demo: str
    prometheus: Server


def queries(kind: str) -> Iterator[Any]:
    """Those that have the key `kind`."""
    for file in sorted(FOLDER.glob("*.json")):
        for panel in json.loads(file.read_text(encoding="utf-8"))["panels"]:
            for target in panel["targets"]:
                if kind in target:
                    yield pytest.param(target, id=f"{file.stem}: {panel['title']} {target['refId']}")


def alerts() -> Iterator[Any]:
    for group in yaml.safe_load(RULES.read_text(encoding="utf-8"))["groups"]:
        for rule in group["rules"]:
            yield pytest.param(rule["expr"], id=rule["alert"])


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    folder = tmp_path_factory.mktemp("watched")
    demo = Demo(folder, "--weeks", "12", "--state", str(folder / "state"))
    try:
        url = until(demo.url, lambda: demo.said)
        assert url is not None
        run("calibrate", "--state", str(folder / "state"))
        target = url.removeprefix("http://")
        with prometheus(folder / "prometheus", target, "127.0.0.1:9") as server:
            until(lambda: ask(server, "count_over_time(up[1m]) > 3"), server.said)
            yield Watched(url, server)
    finally:
        demo.close()


def ask(server: Server, expression: str) -> list[Any]:
    """The result of an instant query; an error fails the test."""
    found = server.get("/api/v1/query", query=expression)
    assert found["status"] == "success", found
    return list(found["data"]["result"])


def chosen(text: str, demo: str) -> str:
    """The query with the variables as a reader of the dashboard has them."""
    values = {
        "$__rate_interval": _RATE_INTERVAL,
        "$job": "homecoming",
        "$instance": demo.removeprefix("http://"),
        "${population}": "all",
        "$population": "all",
    }
    for variable, value in values.items():
        text = text.replace(variable, value)
    assert "$" not in text, text
    return text


@pytest.mark.parametrize("target", list(queries("expr")))
def test_a_panel_is_not_empty(watched: Watched, target: dict[str, Any]) -> None:
    assert ask(watched.prometheus, chosen(target["expr"], watched.demo))


@pytest.mark.parametrize("expression", list(alerts()))
def test_an_alert_names_series_that_there_are(watched: Watched, expression: str) -> None:
    ask(watched.prometheus, expression)
    for name in set(re.findall(r"\b(?:homecoming|process)_\w+", expression)):
        assert ask(watched.prometheus, name), name


@pytest.mark.parametrize("target", list(queries("url")))
def test_a_panel_finds_its_columns(watched: Watched, target: dict[str, Any]) -> None:
    answer = requests.get(watched.demo + chosen(target["url"], watched.demo), timeout=PATIENCE_S)
    assert answer.ok, answer.text
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    assert rows
    assert {column["selector"] for column in target["columns"]} <= set(rows[0])
