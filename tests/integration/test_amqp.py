"""The live source against a real broker: what arrives is counted exactly, and what goes wrong loses nothing."""

import os
import resource
import signal
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial

import pika
import pytest
from fedora_messaging.message import Message
from noggin_messages import UserCreateV1  # type: ignore[import-untyped]

from tests.integration.proxy import Proxy
from tests.integration.rabbitmq import REGISTERED, Broker, Bus, free_port, on_wire, until

Wire = tuple[str, pika.BasicProperties, bytes]


def created(user: str) -> Wire:
    """An account's creation, as noggin announces it."""
    body = {"msg": {"agent": user, "user": user}}
    return on_wire(UserCreateV1(topic="org.fedoraproject.prod.fas.user.create", body=body))


def plain(user: str) -> Wire:
    """A message without a schema of its own."""
    return on_wire(Message(topic="org.fedoraproject.prod.wiki.article.edit", body={"user": user}))


def several(number: int, kind: Callable[[str], Wire] = created, prefix: str = "user") -> list[Wire]:
    return [kind(f"{prefix}{i}") for i in range(number)]


@pytest.fixture
def proxied(bus: Bus) -> Iterator[tuple[Bus, Proxy]]:
    """The consumer's connections go through the proxy, the test's do not."""
    proxy = Proxy(bus.broker.port)
    bus.configure(bus.broker.url(proxy.port))
    yield bus, proxy
    proxy.close()


def test_every_message_is_counted_once_and_acknowledged(bus: Bus) -> None:
    messages = several(1_500) + several(500, plain, "other")
    bus.publish([*messages[:700], *messages])
    bus.consume()
    bus.settled(2_000)
    assert (bus.status().events, bus.status().users) == (2_000, 2_000)
    assert bus.rows("SELECT sum(users) FROM cohort_week WHERE offset = 0 AND population = 'all'") == [(1_500,)]
    assert bus.stop() == 0, bus.output()
    assert bus.ready_messages() == 0, "committed, but not acknowledged"
    assert "Traceback" not in bus.output()


def test_sigterm_under_load_leaves_each_message_in_the_state_or_in_the_queue(bus: Bus) -> None:
    bus.publish(several(6_000))
    bus.consume()
    until(lambda: bus.status().messages, bus.output)
    assert bus.stop() == 0, bus.output()
    assert bus.status().messages + bus.ready_messages() == 6_000
    bus.consume()
    bus.settled(6_000)


def test_a_stop_does_not_wait_for_a_long_batch(bus: Bus) -> None:
    with bus.config.open("a") as config:
        config.write("[consumer_config.live]\nbatch_ms = 60000\n")
    bus.publish(several(10))
    bus.consume()
    until(lambda: bus.ready_messages() == 0, bus.output)
    assert bus.stop() == 0
    assert (bus.status().messages, bus.ready_messages()) == (10, 0)


def more_than(bus: Bus, messages: int) -> bool:
    return bus.status().messages > messages


def test_the_network_goes_and_comes_back(proxied: tuple[Bus, Proxy]) -> None:
    bus, proxy = proxied
    bus.consume()
    for cut in range(1, 4):
        bus.publish(several(2_000, prefix=f"cut{cut}-"))
        until(partial(more_than, bus, 2_000 * (cut - 1)), bus.output)
        proxy.cut()
        bus.settled(2_000 * cut)
    assert proxy.accepted == 4
    bus.drained()
    assert bus.stop() == 0, bus.output()
    assert bus.ready_messages() == 0
    assert "Traceback" not in bus.output()


def test_the_broker_closes_the_connection(bus: Bus) -> None:
    bus.consume()
    bus.publish(several(100))
    bus.settled(100)
    bus.broker.ctl("close_all_connections", "maintenance")
    bus.publish(several(100, prefix="later"))
    bus.settled(200)
    assert "maintenance" in bus.output()
    assert "Traceback" not in bus.output()


