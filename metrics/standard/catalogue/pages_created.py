"""What users begin."""

from metrics.standard.aggregators import aggregators
from metrics.standard.metric import Metric, Question, always, among, filled

#: Actions that create an object, beside those that open a thread by the state's rules.
CREATIONS = (
    "*.issue.new",
    "*.topic.topic_created",
    "pagure.project.new",
    "copr.project.new",
    "wiki.upload.complete",
    "wiki.page.create",
    "*.page-create",
    "*.page_create",
    "*.create_page",
)


def _build(question: Question) -> str:
    creations = question.topics.like((*CREATIONS, *sorted(question.rules.content.threads)))
    values = f"""SELECT slice, uid, count(*) AS pages_created FROM act
        WHERE {among("topic", creations)} GROUP BY ALL"""
    return filled(values, {"pages_created": "0"})


METRIC = Metric(
    name="pages_created",
    summary="objects that a user created in the window: issues, topics, projects, pages, uploads",
    feeds="pagure.issue.new, discourse.topic.topic_created, pagure.project.new, wiki.upload.complete; a new page of "
    "Fedora's wiki looks like any other edit there",
    header=("pages_created",),
    build=_build,
    aggregators=aggregators("sum", "dist", "mean", "std"),
    unit=lambda _question: "objects",
    whole_days=always,
)
