"""What docs/metrics.md says of each metric, out of the registry: `python -m metrics.asking.page docs/metrics.md`."""

import re
import sys
from pathlib import Path

from metrics.standard.metric import Metric
from metrics.standard.options import described
from metrics.standard.parameters import PARAMETERS
from metrics.standard.registry import METRICS

#: Around each generated part; the name of a metric, or `parameters`.
_PART = "<!-- generated: {name} -->\n{text}\n<!-- end -->"


def refreshed(page: str) -> str:
    """The page with every generated part made anew; the text around them stays as it is."""
    for name, text in parts().items():
        found = re.compile(rf"<!-- generated: {name} -->\n.*?<!-- end -->", re.DOTALL)
        page = found.sub(lambda _, name=name, text=text: _PART.format(name=name, text=text), page)  # type: ignore[misc]
    return page


def parts() -> dict[str, str]:
    """The generated parts by their names."""
    return {name: _section(metric) for name, metric in METRICS.items()} | {"parameters": _parameters()}


def _section(metric: Metric) -> str:
    asked = [one for one in described(metric) if one.name not in ("aggregator", "time_series", "slice")]
    defaults = [f"`{one.name}`" + ("" if one.default is None else f" = {one.default}") for one in asked]
    own = [f"- `{one.name}` here: {one.meaning} ({one.expects})" for one in asked if one.name in metric.meanings]
    aggregated = [
        f"| `{name}` | {one.summary} | {_names(one.header(metric.header))} |"
        for name, one in metric.aggregators.items()
    ]
    lines = [
        f"{metric.summary[0].upper()}{metric.summary[1:]}.",
        "",
        f"- values of a user: {_names(metric.header)}",
        f"- parameters: {', '.join(defaults)}",
        *own,
        f"- time series: {'no' if metric.series == 'none' else 'yes'}",
        f"- fed by: {metric.feeds}",
        "",
        "| aggregator | gives | columns |",
        "|---|---|---|",
        *aggregated,
    ]
    return "\n".join(lines)


def _parameters() -> str:
    lines = ["| parameter | takes | meaning | unit |", "|---|---|---|---|"]
    lines += [f"| `{name}` | {one.expects} | {one.meaning} | {one.unit} |" for name, one in PARAMETERS.items()]
    return "\n".join(lines)


def _names(names: tuple[str, ...]) -> str:
    return ", ".join(f"`{name}`" for name in names)


if __name__ == "__main__":
    page = Path(sys.argv[1])
    page.write_text(refreshed(page.read_text(encoding="utf-8")), encoding="utf-8")
