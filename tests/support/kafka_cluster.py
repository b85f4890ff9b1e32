"""Topics of one test's own, and the processes of the distributed mode on them, all of them real."""

import json
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path
from uuid import uuid4

from consumer.kafka_records import event_record
from consumer.kafka_topics import topics_of
from consumer.settings import Settings, load_settings
from consumer.worker_account import Account, Definitions, progress
from state.event import Event
from state.reading import Status, status
from state.screening import UNSCREENED
from state.spam.calibration import Calibrations
from state.store import get_meta, read_store
from tests.integration.rabbitmq import REPOSITORY, until
from tests.support.kafka_client import packed, unpacked


class Cluster:
    """Topics of one test's own, workers and a totals' owner on them, all of them real processes."""

    def __init__(self, bootstrap: str, folder: Path, partitions: int = 8, **kafka: int) -> None:
        self.folder = folder
        self.state = folder / "state"
        self.config = folder / "kafka.toml"
        self.processes: list[subprocess.Popen[bytes]] = []
        self.prefix = f"test-{uuid4().hex[:12]}"
        more = "\n".join(f"{key} = {value}" for key, value in {"partitions": partitions, **kafka}.items())
        self.config.write_text(
            f"""[consumer_config.kafka]
bootstrap = "{bootstrap}"
prefix = "{self.prefix}"
{more}
""",
            encoding="utf-8",
        )

    @property
    def settings(self) -> Settings:
        return load_settings(self.config)

    def prepare(self) -> None:
        """Make the topics."""
        self.client("prepare")

    def feed(self, events: Iterable[Event]) -> int:
        """Send the events as the bridge does; how many."""
        topic = topics_of(self.settings.kafka).events
        found = [event_record(event) for event in events]
        self.prepare()
        self.send([(topic, *record) for record in found])
        return len(found)

    def send(self, records: Iterable[tuple[str, bytes | None, bytes | None, list[tuple[str, bytes]]]]) -> None:
        """Send (topic, key, value, headers)."""
        lines = [
            json.dumps([topic, packed(key), packed(value), [(name, text.decode()) for name, text in headers]])
            for topic, key, value, headers in records
        ]
        self.client("send", given="\n".join(lines))

    def create(self, **topics: int) -> None:
        """Make topics by name (of `Topics`) with so many partitions, as somebody else might have."""
        names = topics_of(self.settings.kafka)._asdict()
        self.client("create", given="\n".join(json.dumps([names[name], many]) for name, many in topics.items()))

    def worker(self, directory: str = "worker") -> subprocess.Popen[bytes]:
        """Start a worker on its own files."""
        return self._start(directory, "worker", "--directory", str(self.folder / directory), "--state", str(self.state))

    def totals(self) -> subprocess.Popen[bytes]:
        """Start the totals' owner."""
        return self._start("totals", "totals", "--state", str(self.state))

    def status(self) -> Status:
        with closing(read_store(self.state)) as conn:
            return status(conn)

    def settled(self, events: int, seconds: float = 180) -> None:
        """Wait until the state holds so many events and every flag of them, and the workers have kept all they read.

        The state may have the last events first: a worker that was killed hands them on, and keeps them, once more.
        """
        until(
            lambda: self.status().events >= events, lambda: f"{self.status()}, wanted {events}\n{self.said()}", seconds
        )
        assert self.status().events == events, self.said()
        until(lambda: not self.unscreened(), "the log is not screened", seconds)
        until(lambda: self.client("lag").strip() == "0", lambda: f"the workers are behind\n{self.said()}", seconds)

    def unscreened(self) -> bool:
        with closing(read_store(self.state)) as conn:
            return get_meta(conn, UNSCREENED) is not None

    def records(self, topic: str) -> list[tuple[int, int, bytes | None, bytes | None]]:
        """Every record of the topic: (partition, offset, key, value)."""
        lines = map(json.loads, self.client("records", topic).splitlines())
        return [(partition, offset, unpacked(key), unpacked(value)) for partition, offset, key, value in lines]

    def accounts(self) -> dict[str, Account]:
        """The workers' table, as its changelog has it: of the values of each key the one that holds most."""
        values: dict[str, bytes] = {}
        for *_, key, value in self.records(topics_of(self.settings.kafka).accounts):
            name = str(key or b"", "utf-8")
            if progress(value) >= progress(values.get(name)):
                values[name] = value or b""
        definitions = Definitions(self.settings.rules(), Calibrations())
        return {name: Account.from_bytes(value, definitions) for name, value in values.items()}

    def told(self) -> dict[str, tuple[str, str, int]]:
        """What the workers tell of flags, as a reader has it in the end: id -> (user, when, posts)."""
        flags: dict[str, dict[str, tuple[str, str, int]]] = {}
        versions: Counter[str] = Counter()
        for *_, value in self.records(topics_of(self.settings.kafka).flags):
            said = json.loads(value or b"{}")
            user = said["user"]
            if said["version"] < versions[user]:
                continue  # of a worker that had lost the account without knowing it yet
            versions[user] = said["version"]
            kept = {known: flag for known, flag in flags.get(user, {}).items() if flag[1] < said["since"]}
            flags[user] = kept | {flag["id"]: (user, flag["raised_at"], flag["posts"]) for flag in said["flags"]}
        return {known: flag for found in flags.values() for known, flag in found.items()}

    def end(self, process: subprocess.Popen[bytes], number: signal.Signals = signal.SIGTERM) -> int:
        """Signal one of the processes; its exit code."""
        process.send_signal(number)
        return process.wait(timeout=60)

    def stop(self) -> None:
        for process in self.processes:
            if process.poll() is None:
                process.kill()
                process.wait()

    def said(self) -> str:
        """The end of what everybody said."""
        return "\n".join(f"== {log.name}\n{log.read_text()[-2000:]}" for log in sorted(self.folder.glob("*.log")))

    def client(self, verb: str, *more: str, given: str = "") -> str:
        command = [sys.executable, "-m", "tests.support.kafka_client", verb, str(self.config), *more]
        done = subprocess.run(command, cwd=REPOSITORY, input=given, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def _start(self, name: str, *verb: str) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "homecoming", *verb, "--config", str(self.config), "--listen", "127.0.0.1:0"]
        with (self.folder / f"{name}.log").open("ab") as log:
            process = subprocess.Popen(command, cwd=REPOSITORY, stdout=log, stderr=log)
        self.processes.append(process)
        return process
