"""What becomes of one message: times, ids, names, roles and subjects."""

import json
from typing import Any

import pytest
from fedora_messaging.message import Message
from pika import BasicProperties

from consumer.content import content_hash
from consumer.decode import Decoded, Delivery, Poison, decode, decode_message, decode_record
from state.weeks import SECOND, iso

NOW = 1_718_000_000 * SECOND
MINUTE = 60 * SECOND
TOPIC = "org.fedoraproject.prod.test.done"


def delivery(body: Any, topic: str = TOPIC, **headers: Any) -> Delivery:
    sent_at = headers.pop("sent_at", "2024-06-03T10:00:00+00:00")
    return Delivery(topic, {"sent-at": sent_at, **headers}, json.dumps(body).encode(), "id-1", "utf-8")


def reason(message: Delivery, now: int = NOW) -> str:
    with pytest.raises(Poison) as caught:
        decode(message, now)
    assert "\n" not in caught.value.detail
    return caught.value.reason


def people(decoded: Decoded) -> tuple[set[str | None], set[str | None]]:
    return (
        {event.user for event in decoded.events if event.role == "actor"},
        {event.user for event in decoded.events if event.role == "affected"},
    )


def test_a_message_that_names_nobody_is_one_event() -> None:
    decoded = decode(delivery({}), NOW)
    (event,) = decoded.events
    assert (event.user, event.service, event.received_at) == (None, "test", NOW)
    assert iso(decoded.at) == "2024-06-03T10:00:00Z"


@pytest.mark.parametrize(
    ("sent_at", "expected"),
    [
        ("2024-06-03T10:00:00Z", "2024-06-03T10:00:00Z"),
        ("2024-06-03T12:00:00+02:00", "2024-06-03T10:00:00Z"),
        ("2024-06-03T10:00:00.5", "2024-06-03T10:00:00.500000Z"),
        ("2024-06-03 10:00:00", "2024-06-03T10:00:00Z"),
        ("1990-01-01T00:00:00", "1990-01-01T00:00:00Z"),
    ],
)
def test_event_time_is_utc_unless_it_says_otherwise(sent_at: str, expected: str) -> None:
    assert iso(decode(delivery({}, sent_at=sent_at), NOW).at) == expected


@pytest.mark.parametrize(
    "sent_at",
    [
        "",
        "soon",
        "1989-12-31T23:59:59Z",
        "0001-01-01T00:00:00+14:00",
        "9999-12-31T23:59:59-14:00",
        None,
        7,
        [],
    ],
)
def test_a_time_that_cannot_be_right_is_poison(sent_at: Any) -> None:
    assert reason(delivery({}, sent_at=sent_at)) == "sent_at"


def test_ten_minutes_ahead_is_the_most() -> None:
    ahead = delivery({}, sent_at=iso(NOW + 10 * MINUTE))
    assert decode(ahead, NOW).at == NOW + 10 * MINUTE
    assert reason(ahead, NOW - 1) == "sent_at"


@pytest.mark.parametrize(
    ("broken", "expected"),
    [
        (delivery({})._replace(content_encoding="hex"), "encoding"),
        (delivery({})._replace(content_encoding="no\0such"), "encoding"),
        (delivery({})._replace(body=b"\xff"), "encoding"),
        (delivery({})._replace(body=b"[" * 100_000), "json"),
        (delivery({})._replace(body=b"{"), "json"),
        (delivery([1]), "schema"),
        (delivery({})._replace(msg_id=None), "msg_id"),
        (delivery({})._replace(msg_id="a\ud800"), "msg_id"),
        (delivery({})._replace(topic=""), "topic"),
        (delivery({})._replace(topic="a\nb"), "topic"),
        (delivery({}, fedora_messaging_schema=["unhashable"]), "schema"),
        (delivery({}, fedora_messaging_severity=21), "schema"),
        (delivery({}, fedora_messaging_schema="noggin.user.create.v1"), "schema"),
        (delivery({"agent": "a\x00b"}), "username"),
        (delivery({"agent": "a\nb"}), "username"),
        (delivery({"agent": "\ud800"}), "username"),
        (delivery({"agent": "a" * 256}), "username"),
    ],
)
def test_poison_says_why(broken: Delivery, expected: str) -> None:
    if "fedora_messaging_schema" in broken.headers:
        pytest.importorskip("noggin_messages")
    assert reason(broken) == expected


def test_a_body_may_be_missing_but_not_something_else() -> None:
    assert decode(delivery(None), NOW).events[0].user is None


@pytest.mark.parametrize("nobody", [None, "", "  ", "None", 7, [], {}])
def test_what_is_no_name_names_nobody(nobody: Any) -> None:
    assert people(decode(delivery({"agent": nobody}), NOW)) == ({None}, set())


