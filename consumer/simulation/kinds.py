"""Every kind of message that the simulator knows: its topic, its schema, its parts."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from consumer.simulation import bodies
from consumer.simulation import content as about
from consumer.simulation.bodies import Body
from consumer.simulation.model import SimMessage
from state.weeks import to_datetime

#: `fedora_messaging.message.INFO`, which every message here carries.
_SEVERITY = 20

_FEDORA = "org.fedoraproject.prod."
_PAGURE = "io.pagure.prod."


def _none(_: object) -> None:
    return None


def _nobody(_: Body) -> tuple[str, ...]:
    return ()


@dataclass(frozen=True, slots=True)
class Kind:
    """How one action looks on the wire, and what it is about.

    package: the Python package that defines the schema.
    object, namespace, size: what a row says about the message; sizes are signed, in lines.
    written: the words of which a row has the hash.
    packages, groups: what the schema class names in the headers.
    together: everybody named acted, not only the first.
    in_headers: whether the schema class names its people in the headers.
    """

    topic: str
    schema: str
    package: str
    body: Callable[[SimMessage], Body]
    object: Callable[[SimMessage], str | None] = _none
    namespace: Callable[[SimMessage], str | None] = _none
    size: Callable[[SimMessage], int | None] = _none
    written: Callable[[SimMessage], str | None] = _none
    packages: Callable[[Body], Iterable[str]] = _nobody
    groups: Callable[[Body], Iterable[str]] = _nobody
    together: bool = False
    in_headers: bool = True


def _group(body: Body) -> list[str]:
    return [body["msg"]["group"]]


def _signed_lines(message: SimMessage) -> int:
    added, deleted = about.lines(message)
    return added - deleted


def _alias_packages(body: Body) -> list[str]:
    update = body.get("update") or body["comment"]["update"]
    return [build["nvr"].rsplit("-", 2)[0] for build in update["builds"]]


def _pagure(
    action: str,
    body: Callable[[SimMessage], Body],
    url: Callable[[SimMessage], str],
    written: Callable[[SimMessage], str | None] = _none,
) -> Kind:
    return Kind(_PAGURE + action, action, "pagure_messages", body, url, about.namespace, written=written)


def _noggin(action: str, schema: str, body: Callable[[SimMessage], Body]) -> Kind:
    return Kind(_FEDORA + action, schema, "noggin_messages", body)


def _discourse(action: str) -> Kind:
    package = "webhook_to_fedora_messaging_messages"
    is_topic = action == "discourse.topic.topic_created"
    words = {"discourse.post.post_created": about.text, "discourse.topic.topic_created": about.title}
    return Kind(
        _FEDORA + action,
        "discourse.event.v1",
        package,
        bodies.discourse,
        about.topic_url,
        _none if is_topic else about.category,
        written=words.get(action, _none),
        # Of the webhook's people the class names only who wrote the solution.
        in_headers=action == "discourse.like.accepted_solution",
    )


def _copr(action: str) -> Kind:
    return Kind(_FEDORA + action, action, "copr_messaging", bodies.copr)


KINDS: dict[str, Kind] = {
    "fas.user.create": _noggin("fas.user.create", "noggin.user.create.v1", bodies.create),
    "fas.user.update": _noggin("fas.user.update", "noggin.user.update.v1", bodies.update),
    "fas.group.member.sponsor": Kind(
        _FEDORA + "fas.group.member.sponsor",
        "noggin.group.member.sponsor.v1",
        "noggin_messages",
        bodies.sponsor,
        groups=_group,
    ),
    "pagure.issue.new": _pagure("pagure.issue.new", bodies.issue, about.issue_url, about.titled_text),
    "pagure.issue.comment.added": _pagure("pagure.issue.comment.added", bodies.issue, about.issue_url, about.text),
    "pagure.issue.edit": _pagure("pagure.issue.edit", bodies.closing, about.closed_url, about.titled_text),
    "pagure.git.receive": _pagure("pagure.git.receive", bodies.pagure_push, about.push_url),
    "git.receive": Kind(
        _FEDORA + "git.receive",
        "fedora_messaging_git_hook.commit.v1",
        "fedora_messaging_git_hook_messages",
        bodies.push,
        about.revision,
        lambda _: "rpms",
        _signed_lines,
        packages=lambda body: [body["commit"]["repo"]],
    ),
    "discourse.post.post_created": _discourse("discourse.post.post_created"),
    "discourse.topic.topic_created": _discourse("discourse.topic.topic_created"),
    "discourse.like.accepted_solution": _discourse("discourse.like.accepted_solution"),
    "bodhi.update.comment": Kind(
        _FEDORA + "bodhi.update.comment",
        "bodhi.update.comment.v1",
        "bodhi_messages",
        bodies.bodhi,
        about.alias,
        lambda _: about.RELEASE,
        written=about.text,
        packages=_alias_packages,
    ),
    "bodhi.update.request.testing": Kind(
        _FEDORA + "bodhi.update.request.testing",
        "bodhi.update.request.testing.v1",
        "bodhi_messages",
        bodies.request_testing,
        about.alias,
        lambda _: about.RELEASE,
        packages=_alias_packages,
    ),
    "mailman.receive": Kind(
        _FEDORA + "mailman.receive",
        "mailman.messageV1",
        "mailman3_fedmsg_plugin_schemas",
        bodies.mail,
        about.mail_thread,
    ),
    "copr.build.start": _copr("copr.build.start"),
    "copr.build.end": _copr("copr.build.end"),
    "wiki.article.edit": Kind(
        _FEDORA + "wiki.article.edit",
        "wiki.article.edit.v1",
        "mediawiki_messages",
        bodies.wiki,
        about.page,
    ),
    "badges.badge.award": Kind(
        _FEDORA + "badges.badge.award",
        "badges.badge.award.v1",
        "tahrir_messages",
        bodies.badge,
        about.badge,
    ),
    "meetbot.meeting.complete": Kind(
        _FEDORA + "meetbot.meeting.complete",
        "meetbot.meeting.complete",
        "meetbot_messages",
        bodies.meeting,
        about.meeting_url,
        together=True,
    ),
    "pungi.compose.status.change": Kind(
        _FEDORA + "pungi.compose.status.change", "base.message", "fedora_messaging", bodies.compose
    ),
}


def message_id(bits: int) -> str:
    """128 random bits as a version 4 UUID."""
    digits = f"{bits:032x}"
    return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-a{digits[17:20]}-{digits[20:]}"


def wire(message: SimMessage) -> Body:
    """The message as `fedora-messaging record` writes it: id, topic, headers, body, queue, priority."""
    kind = KINDS[message.kind]
    body = kind.body(message)
    headers: Body = {
        "fedora_messaging_schema": kind.schema,
        "fedora_messaging_schema_package": kind.package,
        "fedora_messaging_severity": _SEVERITY,
        "priority": 0,
        "sent-at": to_datetime(message.at).isoformat(),
    }
    if message.user is not None and kind.in_headers:
        headers |= {f"fedora_messaging_user_{name}": True for name in (message.user, *message.others)}
    headers |= {f"fedora_messaging_rpm_{name}": True for name in kind.packages(body)}
    headers |= {f"fedora_messaging_group_{name}": True for name in kind.groups(body)}
    return {
        "id": message_id(message.bits),
        "topic": kind.topic,
        "headers": headers,
        "body": body,
        "queue": None,
        "priority": 0,
    }
