"""A seeded community with its ground truth, for tests, evaluation and the demo.

Everything is a function of the scenario: equal scenarios give equal messages, whatever the clock says.
"""

import csv
import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from consumer.content import content_hash
from consumer.simulation.bots import BOTS
from consumer.simulation.community import Community
from consumer.simulation.evaluation import evaluation_scenario
from consumer.simulation.kinds import KINDS, message_id, wire
from consumer.simulation.model import Account, Label, Scenario, SimMessage, Surge
from consumer.simulation.programmes import definitions_toml
from state.duck import connect, literal
from state.log import load_rows
from state.weeks import iso

__all__ = [
    "BOTS",
    "Account",
    "Label",
    "Row",
    "Scenario",
    "SimMessage",
    "Simulation",
    "Surge",
    "definitions_toml",
    "evaluation_scenario",
    "live",
    "rows",
    "simulate",
    "wire",
    "write",
]

#: Rows handed to DuckDB at a time.
_ROWS_AT_ONCE = 20_000

#: The file's columns; sent_at is handed over in microseconds.
_COLUMNS = {
    "msg_id": "VARCHAR",
    "sent_at": "BIGINT",
    "topic": "VARCHAR",
    "username": "VARCHAR",
    "role": "VARCHAR",
    "object": "VARCHAR",
    "size": "BIGINT",
    "unit": "VARCHAR",
    "namespace": "VARCHAR",
    "content_hash": "VARCHAR",
}


class Row(NamedTuple):
    """One (message, user) pair, in the columns of an archive."""

    msg_id: str
    sent_at: int  #: event time, microseconds since 1970 UTC
    topic: str
    username: str
    role: str  #: "actor" or "affected"
    object: str | None
    size: int | None
    unit: str | None
    namespace: str | None
    content_hash: str | None


@dataclass(frozen=True, slots=True)
class Simulation:
    """A history and the truth about it.

    messages: by event time, all in [scenario.start, scenario.end).
    truth: every account that a message names, by name.
    surges: times in which many signed up or acted at once, benign and not, that began within the history.
    """

    scenario: Scenario
    messages: list[SimMessage]
    truth: list[Account]
    surges: list[Surge]


def simulate(scenario: Scenario) -> Simulation:
    """Live the scenario's weeks. Raises HomecomingError for an incident of unknown style."""
    community, end = Community(scenario), scenario.end
    messages = [m for _ in range(scenario.weeks) for m in community.week() if m.at < end]
    named = {name for m in messages for name in m.others} | {m.user for m in messages if m.user is not None}
    return Simulation(
        scenario,
        messages,
        truth=[community.accounts[name] for name in sorted(named)],
        surges=[surge for surge in community.surges if surge.start < end],
    )


def live(source: Scenario | Simulation, from_at: int) -> Iterator[SimMessage]:
    """The same community's messages from the event time `from_at` on, by event time, without end.

    After `simulate`, `live(..., scenario.end)` goes on with the very next message. The first message
    takes as long as the weeks before it take to simulate again.
    """
    community = Community(source.scenario if isinstance(source, Simulation) else source)
    while True:
        for message in community.week():
            if message.at >= from_at:
                yield message


def rows(messages: Simulation | Iterable[SimMessage]) -> Iterator[Row]:
    """One row per (message, user), the actor first; a message that names nobody has none."""
    for message in messages.messages if isinstance(messages, Simulation) else messages:
        if message.user is None:
            continue
        kind = KINDS[message.kind]
        size, written = kind.size(message), kind.written(message)
        row = Row(
            message_id(message.bits),
            message.at,
            kind.topic,
            message.user,
            "actor",
            kind.object(message),
            size,
            None if size is None else "lines",
            kind.namespace(message),
            None if written is None else content_hash(written),
        )
        yield row
        for name in message.others:
            if name != message.user:
                yield row._replace(username=name, role="actor" if kind.together else "affected")


def write(simulation: Simulation, directory: Path, *, messages: bool = False) -> None:
    """Write events.parquet, truth.csv and truth.json there, and messages.jsonl on request.

    Equal simulations give equal bytes under equal library versions. OSError where it cannot be written.
    """
    directory.mkdir(parents=True, exist_ok=True)
    _write_events(simulation, directory / "events.parquet")
    if messages:
        with (directory / "messages.jsonl").open("w", encoding="utf-8") as lines:
            for message in simulation.messages:
                lines.write(json.dumps(wire(message), ensure_ascii=False, sort_keys=True) + "\n")
    with (directory / "truth.csv").open("w", encoding="utf-8", newline="") as table:
        out = csv.writer(table, lineterminator="\n")
        out.writerow(("account", "label", "style", "onset"))
        out.writerows((a.name, a.label, a.style, "" if a.onset is None else iso(a.onset)) for a in simulation.truth)
    (directory / "truth.json").write_text(json.dumps(_truth(simulation), indent=2) + "\n", encoding="utf-8")


def _write_events(simulation: Simulation, path: Path) -> None:
    remaining = rows(simulation)
    with connect(path.parent) as duck:
        # One thread in the order of insertion: equal rows give equal bytes.
        duck.execute("SET threads = 1; SET preserve_insertion_order = true")
        load_rows(duck, "row", _COLUMNS, iter(lambda: list(islice(remaining, _ROWS_AT_ONCE)), []))
        duck.execute(
            "COPY (SELECT * REPLACE (make_timestamp(sent_at) AS sent_at) FROM row) "
            f"TO {literal(str(path))} (FORMAT parquet, COMPRESSION zstd)"
        )


def _truth(simulation: Simulation) -> dict[str, object]:
    scenario = simulation.scenario
    asked = asdict(scenario) | {"start": iso(scenario.start), "end": iso(scenario.end)}
    if not scenario.programmes:
        del asked["programmes"]
    intervals = [({"kind": s.kind, "start": iso(s.start), "end": iso(s.end)}, s.benign) for s in simulation.surges]
    return {
        "scenario": asked,
        "messages": len(simulation.messages),
        "bots": sorted(BOTS),
        "surges": [interval for interval, benign in intervals if benign],
        "waves": [interval for interval, benign in intervals if not benign],
    }
