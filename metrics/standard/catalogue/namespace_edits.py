"""Where users contribute."""

from typing import Any

from metrics.standard.aggregators import COUNTED
from metrics.standard.metric import AggregateRow, Aggregator, Metric, Question, always
from state.duck import literal

#: A wiki's namespaces are numbers; on Fedora's bus the service stands in their place.
_NAMESPACE = "CASE WHEN regexp_full_match(namespace, '-?[0-9]+') THEN namespace ELSE service END"

#: Numbers in their order, before names.
_ORDER = "try_cast(namespace AS BIGINT) NULLS LAST, namespace"


def _build(question: Question) -> str:
    counts = f"SELECT slice, uid, {_NAMESPACE} AS namespace, count(*) AS edits FROM act GROUP BY ALL"
    question.duck.execute(f"CREATE OR REPLACE TEMP TABLE namespace_edit AS {counts}")
    if question.options.aggregator is not None:  # it adds the counts themselves: maps are for people
        return "SELECT slice, uid, NULL AS namespace_edits, status FROM frame"
    asked = "".join(f" UNION SELECT {literal(name)}" for name in question.options.namespace)
    spaces = f"SELECT DISTINCT namespace FROM namespace_edit{asked}"
    return f"""WITH space AS ({spaces}), none AS (
            SELECT coalesce(map(list(namespace ORDER BY {_ORDER}), list(0::BIGINT)), MAP {{}}) AS edits FROM space
        ), busy AS (
            SELECT slice, uid, map(list(namespace ORDER BY {_ORDER}), list(edits ORDER BY {_ORDER})) AS edits
            FROM (
                SELECT who.slice, who.uid, namespace, coalesce(n.edits, 0) AS edits
                FROM (SELECT DISTINCT slice, uid FROM namespace_edit) who CROSS JOIN space
                LEFT JOIN namespace_edit n USING (slice, uid, namespace)
            ) GROUP BY ALL
        )
        SELECT f.slice, f.uid, CASE WHEN f.status <> 'undefined' THEN coalesce(s.edits, none.edits) END
            AS namespace_edits, f.status
        FROM frame f CROSS JOIN none LEFT JOIN busy s ON s.slice = f.slice AND s.uid = f.uid"""


def _sum(question: Question, _header: tuple[str, ...]) -> list[AggregateRow]:
    found = question.rows(
        f"""WITH counted AS (SELECT slice, uid FROM value WHERE {COUNTED})
        SELECT slice, namespace, sum(edits) FROM namespace_edit SEMI JOIN counted USING (slice, uid)
        GROUP BY ALL"""
    )
    users = dict(question.rows(f"SELECT slice, count(*) FROM value WHERE {COUNTED} GROUP BY slice"))
    spaces = sorted({*question.options.namespace, *(space for _, space, _ in found)}, key=_place)
    totals: dict[int, dict[str, Any]] = {number: dict.fromkeys(spaces, 0) for number in users}
    for number, space, edits in found:
        totals[number][space] = edits
    return [(number, (totals[number],), users[number]) for number in sorted(users)]


def _place(space: str) -> tuple[bool, int, str]:
    is_number = space.lstrip("-").isdigit()
    return (not is_number, int(space) if is_number else 0, space)


METRIC = Metric(
    name="namespace_edits",
    summary="contributions by namespace, as a map in the order of namespaces, zeros present",
    feeds="every message with an actor, account events excepted; the namespace is the service (pagure, discourse, ...)",
    header=("namespace_edits",),
    build=_build,
    aggregators={"sum": Aggregator("sum over users, by namespace", lambda header: header, _sum)},
    unit=lambda _question: "contributions",
    whole_days=always,
)
