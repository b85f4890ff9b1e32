"""What every dashboard here has: the variables that choose data sources and process, a time span, a refresh."""

from collections.abc import Sequence

from grafana_foundation_sdk.builders.dashboard import CustomVariable, Dashboard, DatasourceVariable, QueryVariable
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.models import dashboard as model
from grafana_foundation_sdk.models.dashboard import (
    DashboardCursorSync,
    Panel,
    VariableModel,
    VariableOption,
    VariableRefresh,
)

from metrics.dashboards.panels import API, METRICS
from state.rules import POPULATIONS


def dashboard(
    uid: str,
    title: str,
    description: str,
    span: str,
    panels: Sequence[Builder[Panel]],
    *variables: Builder[VariableModel],
) -> model.Dashboard:
    """The dashboard of these panels over the last `span` ("6h"), the variables of its own after the common ones."""
    frame = (
        Dashboard(title)
        .uid(uid)
        .description(description)
        .tags(["homecoming"])
        .timezone("utc")
        .week_start("monday")
        .time(f"now-{span}", "now")
        .refresh("1m")
        .tooltip(DashboardCursorSync.CROSSHAIR)
        .readonly()
        .with_variable(DatasourceVariable("datasource").label("Prometheus").type(str(METRICS.type_val)))
    )
    for variable in (*variables, _label("job", ""), _label("instance", '{job="$job"}')):
        frame.with_variable(variable)
    for panel in panels:
        frame.with_panel(panel)
    built = frame.build()
    # Links and alerts name a panel by its number: it must not be Grafana's to choose.
    for number, drawn in enumerate(built.panels or (), start=1):
        drawn.id_val = number
    return built


def api_source() -> DatasourceVariable:
    """Which Infinity data source has the address of Homecoming's API."""
    return DatasourceVariable("api").label("API").type(str(API.type_val))


def population() -> CustomVariable:
    """Whom to count."""
    values = ",".join(POPULATIONS)
    return (
        CustomVariable("population")
        .label("Population")
        .values(values)
        .current(VariableOption(text="all", value="all", selected=True))
    )


def _label(name: str, among: str) -> QueryVariable:
    query = f"label_values(homecoming_state_up{among}, {name})"
    return (
        QueryVariable(name)
        .label(name.capitalize())
        .datasource(METRICS)
        .query({"query": query, "refId": "A"})
        .refresh(VariableRefresh.ON_TIME_RANGE_CHANGED)
    )
