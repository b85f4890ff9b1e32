"""Whatever comes in, decoding gives events that can be kept, or Poison."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consumer.decode import Decoded, Delivery, Poison, decode, decode_record
from consumer.schemas import SCHEMAS
from state.event import event_key
from state.weeks import SECOND

NOW = 1_718_000_000 * SECOND

# Lone surrogates and control characters included: JSON can carry both.
TEXT = st.text(st.characters(exclude_categories=()), max_size=12) | st.sampled_from(["None", "ada", "a" * 300, "x\0"])
WORDS = st.sampled_from(
    [
        *("agent", "user", "username", "usernames", "name", "sender", "owner", "attendees", "lines_said"),
        *("msg", "body", "webhook_body", "post", "comment", "comments", "text", "issue", "update", "bot"),
        *("commit", "stats", "total", "additions", "deletions", "length", "new", "old", "title", "url", "id"),
        *("topic_id", "type", "copr", "project", "namespace", "repo", "IPA_API_PARAMS", "IPA_API_ACTOR"),
    ]
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS | TEXT, inner, max_size=5),
    max_leaves=20,
)
NAMES = sorted(SCHEMAS._entry_points())
TOPICS = st.sampled_from(
    [
        *("fas.user.create", "wiki.article.edit", "meetbot.meeting.complete", "discourse.post.post_created"),
        *("git.receive", "pagure.issue.comment.added", "github.x", "bodhi.update.comment"),
    ]
).map("org.fedoraproject.prod.{}".format)
TIMES = st.sampled_from(["2024-06-03T10:00:00Z", "2024-06-03", "2038-01-01", "1969-12-31T23:59:59+00:00"])
HEADERS = st.fixed_dictionaries(
    {},
    optional={
        "sent-at": TIMES | TIMES | JSON,
        "fedora_messaging_schema": st.sampled_from(NAMES or ["none"]) | JSON,
        "fedora_messaging_severity": st.sampled_from([20, 20, 21, None]),
        "fedora_messaging_user_ada": JSON,
    },
)
ENCODINGS = st.sampled_from(["utf-8", "utf-8", None, "utf-16", "utf-7", "idna", "hex", "undefined", "latin-1", "a\0b"])


def check(decoded: Decoded) -> None:
    assert decoded.events
    assert len({event.user for event in decoded.events}) == len(decoded.events)
    for event in decoded.events:
        assert (event.msg_id, event.at) == (decoded.msg_id, decoded.at)
        event_key(event.msg_id, event.user)
        for field in event:
            if isinstance(field, str):
                assert field.encode()
                assert not {"\0", "\n"} & set(field)
            elif isinstance(field, int):
                assert -(2**63) <= field < 2**63


def survives(decoding: Any) -> None:
    try:
        check(decoding())
    except Poison as poison:
        detail, reason = poison.detail, poison.reason
    else:
        return
    assert reason.isidentifier()
    assert "\n" not in detail
    detail.encode()


@given(TOPICS | TOPICS | TEXT, HEADERS | JSON, JSON, TEXT | st.none(), ENCODINGS)
def test_any_json(topic: Any, headers: Any, body: Any, msg_id: Any, encoding: Any) -> None:
    survives(lambda: decode(Delivery(topic, headers, json.dumps(body).encode(), msg_id, encoding), NOW))


@given(TOPICS, st.dictionaries(WORDS, JSON, max_size=6), st.sampled_from(NAMES or ["none"]))
def test_any_object_with_any_schema(topic: str, body: Any, name: str) -> None:
    headers = {"sent-at": "2024-06-03T10:00:00Z", "fedora_messaging_schema": name}
    for validate in (True, False):
        record = {"id": "m", "topic": topic, "headers": headers, "body": body}
        survives(lambda v=validate, r=record: decode_record(r, NOW, validate=v))


@given(st.binary(max_size=40), ENCODINGS)
def test_any_bytes(body: bytes, encoding: Any) -> None:
    headers = {"sent-at": "2024-06-03T10:00:00Z"}
    survives(lambda: decode(Delivery("a.b.prod.c", headers, body, "id", encoding), NOW))


@given(JSON | st.fixed_dictionaries({}, optional={
    "id": JSON, "msg_id": TEXT, "topic": TOPICS | JSON, "headers": HEADERS | JSON, "body": JSON, "msg": JSON,
    "timestamp": st.floats() | st.integers() | TIMES | JSON,
}))  # fmt: skip
def test_any_record(record: Any) -> None:
    survives(lambda: decode_record(record, NOW))


@pytest.mark.parametrize("opening", ['{"agent":', "[", '{"msg":{"user":'])
def test_deep_nesting(opening: str) -> None:
    headers = {"sent-at": "2024-06-03T10:00:00Z"}
    for depth in (500, 900, 990, 1_000, 5_000, 200_000):
        closing = {"[": "]"}.get(opening, "}" * opening.count("{"))
        body = opening * depth + "1" + closing * depth
        survives(lambda b=body: decode(Delivery("a.b.prod.c", headers, b.encode(), "id", None), NOW))
