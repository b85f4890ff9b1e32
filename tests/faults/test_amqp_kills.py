"""The consumer killed and cut off again and again: nothing is lost, and nothing is counted twice."""

import json
import signal
import time
from contextlib import closing
from datetime import datetime
from pathlib import Path
from random import Random

import pika
import pyarrow.parquet
import pytest

from state.duck import connect, literal
from state.importer import Source, import_source
from state.log import COLUMNS
from state.reading import Retention, Status, retention, status
from state.rules import POPULATIONS
from state.store import open_store, read_store
from tests.integration.proxy import Proxy
from tests.integration.rabbitmq import Bus, broker, bus

__all__ = ["broker", "bus"]

ROWS = 6_000

#: Faults, in an order that the seed decides; a part of the messages is published before each.
FAULTS = ["kill -9"] * 10 + ["cut"] * 3

#: Small batches, so that the faults find most of the work undone.
LIVE = "[consumer_config.live]\nbatch_messages = 10\nbatch_ms = 5\n"

Row = dict[str, object]
Wire = tuple[str, pika.BasicProperties, bytes]
Views = tuple[Status, list[Retention]]


@pytest.fixture(scope="module")
def rows(shared_data: Path) -> list[Row]:
    table = pyarrow.parquet.read_table(shared_data / "jellyfin.parquet").slice(0, ROWS)
    found: list[Row] = table.to_pylist()
    return found


def message(row: Row) -> Wire:
    sent_at, user = row["sent_at"], row["username"]
    assert isinstance(sent_at, datetime)
    headers = {"sent-at": sent_at.isoformat()}
    body = {"msg": {"agent": user, "user": user}, "user": user}
    properties = pika.BasicProperties(message_id=row["msg_id"], headers=headers, delivery_mode=2)
    return str(row["topic"]), properties, json.dumps(body).encode()


def jumbled(messages: list[Wire], random: Random) -> list[Wire]:
    """Mostly in order, as a bus is: a fifth comes twice, some of it weeks late."""
    twice = random.sample(range(len(messages)), len(messages) // 5)
    order = [(place + random.uniform(0, 100), place) for place in (*range(len(messages)), *twice)]
    late = random.sample(range(len(order)), len(order) // 100)
    for at in late:
        order[at] = (order[at][0] + random.uniform(0, len(messages)), order[at][1])
    return [messages[place] for _, place in sorted(order)]


def views(directory: Path) -> Views:
    with closing(read_store(directory)) as conn:
        return status(conn), [retention(conn, population) for population in POPULATIONS]


def imported(directory: Path, rows: list[Row], shared_data: Path) -> Views:
    """What a batch import of the same rows gives."""
    given = {"msg_id", "sent_at", "topic", "username"}
    columns = ", ".join(name if name in given else f"NULL::{kind} AS {name}" for name, kind in COLUMNS.items())
    last = rows[-1]["msg_id"]
    store = open_store(directory)
    with connect(directory) as duck:
        file = literal(str(shared_data / "jellyfin.parquet"))
        relation = f"SELECT {columns} FROM (FROM read_parquet({file}) LIMIT {len(rows)})"
        assert duck.execute(f"SELECT count(*) FROM ({relation}) WHERE msg_id = ?", [last]).fetchall() == [(1,)]
        import_source(store, duck, Source("oracle", relation))
    store.close()
    return views(directory)


@pytest.mark.parametrize("seed", [1])
def test_state_equals_a_batch_import(bus: Bus, rows: list[Row], shared_data: Path, tmp_path: Path, seed: int) -> None:
    random = Random(seed)
    messages = jumbled([message(row) for row in rows], random)
    faults = random.sample(FAULTS, len(FAULTS))
    share = len(messages) // (len(faults) + 1)
    proxy = Proxy(bus.broker.port)
    bus.configure(bus.broker.url(proxy.port))
    bus.config.write_text(bus.config.read_text() + LIVE)

    bus.consume()
    undone = 0
    for fault in faults:
        bus.publish(messages[:share])
        del messages[:share]
        time.sleep(random.uniform(0, 0.3))
        if fault == "cut":
            proxy.cut()
        else:
            assert bus.stop(signal.SIGKILL) == -signal.SIGKILL
            undone += bus.ready_messages() > 0
            bus.consume(ready=random.random() < 0.8)  # else it may be killed before it has begun
    bus.publish(messages)

    bus.settled(ROWS)
    bus.drained()
    assert bus.stop() == 0, bus.output()
    proxy.close()
    assert bus.ready_messages() == 0
    assert undone >= 3, "the kills came when all was done: they prove nothing"
    assert "Traceback" not in bus.output()
    assert views(bus.state) == imported(tmp_path / "oracle", rows, shared_data)
