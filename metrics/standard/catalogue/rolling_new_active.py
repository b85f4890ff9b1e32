"""Who is new and active."""

from metrics.standard.aggregators import aggregators
from metrics.standard.catalogue.rolling_active import DEFAULTS, PARAMETERS, moment_of, reach, rolling
from metrics.standard.metric import Metric, Question
from state.weeks import DAY


def _build(question: Question) -> str:
    n, moment = question.options.n, moment_of(question)
    begin = moment - question.options.u * DAY
    return rolling(question, "rolling_new_active", f"p.reg BETWEEN {begin} AND {moment} AND v.events >= {n}")


METRIC = Metric(
    name="rolling_new_active",
    summary="whether a user registered in [T - u, T] and has n or more contributions in (T - u, T]; T is end, or as_of",
    feeds="registrations (fas.user.create) and every message with an actor, account events excepted",
    header=("rolling_new_active",),
    build=_build,
    aggregators=aggregators("sum"),
    parameters=PARAMETERS,
    defaults=DEFAULTS,
    unit=lambda _question: "users",
    registrations=True,
    reach=reach,
    series="each",
)
