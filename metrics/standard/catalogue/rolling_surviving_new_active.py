"""Who came, was active, and still is."""

from metrics.standard.aggregators import aggregators
from metrics.standard.catalogue.rolling_active import DEFAULTS, PARAMETERS, moment_of, rolling
from metrics.standard.metric import Metric, Question
from state.weeks import DAY


def _reach(question: Question) -> tuple[int, int]:
    moment = moment_of(question)
    return moment - 2 * question.options.u * DAY, moment + 1


def _build(question: Question) -> str:
    n, moment = question.options.n, moment_of(question)
    middle = moment - question.options.u * DAY
    begin = middle - question.options.u * DAY
    counts = f", count(*) FILTER (c.at <= {middle}) AS before, count(*) FILTER (c.at > {middle}) AS after"
    holds = f"p.reg BETWEEN {begin} AND {middle} AND v.before >= {n} AND v.after >= {n}"
    return rolling(question, "rolling_surviving_new_active", holds, counts)


METRIC = Metric(
    name="rolling_surviving_new_active",
    summary="whether a user registered in [T - 2u, T - u] and has n or more contributions in [T - 2u, T - u] "
    "and in (T - u, T]; T is end, or as_of",
    feeds="registrations (fas.user.create) and every message with an actor, account events excepted",
    header=("rolling_surviving_new_active",),
    build=_build,
    aggregators=aggregators("sum"),
    parameters=PARAMETERS,
    defaults=DEFAULTS,
    unit=lambda _question: "users",
    registrations=True,
    reach=_reach,
    series="each",
)
