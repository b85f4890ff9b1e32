"""In how many sittings users contribute."""

from metrics.standard.aggregators import aggregators
from metrics.standard.metric import Metric, Question, filled
from metrics.standard.parameters import WINDOWED
from state.weeks import HOUR


def _build(question: Question) -> str:
    gap = question.options.gap * HOUR
    values = f"""SELECT slice, uid, count(*) FILTER (pause IS NULL OR pause >= {gap}) AS sessions
        FROM (SELECT slice, uid, act.at - lag(act.at) OVER (PARTITION BY slice, uid ORDER BY act.at) AS pause
            FROM act)
        GROUP BY ALL"""
    return filled(values, {"sessions": "0"})


METRIC = Metric(
    name="sessions",
    summary="sessions in the window; a pause of `gap` hours or more begins a new one",
    feeds="every message with an actor, account events excepted",
    header=("sessions",),
    build=_build,
    aggregators=aggregators("sum", "mean", "median", "std", "dist"),
    parameters=("gap", *WINDOWED),
    unit=lambda _question: "sessions",
)
