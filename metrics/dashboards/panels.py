"""What every panel here has: a title, a description, a unit, and queries on the dashboard's data sources."""

from collections.abc import Mapping
from string import ascii_uppercase
from typing import Protocol, Self, TypeVar

from grafana_foundation_sdk.builders import barchart, prometheus, stat, statetimeline, table, timeseries
from grafana_foundation_sdk.builders.common import VizLegendOptions
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.cog.variants import Dataquery
from grafana_foundation_sdk.models.common import GraphDrawStyle, LegendDisplayMode, LegendPlacement
from grafana_foundation_sdk.models.dashboard import DataSourceRef, Panel

#: Grafana's grid is 24 wide; rows of panels are so high.
WIDTH, LOW, HIGH = 24, 4, 8

METRICS = DataSourceRef(type_val="prometheus", uid="${datasource}")
API = DataSourceRef(type_val="yesoreyeram-infinity-datasource", uid="${api}")

#: Which process; every query on Prometheus names it.
HERE = 'job="$job", instance="$instance"'


class Drawn(Protocol):
    """What all of the SDK's panel builders take."""

    def build(self) -> Panel: ...
    def title(self, title: str) -> Self: ...
    def description(self, description: str) -> Self: ...
    def unit(self, unit: str) -> Self: ...
    def datasource(self, datasource: DataSourceRef) -> Self: ...
    def height(self, h: int) -> Self: ...
    def span(self, w: int) -> Self: ...
    def with_target(self, target: Builder[Dataquery]) -> Self: ...


_P = TypeVar("_P", bound=Drawn)


class ApiQuery(Dataquery):
    """A query of the Infinity data source: CSV of Homecoming's API, whose address the data source has."""

    def __init__(self, path: str, columns: Mapping[str, str]) -> None:
        """columns: name -> "string", "number" or "timestamp"."""
        self.path = path
        self.columns = columns

    def to_json(self) -> dict[str, object]:
        return {
            "refId": "A",
            "datasource": API,
            "type": "csv",
            "source": "url",
            "format": "table",
            "parser": "backend",
            "url": self.path,
            "url_options": {"method": "GET", "data": ""},
            "root_selector": "",
            "columns": [{"selector": name, "text": name, "type": kind} for name, kind in self.columns.items()],
        }


class _ApiQuery(Builder[Dataquery]):
    def __init__(self, query: ApiQuery) -> None:
        self._query = query

    def build(self) -> ApiQuery:
        return self._query


def number(title: str, description: str, unit: str, query: str) -> stat.Panel:
    """The present value of one query as a large figure."""
    return _named(stat.Panel(), title, description, unit, METRICS, LOW, 4).with_target(_now(query))


def lines(title: str, description: str, unit: str, queries: Mapping[str, str]) -> timeseries.Panel:
    """legend -> query, over time."""
    panel = _named(timeseries.Panel(), title, description, unit, METRICS, HIGH, WIDTH // 2)
    return _each(panel.fill_opacity(8).legend(_below()), queries)


def bars(title: str, description: str, unit: str, queries: Mapping[str, str]) -> timeseries.Panel:
    """legend -> query, over time, each step a bar of its own."""
    return lines(title, description, unit, queries).draw_style(GraphDrawStyle.BARS).fill_opacity(60)


def states(title: str, description: str, queries: Mapping[str, str]) -> statetimeline.Panel:
    """legend -> query whose value is 0 or 1, over time."""
    panel = _named(statetimeline.Panel(), title, description, "bool_yes_no", METRICS, HIGH, WIDTH // 2)
    return _each(panel, queries)


def api_table(title: str, description: str, unit: str, query: ApiQuery) -> table.Panel:
    """What the API says, as a table."""
    panel = _named(table.Panel(), title, description, unit, API, 2 * HIGH, WIDTH)
    return panel.with_target(_ApiQuery(query))


def api_bars(title: str, description: str, unit: str, query: ApiQuery) -> barchart.Panel:
    """What the API says, a bar a row."""
    panel = _named(barchart.Panel(), title, description, unit, API, HIGH, WIDTH // 2)
    return panel.with_target(_ApiQuery(query))


def _named(panel: _P, title: str, description: str, unit: str, source: DataSourceRef, height: int, span: int) -> _P:
    return panel.title(title).description(description).unit(unit).datasource(source).height(height).span(span)


def _each(panel: _P, queries: Mapping[str, str]) -> _P:
    for name, (legend, query) in zip(ascii_uppercase, queries.items(), strict=False):
        panel.with_target(prometheus.Dataquery().expr(query).range().legend_format(legend).ref_id(name))
    return panel


def _now(query: str) -> prometheus.Dataquery:
    return prometheus.Dataquery().expr(query).instant().ref_id("A")


def _below() -> VizLegendOptions:
    return VizLegendOptions().show_legend(True).display_mode(LegendDisplayMode.LIST).placement(LegendPlacement.BOTTOM)
