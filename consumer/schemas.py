"""Message classes by schema name, and one compiled validator for each.

fedora_messaging's own registry loads every installed package before the first message and dies wholly
of one that cannot be loaded. Here each class is loaded on first use, in its own try.
"""

import logging
from collections import Counter
from collections.abc import Iterable, Mapping
from importlib.metadata import EntryPoint, entry_points
from typing import Any

import pika
from fedora_messaging.message import Message

from consumer.validators import Validator

_log = logging.getLogger(__name__)

_GROUP = "fedora.messages"
SCHEMA_HEADER = "fedora_messaging_schema"

#: Topics and schema names come from the wire: beyond this many, the rest share one entry.
_MAX_NAMES = 1_000
OTHER = "other"


def headers_of(message: Message) -> Mapping[str, Any]:
    """The message's AMQP headers, for which the library has no public name."""
    # Not `_headers`, whose type annotation is worked out at each call: a message is asked three times.
    return message._properties.headers or {}  # noqa: SLF001


class Schemas:
    """The installed message classes.

    fallbacks: messages per topic whose schema is missing or cannot be loaded, so that the people in them
    are read from well-known fields instead.
    """

    def __init__(self, installed: Iterable[EntryPoint] | None = None) -> None:
        """installed: the entry points to use; by default those of this Python environment."""
        self.fallbacks: Counter[str] = Counter()
        self._installed = installed
        self._by_name: dict[str, list[EntryPoint]] | None = None
        self._classes: dict[str, type[Message] | None] = {}
        self._validators: dict[tuple[type[Message], str], Validator] = {}

    def build(self, topic: str, headers: Mapping[str, Any], body: Any, msg_id: str | None) -> Message:
        """The message, not validated yet. Raises whatever its class raises."""
        headers = dict(headers)
        message_class = self._class_of(topic, headers)
        # Without properties the constructor makes its own, and loads every installed class to do so.
        properties = pika.BasicProperties(headers=headers, message_id=msg_id)
        return message_class(body=body, topic=topic, properties=properties)

    def validate(self, message: Message) -> None:
        """Raises InvalidError where `message.validate()` raises, and whatever a schema property raises."""
        for kind in (Message, type(message)):
            own: Any = Message if kind is Message else message
            if kind is Message or own.headers_schema is not Message.headers_schema:
                self._validator(kind, "headers", own.headers_schema).check(headers_of(message))
            if kind is Message or own.body_schema is not Message.body_schema:
                self._validator(kind, "body", own.body_schema).check(message.body)

    def count_fallback(self, topic: str) -> None:
        """One more message of this topic without its schema."""
        known = topic in self.fallbacks or len(self.fallbacks) < _MAX_NAMES
        self.fallbacks[topic if known else OTHER] += 1

    def _validator(self, kind: type[Message], part: str, schema: Any) -> Validator:
        found = self._validators.get((kind, part))
        # A schema may be a property that makes it anew for every message.
        if found is None or (found.schema is not schema and found.schema != schema):
            found = self._validators[kind, part] = Validator(schema)
        return found

    def _class_of(self, topic: str, headers: Mapping[str, Any]) -> type[Message]:
        name = headers.get(SCHEMA_HEADER)
        if name is None:
            return Message
        if not isinstance(name, str):
            raise TypeError(f"the header {SCHEMA_HEADER} is no text")
        try:
            found = self._classes[name]
        except KeyError:
            found = self._load(name, headers.get("fedora_messaging_schema_package"))
            if len(self._classes) < _MAX_NAMES:
                self._classes[name] = found
        if found is None:
            self.count_fallback(topic)
            return Message
        return found

    def _load(self, name: str, package: Any) -> type[Message] | None:
        """The class, or None with one warning that says why not and what to do."""
        why = "no installed package has it"
        # Where two packages have the same name, the last one wins, as in fedora_messaging.
        for entry_point in reversed(self._entry_points().get(name, [])):
            try:
                found = entry_point.load()
                if isinstance(found, type) and issubclass(found, Message):
                    return found
                why = f"{entry_point.value} is no message class"
            except Exception as error:  # noqa: BLE001 - a broken package may raise anything on import
                why = f"{entry_point.value} cannot be loaded ({type(error).__name__}: {error})"
        if len(self._classes) < _MAX_NAMES:
            hint = f"install {package!r}" if package else "install the package that defines it"
            _log.warning("Schema %r: %s. Reading well-known fields instead; %s.", name, why, hint)
        return None

    def _entry_points(self) -> dict[str, list[EntryPoint]]:
        if self._by_name is None:
            self._by_name = {}
            for entry_point in entry_points(group=_GROUP) if self._installed is None else self._installed:
                self._by_name.setdefault(entry_point.name, []).append(entry_point)
        return self._by_name


#: The classes installed here, shared by every source of this process.
SCHEMAS = Schemas()
