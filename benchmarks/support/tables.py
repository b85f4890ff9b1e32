"""The retention table as others make it from an archive: tables.py pandas|duckdb FILE OUTPUT.

Prints {"read_s", "compute_s"}; OUTPUT gets {"2024-06-03": {"0": 312, ...}}, nonzero cells only.
"""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from time import perf_counter

Table = dict[str, dict[str, int]]


def by_pandas(path: Path) -> tuple[float, float, Table]:
    """The notebook's way; seconds to read, seconds to compute, and the table."""
    import pandas as pd  # noqa: PLC0415 - each way loads its own library alone

    began = perf_counter()
    events = pd.read_parquet(path)
    read = perf_counter()
    weeks = events.sent_at.dt.to_period("W-SUN").dt.start_time
    created = events[events.topic.str.endswith("fas.user.create")].groupby("username").sent_at.min()
    cohorts = created.dt.to_period("W-SUN").dt.start_time.rename("cohort")
    active = pd.DataFrame({"username": events.username, "week": weeks}).drop_duplicates()
    active = active.join(cohorts, on="username", how="inner")
    active["offset"] = (active.week - active.cohort).dt.days // 7
    users = active[active.offset >= 0].groupby(["cohort", "offset"]).username.nunique()
    table = users.unstack(fill_value=0)  # noqa: PD010 - as notebooks do it
    done = perf_counter()
    cells: Table = {
        f"{week:%Y-%m-%d}": {str(offset): int(count) for offset, count in row.items() if count}
        for week, row in table.iterrows()
    }
    return read - began, done - read, cells


def by_duckdb(path: Path) -> tuple[float, float, Table]:
    """One query over the file, which it reads as it computes; the same result."""
    import duckdb  # noqa: PLC0415 - see by_pandas

    began = perf_counter()
    with duckdb.connect() as duck:
        rows = duck.execute(
            """WITH active AS (
                SELECT DISTINCT username, date_trunc('week', sent_at) AS week FROM read_parquet($file)
            ), newcomer AS (
                SELECT username, date_trunc('week', min(sent_at)) AS cohort FROM read_parquet($file)
                WHERE topic LIKE '%.fas.user.create' GROUP BY username
            )
            SELECT cohort::DATE::VARCHAR, date_diff('day', cohort, week) // 7 AS step, count(*)
            FROM active JOIN newcomer USING (username) WHERE week >= cohort GROUP BY ALL ORDER BY ALL""",
            {"file": str(path)},
        ).fetchall()
    done = perf_counter()
    cells: Table = {}
    for cohort, step, users in rows:
        cells.setdefault(cohort, {})[str(step)] = users
    return 0.0, done - began, cells


WAYS: dict[str, Callable[[Path], tuple[float, float, Table]]] = {"pandas": by_pandas, "duckdb": by_duckdb}


def table_of(retention: str) -> Table:
    """The same table in what `homecoming retention --format json` prints."""
    return {
        cohort["week"]: {str(cell["offset"]): cell["users"] for cell in cohort["cells"] if cell["users"]}
        for cohort in json.loads(retention)["cohorts"]
    }


if __name__ == "__main__":
    way, archive, output = sys.argv[1:]
    read_s, compute_s, found = WAYS[way](Path(archive))
    Path(output).write_text(json.dumps(found), encoding="utf-8")
    print(json.dumps({"read_s": read_s, "compute_s": compute_s}))
