"""Who has come."""

from types import MappingProxyType

from metrics.standard.aggregators import aggregators
from metrics.standard.metric import Metric, Question
from metrics.standard.parameters import COMMON


def _build(_question: Question) -> str:
    return """SELECT slice, uid, CASE WHEN reg IS NOT NULL THEN (reg >= lo AND reg < hi)::INTEGER END
            AS newly_registered, CASE WHEN reg IS NULL THEN 'undefined' ELSE status END AS status
        FROM frame"""


METRIC = Metric(
    name="newly_registered",
    summary="whether a user registered in [start, end)",
    feeds="the first fas.user.create of an account",
    header=("newly_registered",),
    build=_build,
    aggregators=aggregators("sum", "mean", "std"),
    parameters=("interval", *(name for name in COMMON if name in ("start", "end"))),
    defaults=MappingProxyType({}),
    unit=lambda _question: "users",
    registrations=True,
    reads_log=lambda _question: False,
)
