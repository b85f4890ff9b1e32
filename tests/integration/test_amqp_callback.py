"""`fedora-messaging consume --callback=consumer:Callback`, by the real command."""

import sys
from pathlib import Path

import pytest

from tests.integration.rabbitmq import Bus, until
from tests.integration.test_amqp import created, limit_files, several
from tests.integration.test_amqp_poison import wire

COMMAND = (str(Path(sys.executable).with_name("fedora-messaging")), "--conf")


def consume(bus: Bus, callback: str = "consumer:Callback") -> int:
    script = f'exec "{COMMAND[0]}" --conf "$0" consume --callback={callback}'
    return bus.consume(ready=False, command=("sh", "-c", script))


def test_one_commit_a_message(bus: Bus) -> None:
    messages = several(40)
    bus.publish([*messages, *messages[:10], wire(headers={"sent-at": "yesterday"})])
    consume(bus)
    bus.settled(40, 1)
    bus.drained()
    assert bus.stop() == 0, bus.output()
    assert bus.ready_messages() == 0
    assert len(bus.rows("SELECT 1 FROM coverage WHERE start < end")) == 1


def test_a_full_disk_is_waited_out(bus: Bus) -> None:
    pid = consume(bus)
    bus.publish([created("first")])
    bus.settled(1)
    freely = limit_files(pid, 4_096)
    bus.publish(several(5))
    until(lambda: bus.lines("trying again in 1 s"), bus.output)
    limit_files(pid, freely)
    bus.settled(6)
    limit_files(pid, 4_096)
    bus.publish(several(5, prefix="later"))
    until(lambda: bus.lines("trying again in 4 s"), bus.output)
    assert bus.stop() == 0, bus.output()
    assert (bus.status().messages, bus.ready_messages()) == (6, 5)


@pytest.mark.parametrize(
    ("wrong", "says"),
    [("queue_kept_s = -1", "consumer_config.state.queue_kept_s"), ("registrations = [1]", "registrations")],
)
def test_a_wrong_configuration_is_one_line(bus: Bus, wrong: str, says: str) -> None:
    bus.config.write_text(bus.config.read_text() + wrong + "\n")
    consume(bus)
    assert bus.wait() == 2
    assert says in bus.output().splitlines()[-1]
    assert "Traceback" not in bus.output()
