"""Consumers that run on while they are fed, and what /proc says about them."""

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import NamedTuple

from benchmarks.support.measure import ENVIRONMENT, HOMECOMING, REPOSITORY
from tests.integration.rabbitmq import Bus

#: `homecoming consume`; the configuration is the next argument.
CONSUME = (*HOMECOMING, "consume", "--listen", "127.0.0.1:0", "--config")

#: fedora-messaging's own consumer with its own example.
STOCK = (
    str(Path(sys.executable).with_name("fedora-messaging")),
    "consume",
    "--callback=fedora_messaging.example:printer",
)

#: What a consumer of small messages has no use for.
_HEAVY = ("duckdb", "numpy", "pandas", "pyarrow")

_PATIENCE_S = 600


class Memory(NamedTuple):
    """Resident now and at its highest, in MB; the heavy libraries that are loaded."""

    now: float
    peak: float
    loaded: str


def memory(pid: int) -> Memory:
    """Memory of one process, its children left out."""
    lines = (Path("/proc") / str(pid) / "status").read_text(encoding="utf-8").splitlines()
    kilobytes = {
        name: int(rest.split()[0]) for name, _, rest in (line.partition(":") for line in lines) if "kB" in rest
    }
    mapped = (Path("/proc") / str(pid) / "maps").read_text(encoding="utf-8").splitlines()
    libraries = {line.rpartition("site-packages/")[2] for line in mapped if ".so" in line}
    loaded = [name for name in _HEAVY if any(library.lstrip("_").startswith(name) for library in libraries)]
    return Memory(kilobytes["VmRSS"] / 1024, kilobytes["VmHWM"] / 1024, ", ".join(loaded))


@contextmanager
def consuming(bus: Bus, command: tuple[str, ...]) -> Iterator[int]:
    """The consumer as a process of its own, registered with the broker; its pid. Ends with SIGTERM."""
    environment = ENVIRONMENT | {"FEDORA_MESSAGING_CONF": str(bus.config)}
    with (
        bus.log.open("ab") as log,
        subprocess.Popen(command, cwd=REPOSITORY, env=environment, stdout=log, stderr=log) as process,
    ):
        try:
            wait_until(lambda: consumers(bus) or process.poll() is not None, bus.output)
            assert process.poll() is None, bus.output()
            yield process.pid
        finally:
            process.terminate()


def consumers(bus: Bus) -> int:
    """How many consumers the queue has."""
    with closing(bus.broker.connect()) as connection:
        return int(connection.channel().queue_declare(bus.name, passive=True).method.consumer_count)


def wait_until(condition: Callable[[], object], what: Callable[[], str]) -> None:
    """Wait until the condition holds; exit with `what` where it never does."""
    give_up = time.monotonic() + _PATIENCE_S
    while not condition():
        if time.monotonic() > give_up:
            sys.exit(f"after {_PATIENCE_S} s: {what()}")
        time.sleep(0.2)
