"""DuckDB, loaded only when used: an idle consumer does without its memory."""

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import duckdb

#: What DuckDB may hold before it spills to disk; keeps a backfill of millions of events under 400 MB.
MEMORY_LIMIT = "240MB"


#: The same for a verification, which looks at everything at once and runs by itself.
ROOMY = "2GB"


def connect(directory: Path, memory_limit: str = MEMORY_LIMIT) -> "duckdb.DuckDBPyConnection":
    """An in-memory DuckDB that reads times as UTC, spills under the state directory and installs nothing."""
    import duckdb  # noqa: PLC0415 - see the module's docstring

    # One folder for all: the files' names hold the process, and the next start removes what a killed one left.
    spill = directory / "tmp" / "duckdb"
    return duckdb.connect(
        config={
            "memory_limit": memory_limit,
            "temp_directory": str(spill),
            "preserve_insertion_order": False,
            "autoinstall_known_extensions": False,
            "TimeZone": "UTC",
        }
    )


def literal(text: str) -> str:
    """The text as a SQL string literal, for the places where DuckDB takes no parameter."""
    return "'" + text.replace("'", "''") + "'"
