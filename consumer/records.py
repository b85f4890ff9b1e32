"""The messages of a JSON archive: recorded JSON lines, datagrepper's pages (v1 and v2), one at a time."""

import gzip
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from consumer.delivery import Poison
from state.errors import ArchiveError

#: A line longer than this is no recorded message; bytes.
_LONGEST_LINE = 64 * 1024 * 1024

#: Names that promise a message a line, whatever the first line looks like.
_LINES = (".jsonl", ".ndjson", ".jsonl.gz", ".ndjson.gz")


class BadLine(Poison):
    """A line that is no JSON object, whole."""

    def __init__(self, line: bytes) -> None:
        super().__init__("json", f"a line that is no JSON object: {line[:200]!r}")
        self.line = line


def records_of(path: Path, progress: Callable[[int], None]) -> Iterator[Any]:
    """Each message as it stands in the file; a line that is no JSON comes as a BadLine.

    JSON lines hold a message (or a page) each; any other file is one JSON document. progress is called with
    the bytes read. Raises ArchiveError for a document that is no JSON.
    """
    name = path.name.lower()
    opened = gzip.open if name.endswith(".gz") else open
    with opened(path, "rb") as file:
        line = file.readline(_LONGEST_LINE)
        if not name.endswith(_LINES) and _parsed(line) is None:
            yield from _whole(path, line + file.read())
            return
        done = 0
        while line:
            done += len(line)
            progress(done)
            if line.strip():
                found = _parsed(line)
                yield from [BadLine(line)] if found is None else _unwrapped(found)
            line = file.readline(_LONGEST_LINE)


def _whole(path: Path, document: bytes) -> Iterator[Any]:
    try:
        found = json.loads(document)
    except (ValueError, RecursionError) as error:
        raise ArchiveError(f"{path} is neither JSON lines nor a JSON document: {error}") from error
    yield from _unwrapped(found)


def _unwrapped(found: Any) -> Iterator[Any]:
    """A page's messages, a list's, or the message itself."""
    if isinstance(found, dict) and isinstance(found.get("raw_messages"), list):
        yield from found["raw_messages"]
    elif isinstance(found, list):
        yield from found
    else:
        yield found


def _parsed(line: bytes) -> Any:
    """What the line says; None where it is no JSON object or list of its own."""
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, (dict, list)) else None
