"""Programs measured from outside, and the tables that the figures make.

Whoever measures memory with this imports nothing large: a child's peak starts from what its parent held when it
was started, and DuckDB or pandas in the parent would be the figure.
"""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from threading import Thread
from time import perf_counter
from typing import Any, NamedTuple, TypeVar

REPOSITORY = Path(__file__).parents[2]

HOMECOMING = (sys.executable, "-m", "homecoming")

#: As programs run everywhere but where this is set: without compiled files every start takes seconds longer.
ENVIRONMENT = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}

_T = TypeVar("_T")


class Ran(NamedTuple):
    """What a program took, its start included: wall time, CPU time of all its threads, peak memory.

    told_s: wall time until its first line on standard error; None where there was none.
    """

    seconds: float
    cpu_s: float
    peak_mb: float
    output: str
    told_s: float | None


def run(*command: str | Path) -> Ran:
    """Run the program to its end; where it fails, so do we, with what it said."""
    began = perf_counter()
    arguments = [str(part) for part in command]
    said: list[tuple[float, str]] = []
    with subprocess.Popen(
        arguments, cwd=REPOSITORY, env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        errors = process.stderr
        listening = Thread(target=lambda: said.extend((perf_counter() - began, line) for line in errors))
        listening.start()
        output = process.stdout.read()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        seconds = perf_counter() - began
        listening.join()
        if process.returncode:
            told = "".join(line for _, line in said)
            sys.exit(f"{' '.join(arguments)}: exit code {process.returncode}\n{output}{told}")
    told_s = said[0][0] if said else None
    return Ran(seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024, output, told_s)


def homecoming(*arguments: str | Path) -> Ran:
    """Run one of our commands."""
    return run(*HOMECOMING, *arguments)


def script(name: str, *arguments: str | Path) -> Ran:
    """Run another file of this folder, so that what it imports is not in our memory."""
    return run(sys.executable, Path(__file__).parent / name, *arguments)


def last_line(ran: Ran) -> Any:
    """The JSON on the last line of what the program said."""
    return json.loads(ran.output.splitlines()[-1])


def interleaved(rounds: int, contenders: Mapping[str, Callable[[], _T]]) -> dict[str, list[_T]]:
    """Each contender once a round, A B A B: what slows the machine for a while slows all of them."""
    found: dict[str, list[_T]] = {name: [] for name in contenders}
    for _ in range(rounds):
        for name, contender in contenders.items():
            found[name].append(contender())
    return found


def spread(figures: Sequence[float], digits: int = 1) -> str:
    """Median, and from where to where the figures lie."""
    low, middle, high = (f"{figure:,.{digits}f}" for figure in (min(figures), median(figures), max(figures)))
    return f"{middle} ({low}-{high})"


def show(title: str, header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print the table, the first column to the left and figures to the right."""
    widths = [max(len(row[place]) for row in (header, *rows)) for place in range(len(header))]
    print(f"\n{title}")
    for row in (header, *rows):
        first, *others = (
            text.ljust(width) if not place else text.rjust(width)
            for place, (text, width) in enumerate(zip(row, widths, strict=True))
        )
        print("  " + "  ".join((first, *others)).rstrip(), flush=True)


@contextmanager
def scratch() -> Iterator[Path]:
    """A folder for the run's files; TMPDIR says on which disk."""
    with TemporaryDirectory(prefix="homecoming-bench-") as folder:
        yield Path(folder)


def size_mb(directory: Path) -> float:
    """What the files in the directory take."""
    return sum(path.stat().st_size for path in directory.rglob("*") if path.is_file()) / 1e6


def anew(directory: Path) -> Path:
    """The directory, absent: the next to use it starts from nothing."""
    shutil.rmtree(directory, ignore_errors=True)
    return directory
