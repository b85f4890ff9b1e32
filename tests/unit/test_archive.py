import csv
import gzip
import io
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from consumer.archive import open_archive
from state.duck import connect
from state.errors import ArchiveError
from state.importer import Source
from state.weeks import event_time

NOW = event_time(datetime(2024, 7, 1, tzinfo=UTC))
MOMENT = datetime(2024, 6, 3, 10)  # noqa: DTZ001 - archives hold naive times, which are UTC
TOPIC = "org.fedoraproject.prod.pagure.issue.new"
HEADER = "sent_at,topic,username\n"
GOOD_ROW = f"2024-06-03T10:00:00,{TOPIC},alice\n"

Rows = list[tuple[Any, ...]]


def read(path: Path, columns: str = "sent_at, topic, username") -> tuple[Rows, Source]:
    with connect(path.parent) as duck:
        source = open_archive(duck, path, NOW)
        return duck.execute(f"SELECT {columns} FROM {source.relation} ORDER BY ALL").fetchall(), source


def refusal(path: Path) -> str:
    with pytest.raises(ArchiveError) as caught:
        read(path)
    assert str(path) in str(caught.value)
    return str(caught.value)


def written(path: Path, content: str | bytes) -> Path:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def parquet(path: Path, **columns: Any) -> Path:
    pq.write_table(pa.table(columns), path)
    return path


def of_times(path: Path, times: Any) -> Path:
    return parquet(path, sent_at=times, topic=[TOPIC] * len(times), username=["alice"] * len(times))


names = st.text(st.characters(exclude_categories=["C", "Zl", "Zp"], max_codepoint=0x2FFF), max_size=8)
moments = st.datetimes(datetime(2000, 1, 1), datetime(2024, 6, 30))  # noqa: DTZ001 - as MOMENT
tables = st.lists(st.tuples(moments, st.sampled_from([TOPIC, "a.b"]), names), max_size=20)


