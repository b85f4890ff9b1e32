"""A RabbitMQ node of the tests' own, on free loopback ports, and a consumer process that feeds on it."""

import os
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from uuid import uuid4

import pika
import pytest
from fedora_messaging.message import Message

from state.reading import Status, status
from state.store import read_store

REPOSITORY = Path(__file__).parents[2]
_BIN = Path("/usr/lib/rabbitmq/bin")

#: Its last argument is the configuration.
HOMECOMING = (sys.executable, "-m", "homecoming", "consume", "--listen", "127.0.0.1:0", "--config")

#: What fedora-messaging logs once a consumer is registered, after a reconnect too.
REGISTERED = "Successfully registered AMQP consumer"


def free_port() -> int:
    """A loopback port that nobody has just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def until(condition: Callable[[], object], what: Callable[[], str] | str, seconds: float = 60) -> None:
    """Wait until the condition holds; fail, saying what was waited for, where it never does."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            pytest.fail(f"after {seconds} s: {what if isinstance(what, str) else what()}")
        time.sleep(0.05)


class Broker:
    """The node. `ctl` runs rabbitmqctl."""

    def __init__(self, base: Path) -> None:
        self.port = free_port()
        self._base = base
        self._epmd_port = free_port()
        (base / "plugins").touch()
        self._env = {
            **os.environ,
            "HOME": str(base),  # Erlang keeps its cookie there
            "ERL_EPMD_PORT": str(self._epmd_port),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODENAME": "homecoming-tests@localhost",
            "RABBITMQ_NODE_PORT": str(self.port),
            "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
            "RABBITMQ_DIST_PORT": str(free_port()),
            "RABBITMQ_MNESIA_BASE": str(base / "mnesia"),
            "RABBITMQ_LOG_BASE": str(base / "log"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(base / "plugins"),
            "RABBITMQ_CONFIG_FILE": str(base / "none"),
            "RABBITMQ_CONF_ENV_FILE": os.devnull,
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-kernel inet_dist_use_interface {127,0,0,1}",
        }
        self._processes: list[subprocess.Popen[bytes]] = []

    def start(self) -> None:
        self._run(["epmd", "-port", str(self._epmd_port), "-address", "127.0.0.1"])
        server = self._run([str(_BIN / "rabbitmq-server")])
        until(lambda: self._answers() or server.poll() is not None, lambda: f"no broker; see {self._base}", 90)
        assert server.poll() is None, (self._base / "output").read_text()

    def stop(self) -> None:
        for process in reversed(self._processes):
            # The server's shell does not pass on a signal that it waits out: its whole session is ours.
            os.killpg(process.pid, signal.SIGTERM)
            try:
                process.wait(timeout=20)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()

    def url(self, port: int | None = None, user: str = "guest:guest") -> str:
        return f"amqp://{user}@127.0.0.1:{port or self.port}/%2F"

    def connect(self) -> pika.BlockingConnection:
        return pika.BlockingConnection(pika.URLParameters(self.url()))

    def ctl(self, *arguments: str) -> str:
        command = [str(_BIN / "rabbitmqctl"), "--quiet", *arguments]
        return subprocess.run(command, env=self._env, check=True, capture_output=True, text=True).stdout

    def _run(self, command: list[str]) -> subprocess.Popen[bytes]:
        with (self._base / "output").open("ab") as output:
            process = subprocess.Popen(
                command, env=self._env, stdout=output, stderr=output, cwd=self._base, start_new_session=True
            )
        self._processes.append(process)
        return process

    def _answers(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0


@pytest.fixture(scope="session")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    if not (_BIN / "rabbitmq-server").exists() or shutil.which("epmd") is None:
        pytest.skip("no RabbitMQ on this machine: install rabbitmq-server")
    node = Broker(tmp_path_factory.mktemp("rabbitmq"))
    try:
        node.start()
        yield node
    finally:
        node.stop()


class Bus:
    """An exchange and a durable queue of one test's own, a state directory, and consumers between them."""

    def __init__(self, broker: Broker, folder: Path) -> None:
        self.broker = broker
        self.state = folder / "state"
        self.name = f"test-{uuid4()}"
        self.config = folder / "config.toml"
        self.log = folder / "consumer.log"
        self.consumers: list[subprocess.Popen[bytes]] = []
        self.configure()
        with closing(broker.connect()) as connection:
            channel = connection.channel()
            channel.exchange_declare(self.name, "topic", durable=True)
            channel.queue_declare(self.name, durable=True)
            channel.queue_bind(self.name, self.name, "#")

    def configure(self, url: str = "", queue: str = "durable = true\nauto_delete = false", **state: int) -> None:
        """Write config.toml: another amqp_url, other options of the queue, more of [consumer_config.state]."""
        more = "\n".join(f"{key} = {value}" for key, value in state.items())
        self.config.write_text(
            f"""amqp_url = "{url or self.broker.url()}"
callback = "consumer:Callback"
[queues."{self.name}"]
{queue}
exclusive = false
arguments = {{}}
[[bindings]]
queue = "{self.name}"
exchange = "{self.name}"
routing_keys = ["#"]
[consumer_config.state]
directory = "{self.state}"
{more}
""",
            encoding="utf-8",
        )

    def publish(self, messages: Iterable[tuple[str, pika.BasicProperties, bytes]]) -> None:
        """Publish (topic, properties, body), and know that the broker has them."""
        with closing(self.broker.connect()) as connection:
            channel = connection.channel()
            channel.tx_select()
            for topic, properties, body in messages:
                channel.basic_publish(self.name, topic, body, properties)
            channel.tx_commit()

    def consume(self, *, ready: bool = True, command: tuple[str, ...] = HOMECOMING) -> int:
        """Start a consumer; its pid. The command gets this configuration as its last argument."""
        seen = self.lines(REGISTERED)
        with self.log.open("ab") as log:
            process = subprocess.Popen([*command, str(self.config)], cwd=REPOSITORY, stdout=log, stderr=log)
        self.consumers.append(process)
        if ready:
            until(lambda: self.lines(REGISTERED) > seen or process.poll() is not None, self.output)
            assert process.poll() is None, self.output()
        return process.pid

    def wait(self, seconds: float = 60) -> int:
        """Exit code of the last consumer, which ends by itself."""
        return self.consumers[-1].wait(timeout=seconds)

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Signal the last consumer; its exit code."""
        self.consumers[-1].send_signal(number)
        return self.wait()

    def output(self) -> str:
        return self.log.read_text(encoding="utf-8") if self.log.exists() else ""

    def lines(self, text: str) -> int:
        """How many lines of the consumers' output contain the text."""
        return sum(text in line for line in self.output().splitlines())

    def status(self) -> Status:
        with closing(read_store(self.state)) as conn:
            return status(conn)

    def settled(self, messages: int, dead_letters: int = 0) -> None:
        """Wait until the state holds so many messages and dead letters."""
        wanted = (messages, dead_letters)
        until(
            lambda: (self.status().messages, self.status().dead_letters) >= wanted,
            lambda: f"{self.status()}, wanted {wanted}\n{self.output()}",
        )
        found = self.status()
        assert (found.messages, found.dead_letters) == wanted, self.output()

    def ready_messages(self) -> int:
        """Messages in the queue that no consumer holds: all of them once the consumer is gone."""
        with closing(self.broker.connect()) as connection:
            return int(connection.channel().queue_declare(self.name, passive=True).method.message_count)

    def drained(self) -> None:
        """Wait until every message of the queue is acknowledged or rejected."""

        def left() -> str:
            listed = self.broker.ctl("list_queues", "--no-table-headers", "messages", "name")
            return next(line.split()[0] for line in listed.splitlines() if line.split()[1] == self.name)

        until(lambda: left() == "0", lambda: f"{left()} messages are not acknowledged\n{self.output()}")

    def rows(self, sql: str) -> list[tuple[object, ...]]:
        with closing(sqlite3.connect(self.state / "homecoming.sqlite")) as conn:
            return conn.execute(sql).fetchall()


@pytest.fixture
def bus(broker: Broker, tmp_path: Path) -> Iterator[Bus]:
    with ExitStack() as stack:
        made = Bus(broker, tmp_path)

        @stack.callback
        def _end() -> None:
            for process in made.consumers:
                process.kill()
                process.wait()

        yield made


def on_wire(message: Message) -> tuple[str, pika.BasicProperties, bytes]:
    """The message as fedora-messaging publishes it."""
    return message._encoded_routing_key, message._properties, message._encoded_body
