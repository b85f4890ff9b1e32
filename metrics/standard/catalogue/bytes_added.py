"""How much text users add and take away."""

from metrics.standard.aggregators import aggregators
from metrics.standard.metric import Metric, Question, always, among, filled
from metrics.standard.parameters import WINDOWED
from state.errors import HomecomingError

_HEADER = ("bytes_added_net", "bytes_added_absolute", "bytes_added_pos", "bytes_added_neg", "edit_count")


def _build(question: Question) -> str:
    unit = _unit(question)
    sized = f"size IS NOT NULL AND {among('unit', [unit])}" if unit else "size IS NOT NULL"
    values = f"""SELECT slice, uid, sum(size) AS bytes_added_net, sum(abs(size)) AS bytes_added_absolute,
            sum(size) FILTER (size > 0) AS bytes_added_pos, sum(size) FILTER (size < 0) AS bytes_added_neg,
            count(*) AS edit_count
        FROM act WHERE {sized} GROUP BY ALL"""
    return filled(values, dict.fromkeys(_HEADER, "0"))


def _unit(question: Question) -> str | None:
    """The unit asked for, or the one there is: lines and bytes do not add up."""
    asked = question.options.unit
    found = sorted(
        unit for (unit,) in question.rows("SELECT DISTINCT unit FROM act WHERE size IS NOT NULL AND unit IS NOT NULL")
    )
    if asked is None and len(found) > 1:
        raise HomecomingError(
            f"bytes_added: sizes in {' and '.join(found)} do not add up: choose one, unit={found[0]} for instance"
        )
    if asked is not None and found and asked not in found:
        raise HomecomingError(f"bytes_added: no sizes in unit={asked!r:.60}: one of {', '.join(found)}")
    unit = asked or (found[0] if found else None)
    if unit and unit not in question.units:
        question.units.append(unit)
    return unit


METRIC = Metric(
    name="bytes_added",
    summary="what a user's contributions added: net, absolute, positive, negative, and how many told their size",
    feeds="git pushes tell lines, wikis bytes (not Fedora's wiki on the bus); what tells no size is left out, "
    "from the count too",
    header=_HEADER,
    build=_build,
    aggregators=aggregators("sum", "mean", "std", "median", "min", "max"),
    parameters=("unit", *WINDOWED),
    whole_days=always,
)