def test_a_deleted_queue_is_declared_again(bus: Bus) -> None:
    bus.consume()
    connection = bus.broker.connect()
    connection.channel().queue_delete(bus.name)
    connection.close()
    until(lambda: bus.lines("declaring it again"), bus.output)
    until(lambda: bus.lines(REGISTERED) == 2, bus.output)
    bus.publish(several(10))
    bus.settled(10)


def test_a_registration_that_fails_after_a_reconnect_is_tried_again(proxied: tuple[Bus, Proxy]) -> None:
    """Upstream swallows the error, and stays connected without a consumer."""
    bus, proxy = proxied
    bus.consume()
    connection = bus.broker.connect()
    channel = connection.channel()
    channel.exchange_delete(bus.name)
    proxy.cut()
    until(lambda: bus.lines("but nothing is consumed: reconnecting"), bus.output)
    channel.exchange_declare(bus.name, "topic", durable=True)
    connection.close()
    until(lambda: bus.lines(REGISTERED) == 2, bus.output)
    bus.publish(several(10))
    bus.settled(10)


@pytest.fixture
def impatient(broker: Broker) -> Iterator[None]:
    """The broker closes a channel that acknowledges nothing for a second (by default: half an hour)."""
    limits = (
        "[application:set_env(rabbit, K, V) || {{K, V}} <- [{{consumer_timeout, {}}}, {{channel_tick_interval, {}}}]]."
    )
    broker.ctl("eval", limits.format(1_000, 500))
    yield
    broker.ctl("eval", limits.format(1_800_000, 60_000))


@pytest.mark.usefixtures("impatient")
def test_a_channel_that_the_broker_closes_is_made_anew(bus: Bus) -> None:
    """Upstream goes on without a channel, and consumes nothing for days."""
    pid = bus.consume()
    freely = limit_files(pid, 4_096)
    bus.publish(several(3_000))
    until(lambda: bus.lines("the broker closed the channel"), bus.output)
    limit_files(pid, freely)
    bus.settled(3_000)
    assert "PRECONDITION_FAILED - delivery acknowledgement" in bus.output()
    assert "unknown delivery tag" not in bus.output()


def test_a_full_disk_is_waited_out(bus: Bus) -> None:
    pid = bus.consume()
    bus.publish(several(200))
    bus.settled(200)
    freely = limit_files(pid, 4_096)
    bus.publish(several(3_000, prefix="later"))
    until(lambda: bus.lines("trying again in 2 s"), bus.output)
    assert bus.consumers[-1].poll() is None
    assert bus.status().messages == 200
    limit_files(pid, freely)
    bus.settled(3_200)
    bus.drained()
    assert bus.stop() == 0
    assert bus.ready_messages() == 0


def test_a_full_disk_delays_no_stop(bus: Bus) -> None:
    pid = bus.consume()
    limit_files(pid, 4_096)
    bus.publish(several(3_000))
    until(lambda: bus.lines("trying again in 4 s"), bus.output)
    assert bus.stop() == 0, bus.output()
    assert (bus.status().messages, bus.ready_messages()) == (0, 3_000)


def test_a_connection_lost_while_the_disk_is_full(proxied: tuple[Bus, Proxy]) -> None:
    """The batch in hand belongs to a channel that is gone; the new one must not be consumed twice."""
    bus, proxy = proxied
    pid = bus.consume()
    freely = limit_files(pid, 4_096)
    bus.publish(several(3_000))
    until(lambda: bus.lines("trying again in 2 s"), bus.output)
    proxy.cut()
    until(lambda: proxy.accepted == 2, bus.output)
    time.sleep(2)  # the new channel has its prefetch in hand by now
    limit_files(pid, freely)
    bus.settled(3_000)
    assert "PRECONDITION_FAILED" not in bus.output()
    bus.drained()
    assert bus.stop() == 0, bus.output()
    assert bus.ready_messages() == 0


