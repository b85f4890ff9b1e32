"""Alert rules and their routing: valid, each tested, each explained."""

import re
import subprocess
from pathlib import Path

import pytest

from tests.support.server import program

REPOSITORY = Path(__file__).parents[2]
HERE = Path(__file__).parent
DEPLOY = REPOSITORY / "deploy"
RUNBOOKS = REPOSITORY / "docs" / "runbooks"

RULES = (DEPLOY / "prometheus" / "rules" / "homecoming.rules.yml").read_text(encoding="utf-8")
ALERTS = re.findall(r"- alert: (\w+)", RULES)


def accepted(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def promtool() -> str:
    return program("promtool", package="prometheus")


def test_prometheus_accepts_its_configuration_and_rules() -> None:
    accepted(promtool(), "check", "config", "--lint-fatal", str(DEPLOY / "prometheus.yml"))


def test_alertmanager_accepts_its_configuration() -> None:
    accepted(program("amtool", package="prometheus-alertmanager"), "check-config", str(DEPLOY / "alertmanager.yml"))


@pytest.mark.parametrize("alert", ALERTS)
def test_the_alert_fires_when_it_should_and_only_then(alert: str) -> None:
    accepted(promtool(), "test", "rules", str(HERE / f"{alert}.test.yml"))


def test_every_alert_has_a_test_and_every_test_its_alert() -> None:
    assert sorted(ALERTS) == sorted(file.name.removesuffix(".test.yml") for file in HERE.glob("*.test.yml"))


def test_every_alert_has_a_runbook_and_every_runbook_its_alert() -> None:
    assert sorted(ALERTS) == sorted(page.stem for page in RUNBOOKS.glob("*.md"))


@pytest.mark.parametrize("alert", ALERTS)
def test_the_alert_says_how_grave_it_is_what_it_means_and_where_to_read_on(alert: str) -> None:
    (rule,) = re.findall(rf"- alert: {alert}\n(?:(?!\n +- alert).)*", RULES, flags=re.DOTALL)
    (severity,) = re.findall(r"severity: (\w+)", rule)
    assert f"/{alert}.md'" in rule
    assert re.search(r"\n +summary: \w", rule)
    assert re.search(r"\n +description: >-", rule)
    title = (RUNBOOKS / f"{alert}.md").read_text(encoding="utf-8").splitlines()[0]
    grave = {"info": "information", "none": "no severity"}.get(severity, severity)
    assert title == f"# {alert} ({grave})"


@pytest.mark.parametrize("page", sorted(RUNBOOKS.glob("*.md")), ids=lambda page: page.stem)
def test_links_between_runbooks_lead_somewhere(page: Path) -> None:
    links = re.findall(r"\]\(([^)]+)\)", page.read_text(encoding="utf-8"))
    assert all((RUNBOOKS / link).is_file() for link in links), links


def test_the_rules_ask_for_series_that_are_documented() -> None:
    """What is documented is exported: tests/unit/test_docs.py."""
    documented = (REPOSITORY / "docs" / "operations.md").read_text(encoding="utf-8")
    asked = set(re.findall(r"\bhomecoming_\w+", RULES))
    assert asked
    assert {name for name in asked if not re.search(rf"\b{name}\b", documented)} == set()


def test_names_in_the_routing_are_alerts() -> None:
    routing = (DEPLOY / "alertmanager.yml").read_text(encoding="utf-8")
    named = {name for names in re.findall(r'alertname=~?"([^"]+)"', routing) for name in names.split("|")}
    assert named
    assert named <= set(ALERTS)


def test_compose_mounts_what_prometheus_reads() -> None:
    compose = (REPOSITORY / "compose.yaml").read_text(encoding="utf-8")
    assert "./deploy/prometheus.yml:/etc/prometheus/prometheus.yml:ro" in compose
    assert "./deploy/prometheus:/etc/prometheus/prometheus:ro" in compose
