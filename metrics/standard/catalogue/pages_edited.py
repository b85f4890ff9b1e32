"""How many things users work on."""

from metrics.standard.aggregators import COUNTED, aggregators, rows_of
from metrics.standard.metric import AggregateRow, Aggregator, Metric, Question, filled

_OBJECTS = "SELECT DISTINCT slice, uid, coalesce(project, '') AS project, object FROM act WHERE object IS NOT NULL"


def _build(question: Question) -> str:
    if question.options.aggregator == "distinct":  # it counts objects, not users' objects
        return "SELECT slice, uid, NULL AS pages_edited, status FROM frame"
    values = f"SELECT slice, uid, count(*) AS pages_edited FROM ({_OBJECTS}) GROUP BY ALL"
    return filled(values, {"pages_edited": "0"})


def _distinct(question: Question, _header: tuple[str, ...]) -> list[AggregateRow]:
    return rows_of(
        question,
        f"""WITH counted AS (SELECT slice, uid FROM value WHERE {COUNTED}), done AS (
            SELECT DISTINCT slice, coalesce(project, '') AS project, object
            FROM act SEMI JOIN counted USING (slice, uid) WHERE object IS NOT NULL
        )
        SELECT slice, coalesce(objects, 0), users FROM (SELECT slice, count(*) AS users FROM counted GROUP BY slice)
        LEFT JOIN (SELECT slice, count(*) AS objects FROM done GROUP BY slice) USING (slice)""",
    )


METRIC = Metric(
    name="pages_edited",
    summary="distinct objects (issues, topics, pages, updates) to which a user contributed in the window",
    feeds="every message with an actor that tells what it is about, account events excepted",
    header=("pages_edited",),
    build=_build,
    aggregators={
        **aggregators("sum", "mean", "std", "dist"),
        "distinct": Aggregator("objects to which anybody contributed, each once", lambda header: header, _distinct),
    },
    unit=lambda _question: "objects",
)
