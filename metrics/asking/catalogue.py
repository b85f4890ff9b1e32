"""Every metric with what it takes, gives, and is fed by: for /api/metrics and docs/metrics.md."""

from typing import Any

from metrics.standard.metric import Metric
from metrics.standard.options import described
from metrics.standard.registry import METRICS


def catalogue() -> dict[str, Any]:
    """`{"metrics": [{"name", "summary", "feeds", "header", "parameters", "aggregators"}]}`, sorted by name."""
    return {"metrics": [_metric(metric) for metric in METRICS.values()]}


def _metric(metric: Metric) -> dict[str, Any]:
    return {
        "name": metric.name,
        "summary": metric.summary,
        "feeds": metric.feeds,
        "header": list(metric.header),
        "parameters": [one._asdict() for one in described(metric)],
        "aggregators": [
            {"name": name, "summary": one.summary, "header": list(one.header(metric.header))}
            for name, one in metric.aggregators.items()
        ],
    }
