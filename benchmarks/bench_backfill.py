"""Backfill of millions of events into durable state, beside the notebook that computes one table of them in memory."""

import argparse
import json
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from statistics import median

from benchmarks.support.measure import (
    Ran,
    anew,
    homecoming,
    interleaved,
    last_line,
    scratch,
    script,
    show,
    size_mb,
    spread,
)
from benchmarks.support.tables import table_of

#: Users and weeks of the five million events.
USERS_SHARE = 117_000 / 5_000_000
WEEKS = 61


def notebook(archive: Path, output: Path) -> Ran:
    """The table in pandas."""
    return script("tables.py", "pandas", archive, output)


def backfill(archive: Path, state: Path) -> Ran:
    """The command, into a state that is not there yet."""
    return homecoming("backfill", archive, "--state", anew(state))


def times(ours: Sequence[float], theirs: Sequence[float]) -> str:
    """Median over median."""
    return f"{median(ours) / median(theirs):.2f} x"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=5_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    with scratch() as folder:
        archive, table, state = folder / "archive.parquet", folder / "table.json", folder / "state"
        script("archive.py", archive, str(options.events), str(int(options.events * USERS_SHARE)), str(WEEKS))
        found = interleaved(
            options.rounds, {"pandas": partial(notebook, archive, table), "ours": partial(backfill, archive, state)}
        )
        kept = json.loads(homecoming("status", "--state", state, "--format", "json").output)
        ours = table_of(homecoming("retention", "--state", state, "--format", "json").output)
        assert kept["events"] == options.events
        assert ours == json.loads(table.read_text(encoding="utf-8")), "the two tables differ"
        log_mb, all_mb = size_mb(state / "events"), size_mb(state)

        compute = [last_line(ran)["compute_s"] for ran in found["pandas"]]
        whole = [sum(last_line(ran).values()) for ran in found["pandas"]]
        took = [ran.seconds for ran in found["ours"]]
        durable = [ran.told_s or ran.seconds for ran in found["ours"]]  # it says so when the archive is in
        start_to_end = [ran.seconds for ran in found["pandas"]]
        cpu = {name: spread([ran.cpu_s for ran in runs]) for name, runs in found.items()}
        peak = max(ran.peak_mb for ran in found["ours"])
        cells = sum(map(len, ours.values()))
        show(
            f"backfill of {options.events:,} events, {kept['users']:,} users, {len(ours)} weeks; "
            f"the same {cells:,} cells on both sides",
            ("", "seconds", "log and views take", "flags too", "CPU seconds", "bar"),
            [
                (name, spread(theirs), times(durable, theirs), times(took, theirs), cpu_s, bar)
                for name, theirs, cpu_s, bar in (
                    ("pandas: the one table, in memory", compute, "", "3 x"),
                    ("pandas: reading the file too", whole, "", ""),
                    ("pandas: the whole program", start_to_end, cpu["pandas"], ""),
                    ("homecoming backfill: log, views and totals are durable", durable, "", ""),
                    ("homecoming backfill: flags and waves too", took, cpu["ours"], ""),
                )
            ],
        )
        show(
            "what it takes",
            ("", "MB", "bar"),
            [
                ("peak memory of the backfill", f"{peak:,.0f}", "400"),
                ("peak memory of pandas", f"{max(ran.peak_mb for ran in found['pandas']):,.0f}", ""),
                ("the archive", f"{archive.stat().st_size / 1e6:,.0f}", ""),
                ("the state: sealed log", f"{log_mb:,.0f}", ""),
                ("the state: views and hot end", f"{all_mb - log_mb:,.0f}", ""),
            ],
        )


if __name__ == "__main__":
    main()
