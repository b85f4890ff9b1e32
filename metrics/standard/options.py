"""A request's texts as Options: unknown, malformed or senseless ones are errors that name what is valid."""

from collections.abc import Mapping
from dataclasses import fields
from difflib import get_close_matches
from typing import Any, NamedTuple

from metrics.standard.kinds import one_of
from metrics.standard.metric import Metric
from metrics.standard.parameters import PARAMETERS, Options
from metrics.standard.registry import METRICS
from metrics.standard.slices import slices_of
from state.errors import HomecomingError
from state.weeks import iso

__all__ = ["Described", "Options", "described", "metric_named", "parse"]

_ASKING = ("aggregator", "time_series", "slice")

_DEFAULTS = {field.name: field.default for field in fields(Options)}


class Described(NamedTuple):
    """One parameter of one metric, for people: default as text, None where there is none."""

    name: str
    expects: str
    meaning: str
    unit: str
    default: str | None


def described(metric: Metric) -> tuple[Described, ...]:
    """The metric's parameters, in the order in which they are declared."""
    found = [
        Described("aggregator", f"one of {', '.join(metric.aggregators)}", "without one: a row per user", "", None)
    ]
    for name in _valid(metric)[1:]:
        declared = PARAMETERS[name]
        choices = metric.choices.get(name, ())
        default = metric.defaults.get(name, _text(_DEFAULTS[name]))
        expects = f"one of {', '.join(choices)}" if choices else declared.expects
        meaning = metric.meanings.get(name, declared.meaning)
        found.append(Described(name, expects, meaning, declared.unit, default))
    return tuple(found)


def metric_named(name: str) -> Metric:
    """The metric; HomecomingError that lists them all where there is none of that name."""
    if name not in METRICS:
        near = get_close_matches(name, METRICS, 1)
        hint = f" (did you mean {near[0]}?)" if near else ""
        raise HomecomingError(f"no metric {name!r}{hint}: one of {', '.join(METRICS)}")
    return METRICS[name]


def parse(metric: str, given: Mapping[str, str]) -> Options:
    """The options of a request. Raises HomecomingError for what is unknown, malformed or contradicts itself."""
    asked = metric_named(metric)
    valid = _valid(asked)
    values: dict[str, Any] = {"metric": metric}
    for name in given:
        if name not in valid:
            raise HomecomingError(f"{metric} takes no parameter {name!r}: one of {', '.join(valid)}")
    for name in valid[1:]:
        default = asked.defaults.get(name)
        text = given.get(name, default)
        if text is not None:
            values[name] = _read(asked, name, text.strip())
    if (aggregator := given.get("aggregator")) is not None:
        if aggregator not in asked.aggregators:
            raise HomecomingError(f"{metric} has no aggregator {aggregator!r}: one of {', '.join(asked.aggregators)}")
        values["aggregator"] = aggregator
    options = Options(**values)
    _check(asked, options, given)
    return Options(**values, canonical=_canonical(options, valid))


def _valid(metric: Metric) -> tuple[str, ...]:
    asking = _ASKING if metric.series != "none" else _ASKING[:1]
    return (*asking, *(name for name in PARAMETERS if name in metric.parameters))


def _read(metric: Metric, name: str, text: str) -> Any:
    declared = PARAMETERS[name]
    choices = metric.choices.get(name)
    try:
        return one_of(choices)(text) if choices else declared.read(text)
    except (ValueError, OverflowError):
        expects = f"one of {', '.join(choices)}" if choices else declared.expects
        raise HomecomingError(f"{metric.name}: {name}={text!r:.60} is not {expects}") from None


def _check(metric: Metric, options: Options, given: Mapping[str, str]) -> None:
    name, start, end = metric.name, options.start, options.end
    if start is not None and end is not None and end <= start:
        raise HomecomingError(f"{name}: end={iso(end)} must lie after start={iso(start)}")
    if options.time_series:
        if options.interval == "right":
            raise HomecomingError(f"{name}: slices are left-closed; leave interval=right out of a time series")
        slices_of(options)
    elif "slice" in given:
        raise HomecomingError(f"{name}: slice goes with time_series; add time_series=true or leave slice out")
    metric.check(options)


def _canonical(options: Options, valid: tuple[str, ...]) -> str:
    values = {name: _text(getattr(options, name)) for name in sorted(valid)}
    if not options.time_series:
        values.pop("slice", None)
    asked = "&".join(f"{name}={text}" for name, text in values.items() if text is not None)
    return f"{options.metric}?{asked}"


def _text(value: Any) -> str | None:
    if value is None or value == ():
        return None
    if isinstance(value, bool):
        return str(value).lower()
    return ",".join(value) if isinstance(value, tuple) else str(value)
