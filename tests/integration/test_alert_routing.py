"""Which alert silences which, asked of a real Alertmanager."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.integration.alertmanager import Pager, alertmanager, paged
from tests.support.server import Server
from tests.support.waiting import until

#: Everything that can fire, as Prometheus sends it.
ALERTS: tuple[tuple[str, str, dict[str, str]], ...] = (
    ("AccountBurst", "warning", {"rule": "burst"}),
    ("AccountBurst", "warning", {"rule": "cap"}),
    ("AccountBurst", "warning", {"rule": "same-text"}),
    ("BurstCampaign", "critical", {}),
    ("CalibrationStale", "info", {}),
    ("DeclaredEvent", "none", {}),
    ("DetectorBlind", "warning", {}),
    ("FlagStorm", "warning", {"rule": "same-text"}),
    ("SignupRateHigh", "info", {}),
    ("SignupWave", "critical", {"key": "cohort"}),
    ("SignupWave", "critical", {"key": "name"}),
)

BURSTS = {"AccountBurst burst", "AccountBurst cap", "AccountBurst same-text"}

#: What each silences; the others silence nothing.
SILENCES = {
    "SignupWave": BURSTS | {"SignupRateHigh"},
    "DetectorBlind": {"SignupRateHigh"},
    "DeclaredEvent": {"SignupRateHigh", "AccountBurst same-text"},
}
SOURCES = set(SILENCES)


@pytest.fixture
def pager() -> Iterator[Pager]:
    with paged() as made:
        yield made


@pytest.fixture
def router(tmp_path: Path, pager: Pager) -> Iterator[Server]:
    with alertmanager(tmp_path / "alertmanager", pager) as server:
        yield server


def title(labels: dict[str, str]) -> str:
    return " ".join(labels[name] for name in ("alertname", "rule", "key") if name in labels)


def fire(router: Server, *without: str) -> list[dict[str, Any]]:
    """Have everything fire but these; what Alertmanager makes of it."""
    sent = [{"alertname": name, "severity": grave, **more} for name, grave, more in ALERTS if name not in without]
    router.post("/api/v2/alerts", [{"labels": labels} for labels in sent])
    until(lambda: len(router.get("/api/v2/alerts")) == len(sent), router.said)
    alerts: list[dict[str, Any]] = router.get("/api/v2/alerts")
    return alerts


def silent(router: Server) -> set[str]:
    alerts = router.get("/api/v2/alerts")
    return {title(alert["labels"]) for alert in alerts if alert["status"]["inhibitedBy"]}


@pytest.mark.parametrize("source", sorted(SOURCES))
def test_it_silences_these_and_no_other(router: Server, source: str) -> None:
    fire(router, *SOURCES - {source})
    until(lambda: silent(router) == SILENCES[source], lambda: f"silenced are {silent(router)}")


def test_without_them_nothing_is_silenced(router: Server, pager: Pager) -> None:
    sent = fire(router, *SOURCES)
    until(lambda: len(pager.told) == len(sent), lambda: f"told: {pager.told}\n{router.said()}")
    assert not silent(router)


def test_all_at_once_critical_ones_and_what_they_leave_are_told(router: Server, pager: Pager) -> None:
    fire(router)
    told = {"BurstCampaign", "SignupWave cohort", "SignupWave name", "DetectorBlind", "FlagStorm same-text"}
    told |= {"CalibrationStale"}
    until(lambda: {title(dict(alert.labels)) for alert in pager.told} == told, lambda: f"told: {pager.told}")


def test_a_declared_event_is_for_nobody(router: Server) -> None:
    receivers = {alert["labels"]["alertname"]: alert["receivers"] for alert in fire(router)}
    assert receivers.pop("DeclaredEvent") == [{"name": "nobody"}]
    assert all(names == [{"name": "page"}] for names in receivers.values()), receivers
