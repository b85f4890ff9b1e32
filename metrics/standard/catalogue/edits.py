"""How much users contribute."""

from metrics.standard.aggregators import aggregators
from metrics.standard.metric import Metric, Question, always, filled


def _build(_question: Question) -> str:
    return filled("SELECT slice, uid, count(*) AS edits FROM act GROUP BY ALL", {"edits": "0"})


METRIC = Metric(
    name="edits",
    summary="contributions in the window",
    feeds="every message with an actor, account events excepted",
    header=("edits",),
    build=_build,
    aggregators=aggregators("sum", "mean", "std", "median", "min", "max", "dist"),
    unit=lambda _question: "contributions",
    whole_days=always,
)
