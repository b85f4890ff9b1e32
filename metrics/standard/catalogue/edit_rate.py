"""How often users contribute."""

from types import MappingProxyType

from metrics.standard.aggregators import aggregators
from metrics.standard.metric import Metric, Question, always, filled
from metrics.standard.parameters import FOREVER, WINDOWED
from state.weeks import DAY, HOUR


def _build(question: Question) -> str:
    unit = HOUR if question.options.unit == "hour" else DAY
    # What is yet to come of a window has no contributions: so far, the rate is that of the time behind us.
    elapsed = f"least(f.hi, {question.as_of}) - f.lo"
    period = f"(CASE WHEN f.lo > -{FOREVER} AND {elapsed} > 0 THEN ({elapsed}) / {unit} END)"
    values = "SELECT slice, uid, count(*) AS edits FROM act GROUP BY ALL"
    counted = filled(values, {"edits": "0"})
    return f"""SELECT c.slice, c.uid, edits, edits / {period} AS edit_rate, {period} AS period, c.status
        FROM ({counted}) c JOIN frame f ON f.slice = c.slice AND f.uid = c.uid"""


METRIC = Metric(
    name="edit_rate",
    summary="contributions in the window, contributions per unit of time, and the window's length in that unit",
    feeds="every message with an actor, account events excepted",
    header=("edits", "edit_rate", "period"),
    build=_build,
    aggregators=aggregators("mean", "dist"),
    parameters=("unit", *WINDOWED),
    defaults=MappingProxyType({"t": "24", "unit": "day"}),
    choices=MappingProxyType({"unit": ("hour", "day")}),
    unit=lambda question: f"per {question.options.unit}",
    whole_days=always,
)
