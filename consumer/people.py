"""Who acted, and who was affected.

A message's schema class knows best: its agent acted, its other usernames are affected; where it names no
agent, its usernames acted. Both properties are code over a body from the wire: they may raise, and hold
None, duplicates, or the text "None". Where there is no class to ask, consumer.guess reads the body.
"""

from collections.abc import Iterable
from functools import lru_cache
from typing import Any, NamedTuple

from fedora_messaging.message import Message

from consumer.delivery import Poison, is_clean
from consumer.guess import guess, names_in, texts_in
from consumer.schemas import headers_of

_MAX_LENGTH = 255

#: One message becomes one event per user: this bounds what a single message can make us write.
_MAX_PEOPLE = 1_000

_NEWCOMER = "fas.user.create"
_MEETING = "meetbot.meeting.complete"


class People(NamedTuple):
    """User names without duplicates; nobody is in both."""

    actors: tuple[str, ...]
    affected: tuple[str, ...]


def people_of(message: Message, action: str) -> People:
    """The people in the message. Raises Poison for a name that cannot be one, or more than 1,000 names."""
    actors, affected = _named(message)
    body = message.body
    if action == _NEWCOMER:
        # The account's owner arrives, whoever typed it in.
        if newcomer := _newcomer(body):
            actors, affected = [newcomer], [*actors, *affected]
    elif action == _MEETING:
        actors = [*actors, *_speakers(body)]
    is_wiki = action.startswith("wiki.")
    acted = dict.fromkeys(_clean(actors, is_wiki))
    others = dict.fromkeys(name for name in _clean(affected, is_wiki) if name not in acted)
    if len(acted) + len(others) > _MAX_PEOPLE:
        raise Poison("username", f"{len(acted) + len(others)} users in one message, at most {_MAX_PEOPLE}")
    return People(tuple(acted), tuple(others))


def _named(message: Message) -> tuple[list[Any], list[Any]]:
    kind = type(message)
    if kind.agent_name is Message.agent_name and kind.usernames is Message.usernames:
        return guess(message.body, headers_of(message))
    failed = False
    agent: Any = None
    names: list[Any] = []
    try:
        agent = message.agent_name
    except Exception:  # noqa: BLE001 - written by others over a body from the wire: anything goes
        failed = True
    try:
        named: Any = message.usernames
        names = [named] if isinstance(named, str) else list(named or ())
    except Exception:  # noqa: BLE001 - the same
        failed = True
    if _is_name(agent):
        return [agent], names
    if any(_is_name(name) for name in names):
        return names, []
    # A class that deliberately names nobody is right: the build of somebody from GitHub has no account here.
    return guess(message.body, headers_of(message)) if failed else ([], [])


def _is_name(raw: Any) -> bool:
    return raw is not None and (not isinstance(raw, str) or bool(_account(raw)))


def _clean(raw: Iterable[Any], is_wiki: bool) -> Iterable[str]:
    for name in raw:
        if isinstance(name, str):
            # MediaWiki writes the first letter of every account large; the account itself is all small.
            if account := _account(name):
                yield account.lower() if is_wiki else account
        elif name is not None:
            raise Poison("username", f"a user name is no text: {name!r:.40}")


@lru_cache(maxsize=65_536)
def _account(name: str) -> str:
    """The account's name, empty where there is none; Poison for what cannot be one."""
    account = name.strip()
    # str(None) is how a missing user is published by some; no account system here allows capitals.
    if not account or name == "None":
        return ""
    if len(name) > _MAX_LENGTH or not is_clean(name):
        raise Poison("username", f"a user name is too long or not printable: {name!r:.40}")
    return account


def _newcomer(body: Any) -> str | None:
    said = body.get("msg") if isinstance(body, dict) else None
    if isinstance(said, dict) and isinstance(user := said.get("user"), str) and user.strip():
        return user  # as noggin has it
    return next(names_in(body, ("msg.user", "user")), None)


def _speakers(body: Any) -> list[str]:
    """Attendees who said something: they took part, whoever it was that ended the meeting."""
    attendees = body.get("attendees") if isinstance(body, dict) else None
    if not isinstance(attendees, list):
        return []
    return [
        name
        for attendee in attendees
        if isinstance(attendee, dict) and attendee.get("lines_said") != 0
        for name in texts_in(attendee.get("name"))
    ]
