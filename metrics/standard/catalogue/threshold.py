"""Whether users contribute soon after they registered."""

from metrics.standard.aggregators import proportion
from metrics.standard.metric import Metric, Question, always, filled
from metrics.standard.parameters import WINDOWED

#: Once reached it stays so; who has not reached it yet may still do so until the window has passed.
REACHED_OR_OVER = "CASE WHEN v.events >= {n} THEN 'final' WHEN f.status = 'censored' THEN 'undefined' ELSE f.status END"


def reached(question: Question, name: str) -> str:
    """SQL: whether users have n or more contributions in their window, 1 or 0."""
    n = question.options.n
    values = f"SELECT slice, uid, count(*) AS events, (count(*) >= {n})::INTEGER AS {name} FROM act GROUP BY ALL"
    judged = filled(values, {name: "0"}, REACHED_OR_OVER.format(n=n))
    return f"SELECT * REPLACE (CASE WHEN status <> 'undefined' THEN {name} END AS {name}) FROM ({judged})"


METRIC = Metric(
    name="threshold",
    summary="whether a user has n or more contributions in [reg, reg + t)",
    feeds="registrations (fas.user.create) and every message with an actor, account events excepted",
    header=("threshold",),
    build=lambda question: reached(question, "threshold"),
    aggregators={"proportion": proportion("threshold_reached")},
    parameters=("n", *WINDOWED),
    whole_days=always,
)
