"""What was acted upon: project, namespace, object, size and a fingerprint of the text."""

import re
from base64 import b32encode
from collections.abc import Iterable, Iterator, Mapping
from hashlib import sha1
from typing import Any, NamedTuple

from fedora_messaging.message import Message

from consumer.content import content_hash
from consumer.delivery import is_clean

#: Longer than this is no name; it would only be carried along. Characters.
_MAX_LENGTH = 1_000
_MAX_SIZE = 2**63 - 1

Path = tuple[str, ...]


def _paths(text: str) -> tuple[Path, ...]:
    return tuple(tuple(path.split(".")) for path in text.split())


# Names of owners are left out on purpose: a person's name belongs in `user` alone, where `forget` finds it.
_PROJECT = _paths(
    "project.name repo.name pullrequest.project.name pull_request.project.name request.project.name"
    " commit.repo.name commit.repo repo copr projectname body.repository.name body.project.name package.name"
    " package package_name wiki database mlist.list_name"
)
_NAMESPACE = _paths(
    "project.namespace repo.namespace pullrequest.project.namespace pull_request.project.namespace"
    " request.project.namespace commit.repo.namespace commit.namespace update.release.name"
    " comment.update.release.name webhook_body.post.category_slug webhook_body.like.post.category_slug"
    " webhook_body.solved.category_slug namespace"
)
#: The thing itself, not the comment on it: what happens to one issue has one object.
_OBJECT = _paths(
    "issue.full_url pullrequest.full_url pull_request.full_url request.full_url update.alias"
    " comment.update.alias body.issue.html_url body.pull_request.html_url body.issue.url"
    " body.merge_request.url badge.badge_id badge.name commit.rev"
)
_TOPIC = _paths(
    "webhook_body.topic.id webhook_body.post.topic_id webhook_body.like.post.topic_id webhook_body.solved.topic_id"
)
_PAGE = _paths("title title.mPrefixedText page_title")
_INSTANCE: Path = ("webhook_headers", "X-Discourse-Instance")

_MAIL = "mailman.receive"
_ARCHIVED, _LIST = ("url",), ("mlist", "fqdn_listname")
_OWN_ID, _REFERENCES, _IN_REPLY_TO = ("msg", "message-id"), ("msg", "references"), ("msg", "in-reply-to")
_MESSAGE_ID = re.compile(r"<([^<>\s]+)>")

#: An edit of an issue may be anything: only its body tells that it closes the issue. The log keeps that as `#closed`.
_ISSUE_EDIT = "pagure.issue.edit"
_FIELDS, _STATUS = ("fields",), ("issue", "status")

_LINES: Path = ("commit", "stats", "total")
_BYTES: Path = ("length",)

#: Actions of which a title and a text together are what was written.
_TITLE_AND_TEXT = {
    "pagure.issue.new": _paths("issue.title issue.content"),
    "pagure.issue.edit": _paths("issue.title issue.content"),
}
#: Where other actions carry the words their actor wrote; -1 is the last of a list.
_TEXT = {
    "pagure.issue.comment.added": _paths("issue.comments.-1.comment"),
    "pagure.issue.comment.edited": _paths("comment.comment"),
    "pagure.pull-request.new": _paths("pullrequest.initial_comment"),
    "pagure.pull-request.comment.added": _paths("pullrequest.comments.-1.comment"),
    "pagure.pull-request.comment.edited": _paths("comment.comment"),
    "bodhi.update.comment": _paths("comment.text"),
    "discourse.topic.topic_created": _paths("webhook_body.topic.title"),
    "discourse.post.post_created": _paths("webhook_body.post.raw webhook_body.post.cooked"),
    "discourse.post.post_edited": _paths("webhook_body.post.raw webhook_body.post.cooked"),
}
#: Webhooks of code forges: one topic for many actions, so the words are tried in this order.
_FORGE_TEXT = _paths("body.comment.body body.object_attributes.note")
_FORGE_OPENED = _paths("body.issue.body body.pull_request.body body.object_attributes.description")


class Subject(NamedTuple):
    """What was acted upon, in the order of an Event's fields; None where the message does not tell."""

    project: str | None
    namespace: str | None
    object: str | None
    size: int | None
    unit: str | None
    content_hash: str | None


def subject_of(message: Message, action: str) -> Subject:
    """What the message is about. Raises nothing: a field that cannot be kept as it is, is None."""
    body = message.body
    size, unit = _size(body)
    return Subject(
        project=_first(body, _PROJECT),
        namespace=_first(body, _NAMESPACE),
        object=_object(message, action),
        size=size,
        unit=unit,
        content_hash=_content_hash(body, action),
    )