@pytest.mark.parametrize(
    ("topic", "body", "actors", "affected"),
    [
        ("test.done", {"agent": "ada", "user": "bob"}, {"ada"}, {"bob"}),
        ("test.done", {"agent": "ada", "user": {"name": "ada"}}, {"ada"}, set()),
        ("test.done", {"msg": {"user": {"username": "bob"}}}, {"bob"}, set()),
        ("test.done", {"override": {"submitter": {"name": "bob"}}}, {"bob"}, set()),
        ("test.done", {"submitter": "None", "owner": "ada"}, {"ada"}, set()),
        ("test.done", {"owner": "@group", "user": "github.com:eve"}, {None}, set()),
        ("fas.user.create", {"msg": {"agent": "admin", "user": "new"}}, {"new"}, {"admin"}),
        ("fas.user.create", {"agent": {"username": "new"}, "user": {"username": "new"}}, {"new"}, set()),
        ("wiki.article.edit", {"user": "Ralph"}, {"ralph"}, set()),
        ("discourse.post.post_created", {"webhook_body": {"post": {"username": "ada"}}}, {"ada"}, set()),
        (
            "bodhi.update.comment",
            {"comment": {"author": "ada", "text": "cc @bob. me@x.org"}},
            {"ada"},
            {"bob"},
        ),
    ],
)
def test_roles_without_a_schema(topic: str, body: Any, actors: set[str], affected: set[str]) -> None:
    assert people(decode(delivery(body, f"org.fedoraproject.prod.{topic}"), NOW)) == (actors, affected)


def test_headers_name_the_users_where_the_body_does_not() -> None:
    headers: dict[str, Any] = {"fedora_messaging_user_ada": True, "fedora_messaging_user_None": True}
    assert people(decode(delivery({}, **headers), NOW)) == ({"ada"}, set())
    assert people(decode(delivery({"agent": "bob"}, **headers), NOW)) == ({"bob"}, {"ada"})


def test_who_spoke_in_a_meeting_took_part() -> None:
    said = [{"name": "ada", "lines_said": 5}, {"name": "bob", "lines_said": 0}, {"name": "cy"}]
    body = {"end_user": "dan", "attendees": said, "chairs": ["eve"]}
    decoded = decode(delivery(body, "org.fedoraproject.prod.meetbot.meeting.complete"), NOW)
    assert people(decoded) == ({"ada", "cy"}, set())


class Odd(Message):
    """A schema class whose properties are as bad as they come."""

    answers: tuple[Any, Any]

    @property
    def agent_name(self) -> Any:
        return self._answer(self.answers[0])

    @property
    def usernames(self) -> Any:
        return self._answer(self.answers[1])

    def _answer(self, answer: Any) -> Any:
        if answer == "raise":
            raise KeyError(answer)
        return answer


def odd(agent: Any, names: Any) -> Odd:
    message = Odd({"user": "guessed"}, topic=TOPIC, properties=properties())
    message.answers = (agent, names)
    return message


@pytest.mark.parametrize(
    ("agent", "names", "actors", "affected"),
    [
        ("ada", ["bob", None, "ada", "bob", "None", ""], {"ada"}, {"bob"}),
        ("None", ["bob", "ada"], {"ada", "bob"}, set()),
        (None, "bob", {"bob"}, set()),
        (None, None, {None}, set()),
        ("ada", "raise", {"ada"}, set()),
        ("raise", ["bob"], {"bob"}, set()),
        ("raise", "raise", {"guessed"}, set()),
        ("raise", 7, {"guessed"}, set()),
    ],
)
def test_a_schema_class_is_not_trusted(agent: Any, names: Any, actors: set[str], affected: set[str]) -> None:
    assert people(decode_message(odd(agent, names), NOW)) == (actors, affected)


@pytest.mark.parametrize("names", [[7], [{"name": "ada"}], [f"u{n}" for n in range(1_001)]])
def test_names_that_cannot_be_kept_are_poison(names: Any) -> None:
    with pytest.raises(Poison) as caught:
        decode_message(odd(None, names), NOW)
    assert caught.value.reason == "username"


def properties() -> BasicProperties:
    return BasicProperties(headers={"sent-at": "2024-06-03T10:00:00Z"}, message_id="id-1")


def test_a_message_from_the_library_decodes_like_a_delivery() -> None:
    body = {"agent": "ada", "issue": {"full_url": "https://x/issue/1"}}
    message = Message(body, topic=TOPIC, properties=properties())
    sent_at = {"sent_at": "2024-06-03T10:00:00Z"}
    assert decode_message(message, NOW) == decode(delivery(body, **sent_at), NOW)


def test_both_forms_of_an_archive_say_the_same() -> None:
    new = {
        "id": "1",
        "topic": TOPIC,
        "headers": {"sent-at": "2024-06-03T10:00:00Z"},
        "body": {"agent": "ada"},
    }
    old = {"msg_id": "1", "topic": TOPIC, "headers": None, "timestamp": 1717408800.0, "msg": {"agent": "ada"}}
    assert decode_record(new, NOW) == decode_record(old, NOW)
    assert decode_record({**old, "timestamp": "2024-06-03T10:00:00"}, NOW) == decode_record(new, NOW)
    assert decode_record(new, NOW).events[0].received_at is None


