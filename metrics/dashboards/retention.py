"""Community retention: does this community come back?"""

from grafana_foundation_sdk.builders import stat, table
from grafana_foundation_sdk.builders.dashboard import FieldColor, ThresholdsConfig
from grafana_foundation_sdk.models.common import TableCellBackgroundDisplayMode, TableColoredBackgroundCellOptions
from grafana_foundation_sdk.models.dashboard import (
    Dashboard,
    DataTransformerConfig,
    DynamicConfigValue,
    FieldColorModeId,
    Threshold,
    ThresholdsMode,
)

from metrics.dashboards.frame import api_source, dashboard, population
from metrics.dashboards.panels import HERE, ApiQuery, api_bars, api_table, lines, number

#: Columns of /api/retention as CSV, by kind.
_COLUMNS = {"week": "string", "size": "number", "offset": "string", "users": "number", "state": "string"}

#: A rate from this on has this colour: steps by the square root, as most rates are low after the first week.
_SHADES = (
    (None, "#eef4f3"),
    (0.02, "#d3e6e3"),
    (0.06, "#b0d5cf"),
    (0.14, "#86c0b7"),
    (0.25, "#57a79b"),
    (0.4, "#27796c"),
    (0.6, "#185a50"),
)


def community_retention() -> Dashboard:
    """The triangle, how many come back, with and without spam."""
    return dashboard(
        "homecoming-retention",
        "Community retention",
        "Who of each week's sign-ups was active again in the weeks after. Cohorts of few users are hidden.",
        "30d",
        [
            _came_back(1, "the week after"),
            _came_back(4, "after 4 weeks"),
            _came_back(8, "after 8 weeks"),
            number("Accounts", "Accounts ever seen on the bus.", "short", f"homecoming_users{{{HERE}}}"),
            number(
                "Sign-ups in a week",
                "Accounts created within the last 7 days, as far back as Prometheus has watched.",
                "short",
                f"increase(homecoming_signups_total{{{HERE}}}[7d])",
            ),
            number(
                "Watermark",
                "The greatest event time accepted: everything shown is as of then.",
                "dateTimeAsIso",
                f"homecoming_watermark_timestamp_seconds{{{HERE}}} * 1000",
            ),
            _triangle(),
            api_bars(
                "Sign-ups by week",
                "The size of each week's cohort, of the population chosen; the last week may be in progress.",
                "short",
                _cohorts(1, "week", "size"),
            ),
            lines(
                "With and without spam",
                "How many of all cohorts together came back after 4 weeks, each cohort once its week is final: "
                "everybody against accounts without a standing flag.",
                "percentunit",
                {
                    "everybody": f'homecoming_retention_ratio{{{HERE}, offset="4", population="all"}}',
                    "without spam": f'homecoming_retention_ratio{{{HERE}, offset="4", population="clean"}}',
                },
            ),
        ],
        api_source(),
        population(),
    )


def _came_back(offset: int, after: str) -> stat.Panel:
    return number(
        f"Came back {after}",
        f"W{offset}: of all cohorts shown whose week is final, who was active {after}, as a share.",
        "percentunit",
        f'homecoming_retention_ratio{{{HERE}, offset="{offset}", population="$population"}}',
    )


def _triangle() -> table.Panel:
    shades = [Threshold(value=value, color=color) for value, color in _SHADES]
    return (
        api_table(
            "Retention by sign-up week",
            "Rows: the Monday of the week of sign-up. Columns: weeks since. A blank cell has not begun.",
            "percentunit",
            _cohorts(13, *_COLUMNS),
        )
        .with_transformation(
            _transformation(
                "calculateField",
                mode="binary",
                alias="rate",
                binary={
                    "left": {"matcher": {"id": "byName", "options": "users"}},
                    "operator": "/",
                    "right": {"matcher": {"id": "byName", "options": "size"}},
                },
            )
        )
        .with_transformation(
            _transformation(
                "groupingToMatrix", columnField="offset", rowField="week", valueField="rate", emptyValue="null"
            )
        )
        .decimals(0)
        .no_value("")
        .thresholds(ThresholdsConfig().mode(ThresholdsMode.ABSOLUTE).steps(shades))
        .color_scheme(FieldColor().mode(FieldColorModeId.THRESHOLDS))
        .cell_options(TableColoredBackgroundCellOptions(mode=TableCellBackgroundDisplayMode.BASIC))
        .override_by_name(r"week\offset", [DynamicConfigValue(id_val="custom.cellOptions", value={"type": "auto"})])
    )


def _cohorts(weeks: int, *columns: str) -> ApiQuery:
    path = f"/api/retention?format=csv&population=${{population}}&latest=26&weeks={weeks}"
    return ApiQuery(path, {column: _COLUMNS[column] for column in columns})


def _transformation(known_as: str, **options: object) -> DataTransformerConfig:
    return DataTransformerConfig(id_val=known_as, options=options)