def test_a_connection_lost_while_another_process_writes(proxied: tuple[Bus, Proxy]) -> None:
    """The new connection waits for the loop of the old one, which is committing; two would end each other."""
    bus, proxy = proxied
    bus.consume()
    with closing(sqlite3.connect(bus.state / "homecoming.sqlite", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        bus.publish(several(3_000))
        until(lambda: bus.ready_messages() < 3_000, bus.output)
        proxy.cut()
        until(lambda: proxy.accepted == 2, bus.output)
        time.sleep(2)  # the new connection is ready to consume by now
    bus.settled(3_000)
    bus.drained()
    assert bus.lines(REGISTERED) == 2
    assert "nothing is consumed" not in bus.output()


def limit_files(pid: int, size: int) -> int:
    """No file of the process grows beyond `size` bytes, as on a full disk; the limit before."""
    before, hard = resource.prlimit(pid, resource.RLIMIT_FSIZE)
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (size, hard))
    return before


def test_a_broker_that_is_not_up_yet_is_waited_for(bus: Bus) -> None:
    port = free_port()
    bus.configure(bus.broker.url(port))
    bus.consume(ready=False)
    until(lambda: bus.lines("cannot be reached, trying again"), bus.output)
    proxy = Proxy(bus.broker.port, port)
    until(lambda: bus.lines(REGISTERED), bus.output)
    assert bus.stop() == 0
    assert "Traceback" not in bus.output()
    proxy.close()


def test_a_broker_that_never_comes_up_delays_no_stop(bus: Bus) -> None:
    bus.configure(bus.broker.url(free_port()))
    bus.consume(ready=False)
    until(lambda: bus.lines("cannot be reached, trying again"), bus.output)
    assert bus.stop(signal.SIGINT) == 0, bus.output()
    assert "Traceback" not in bus.output()


@pytest.mark.parametrize(
    ("url", "queue", "says"),
    [
        ("guest:wrong", "durable = true\nauto_delete = false", "ACCESS_REFUSED"),
        ("", "durable = false\nauto_delete = false", "PRECONDITION_FAILED"),
    ],
)
def test_what_trying_again_cannot_mend_ends_it(bus: Bus, url: str, queue: str, says: str) -> None:
    bus.configure(bus.broker.url(user=url or "guest:guest"), queue)
    bus.consume(ready=False)
    assert bus.wait() == 2
    last = bus.output().splitlines()[-1]
    assert says in last
    assert "check" in last
    assert "Traceback" not in bus.output()


@pytest.mark.parametrize(
    ("kept_s", "queue", "intervals"),
    [
        (3_600, "durable = true\nauto_delete = false", 1),
        (0, "durable = true\nauto_delete = false", 2),
        (3_600, "durable = true\nauto_delete = true", 2),
    ],
)
def test_an_absence_is_a_gap_unless_the_queue_was_kept(bus: Bus, kept_s: int, queue: str, intervals: int) -> None:
    if "auto_delete = true" in queue:
        bus.name += "-auto"
        connection = bus.broker.connect()
        connection.channel().exchange_declare(bus.name, "topic", durable=True)
        connection.close()
    bus.configure(queue=queue, queue_kept_s=kept_s)
    for run in range(1, 3):
        bus.consume()
        bus.publish(several(10, prefix=f"run{run}-"))
        bus.settled(10 * run)
        assert bus.stop() == 0
    assert bus.rows("SELECT count(*), min(end > start) FROM coverage") == [(intervals, 1)], bus.output()


def test_silence_is_covered(bus: Bus) -> None:
    bus.consume()
    until(lambda: bus.rows("SELECT 1 FROM coverage WHERE end - start > 5000000"), bus.output)


def test_a_second_consumer_of_the_state_is_refused(bus: Bus) -> None:
    bus.consume()
    bus.consume(ready=False)
    assert bus.wait() == 2
    assert "another `homecoming consume`" in bus.output()
    os.kill(bus.consumers[0].pid, 0)
