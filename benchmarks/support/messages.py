"""Messages of Fedora's bus, as it carries them: small ones of noggin's, large ones of pagure's, and an attack."""

import json
from collections.abc import Iterator
from random import Random
from string import ascii_lowercase

import pika

from consumer.simulation.model import SimMessage
from consumer.simulator import wire
from state.weeks import SECOND, week_named, week_start

#: Event time of the first message.
START = week_start(week_named("2024-06-03"))

#: Makes the body of an issue 2 kB.
_REPORT = "After the update of last night the build stops half way through and the log ends in mid-sentence. " * 9

#: Kind -> the actions that its messages have in turn.
KINDS = {
    "noggin": ("fas.user.update",),
    "pagure": ("pagure.issue.new",),
    "attack": ("fas.user.create", "pagure.issue.new"),
}

#: (topic, properties, body)
Published = tuple[str, pika.BasicProperties, bytes]


def messages(kind: str, count: int, users: int, start: int = START) -> Iterator[Published]:
    """So many messages of a kind, a second apart, by users named like those of the archives.

    "attack" is what the detectors have most to do with: each user signs up, then posts the text that all of them post.
    The same arguments give the same messages.
    """
    random = Random(f"{kind} from {start}")
    actions = KINDS[kind]
    for number in range(count):
        user = f"u{number // len(actions) % users:07d}"
        action = actions[number % len(actions)]
        title = "" if kind == "attack" else "".join(random.choices(ascii_lowercase, k=20))
        text = f"{title} {_REPORT}" if action == "pagure.issue.new" else ""
        yield published(SimMessage(start + number * SECOND, random.getrandbits(128), action, user, (), text))


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
