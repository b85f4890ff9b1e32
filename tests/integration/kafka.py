"""An Apache Kafka node of the tests' own (KRaft, free loopback ports), or the one that KAFKA_BOOTSTRAP names."""

import os
import shutil
import signal
import socket
import subprocess
import sys
from base64 import urlsafe_b64encode
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from uuid import uuid4

import pytest

from tests.integration.rabbitmq import free_port, until
from tests.support.kafka_cluster import Cluster

__all__ = ["Cluster", "KafkaNode", "bootstrap", "cluster", "fetch_libraries", "kafka_node", "lacking"]

VERSION = "3.9.1"

#: Where the jars are kept, so that they are fetched once.
LIBRARIES = Path(os.environ.get("KAFKA_LIBS") or Path.home() / ".cache" / "homecoming" / f"kafka-{VERSION}")

#: A small heap: the tests' topics hold some megabytes.
JAVA = ("java", "-Xmx512m", "-Xms128m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Djava.awt.headless=true")

_POM = f"""<project xmlns="http://maven.apache.org/POM/4.0.0">
<modelVersion>4.0.0</modelVersion><groupId>tests</groupId><artifactId>kafka</artifactId><version>1</version>
<dependencies><dependency>
<groupId>org.apache.kafka</groupId><artifactId>kafka_2.13</artifactId><version>{VERSION}</version>
</dependency></dependencies></project>
"""


class KafkaNode:
    """One broker that is its own controller; its log survives `restart`."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        self.bootstrap = f"127.0.0.1:{self.port}"
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        controller = free_port()
        self._properties = folder / "server.properties"
        self._properties.write_text(
            f"""process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller}
listeners=PLAINTEXT://{self.bootstrap},CONTROLLER://127.0.0.1:{controller}
advertised.listeners=PLAINTEXT://{self.bootstrap}
controller.listener.names=CONTROLLER
log.dirs={folder / "log"}
auto.create.topics.enable=false
num.partitions=1
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=2
group.initial.rebalance.delay.ms=0
group.min.session.timeout.ms=1000
log.flush.interval.messages=1000
num.network.threads=2
num.io.threads=2
""",
            encoding="utf-8",
        )
        cluster = urlsafe_b64encode(uuid4().bytes).decode().rstrip("=")
        done = subprocess.run(
            self._java("kafka.tools.StorageTool", "format", f"--cluster-id={cluster}", "-c", str(self._properties)),
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr

    def start(self) -> None:
        with (self._folder / "output").open("ab") as output:
            self._process = subprocess.Popen(
                self._java("kafka.Kafka", str(self._properties)), stdout=output, stderr=output
            )
        process = self._process
        until(lambda: self._answers() or process.poll() is not None, self._said, 90)
        assert process.poll() is None, self._said()

    def stop(self, number: signal.Signals = signal.SIGTERM) -> None:
        if self._process is None:
            return
        self._process.send_signal(number)
        try:
            self._process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None

    def restart(self, number: signal.Signals = signal.SIGTERM) -> None:
        """What clients see when a broker is updated; with SIGKILL, when it loses power."""
        self.stop(number)
        self.start()

    def _answers(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def _java(self, *arguments: str) -> list[str]:
        return [*JAVA, "-cp", f"{LIBRARIES}/*", *arguments]

    def _said(self) -> str:
        return f"no broker: {(self._folder / 'output').read_text(encoding='utf-8')[-3000:]}"


def fetch_libraries(folder: Path) -> str | None:
    """Kafka's jars from Maven Central, where they are not here yet; None, or why there are none."""
    if shutil.which("java") is None:
        return "no Java on this machine: install openjdk-17-jre-headless, or name a broker with KAFKA_BOOTSTRAP"
    if any(LIBRARIES.glob("kafka_2.13-*.jar")):
        return None
    if shutil.which("mvn") is None:
        return "no Maven on this machine: install maven, or name a broker with KAFKA_BOOTSTRAP"
    (folder / "pom.xml").write_text(_POM, encoding="utf-8")
    # Beside its place and renamed: half a set of jars would be taken for a whole one by the next run.
    partial = LIBRARIES.with_name(f"{LIBRARIES.name}.{os.getpid()}")
    done = subprocess.run(
        ["mvn", "-q", "-B", "dependency:copy-dependencies", f"-DoutputDirectory={partial}"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        return f"Maven cannot fetch Kafka {VERSION}: {(done.stdout + done.stderr).strip()[-300:]}"
    if LIBRARIES.exists():
        shutil.rmtree(partial)
    else:
        partial.rename(LIBRARIES)
    return None


def lacking() -> str | None:
    """Why the distributed mode cannot run in this environment; None where it can."""
    # Faust takes its own module's place once it is imported, without a spec.
    missing = [name for name in ("faust", "kafka", "rocksdict") if name not in sys.modules and find_spec(name) is None]
    if missing:
        return f"no {', '.join(missing)} in {sys.prefix}: pip install 'homecoming[scale]'"
    return None


@pytest.fixture(scope="session")
def kafka_node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KafkaNode]:
    """A node that a test may restart."""
    folder = tmp_path_factory.mktemp("kafka")
    if reason := lacking() or fetch_libraries(folder):
        pytest.skip(reason)
    node = KafkaNode(folder)
    try:
        node.start()
        yield node
    finally:
        node.stop()


@pytest.fixture(scope="session")
def bootstrap(request: pytest.FixtureRequest) -> str:
    """HOST:PORT of a broker: the one that KAFKA_BOOTSTRAP names, or a node of our own."""
    if named := os.environ.get("KAFKA_BOOTSTRAP"):
        if reason := lacking():
            pytest.skip(reason)
        return named
    node: KafkaNode = request.getfixturevalue("kafka_node")
    return node.bootstrap


@pytest.fixture
def cluster(bootstrap: str, tmp_path: Path) -> Iterator[Cluster]:
    made = Cluster(bootstrap, tmp_path)
    try:
        yield made
    finally:
        made.stop()
