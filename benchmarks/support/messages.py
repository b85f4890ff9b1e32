"""Two messages of Fedora's bus, as it carries them: a small one of noggin's and a large one of pagure's."""

import json
from collections.abc import Iterator
from random import Random

import pika

from consumer.simulation.model import SimMessage
from consumer.simulator import wire
from state.weeks import SECOND, week_named, week_start

#: Event time of the first message.
START = week_start(week_named("2024-06-03"))

#: Makes the body of an issue 2 kB.
_REPORT = "After the update of last night the build stops half way through and the log ends in mid-sentence. " * 9

KINDS = {"noggin": "fas.user.create", "pagure": "pagure.issue.new"}

#: (topic, properties, body)
Published = tuple[str, pika.BasicProperties, bytes]


def messages(kind: str, count: int, users: int, start: int = START) -> Iterator[Published]:
    """So many messages of "noggin" or "pagure", a second apart, by users named like those of the archives.

    A "noggin" message creates an account; the same arguments give the same messages.
    """
    random = Random(f"{kind} from {start}")
    for number in range(count):
        text = _REPORT if kind == "pagure" else ""
        user = f"u{number % users:07d}"
        yield published(SimMessage(start + number * SECOND, random.getrandbits(128), KINDS[kind], user, (), text))


def published(message: SimMessage) -> Published:
    """The message as fedora-messaging publishes it."""
    on_wire = wire(message)
    properties = pika.BasicProperties(
        content_type="application/json",
        content_encoding="utf-8",
        delivery_mode=2,
        message_id=on_wire["id"],
        headers=on_wire["headers"],
        priority=on_wire["priority"],
    )
    return on_wire["topic"], properties, json.dumps(on_wire["body"]).encode()
