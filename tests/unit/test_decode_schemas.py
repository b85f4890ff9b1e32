"""The registry of message classes survives whatever is installed, or is not."""

import logging
import socket
from importlib.metadata import EntryPoint
from typing import Any

import pytest
from fedora_messaging.message import Message

from consumer.schemas import OTHER, Schemas
from consumer.validators import InvalidError, Validator


def entry_point(name: str, value: str) -> EntryPoint:
    return EntryPoint(name, value, "fedora.messages")


class Custom(Message):
    """A class like those of a schema package."""


class Newer(Message):
    """Another package's class of the same name."""


CUSTOM = f"{__name__}:Custom"


def built(schemas: Schemas, name: str, topic: str = "a.b.prod.c") -> Message:
    return schemas.build(topic, {"fedora_messaging_schema": name}, {}, "id")


@pytest.mark.parametrize("value", ["no_such_module:Class", f"{__name__}:entry_point", f"{__name__}:absent"])
def test_a_broken_package_falls_back_and_harms_no_other(value: str, caplog: pytest.LogCaptureFixture) -> None:
    schemas = Schemas([entry_point("broken", value), entry_point("good", CUSTOM)])
    with caplog.at_level(logging.WARNING):
        messages = [built(schemas, "broken") for _ in range(3)]
    assert [type(message) for message in messages] == [Message] * 3
    assert schemas.fallbacks == {"a.b.prod.c": 3}
    assert len(caplog.records) == 1, "warned once per schema, not per message"
    assert type(built(schemas, "good")) is Custom
    assert schemas.fallbacks.total() == 3


def test_of_two_packages_the_last_one_that_loads_is_used() -> None:
    newer = entry_point("twice", f"{__name__}:Newer")
    assert type(built(Schemas([entry_point("twice", CUSTOM), newer]), "twice")) is Newer
    schemas = Schemas([entry_point("twice", CUSTOM), entry_point("twice", "no_such_module:Class")])
    assert type(built(schemas, "twice")) is Custom


def test_the_warning_says_what_to_install(caplog: pytest.LogCaptureFixture) -> None:
    headers = {"fedora_messaging_schema": "x.v1", "fedora_messaging_schema_package": "x_messages"}
    Schemas([]).build("t", headers, {}, "id")
    assert "install 'x_messages'" in caplog.text


def test_names_from_the_wire_do_not_fill_the_memory() -> None:
    schemas = Schemas([])
    for n in range(1_500):
        built(schemas, f"schema{n}", f"topic{n}")
    assert len(schemas.fallbacks) <= 1_001
    assert schemas.fallbacks[OTHER] == 500
    assert len(schemas._classes) <= 1_000


def test_the_message_has_its_id_and_its_headers_are_its_own() -> None:
    headers = {"sent-at": "x"}
    message = Schemas([]).build("t", headers, {}, "id-7")
    message.priority = 3
    assert message.id == "id-7"
    assert headers == {"sent-at": "x"}


def test_a_schema_that_is_a_property_is_asked_for_every_message() -> None:
    class Fickle(Message):
        @property
        def body_schema(self) -> dict[str, Any]:  # type: ignore[override]
            return {"$schema": "http://json-schema.org/draft-04/schema#", "required": [self.body["needs"]]}

    schemas = Schemas([])
    properties = Message({}, properties=schemas.build("t", {}, {}, "id")._properties)._properties
    schemas.validate(Fickle({"needs": "a", "a": 1}, properties=properties))
    schemas.validate(Fickle({"needs": "b", "b": 1}, properties=properties))
    with pytest.raises(InvalidError):
        schemas.validate(Fickle({"needs": "c"}, properties=properties))


@pytest.mark.parametrize(
    "draft", ["http://json-schema.org/draft-04/schema#", "http://json-schema.org/draft-07/schema#"]
)
def test_no_schema_starts_a_network_fetch(draft: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> Any:
        pytest.fail("a schema must not reach the network")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    for reference in ("http://198.51.100.1/x.json", "ftp://198.51.100.1/x.json", "file:///etc/passwd"):
        validator = Validator({"$schema": draft, "properties": {"a": {"$ref": reference}}})
        validator.check({})
        with pytest.raises(Exception, match=reference):
            validator.check({"a": 1})


def test_an_invalid_schema_matches_nothing() -> None:
    with pytest.raises(InvalidError, match="schema itself"):
        Validator({"$schema": "http://json-schema.org/draft-04/schema#", "type": "nonsense"})
