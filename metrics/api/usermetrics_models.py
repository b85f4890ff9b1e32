"""Shapes of the answers about metrics; -1 stands for what is undefined, not given, or hidden, null for nothing."""

from typing import Annotated, Any, Literal

from pydantic import Field

from metrics.api.models import Refusal, Shape
from metrics.asking.jobs import Status as JobStatus
from metrics.standard.metric import Status

__all__ = ["AllRequests", "AskedFor", "Job", "MetricAnswer", "MetricDescribed", "Metrics", "Refusal"]

Undefined = Literal[-1]


class MetricAnswer(Shape):
    """A metric over a cohort, in the shape of the UserMetrics API."""

    time_of_response: Annotated[str, Field(description="Processing time.")]
    cohort_last_generated: Annotated[str, Field(description="Processing time at which this was worked out.")]
    metric: str
    cohort: Annotated[str, Field(description="The expression, normalised.")]
    cohort_size: int
    type: Literal["raw", "aggregator", "time_series"]
    group: Literal["registration", "activity", "all"]
    aggregator: str
    namespace: str
    project: str
    n: int
    t: int
    slice_size: Annotated[int | str, Field(description="Hours, or day, week, month, year.")]
    datetime_start: str | Undefined
    datetime_end: str | Undefined
    as_of: Annotated[str | Undefined, Field(description="The watermark, event time.")]
    exact: Annotated[bool, Field(description="false: a part of it comes out of summaries of days.")]
    status: Status
    unit: str
    notes: list[str]
    withheld: Annotated[int, Field(description="Rows about so few people that the public does not get them.")]
    request: str
    header: list[str]
    data: Annotated[Any, Field(description="{user: [values]}, [values], [[values]], or {label: any of these}.")]
    statuses: Annotated[Any, Field(description="{user: status} or {label: {user: status}}, of raw values.")] = None


class Job(Shape):
    """A request on its way. Times are processing times, empty until they have come."""

    id: str
    status: JobStatus
    request: str
    queued_at: str
    started_at: str
    done_at: str
    url: Annotated[str, Field(description="Where the job's status, and once it is done its answer, can be had.")]
    error: Annotated[str, Field(description="Why it failed, in one line.")] = ""


class AskedFor(Shape):
    request: str
    cohort: str
    metric: str
    times: int
    last_at: Annotated[str, Field(description="Processing time.")]
    status: JobStatus
    job: Annotated[str, Field(description="Id of the job that last worked it out; empty where it is forgotten.")]


class AllRequests(Shape):
    requests: Annotated[list[AskedFor], Field(description="The latest first.")]


class ParameterDescribed(Shape):
    name: str
    expects: str
    meaning: str
    unit: str
    default: str | None


class AggregatorDescribed(Shape):
    name: str
    summary: str
    header: list[str]


class MetricDescribed(Shape):
    name: str
    summary: str
    feeds: Annotated[str, Field(description="What feeds it on Fedora's bus, and what cannot be had there.")]
    header: Annotated[list[str], Field(description="The values of a user.")]
    parameters: list[ParameterDescribed]
    aggregators: list[AggregatorDescribed]


class Metrics(Shape):
    metrics: list[MetricDescribed]
