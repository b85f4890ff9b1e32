"""An answer in the shape of the UserMetrics API: -1 wherever there is no value, and no null anywhere."""

import json
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

from metrics.asking.request import Request
from metrics.asking.work import Worked
from metrics.standard.registry import METRICS
from state.weeks import SECOND, iso, to_datetime

#: What is undefined, not given, or hidden.
UNDEFINED = -1

#: Columns that are event times, by metric; they are written as 14 digits.
_INSTANTS = {"blocks": {"first", "last"}, "retention": {"cohort"}}

_SECONDS = 19


def response(worked: Worked, moment: int, withheld: int = 0) -> dict[str, Any]:
    """The whole answer. moment: of the response, processing time in microseconds; withheld: rows hidden.

    data: of raw values {user: [values]}, of an aggregator [values], or [[values]] where it has a row a group; of a time
    series {label: any of these}, the label being the slice's start. statuses has the shape of raw data.
    """
    found, options = worked.answer, worked.answer.options
    declared = {*METRICS[found.metric].parameters, *(["slice"] if options.time_series else [])}
    return {
        "time_of_response": iso(moment),
        "cohort_last_generated": iso(worked.made_at),
        "metric": found.metric,
        "cohort": worked.request.cohort,
        "cohort_size": worked.users,
        "type": found.type,
        "group": options.group if "group" in declared else "all",
        "aggregator": options.aggregator or "none",
        "namespace": ",".join(options.namespace) or "all",
        "project": ",".join(options.project) or "all",
        "n": options.n if "n" in declared else UNDEFINED,
        "t": options.t if "t" in declared and options.t is not None else UNDEFINED,
        "slice_size": _slice_size(options.slice) if "slice" in declared else UNDEFINED,
        "datetime_start": _label(options.start),
        "datetime_end": _label(options.end),
        "as_of": UNDEFINED if found.as_of is None else iso(found.as_of),
        "exact": found.exact,
        "status": found.status,
        "unit": found.unit or "none",
        "notes": list(found.notes),
        "withheld": withheld,
        "request": address(worked.request),
        "header": list(header(worked)),
        "data": _data(worked),
        **({"statuses": _statuses(worked)} if options.aggregator is None else {}),
    }


def body(worked: Worked, moment: int, withheld: int = 0) -> bytes:
    """The whole answer as JSON. Of aggregates the text is kept with the answer: only the moment changes."""
    text = worked.texts.get(withheld)
    if text is None:
        told = response(worked, moment, withheld)
        del told["time_of_response"]
        text = json.dumps(told, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()
        if worked.answer.options.aggregator is not None:  # what names people is not held twice
            worked.texts[withheld] = text
    return b'{"time_of_response":"%s",%s' % (iso(moment).encode(), text[1:])


def address(request: Request) -> str:
    """Where the request is answered, normalised; not quoted, for people to read."""
    options = request.options
    asked = options.canonical
    for name, at in (("start", options.start), ("end", options.end)):
        asked = asked if at is None else asked.replace(f"{name}={at}", f"{name}={_moment(at)}")
    return f"/cohorts/{request.cohort}/{asked}{'&is_user=true' if request.is_user else ''}"


def header(worked: Worked) -> tuple[str, ...]:
    """The columns: user_id or the slice first, where there are such; a status is told apart from the values."""
    found = worked.answer
    named = tuple("user_id" if name == "user" else name for name in found.header)
    return named if found.options.aggregator else named[:-1]


def rows(worked: Worked) -> list[list[Any]]:
    """Every row as texts and numbers, the status of raw ones last."""
    found = worked.answer
    if not found.rows:
        return []
    told: dict[str, Callable[[int], Any]] = dict.fromkeys(_INSTANTS.get(found.metric, ()), _digits) | {"slice": _label}
    # By columns: most of them are told as they are, and an answer may have many thousand rows.
    columns = [
        [_told(cell, told.get(name)) for cell in column]
        for name, column in zip(found.header, zip(*found.rows, strict=True), strict=True)
    ]
    return [list(row) for row in zip(*columns, strict=True)]


def _told(cell: Any, tell: Callable[[int], Any] | None) -> Any:
    if cell is None:
        return UNDEFINED
    if tell is not None:
        return tell(cell)
    return cell


def _data(worked: Worked) -> Any:
    if worked.answer.options.aggregator is None:
        return _by_user(worked, slice(0, -1))
    told = rows(worked)
    one_row = METRICS[worked.answer.metric].aggregators[worked.answer.options.aggregator].one_row
    if worked.answer.type != "time_series":
        return told[0] if one_row else told
    if one_row:
        return {label: values for label, *values in told}
    series: dict[str, list[list[Any]]] = {}
    for label, *values in told:
        series.setdefault(label, []).append(values)
    return series


def _statuses(worked: Worked) -> Any:
    return _by_user(worked, slice(-1, None))


def _by_user(worked: Worked, part: slice) -> Any:
    """{user: values}, or {slice: {user: values}}; a status is a text alone."""
    told = rows(worked)
    if worked.answer.type != "time_series":
        return {row[0]: _cells(row[1:], part) for row in told}
    series: dict[str, dict[str, Any]] = {}
    for row in told:
        series.setdefault(row[0], {})[row[1]] = _cells(row[2:], part)
    return series


def _cells(row: Sequence[Any], part: slice) -> Any:
    return row[-1] if part.start == -1 else list(row[part])


def _label(at: int | None) -> Any:
    """`2011-12-01 00:00:00`, as UserMetrics labels slices."""
    return UNDEFINED if at is None else to_datetime(at).isoformat(" ")[:_SECONDS]


@lru_cache(maxsize=10_000)
def _digits(at: int) -> str:
    return to_datetime(at).strftime("%Y%m%d%H%M%S")


def _moment(at: int) -> str:
    """As a request has it."""
    return iso(at) if at % SECOND else _digits(at)


def _slice_size(text: str) -> int | str:
    return int(text) if text.isdigit() else text
