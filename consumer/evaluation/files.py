"""A history out of files: events as any archive has them, and the truth about the accounts."""

import csv
import json
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from consumer.archive import open_archive, reading_archive
from consumer.evaluation.history import Action, History, history_of
from consumer.simulator import Account, Surge
from state.duck import connect
from state.errors import ArchiveError
from state.weeks import WEEK, event_time_of

_COLUMNS = ("account", "label", "style", "onset")
_LABELS = {"organic", "core", "bot", "spam"}


def read(events: Path, truth: Path, learned_weeks: int, now: int) -> History:
    """The history of an archive and its truth.csv; beside that, truth.json names bots, surges and waves.

    learned_weeks: the first ones, which detectors may learn from. now: processing time, microseconds. Raises
    ArchiveError where a file cannot be read as what it has to be.
    """
    accounts = list(_accounts(truth.with_suffix(".csv")))
    beside = truth.with_suffix(".json")
    described = _described(beside) if beside.exists() else {}
    actions = _actions(events, now)
    start, end = actions[0].at, actions[-1].at + 1
    boundary = start + learned_weeks * WEEK
    if end < boundary + WEEK:
        raise ArchiveError(f"{events} holds {(end - start) / WEEK:.1f} weeks: needed are more than {learned_weeks + 1}")
    surges = [*_surges(beside, described, "surges", benign=True), *_surges(beside, described, "waves", benign=False)]
    return history_of(actions, accounts, surges, described.get("bots", ()), (start, boundary, end))


def _actions(path: Path, now: int) -> list[Action]:
    """What actors did, by event time."""
    with TemporaryDirectory() as spill, connect(Path(spill)) as duck:
        source = open_archive(duck, path, now)
        with reading_archive(path):
            found = duck.execute(
                f"""SELECT epoch_us(sent_at), coalesce(msg_id, md5(concat_ws(' ', sent_at, topic, username))),
                topic, username FROM {source.relation} WHERE username IS NOT NULL AND role = 'actor' ORDER BY 1, 2"""
            ).fetchall()
    if not found:
        raise ArchiveError(f"{path} names nobody who acted: an evaluation needs users")
    return [Action(*row) for row in found]


def _accounts(path: Path) -> Iterator[Account]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = csv.DictReader(file)
            if missing := set(_COLUMNS) - set(rows.fieldnames or ()):
                raise ArchiveError(
                    f"{path} has no column {', '.join(sorted(missing))}: needed are {', '.join(_COLUMNS)}"
                )
            for row in rows:
                if row["label"] not in _LABELS:
                    raise ArchiveError(
                        f"{path} line {rows.line_num}: label is {row['label']!r}; one of {', '.join(sorted(_LABELS))}"
                    )
                yield Account(row["account"], row["label"], row["style"], _moment(row["onset"], path, rows.line_num))  # type: ignore[arg-type]  # looked at above
    except OSError as error:
        raise ArchiveError(f"{path} cannot be read: {error.strerror}") from None
    except (UnicodeDecodeError, csv.Error) as error:
        raise ArchiveError(f"{path} is no CSV: {error}") from None


def _described(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ArchiveError(f"{path} cannot be read as JSON: {error}") from None
    if not isinstance(found, dict):
        raise ArchiveError(f"{path}: expected one object with bots, surges and waves")
    return found


def _surges(path: Path, described: dict[str, Any], key: str, *, benign: bool) -> Iterator[Surge]:
    for one in described.get(key, ()):
        try:
            yield Surge(str(one["kind"]), event_time_of(one["start"]), event_time_of(one["end"]), benign)
        except (KeyError, TypeError, ValueError):
            raise ArchiveError(f"{path}: expected {key} with kind, start and end, got {one!r}") from None


def _moment(text: str | None, path: Path, line: int) -> int | None:
    try:
        return event_time_of(text) if text else None
    except ValueError:
        raise ArchiveError(f"{path} line {line}: onset is {text!r}; expected an ISO 8601 time or nothing") from None
