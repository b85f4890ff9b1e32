"""How long users take to their first contributions."""

from types import MappingProxyType

from metrics.standard.aggregators import aggregators
from metrics.standard.metric import Metric, Question
from metrics.standard.parameters import WINDOWED, Options
from state.errors import HomecomingError

_MINUTE = 60_000_000.0


def _build(question: Question) -> str:
    first, threshold = question.options.first, question.options.threshold
    begin = f"v.times[{first}]" if first else "f.reg"
    taken = f"(v.times[{threshold}] - {begin}) / {_MINUTE}"
    return f"""SELECT f.slice, f.uid, {taken} AS minutes,
            CASE WHEN {taken} IS NULL THEN 'undefined' ELSE 'final' END AS status
        FROM frame f LEFT JOIN (SELECT slice, uid, min(act.at, {threshold}) AS times FROM act GROUP BY ALL) v
            ON v.slice = f.slice AND v.uid = f.uid"""


def _check(options: Options) -> None:
    if options.first >= options.threshold:
        raise HomecomingError(
            f"time_to_threshold: first={options.first} must be less than threshold={options.threshold}"
        )


METRIC = Metric(
    name="time_to_threshold",
    summary="minutes from registration (first=0), or from the first-th contribution, to the threshold-th; "
    "undefined until it is reached",
    feeds="registrations (fas.user.create) and every message with an actor, account events excepted",
    header=("minutes",),
    build=_build,
    aggregators=aggregators("mean", "median", "min", "max", "std", "dist"),
    parameters=("first", "threshold", *WINDOWED),
    defaults=MappingProxyType({}),
    unit=lambda _question: "minutes",
    registrations=True,
    check=_check,
)
