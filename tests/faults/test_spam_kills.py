"""Kill -9 while bursts and waves come in: whoever goes on raises what one go would have raised."""

import subprocess
import sys
from pathlib import Path
from random import Random

from state.live import commit_batch
from state.segments import seal, sweep
from state.store import open_store
from state.weeks import DAY, HOUR, SECOND
from tests.support.logs import differences, scratch, views
from tests.support.spam import MINUTE, OTHER_TOPIC, Act, burst, delivered, flags_of, go_live, messages, parts, wave

ROOT = Path(__file__).parents[2]

KILLS = 10


def story() -> list[Act]:
    """Two weeks in which every few hours something crosses a limit."""
    random = Random(5)
    found = [*wave("megaspam", 2 * DAY, 20, 4 * MINUTE), *wave("cheapcasino", 9 * DAY, 9, HOUR, 3 * HOUR)]
    for place in range(25):
        begins, pace = random.randrange(13 * DAY), random.choice((5, 50, 600, 3600))
        found += burst(f"b{place}", begins // SECOND * SECOND, random.randrange(4, 25), pace * SECOND)
    for place in range(6):
        found += burst(f"ordinary{chr(97 + place)}", place * HOUR, 40, random.randrange(5, 9) * HOUR, OTHER_TOPIC)
    return found


LOG = delivered(messages(story()), Random(6), 6 * HOUR, share=0.2)

BATCHES = parts(LOG, Random(7), 8)


def feed(directory: Path) -> None:
    """One process: from the start again, as a bus delivers again what nobody acknowledged."""
    store = open_store(directory)
    sweep(store)
    for place, batch in enumerate(BATCHES):
        commit_batch(store, batch)
        sys.stdout.write(f"{place}\n")
        sys.stdout.flush()
        if place % 40 == 39:
            seal(store)


def test_killed_at_random_and_gone_on() -> None:
    random = Random(8)
    with scratch() as folder:
        once = open_store(folder / "once")
        go_live(once, BATCHES)
        wanted = flags_of(once), views(once)
        once.close()
        assert {"burst", "cap", "wave-name", "wave-member"} <= {flag.rule for flag in wanted[0]}

        for _ in range(KILLS):
            assert die(folder / "killed", random.randrange(len(BATCHES)), random.random()) != 0
        assert die(folder / "killed", None, 0) == 0
        store = open_store(folder / "killed")
        assert (flags_of(store), views(store)) == wanted
        assert differences(store) == []
        store.close()


def die(directory: Path, after: int | None, moments: float) -> int:
    """Kill a feeding process about so many batches after its start; its exit code."""
    command = [sys.executable, "-c", f"from tests.faults.test_spam_kills import *; feed(Path({str(directory)!r}))"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if after is not None and int(line) >= after:
                if moments < 0.5:
                    process.stdout.readline()
                process.kill()
                break
        process.stdout.read()
    return process.returncode
