"""Who is active just now."""

from types import MappingProxyType

from metrics.standard.aggregators import aggregators
from metrics.standard.metric import Metric, Question, among
from metrics.standard.parameters import COMMON
from state.weeks import DAY

PARAMETERS = ("n", "u", *COMMON)
DEFAULTS = MappingProxyType({"n": "5", "u": "30"})


def moment_of(question: Question) -> int:
    """T: the end asked for, or as_of."""
    end = question.options.end
    return question.as_of if end is None else end


def reach(question: Question) -> tuple[int, int]:
    """(T - u, T] as [low, high)."""
    high = moment_of(question) + 1
    return high - question.options.u * DAY, high


def rolling(question: Question, name: str, holds: str, counts: str = "") -> str:
    """SQL: 1 where `holds` (SQL over p.reg, v.events and the counts), for everybody who is no bot."""
    bots = among("p.username", question.rules.allowlist)
    final = moment_of(question) <= question.as_of
    return f"""SELECT 0 AS slice, p.uid,
            (coalesce({holds}, FALSE) AND NOT coalesce(v.bot, FALSE) AND NOT {bots})::INTEGER AS {name},
            {"'final'" if final else "'open'"} AS status
        FROM person p LEFT JOIN (
            SELECT uid, count(*) AS events, bool_or(is_bot) AS bot{counts} FROM contribution c GROUP BY uid
        ) v ON v.uid = p.uid"""


METRIC = Metric(
    name="rolling_active",
    summary="whether a user has n or more contributions in (T - u, T] and is no bot; T is end, or as_of",
    feeds="every message with an actor, account events excepted; bots are those of the allowlist, or that a wiki marks",
    header=("rolling_active",),
    build=lambda question: rolling(question, "rolling_active", f"v.events >= {question.options.n}"),
    aggregators=aggregators("sum"),
    parameters=PARAMETERS,
    defaults=DEFAULTS,
    unit=lambda _question: "users",
    registrations=True,
    reach=reach,
    series="each",
)
