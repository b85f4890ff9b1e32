import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consumer.records import BadLine, records_of
from state.errors import ArchiveError

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
messages = st.lists(
    st.dictionaries(st.sampled_from(["id", "topic", "headers", "body", "i"]), values, min_size=1, max_size=4),
    min_size=1,
    max_size=6,
)


def read(path: Path) -> list[Any]:
    return list(records_of(path, lambda _done: None))


def a_file(folder: Path, name: str, content: bytes) -> Path:
    path = folder / name
    path.write_bytes(gzip.compress(content) if name.endswith("gz") else content)
    return path


@given(found=messages, indent=st.sampled_from([None, 2]), packed=st.booleans())
def test_messages_are_the_same_in_every_form(
    found: list[Any], indent: int | None, packed: bool, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("forms")
    gz = ".gz" if packed else ""
    page = {"raw_messages": found, "pages": 1, "count": len(found), "total": len(found), "arguments": {}}
    lines = "".join(json.dumps(message) + "\n" for message in found).encode()
    half = len(found) // 2
    pages = "\n".join(json.dumps({"raw_messages": part}) for part in (found[:half], found[half:])).encode()
    forms = {
        "a.jsonl": lines,
        "b.json": lines,
        "c.jsonl": lines.replace(b"\n", b"\r\n\r\n").rstrip(),
        "d.json": json.dumps(page, indent=indent).encode(),
        "e.json": json.dumps(found, indent=indent).encode(),
        "f.jsonl": pages,
    }
    for name, content in forms.items():
        assert read(a_file(folder, name + gz, content)) == found, name


@given(found=messages, place=st.integers(0, 6), broken=st.binary(min_size=1, max_size=20))
def test_a_broken_line_takes_no_other_with_it(
    found: list[Any], place: int, broken: bytes, tmp_path_factory: pytest.TempPathFactory
) -> None:
    broken = b"{" + broken.replace(b"\n", b"").replace(b"}", b"")
    lines = [json.dumps(message).encode() for message in found]
    lines.insert(place, broken)
    read_back = read(a_file(tmp_path_factory.mktemp("broken"), "a.jsonl", b"\n".join(lines)))
    bad = [record for record in read_back if isinstance(record, BadLine)]
    assert [record.line.strip(b"\n") for record in bad] == [broken]
    assert [record for record in read_back if not isinstance(record, BadLine)] == found


def test_a_byte_order_mark_and_windows_lines_are_read(tmp_path: Path) -> None:
    assert read(a_file(tmp_path, "a.jsonl", b'\xef\xbb\xbf{"id": 1}\r\n\r\n{"id": 2}')) == [{"id": 1}, {"id": 2}]


def test_the_suffix_is_read_in_any_case(tmp_path: Path) -> None:
    path = tmp_path / "A.JSONL.GZ"
    path.write_bytes(gzip.compress(b'{"id": 1}\n'))
    assert read(path) == [{"id": 1}]


def test_a_document_that_is_no_json_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ArchiveError, match="neither JSON lines nor a JSON document"):
        read(a_file(tmp_path, "a.json", b"<html>"))


def test_progress_counts_every_byte(tmp_path: Path) -> None:
    path = a_file(tmp_path, "a.jsonl", b'{"id": 1}\nbroken\n\n{"id": 2}\n')
    done: list[int] = []
    list(records_of(path, done.append))
    assert done == sorted(done)
    assert done[-1] == path.stat().st_size