def _at(value: Any, path: Path) -> Any:
    for word in path:
        if isinstance(value, dict):
            value = value.get(word)
        elif word == "-1" and isinstance(value, list) and value:
            value = value[-1]
        else:
            return None
    return value


def _first(body: Mapping[str, Any], paths: Iterable[Path]) -> str | None:
    for path in paths:
        if path[0] not in body:
            continue
        value = _at(body, path)
        if isinstance(value, int) and not isinstance(value, bool):
            value = str(value)
        if kept := _kept(value):
            return kept
    return None


def _kept(value: Any) -> str | None:
    if isinstance(value, str) and 0 < len(value) <= _MAX_LENGTH and is_clean(value):
        return value
    return None


def _object(message: Message, action: str) -> str | None:
    body = message.body
    if action.startswith("discourse.") and (topic := _first(body, _TOPIC)):
        return f"{_kept(_at(body, _INSTANCE)) or 'discourse'}/t/{topic}"
    if action == _MAIL and (mail := _mail(body)):
        return mail
    if found := _first(body, _PAGE if action.startswith("wiki.") else _OBJECT):
        return f"{found}#closed" if action == _ISSUE_EDIT and _closes(body) else found
    try:
        return _kept(message.url)
    except Exception:  # noqa: BLE001 - a schema class's code over a body from the wire
        return None


def _mail(body: Any) -> str | None:
    """The thread as HyperKitty addresses it; of an answer, with the mail's own hash after a `#`.

    RFC 5322, section 3.6.4: the first of a mail's references is the one that opened its thread.
    """
    own = next(_message_ids(_at(body, _OWN_ID)), None)
    answered = [*_message_ids(_at(body, _REFERENCES)), *_message_ids(_at(body, _IN_REPLY_TO))]
    opening = answered[0] if answered else own
    archived = _kept(_at(body, _ARCHIVED)) or ""
    archive = archived.partition("/message/")[0] if "/message/" in archived else _kept(_at(body, _LIST))
    if opening is None or archive is None:
        return None
    thread = f"{archive}/thread/{_mail_hash(opening)}/"
    return _kept(f"{thread}#{_mail_hash(own or '')}" if answered else thread)


def _message_ids(header: Any) -> Iterator[str]:
    return (found[1] for found in _MESSAGE_ID.finditer(header)) if isinstance(header, str) else iter(())


def _mail_hash(message_id: str) -> str:
    """What Mailman's archiver makes of an id, the header Message-ID-Hash."""
    return b32encode(sha1(message_id.encode("utf-8", "replace"), usedforsecurity=False).digest()).decode()


def _closes(body: Any) -> bool:
    fields, status = _at(body, _FIELDS), _at(body, _STATUS)
    return isinstance(fields, list) and "status" in fields and isinstance(status, str) and status != "Open"


def _size(body: Any) -> tuple[int | None, str | None]:
    """A signed delta and its unit."""
    if _LINES[0] not in body and _BYTES[0] not in body:
        return None, None
    lines, length = _at(body, _LINES), _at(body, _BYTES)
    if isinstance(lines, dict):
        delta = _difference(lines.get("additions", lines.get("insertions")), lines.get("deletions"))
        return delta, None if delta is None else "lines"
    if isinstance(length, dict):
        # A new page has no old length.
        delta = _difference(length.get("new"), length.get("old") or 0)
        return delta, None if delta is None else "bytes"
    return None, None


def _difference(more: Any, less: Any) -> int | None:
    if any(not isinstance(n, int) or isinstance(n, bool) for n in (more, less)):
        return None
    delta: int = more - less
    return delta if abs(delta) <= _MAX_SIZE else None


def _content_hash(body: Any, action: str) -> str | None:
    if written := _TITLE_AND_TEXT.get(action):
        texts = [text for path in written if isinstance(text := _at(body, path), str)]
        return content_hash("\n".join(texts))
    paths = _TEXT.get(action, ())
    if not paths and action.startswith(("github.", "gitlab.", "forgejo.")):
        opened = _at(body, ("body", "action")) in ("opened", "open")
        paths = (*_FORGE_TEXT, *_FORGE_OPENED) if opened else _FORGE_TEXT
    for path in paths:
        text = _at(body, path)
        if isinstance(text, str) and text.strip():
            return content_hash(text)
    return None