def test_a_message_without_an_id_gets_the_same_one_every_time() -> None:
    record = {"topic": TOPIC, "timestamp": 1717408800, "msg": {"agent": "ada"}}
    first = decode_record(record, NOW)
    assert first == decode_record(dict(record), NOW)
    assert first.events[0].msg_id == first.msg_id
    assert first.msg_id != decode_record({**record, "msg": {"agent": "bob"}}, NOW).msg_id
    assert first.msg_id != decode_record({**record, "timestamp": 1717408801}, NOW).msg_id


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"commit": {"stats": {"total": {"additions": 3, "deletions": 10, "lines": 13}}}}, (-7, "lines")),
        ({"commit": {"stats": {"total": {"insertions": 26, "deletions": 0}}}}, (26, "lines")),
        ({"commit": {"stats": {"total": {"additions": "3", "deletions": 1}}}}, (None, None)),
        ({"length": {"new": 90, "old": 100}}, (-10, "bytes")),
        ({"length": {"new": 90, "old": None}}, (90, "bytes")),
        ({"length": {"new": True, "old": 1}}, (None, None)),
        ({"length": {"new": 2**70, "old": 1}}, (None, None)),
        ({"length": 5}, (None, None)),
    ],
)
def test_sizes_are_signed(body: Any, expected: tuple[int | None, str | None]) -> None:
    event = decode(delivery(body), NOW).events[0]
    assert (event.size, event.unit) == expected


def test_subject_of_an_issue() -> None:
    body = {
        "agent": "ada",
        "issue": {"full_url": "https://x/issue/1", "title": "Buy", "content": "licence  keys NOW\n", "comments": []},
        "project": {"name": "tickets", "namespace": "council"},
    }
    event = decode(delivery(body, "io.pagure.prod.pagure.issue.new"), NOW).events[0]
    assert event[7:10] == ("tickets", "council", "https://x/issue/1")
    assert event.content_hash == content_hash("Buy licence keys NOW") is not None
    assert "Buy" not in repr(event)


def test_posts_of_one_discussion_share_an_object() -> None:
    def object_of(kind: str, event: Any) -> str | None:
        body = {"webhook_headers": {"X-Discourse-Instance": "https://ask"}, "webhook_body": event}
        return decode(delivery(body, f"org.fedoraproject.prod.discourse.{kind}"), NOW).events[0].object

    assert object_of("topic.topic_created", {"topic": {"id": 5}}) == "https://ask/t/5"
    assert object_of("post.post_created", {"post": {"id": 9, "topic_id": 5}}) == "https://ask/t/5"


def test_bots_that_say_so() -> None:
    assert decode(delivery({"agent": "ada", "bot": True}), NOW).events[0].is_bot
    assert decode(delivery({"body": {"sender": {"login": "b", "type": "Bot"}}}), NOW).events[0].is_bot
    assert not decode(delivery({"agent": "robot"}), NOW).events[0].is_bot


def test_an_edit_that_closes_an_issue_says_so() -> None:
    def object_of(status: str, *fields: str) -> str | None:
        body = {"agent": "ada", "fields": [*fields], "issue": {"full_url": "https://x/issue/1", "status": status}}
        return decode(delivery(body, "io.pagure.prod.pagure.issue.edit"), NOW).events[0].object

    assert object_of("Closed", "status", "close_status") == "https://x/issue/1#closed"
    assert object_of("Open", "status") == "https://x/issue/1"
    assert object_of("Closed", "title") == "https://x/issue/1", "it was closed before"


def test_mails_of_one_thread_share_an_object_up_to_the_hash() -> None:
    archive = "https://lists.example/archives/list/devel@lists.example"

    def object_of(**headers: str) -> str | None:
        said = {key.replace("_", "-"): text for key, text in headers.items()}
        body = {
            "mlist": {"list_name": "devel", "fqdn_listname": "devel@lists.example"},
            "msg": {"from": "Ada <ada@example.org>", "date": "Mon, 03 Jun 2024 00:00:00 +0000", **said},
            "url": f"{archive}/message/OWNHASH/",
            "usernames": ["ada"],
        }
        event = decode(delivery(body, "org.fedoraproject.prod.mailman.receive"), NOW).events[0]
        assert event.project == "devel"
        return event.object

    opening = object_of(message_id="<ant>")
    # Mailman's own documentation has this id and its hash.
    assert opening == f"{archive}/thread/MS6QLWERIJLGCRF44J7USBFDELMNT2BW/"
    first = object_of(message_id="<2@x>", in_reply_to="<ant>")
    deep = object_of(message_id="<3@x>", in_reply_to="<2@x>", references="<ant>\n <2@x>")
    assert first is not None
    assert deep is not None
    assert {first.partition("#")[0], deep.partition("#")[0]} == {opening}
    assert first != deep
    assert object_of(message_id="garbled") is None, "no thread is known"
