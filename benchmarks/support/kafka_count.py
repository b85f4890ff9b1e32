"""The plain way: a Faust agent that counts the events of each user in a table, one by one.

python -m benchmarks.support.kafka_count BOOTSTRAP TOPIC PARTITIONS NAME DIRECTORY
"""

import sys
from typing import Any

import faust

BOOTSTRAP, TOPIC, PARTITIONS, NAME, DIRECTORY = sys.argv[1:]

app = faust.App(
    NAME,
    broker=f"kafka://{BOOTSTRAP}",
    store="rocksdb://",
    datadir=DIRECTORY,
    topic_partitions=int(PARTITIONS),
    topic_disable_leader=True,
    web_enabled=False,
)
events = app.topic(TOPIC, key_type=str, value_type=None, key_serializer="raw", value_serializer="json")
counts = app.Table("counts", default=int, partitions=int(PARTITIONS))


@app.agent(events)
async def count(stream: Any) -> None:
    async for event in stream:
        counts[event["user"]] += 1


if __name__ == "__main__":
    faust.Worker(app, loglevel="ERROR").execute_from_commandline()