@settings(max_examples=40)
@given(
    table=tables,
    delimiter=st.sampled_from(",;\t|"),
    newline=st.sampled_from(["\n", "\r\n"]),
    quoting=st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
    bom=st.booleans(),
    packed=st.booleans(),
)
def test_a_table_says_the_same_in_every_format(
    table: Rows,
    delimiter: str,
    newline: str,
    quoting: Any,
    bom: bool,
    packed: bool,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    folder = tmp_path_factory.mktemp("formats")
    text = io.StringIO()
    out = csv.writer(text, delimiter=delimiter, lineterminator=newline, quoting=quoting)
    out.writerow(("sent_at", "topic", "username"))
    out.writerows((at.isoformat(), topic, name) for at, topic, name in table)
    content = text.getvalue().encode("utf-8-sig" if bom else "utf-8")
    path = written(folder / ("t.csv.gz" if packed else "t.csv"), gzip.compress(content) if packed else content)
    columns = [list(column) for column in zip(*table, strict=True)] or [[], [], []]
    types = (pa.timestamp("us"), pa.string(), pa.string())
    arrays = dict(zip(("sent_at", "topic", "username"), map(pa.array, columns, types), strict=True))

    rows, source = read(path)
    assert not source.dead
    assert rows == read(parquet(folder / "t.parquet", **arrays))[0]
    kept = [None if name.strip() in {"", "None"} else name.strip() for *_, name in table]
    assert sorted(map(str, kept)) == sorted(str(name) for *_, name in rows)


@pytest.mark.parametrize(
    "text",
    [
        "2024-06-03T12:00:00+02:00",
        "2024-06-03 12:00:00+02",
        "2024-06-03T02:00:00-0800",
        "2024-06-03T10:00:00Z",
        "2024-06-03 10:00:00 UTC",
        "2024-06-03 10:00:00",
        "2024-06-03T10:00:00.000000",
        "1717408800",
        "1717408800.0",
    ],
)
def test_a_text_is_a_time_in_utc(text: str, tmp_path: Path) -> None:
    in_csv, _ = read(written(tmp_path / "t.csv", f"{HEADER}{text},{TOPIC},alice\n"))
    in_parquet, _ = read(of_times(tmp_path / "t.parquet", [text]))
    assert in_csv == in_parquet == [(MOMENT, TOPIC, "alice")]


@pytest.mark.parametrize(
    "times",
    [
        pa.array([MOMENT], pa.timestamp("s")),
        pa.array([MOMENT], pa.timestamp("ms")),
        pa.array([MOMENT], pa.timestamp("ns")),
        pa.array([MOMENT.replace(tzinfo=UTC)], pa.timestamp("us", "UTC")),
        pa.array([MOMENT.replace(tzinfo=UTC)], pa.timestamp("us", "Europe/Berlin")),
        pa.array([1717408800], pa.int64()),
        pa.array([1717408800], pa.int32()),
        pa.array([1717408800], pa.uint32()),
        pa.array([1717408800], pa.uint64()),
        pa.array([1717408800.0], pa.float64()),
    ],
    ids=lambda times: str(times.type),
)
def test_a_typed_column_is_a_time_in_utc(times: pa.Array, tmp_path: Path) -> None:
    assert read(of_times(tmp_path / "t.parquet", times))[0] == [(MOMENT, TOPIC, "alice")]


def test_a_day_is_its_midnight(tmp_path: Path) -> None:
    days = pa.array([MOMENT.date()], pa.date32())
    assert read(of_times(tmp_path / "t.parquet", days))[0][0][0] == MOMENT.replace(hour=0)


def test_a_fraction_of_an_epoch_second_is_kept(tmp_path: Path) -> None:
    times = pa.array([1717408800.123456], pa.float64())
    assert read(of_times(tmp_path / "t.parquet", times))[0][0][0] == MOMENT + timedelta(microseconds=123456)


def test_more_columns_are_taken_and_unknown_ones_ignored(tmp_path: Path) -> None:
    path = written(
        tmp_path / "t.csv",
        ",sent_at,topic,username,object,size,namespace,role,msg_id\n"
        f"0,2024-06-03,{TOPIC},alice,https://x/1,-5,rpms,affected,a\n"
        f"1,2024-06-03,{TOPIC},bob,,many,,boss,b\n",
    )
    rows, source = read(path, "msg_id, username, object, size, namespace, role, service")
    assert rows == [
        ("a", "alice", "https://x/1", -5, "rpms", "affected", None),
        ("b", "bob", None, None, None, "actor", None),
    ]
    assert not source.dead


def test_categories_are_texts(tmp_path: Path) -> None:
    path = parquet(
        tmp_path / "t.parquet",
        sent_at=[MOMENT],
        topic=pa.array([TOPIC]).dictionary_encode(),
        username=pa.array(["alice"]).dictionary_encode(),
    )
    assert read(path)[0] == [(MOMENT, TOPIC, "alice")]


@pytest.mark.parametrize("name", ["#alice", "#", '"', "a,b", "'; DROP TABLE x; --", "NULL", "nan", "\\N", "名前"])
def test_odd_names_are_names(name: str, tmp_path: Path) -> None:
    text = io.StringIO()
    csv.writer(text).writerows([("sent_at", "topic", "username"), (MOMENT, TOPIC, name)])
    assert [row[2] for row in read(written(tmp_path / "t.csv", text.getvalue()))[0]] == [name]


@pytest.mark.parametrize("name", ["", " ", "None"])
def test_no_name_is_a_message_that_names_nobody(name: str, tmp_path: Path) -> None:
    rows, source = read(written(tmp_path / "t.csv", f'{HEADER}2024-06-03,{TOPIC},"{name}"\n'))
    assert [row[2] for row in rows] == [None]
    assert not source.dead


@pytest.mark.parametrize(
    "name",
    ["x" * 10_000, "a\nb", "a\x00b", "a\u2028b", "\x7f"],
    ids=["long", "newline", "nul", "line separator", "delete"],
)
def test_impossible_names_are_dead_letters(name: str, tmp_path: Path) -> None:
    path = parquet(tmp_path / "t.parquet", sent_at=[MOMENT] * 3, topic=[TOPIC] * 3, username=["alice", name, None])
    rows, source = read(path)
    assert sorted(str(row[2]) for row in rows) == ["None", "alice"]
    assert [letter.reason for letter in source.dead] == ["username"]
    assert source.dead[0].source == "t.parquet"


def test_a_thousand_impossible_names_are_a_thousand_dead_letters(tmp_path: Path) -> None:
    users = [f"{place}" + "x" * 5_000 for place in range(1_000)]
    path = parquet(tmp_path / "t.parquet", sent_at=[MOMENT] * 1_001, topic=[TOPIC] * 1_001, username=[*users, "alice"])
    rows, source = read(path)
    assert (len(rows), len(source.dead)) == (1, 1_000)


@pytest.mark.parametrize("text", ["", "soon", "1980-01-01", "2999-01-01", "infinity", "-infinity", "nan", "1e300"])
def test_impossible_times_are_dead_letters(text: str, tmp_path: Path) -> None:
    rows, source = read(written(tmp_path / "t.csv", f"{HEADER}{GOOD_ROW}{text},{TOPIC},bob\n"))
    assert rows == [(MOMENT, TOPIC, "alice")]
    assert [letter.reason for letter in source.dead] == ["sent_at"]
    assert b"bob" in source.dead[0].body
    if text:
        assert text.encode() in source.dead[0].body, "a dead letter is kept whole"


@pytest.mark.parametrize(("ahead", "dead"), [(599, 0), (601, 1)])
def test_clocks_may_be_ten_minutes_ahead(ahead: int, dead: int, tmp_path: Path) -> None:
    soon = datetime(2024, 7, 1) + timedelta(seconds=ahead)  # noqa: DTZ001 - as MOMENT
    _, source = read(of_times(tmp_path / "t.parquet", [MOMENT, soon]))
    assert len(source.dead) == dead


@pytest.mark.parametrize("topic", ["", "x" * 256, "a\tb"])
def test_impossible_topics_are_dead_letters(topic: str, tmp_path: Path) -> None:
    rows, source = read(written(tmp_path / "t.csv", f'{HEADER}{GOOD_ROW}2024-06-03,"{topic}",bob\n'))
    assert (len(rows), len(source.dead)) == (1, 1)


@pytest.mark.parametrize("content", [HEADER, HEADER.strip()])
def test_a_csv_without_rows_is_no_error(content: str, tmp_path: Path) -> None:
    assert read(written(tmp_path / "t.csv", content))[0] == []


def test_a_parquet_without_rows_is_no_error(tmp_path: Path) -> None:
    path = parquet(
        tmp_path / "t.parquet",
        sent_at=pa.array([], pa.timestamp("us")),
        topic=pa.array([], pa.string()),
        username=pa.array([], pa.string()),
    )
    assert read(path)[0] == []


@pytest.mark.parametrize("page", ["[]", '{"raw_messages": [], "pages": 0}'])
def test_a_page_without_messages_is_no_error(page: str, tmp_path: Path) -> None:
    assert read(written(tmp_path / "t.json", page))[0] == []


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("t.csv", b"", "is empty"),
        ("t.parquet", b"", "is empty"),
        ("t.txt", b"x", "expected .parquet, .csv, .json or .jsonl"),
        ("t", b"x", "expected .parquet"),
        ("t.csv", b"\n\n", "no header"),
        ("t.csv", b"sent_at,username\n", "no column topic"),
        ("t.csv", b"x\n", "no column sent_at, topic, username"),
        ("t.csv", f"{HEADER}2024-06-03,x\n".encode(), "Line: 2: Expected Number of Columns: 3 Found: 2"),
        ("t.csv", f"{HEADER}{GOOD_ROW * 50_000}2024-06-03,x\n{GOOD_ROW}".encode(), "Line: 50002"),
        ("t.csv", f"{HEADER}{GOOD_ROW}2024-06-03,x,y,z\n".encode(), "Found: 4"),
        ("t.csv", f'{HEADER}2024-06-03,x,"y\n{GOOD_ROW}'.encode(), "Line: 2: Value with unterminated quote"),
        ("t.csv", f"{HEADER}{GOOD_ROW}2024-06-03,x,J\xf6rg\n".encode("latin-1"), "not utf-8"),
        ("t.csv", f"{HEADER}{GOOD_ROW}".encode("utf-16"), "t.csv"),
        ("t.csv", f"{HEADER}soon,x,y\n".encode(), "none of its 1 rows"),
        ("t.csv.gz", gzip.compress(f"{HEADER}{GOOD_ROW}".encode(), mtime=0)[:-12], "t.csv.gz"),
        ("t.csv.gz", b"no gzip", "t.csv.gz"),
        ("t.parquet", b"PAR1 no parquet", "t.parquet"),
        ("t.json", b'{"raw_messages": [', "neither JSON lines nor a JSON document"),
        ("t.json", b"\xff\xfe\xff", "neither JSON lines nor a JSON document"),
        ("t.json", b'{"id": "a"}', "no message that can be used"),
        ("t.json", b'"text"', "no message that can be used"),
        ("t.json", b"[" * 100_000, "neither JSON lines nor a JSON document"),
        ("t.jsonl", b"{\n", "no message that can be used"),
        ("t.jsonl", b"\xff\n", "no message that can be used"),
        ("t.jsonl.gz", gzip.compress(b'{"id": "a"}\n' * 100, mtime=0)[:-12], "t.jsonl.gz"),
        ("t.jsonl.gz", gzip.compress(b"x" * 100, mtime=0)[:12] + b"\xff" * 30, "t.jsonl.gz"),
        ("t.jsonl.gz", b"no gzip", "t.jsonl.gz"),
    ],
)
def test_bad_files_are_refused(name: str, content: bytes, said: str, tmp_path: Path) -> None:
    assert said in refusal(written(tmp_path / name, content))


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    assert "is no file" in refusal(tmp_path)
    assert "No such file" in refusal(tmp_path / "absent.parquet")
    assert "too long" in refusal(tmp_path / ("x" * 300 + ".parquet"))


