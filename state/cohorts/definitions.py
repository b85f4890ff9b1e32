"""Events, campaigns and cohorts that a community defines, as a TOML file has them."""

import json
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from difflib import get_close_matches
from typing import Any, Literal, NamedTuple, get_args

from state.cohorts.names import NAME, check_name
from state.errors import ConfigError, HomecomingError
from state.weeks import event_time_of

Kind = Literal["event", "campaign", "cohort"]

KINDS: tuple[Kind, ...] = get_args(Kind)

#: Event times that anybody may mean.
_EARLIEST, _LATEST = event_time_of("1990-01-01"), event_time_of("9998-12-31")


@dataclass(frozen=True, slots=True)
class Definition:
    """One [[event]], [[campaign]] or [[cohort]].

    Its members are those of `badge`, of `tag`, or `users`; where it has none of the three, whoever signed up within it.
    """

    kind: Kind
    id: str
    name: str
    start: int | None  #: event time, microseconds; [start, end)
    end: int | None
    badge: str | None
    tag: str | None
    users: tuple[str, ...] | None
    successor: str | None  #: id of the same kind: where whoever was here is hoped to come next
    country: str | None


class Definitions(NamedTuple):
    """What a community defines, by id; an id is one thing only."""

    events: Mapping[str, Definition]
    campaigns: Mapping[str, Definition]
    cohorts: Mapping[str, Definition]

    def of(self, kind: Kind) -> Mapping[str, Definition]:
        """Those of the kind, by id."""
        return {"event": self.events, "campaign": self.campaigns, "cohort": self.cohorts}[kind]


#: Of a community that defines nothing.
NO_DEFINITIONS = Definitions({}, {}, {})


def parse_definitions(text: str, source: str) -> Definitions:
    """The definitions in a TOML text; ConfigError with `source`, the key, what was expected and what was got."""
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{source}: expected TOML, got: {error}") from None
    except RecursionError:
        raise ConfigError(f"{source}: expected tables of keys, got tables nested too deep to read") from None
    _refuse_unknown(source, document, KINDS)
    found: dict[Kind, dict[str, Definition]] = {kind: {} for kind in KINDS}
    places: dict[str, str] = {}
    for kind in KINDS:
        tables = document.get(kind, [])
        if not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
            raise _wrong(f"{source}: {kind}", f"[[{kind}]] tables", tables)
        for number, table in enumerate(tables, 1):
            place = f"{source}: [[{kind}]] {number}"
            made = _definition(place, kind, table)
            if made.id in places:
                raise _wrong(f"{place}.id", f"an id of its own ({places[made.id]} has it)", made.id)
            places[made.id] = f"[[{kind}]] {number}"
            found[kind][made.id] = made
    definitions = Definitions(found["event"], found["campaign"], found["cohort"])
    for kind in KINDS:
        _check_successors(source, kind, definitions.of(kind))
    return definitions


def _definition(place: str, kind: Kind, table: Mapping[str, Any]) -> Definition:
    _refuse_unknown(place, table, _READ)
    values = {key: read(f"{place}.{key}", table[key]) for key, read in _READ.items() if key in table}
    if "id" not in values:
        raise _wrong(f"{place}.id", "an id of letters, digits, _ and -", None)
    made = Definition(kind=kind, **{**dict.fromkeys(_READ), "name": values["id"], **values})
    named = f"{place} ({made.id})"
    if kind == "cohort":
        _check_cohort(named, made.id)
    if (made.start is None) != (made.end is None):
        raise ConfigError(f"{named}: expected start and end together, got one of them")
    if made.start is not None and made.end is not None and made.start >= made.end:
        raise ConfigError(f"{named}: expected a start before the end, got the same time or a later one")
    if kind == "campaign" and made.start is None:
        raise ConfigError(f"{named}: expected start and end, which a campaign needs, got neither")
    members = [key for key in ("badge", "tag", "users") if key in values]
    if len(members) > 1:
        raise ConfigError(f"{named}: expected one of badge, tag and users, got {' and '.join(members)}")
    if not members and made.start is None:
        raise ConfigError(f"{named}: expected badge, tag, users, or start and end (who signed up then), got none")
    return made


def _check_cohort(named: str, known_as: str) -> None:
    """Expressions name a cohort by its id alone."""
    try:
        check_name(known_as)
    except HomecomingError as error:
        raise ConfigError(f"{named}: {error}") from None


def _check_successors(source: str, kind: Kind, definitions: Mapping[str, Definition]) -> None:
    for made in definitions.values():
        if made.successor is not None and (made.successor == made.id or made.successor not in definitions):
            others = sorted(definitions.keys() - {made.id})
            near = get_close_matches(made.successor, others, n=1)
            raise _wrong(
                f"{source}: [[{kind}]] {made.id}.successor",
                f"the id of another {kind} ({', '.join(others) or 'there is none'})",
                made.successor,
                f"; did you mean {near[0]}?" if near else "",
            )


def _id(place: str, value: Any) -> str:
    if not isinstance(value, str) or not NAME.fullmatch(value):
        raise _wrong(place, "an id of letters, digits, _ and -", value)
    return value


def _text(place: str, value: Any) -> str:
    if not isinstance(value, str) or not value.strip():
        raise _wrong(place, "a text", value)
    return value


def _users(place: str, value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or not value or not all(isinstance(user, str) and user for user in value):
        raise _wrong(place, "a list of user names", value)
    return tuple(dict.fromkeys(value))


def _instant(place: str, value: Any) -> int:
    """Midnight UTC of a date; UTC where no zone is named."""
    try:
        # A TOML date or datetime is its ISO text; a time of day, or a number, is no ISO text of a date.
        at = event_time_of(value.isoformat() if isinstance(value, date) else value if isinstance(value, str) else "")
    except (ValueError, OverflowError):
        at = _LATEST
    if not _EARLIEST <= at < _LATEST:
        raise _wrong(place, "a date or time from 1990 on such as 2024-06-03", value)
    return at


#: What a table may hold, and how each value is read.
_READ: dict[str, Callable[[str, Any], Any]] = {
    "id": _id,
    "name": _text,
    "start": _instant,
    "end": _instant,
    "badge": _text,
    "tag": _text,
    "users": _users,
    "successor": _text,
    "country": _text,
}


def _refuse_unknown(place: str, table: Mapping[str, Any], valid: Mapping[str, Any] | tuple[str, ...]) -> None:
    for key in table:
        if key not in valid:
            near = get_close_matches(key, valid, n=1)
            hint = f"; did you mean {near[0]}?" if near else ""
            raise _wrong(place, f"one of {', '.join(valid)}", key, hint)


def _wrong(place: str, expected: str, value: Any, hint: str = "") -> ConfigError:
    got = "nothing" if value is None else json.dumps(value, default=str, ensure_ascii=False)[:200]
    return ConfigError(f"{place}: expected {expected}, got {got}{hint}")
