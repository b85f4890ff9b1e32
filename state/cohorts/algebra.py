"""The algebra of cohorts: `20~29&31` is 20, and whoever is in both 29 and 31.

`~` is union, `&` intersection and binds tighter; there is no nesting and there are no blanks. What such an expression
means is a union of intersections, which a flat scan finds: no recursion, however long it is.
"""

import re
from collections.abc import Iterator
from datetime import date
from typing import Literal, NamedTuple, NoReturn

from state.cohorts.names import NAME
from state.errors import HomecomingError
from state.weeks import event_time_of, week_end, week_name, week_of

TermKind = Literal["all", "badge", "campaign", "event", "id", "month", "name", "tag", "week"]

#: What stands for users, as errors list it.
TERMS = "an id, a name, all, week:2024-06-03, month:2024-06, badge:ID, tag:NAME, event:ID or campaign:ID"

#: Blanks and what would be nesting belong to no term; of the others, badges may hold any.
_TERM = re.compile(r"[^~&\s]+")
_NUMBER = re.compile(r"[0-9]{1,18}")
_MONTH = re.compile(r"(?:19|20|21)[0-9]{2}-(?:0[1-9]|1[0-2])")

#: Characters of a text that an error repeats.
_SHOWN = 40


class Term(NamedTuple):
    """One set of users. value: its id or name; of a week or month its first day."""

    kind: TermKind
    value: str

    def __str__(self) -> str:
        return self.value if self.kind in {"id", "name", "all"} else f"{self.kind}:{self.value}"


#: A union of intersections.
Expression = tuple[tuple[Term, ...], ...]


def parse(text: str) -> Expression:
    """What the text means; HomecomingError says at which character what was expected."""
    products: list[tuple[Term, ...]] = []
    product: dict[Term, None] = {}
    for place, written, operator in _scan(text):
        product[_term(place, written)] = None
        if operator != "&":
            products.append(tuple(product))
            product = {}
    return tuple(dict.fromkeys(products))


def canonical(expression: Expression) -> str:
    """The same text for expressions that are the same but for order and repetition."""
    return "~".join(sorted({"&".join(sorted({str(term) for term in product})) for product in expression}))


def span_of(term: Term) -> tuple[int, int]:
    """[start, end) of a week or a month, in event time."""
    if term.kind == "week":
        start = event_time_of(term.value)
        return start, week_end(week_of(start))
    year, month = map(int, term.value.split("-"))
    return event_time_of(f"{term.value}-01"), event_time_of(f"{year + month // 12:04}-{month % 12 + 1:02}-01")


def _scan(text: str) -> Iterator[tuple[int, str, str]]:
    """(position of the term, the term, the operator after it or '' at the end), from left to right."""
    place = 0
    while True:
        found = _TERM.match(text, place)
        if found is None:
            _refuse(place, TERMS, text[place:])
        operator = text[found.end() : found.end() + 1]
        if operator not in {"", "~", "&"}:
            _refuse(found.end(), "~, & or the end (there are no blanks)", text[found.end() :])
        yield place, found[0], operator
        if not operator:
            return
        place = found.end() + 1


def _term(place: int, written: str) -> Term:
    prefix, colon, value = written.partition(":")
    if not colon:
        return _plain(place, written)
    match prefix:
        case "week":
            return Term("week", _week(place, value))
        case "month":
            return Term("month", _month(place, value))
        case "badge" | "tag" | "event" | "campaign" if value:
            return Term(prefix, value)
        case "badge" | "tag" | "event" | "campaign":
            return _refuse(place + len(written), f"what is named, after {written}", "")
    return _refuse(place, TERMS, written)


def _plain(place: int, written: str) -> Term:
    """A term without a colon."""
    if written == "all":
        return Term("all", written)
    if _NUMBER.fullmatch(written):
        return Term("id", str(int(written)))
    begins = NAME.match(written)
    if begins is None:
        return _refuse(place, TERMS, written)
    if begins.end() < len(written):
        return _refuse(place + begins.end(), "~, & or the end (there is no nesting)", written[begins.end() :])
    return Term("name", written)


def _week(place: int, text: str) -> str:
    try:
        week = week_of(event_time_of(date.fromisoformat(text).isoformat()))
    except (ValueError, OverflowError):
        return _refuse(place, "the Monday of a week, such as week:2024-06-03", f"week:{text}")
    if week_name(week) != date.fromisoformat(text).isoformat():
        return _refuse(place, f"the Monday of a week, here week:{week_name(week)}", f"week:{text}")
    return week_name(week)


def _month(place: int, text: str) -> str:
    if not _MONTH.fullmatch(text):
        return _refuse(place, "a month such as month:2024-06", f"month:{text}")
    return text


def _refuse(place: int, expected: str, got: str) -> NoReturn:
    shown = repr(f"{got[:_SHOWN]}..." if len(got) > _SHOWN else got) if got else "the end"
    raise HomecomingError(f"cohort, character {place + 1}: expected {expected}; got {shown}")
