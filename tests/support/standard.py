"""Standard metrics asked of small states that are made of events."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from metrics.standard.answer import Answer, answer
from metrics.standard.options import parse
from metrics.standard.parameters import Options
from state.event import Event, service_of
from state.log import with_log
from state.rules import Rules
from state.segments import seal
from state.store import get_meta, open_store
from tests.support.logs import feed


class Member(NamedTuple):
    """One row of the table `member`; no project means any."""

    username: str
    project: str | None = None


def event(number: int, at: int, topic: str, user: str | None, **fields: Any) -> Event:
    """One event of an actor, unless the fields say otherwise."""
    fields.setdefault("service", service_of(topic))
    fields.setdefault("role", "actor")
    return Event(msg_id=f"m-{number:06d}", at=at, received_at=None, topic=topic, user=user, **fields)


def make_state(directory: Path, events: Iterable[Event], rules: Rules, *, sealed: bool = False) -> None:
    """A state of these events, taken in live; sealed where weeks are due."""
    messages: dict[str, list[Event]] = {}
    for one in events:
        messages.setdefault(one.msg_id, []).append(one)
    store = open_store(directory, rules)
    feed(store, [*messages.values()])
    if sealed:
        seal(store)
    store.close()


def ask(
    directory: Path,
    members: Sequence[Member | str],
    metric: str,
    rules: Rules | None = None,
    as_of: int | None = None,
    **given: Any,
) -> Answer:
    """The metric over these members; as_of is the watermark unless it is given."""
    options = parse(metric, {name: str(value) for name, value in given.items()})
    return ask_options(directory, members, options, rules or Rules(), as_of)


def ask_options(
    directory: Path, members: Sequence[Member | str], options: Options, rules: Rules, as_of: int | None = None
) -> Answer:
    return ask_all(directory, members, [options], rules, as_of)[0]


def ask_all(
    directory: Path,
    members: Sequence[Member | str],
    asked: Sequence[Options],
    rules: Rules,
    as_of: int | None = None,
) -> list[Answer]:
    """The answers to all of these, of one snapshot."""
    rows = [member if isinstance(member, Member) else Member(member) for member in members]

    def use(duck: Any, conn: Any) -> list[Answer]:
        duck.execute("CREATE TEMP TABLE member (username VARCHAR, project VARCHAR)")
        if rows:
            duck.executemany("INSERT INTO member VALUES (?, ?)", [tuple(row) for row in rows])
        moment = get_meta(conn, "watermark") if as_of is None else as_of
        return [answer(duck, conn, rules, options.metric, options, moment) for options in asked]

    return with_log(directory, use)


def by_user(found: Answer) -> dict[str, Any]:
    """A raw answer as {user: value}, or a tuple where the metric has several; statuses left out."""
    return {user: values[0] if len(values) == 1 else tuple(values) for user, *values, _ in found.rows}


def statuses(found: Answer) -> dict[str, str]:
    return {row[0]: row[-1] for row in found.rows}
