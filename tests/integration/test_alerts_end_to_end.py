"""From the bus to who is on call: broker, consumer, Prometheus and Alertmanager as deployed, only less patient."""

import json
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

import pika
import pytest

from consumer.simulator import Scenario, SimMessage, simulate, wire
from state.weeks import SECOND, week_named, week_start
from tests.integration.alertmanager import Pager, alertmanager, paged, silenced
from tests.integration.prometheus import has_scraped, prometheus, value
from tests.integration.rabbitmq import Bus, free_port
from tests.support.program import call, good
from tests.support.server import Server
from tests.support.waiting import until

_END = week_start(week_named("2024-06-10"))


class Site(NamedTuple):
    """A deployment: what goes in by `bus` may reach `pager`."""

    bus: Bus
    command: tuple[str, ...]  #: of the consumer, always on the same port
    prometheus: Server
    alertmanager: Server
    pager: Pager

    def alerts(self, alert: str) -> str:
        """Why the alert is not there, for people."""
        return f"{alert}: told {self.pager.told}\n{self.prometheus.get('/api/v1/alerts')}\n{self.bus.output()[-3000:]}"

    def expect(self, alert: str, status: str = "firing") -> None:
        until(lambda: self.pager.heard(alert, status), lambda: self.alerts(f"{alert} {status}"))

    def flags(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = json.loads(good(call("flags", "--state", self.bus.state, "--format", "json")).out)
        return found

    def evaluated(self) -> None:
        """Wait until what is committed by now has been scraped, and the rules have seen it."""
        committed = self.bus.status().messages
        until(
            lambda: (value(self.prometheus, "max(homecoming_accepted_messages_total)") or 0) >= committed,
            lambda: self.alerts("nothing scraped"),
        )
        since = time.time()
        until(lambda: _evaluated_at(self.prometheus) > since, lambda: self.alerts("nothing evaluated"))


def _evaluated_at(server: Server) -> float:
    (group,) = server.get("/api/v1/rules")["data"]["groups"]
    return datetime.fromisoformat(group["lastEvaluation"]).timestamp()


@contextmanager
def deployed(bus: Bus, folder: Path, backlog: Iterable[SimMessage] = ()) -> Iterator[Site]:
    """Everything on its own ports; the consumer has read the backlog before Prometheus asks it for the first time."""
    address = f"127.0.0.1:{free_port()}"
    command = (sys.executable, "-m", "homecoming", "consume", "--listen", address, "--config")
    waiting = [_published(message) for message in backlog]
    bus.publish(waiting)
    bus.consume(command=command)
    bus.settled(len(waiting))
    with (
        paged() as pager,
        alertmanager(folder / "alertmanager", pager) as router,
        prometheus(folder / "prometheus", address, router.url.removeprefix("http://")) as scraper,
    ):
        until(lambda: has_scraped(scraper), scraper.said)
        yield Site(bus, command, scraper, router, pager)


@pytest.fixture
def site(bus: Bus, tmp_path: Path) -> Iterator[Site]:
    """Counters are scraped at zero first, as they are in a service that has run for a while."""
    with deployed(bus, tmp_path) as made:
        yield made


def lived(style: str, seed: int) -> list[SimMessage]:
    """The messages of everybody who takes part in incidents of this style, as if nothing else happened."""
    scenario = Scenario(seed=seed, weeks=1, end=_END, signups_per_week=0, core_users=20, incidents=((style, 1.0),))
    simulation = simulate(scenario)
    cast = {account.name for account in simulation.truth if account.style.startswith(style)}
    return [message for message in simulation.messages if message.user in cast]


def burst(seed: int = 1) -> list[SimMessage]:
    """A sign-up and the first dozen posts of an account that posts every few seconds."""
    messages = lived("fast_burst", seed)
    return [message for message in messages if message.user == messages[0].user][:13]


def wave(seed: int = 1) -> list[SimMessage]:
    """The first dozen accounts of a wave whose names have one pattern."""
    messages = lived("patterned_wave", seed)
    cast = [message.user for message in messages if message.kind == "fas.user.create"][:12]
    return [message for message in messages if message.user in cast]


def until_now(messages: list[SimMessage]) -> list[SimMessage]:
    """The same, moved in time so that the last one is sent now."""
    shift = time.time_ns() // 1_000 // SECOND * SECOND - max(message.at for message in messages)
    return [message._replace(at=message.at + shift) for message in messages]


def publish(bus: Bus, messages: list[SimMessage]) -> None:
    """Publish them, their last one now, and wait until the state has them."""
    before = bus.status().messages
    bus.publish(map(_published, until_now(messages)))
    bus.settled(before + len(messages))


def _published(message: SimMessage) -> tuple[str, pika.BasicProperties, bytes]:
    carried = wire(message)
    properties = pika.BasicProperties(
        content_type="application/json",
        content_encoding="utf-8",
        delivery_mode=2,
        message_id=carried["id"],
        headers=carried["headers"],
    )
    return carried["topic"], properties, json.dumps(carried["body"]).encode()


def test_a_burst_is_told_and_is_over_when_no_other_follows(site: Site) -> None:
    messages = burst()
    publish(site.bus, messages)
    site.expect("AccountBurst")
    flagged = [flag for flag in site.flags() if flag["rule"] == "burst" and flag["state"] == "raised"]
    assert [flag["user"] for flag in flagged] == [messages[0].user]
    assert not site.pager.heard("AccountBurst", "resolved")
    site.expect("AccountBurst", "resolved")
    assert not {"BurstCampaign", "SignupWave"} & {told.name for told in site.pager.told}, "one account is no campaign"
    assert str(messages[0].user) not in site.pager.words, "alerts name nobody"


def test_a_wave_is_told_and_silences_the_bursts_beside_it(site: Site) -> None:
    publish(site.bus, wave())
    site.expect("SignupWave")
    publish(site.bus, burst())
    until(lambda: "AccountBurst" in silenced(site.alertmanager), lambda: site.alerts("AccountBurst"))
    assert not site.pager.heard("AccountBurst")
    assert any(flag["user"] is None and flag["rule"].startswith("wave-") for flag in site.flags())


@pytest.mark.parametrize("seed", range(3))
def test_a_hackfest_is_nothing_critical_and_who_bursts_there_is_seen(site: Site, seed: int) -> None:
    messages = lived("hackfest", seed)
    begins = messages[0].at
    publish(site.bus, [message for message in messages if message.at < begins + 3 * 3600 * SECOND])
    site.evaluated()
    assert value(site.prometheus, 'sum(count_over_time(ALERTS{severity="critical"}[10m]))') is None
    assert not [flag for flag in site.flags() if flag["severity"] == "critical"]
    publish(site.bus, burst())
    site.expect("AccountBurst")
    assert not [told for told in site.pager.told if told.labels["severity"] == "critical"]


def test_a_consumer_that_is_gone_is_told_until_it_is_back(site: Site) -> None:
    publish(site.bus, burst()[:2])
    site.evaluated()
    assert value(site.prometheus, "max(homecoming_event_lag_seconds)") is not None
    site.bus.stop()
    site.expect("DetectorBlind")
    site.bus.consume(command=site.command)
    site.expect("DetectorBlind", "resolved")


def test_what_comes_before_the_first_scrape_is_told_and_over(bus: Bus, tmp_path: Path) -> None:
    """A backlog is read faster than Prometheus asks: its first sample of the counter is 1 already."""
    with deployed(bus, tmp_path, until_now(burst())) as site:
        site.expect("AccountBurst")
        site.expect("AccountBurst", "resolved")
