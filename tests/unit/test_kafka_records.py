"""Records: what goes in comes out, and what is none of ours is refused with a reason."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consumer.delivery import Poison
from consumer.kafka_records import (
    ID_HEADER,
    accepted_record,
    coverage_record,
    dead_record,
    event_of,
    event_record,
    parse_accepted,
    parse_event,
    parse_note,
)
from state.dead_letters import DeadLetter
from state.event import Event, service_of
from state.weeks import event_time_of

AT = event_time_of("2024-06-03T12:00")
NOW = AT + 1

_texts = st.text(st.characters(exclude_categories=["Cc", "Cs", "Zl", "Zp"]), min_size=1, max_size=40).filter(str.strip)
_maybe = st.none() | _texts
_events = st.builds(
    lambda msg_id, at, topic, user, **more: Event(
        msg_id, at, topic=topic, user=user, service=service_of(topic), **more
    ),
    _texts,
    st.integers(event_time_of("1990-01-01"), NOW),
    _texts,
    _maybe,
    received_at=st.none() | st.integers(0, 1 << 53),
    role=st.sampled_from(("actor", "affected")),
    project=_maybe,
    namespace=_maybe,
    object=_maybe,
    size=st.none() | st.integers(-(1 << 53), 1 << 53),
    unit=_maybe,
    content_hash=_maybe,
    is_bot=st.booleans(),
)


@given(_events)
def test_an_event_comes_back(event: Event) -> None:
    record = event_record(event)
    assert parse_event(record.key, record.value, NOW) == event
    assert dict(record.headers) == {ID_HEADER: event.msg_id.encode()}
    assert record.key == (event.user or event.msg_id).encode()


@given(st.lists(_events, max_size=5))
def test_accepted_events_come_back(events: list[Event]) -> None:
    found = parse_accepted(accepted_record([event_record(event).value for event in events]))
    assert [event_of(one, NOW) for one in found] == events


@given(st.binary(max_size=60), st.none() | st.binary(max_size=60))
def test_whatever_else_is_refused(key: bytes, value: bytes | None) -> None:
    for reader in (lambda: parse_event(key, value, NOW), lambda: parse_accepted(value), lambda: parse_note(value)):
        with pytest.raises(Poison):
            reader()


GOOD = {"v": 1, "id": "one", "at": AT, "topic": "a.b.prod.c", "user": "ada"}


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"v": 2}, "schema"),
        ({"v": None}, "schema"),
        ({"id": ""}, "msg_id"),
        ({"id": "x" * 256}, "msg_id"),
        ({"topic": 7}, "topic"),
        ({"user": "a\nb"}, "username"),
        ({"at": "2024-06-03"}, "sent_at"),
        ({"at": True}, "sent_at"),
        ({"at": 0}, "sent_at"),
        ({"at": NOW + 601_000_000}, "sent_at"),
        ({"role": "owner"}, "schema"),
        ({"size": "3"}, "schema"),
        ({"project": "a\x00"}, "schema"),
        ({"is_bot": 1}, "schema"),
    ],
)
def test_the_reason_says_which_field(change: dict[str, object], reason: str) -> None:
    with pytest.raises(Poison) as refused:
        parse_event(b"ada", json.dumps(GOOD | change).encode(), NOW)
    assert refused.value.reason == reason


@pytest.mark.parametrize(("key", "said"), [(None, "no key"), (b"bob", "is not its user"), (b"", "is not its user")])
def test_a_key_must_be_the_user(key: bytes | None, said: str) -> None:
    with pytest.raises(Poison, match=said):
        parse_event(key, json.dumps(GOOD).encode(), NOW)


def test_notes_come_back() -> None:
    letter = DeadLetter(1, "json", "no JSON", "kafka", "id", "topic", None, b"{\xffbody")
    told = parse_note(dead_record(letter))
    assert isinstance(told, DeadLetter)
    assert told._replace(body=letter.body) == letter
    assert parse_note(coverage_record("amqp", 5, 7)) == ("amqp", 5, 7)