@pytest.mark.parametrize(
    ("column", "values"),
    [
        ("sent_at", pa.array([True])),
        ("sent_at", pa.array([[1]])),
        ("sent_at", pa.array([1], pa.time64("us"))),
        ("username", pa.array([["alice"]])),
        ("username", pa.array([{"name": "alice"}])),
        ("topic", pa.array([["x"]])),
    ],
    ids=str,
)
def test_a_column_of_another_type_is_refused(column: str, values: pa.Array, tmp_path: Path) -> None:
    columns = {"sent_at": [MOMENT], "topic": [TOPIC], "username": ["alice"], column: values}
    assert f"{column} is of type" in refusal(parquet(tmp_path / "t.parquet", **columns))


def test_a_truncated_parquet_is_refused(tmp_path: Path) -> None:
    path = of_times(tmp_path / "t.parquet", [MOMENT] * 1_000)
    content = path.read_bytes()
    for length in range(1, len(content), 97):
        refusal(written(path, content[:length]))


def dead_bodies(source: Source) -> Sequence[bytes]:
    return [letter.body for letter in source.dead]


def test_broken_lines_are_dead_letters_kept_whole(tmp_path: Path) -> None:
    good = b'{"id": "a", "topic": "x.y.prod.z", "headers": {"sent-at": "2024-06-03T10:00:00"}, "body": {"user": "a"}}'
    long = b"{" + b"x" * 1_000
    surrogate = b'{"id": "\\ud800", "topic": "t", "headers": {"sent-at": "2024-06-03T10:00:00"}, "body": {}}'
    path = written(tmp_path / "t.jsonl", b"\n".join([long + b"1", good, long + b"2", surrogate, b"", b"7"]))
    rows, source = read(path)
    assert rows == [(MOMENT, "x.y.prod.z", "a")]
    assert [letter.reason for letter in source.dead] == ["json", "json", "msg_id", "json"]
    assert dead_bodies(source)[0].strip() == long + b"1"
    assert source.dead[2].msg_id == "\\ud800"
    assert len({letter.key() for letter in source.dead}) == 4
