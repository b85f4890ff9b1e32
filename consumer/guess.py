"""People in a message whose schema is not installed, or that is older than schemas: an informed guess.

Every service of the bus has used the same few words for them. First the body is asked, then the headers
`fedora_messaging_user_NAME`, which a publisher that has the schema adds for filtering.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

#: Words for whoever did it, the surest first.
_ACTED = (
    "agent", "agent_name", "user", "username", "user_text", "sender", "author", "submitter", "created_by",
    "person", "owner",
)  # fmt: skip

#: Within an object that is a person.
_NAMES = ("username", "login", "name", "nickname")

#: Envelopes: what they hold is the message.
_WRAPPERS = ("msg", "webhook_body", "body")

#: Objects whose people the bus has always counted among a message's users.
_CONCERNS = ("update", "override", "comment")

_USER_HEADER = "fedora_messaging_user_"

#: Mail addresses, groups, people of other sites and full names are no accounts.
_NO_ACCOUNT = re.compile("[@:/<> ]")

_MENTION = re.compile(r"(?<![\w@.])@([a-z][\w-]*\w)")


def guess(body: Any, headers: Mapping[str, Any]) -> tuple[list[Any], list[Any]]:
    """Who probably acted (one, or everybody the headers name), and who else is named."""
    scopes = _scopes(body)
    parts = [part for scope in scopes for part in scope.values() if isinstance(part, dict)]
    agent = next(_people(scopes, _ACTED), None) or next(_people(parts, _ACTED), None)
    in_headers = [name[len(_USER_HEADER) :] for name in headers if str(name).startswith(_USER_HEADER)]
    if agent is None:
        return list(in_headers), []
    concerns = [scope[word] for scope in scopes for word in _CONCERNS if isinstance(scope.get(word), dict)]
    others = [*_people(scopes, _ACTED), *_people(concerns, _ACTED), *_mentions(concerns), *in_headers]
    return [agent], others


def names_in(body: Any, paths: Iterable[str]) -> Iterator[str]:
    """The names at those of the dotted paths that hold a name, or an object with one."""
    for path in paths:
        value = body
        for word in path.split("."):
            value = value.get(word) if isinstance(value, dict) else None
        yield from _name(value)


def texts_in(value: Any) -> Iterator[str]:
    """The value if it is a text that is not blank."""
    if isinstance(value, str) and value.strip():
        yield value


def _scopes(body: Any) -> list[dict[str, Any]]:
    if not isinstance(body, dict):
        return []
    return [body, *(body[word] for word in _WRAPPERS if isinstance(body.get(word), dict))]


def _people(scopes: Iterable[dict[str, Any]], words: Iterable[str]) -> Iterator[str]:
    scopes = list(scopes)
    for word in words:
        for scope in scopes:
            for name in _name(scope.get(word)):
                if name != "None" and not _NO_ACCOUNT.search(name.strip(" ")):
                    yield name


def _name(value: Any) -> Iterator[str]:
    if not isinstance(value, dict):
        yield from texts_in(value)
        return
    for word in _NAMES:
        if isinstance(value.get(word), str):
            yield from texts_in(value[word])
            return


def _mentions(comments: Iterable[dict[str, Any]]) -> Iterator[str]:
    for comment in comments:
        for text in texts_in(comment.get("text")):
            yield from _MENTION.findall(text)
