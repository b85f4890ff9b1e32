"""Grafana's dashboards: what stands in deploy/ is what the code makes, and each panel is whole."""

import json
import re
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest

from metrics.dashboards.__main__ import dashboards

FOLDER = Path(__file__).parents[2] / "deploy" / "grafana" / "dashboards"
MADE = dashboards()


def panels() -> Iterator[Any]:
    for name, text in MADE.items():
        for panel in json.loads(text)["panels"]:
            yield pytest.param(panel, id=f"{name}: {panel['title']}")


def test_the_files_are_what_the_code_makes() -> None:
    kept = {file.name: file.read_text(encoding="utf-8") for file in FOLDER.iterdir()}
    assert kept == MADE, "run `make dashboards`"


@pytest.mark.parametrize("panel", list(panels()))
def test_a_panel_says_what_it_shows(panel: dict[str, Any]) -> None:
    assert panel["title"]
    assert panel["description"].endswith(".")
    assert panel["fieldConfig"]["defaults"]["unit"]
    assert panel["targets"]


@pytest.mark.parametrize("panel", list(panels()))
def test_a_panel_asks_what_was_chosen(panel: dict[str, Any]) -> None:
    assert panel["datasource"]["uid"] in {"${datasource}", "${api}"}
    for target in panel["targets"]:
        if expression := target.get("expr"):
            ours = re.findall(r"\b(?:homecoming|process)_\w+(?:\{([^}]*)\})?", expression)
            assert all('job="$job", instance="$instance"' in labels for labels in ours), expression
            assert not re.search(r"rate\([^)]*\[\d", expression), f"$__rate_interval: {expression}"


@pytest.mark.parametrize("name", MADE)
def test_panels_lie_side_by_side(name: str) -> None:
    made = json.loads(MADE[name])["panels"]
    assert [panel["id"] for panel in made] == list(range(1, len(made) + 1))
    for one, other in combinations([panel["gridPos"] for panel in made], 2):
        apart = one["x"] + one["w"] <= other["x"] or other["x"] + other["w"] <= one["x"]
        assert apart or one["y"] + one["h"] <= other["y"] or other["y"] + other["h"] <= one["y"]


@pytest.mark.parametrize("name", MADE)
def test_variables_are_declared(name: str) -> None:
    declared = {variable["name"] for variable in json.loads(MADE[name])["templating"]["list"]}
    used = set(re.findall(r"\$\{?(?!__)([a-z]+)", MADE[name]))
    assert used <= declared
    assert {"datasource", "job", "instance"} <= declared
