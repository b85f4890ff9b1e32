"""Requests: what is valid has one canonical text, what is not is an error that names what is."""

import pytest

from metrics.standard.options import described, parse
from metrics.standard.parameters import PARAMETERS
from metrics.standard.registry import METRICS
from metrics.standard.slices import slices_of
from state.errors import HomecomingError
from state.weeks import event_time_of


@pytest.mark.parametrize("metric", METRICS)
def test_every_metric_describes_itself(metric: str) -> None:
    about = METRICS[metric]
    assert about.name == metric
    assert about.summary
    assert about.feeds
    assert about.aggregators
    assert set(about.parameters) <= set(PARAMETERS)
    assert {*about.defaults, *about.choices, *about.meanings} <= set(about.parameters)
    for one in described(about):
        assert one.expects
        assert one.meaning
        if one.default is not None:
            parse(metric, {one.name: one.default} if one.name != "slice" else {})


def test_the_table_of_metrics_is_complete() -> None:
    assert set(METRICS) >= {
        "threshold", "time_to_threshold", "survival", "live_account", "edit_rate", "bytes_added", "pages_created",
        "revert_rate", "blocks", "namespace_edits", "edits", "newly_registered", "rolling_active",
        "rolling_surviving_new_active", "sessions", "retention",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({}, {"t": "24", "n": "1"}),
        ({"start": "20240603"}, {"start": "2024-06-03T00:00:00Z"}),
        ({"start": "20240603000000"}, {"start": "2024-06-03T02:00:00+02:00"}),
        ({"namespace": "pagure,discourse"}, {"namespace": " discourse, pagure,pagure"}),
        ({"n": "3", "t": "48"}, {"t": "48", "n": "03"}),
        ({"exact": "false"}, {"exact": "0"}),
    ],
)
def test_requests_that_mean_the_same_have_one_text(one: dict[str, str], other: dict[str, str]) -> None:
    first, second = parse("threshold", one), parse("threshold", other)
    assert first == second
    assert first.canonical == second.canonical
    assert hash(first) == hash(second)
    assert first.canonical != parse("threshold", {**one, "n": "7"}).canonical
    assert first.canonical != parse("survival", one).canonical


@pytest.mark.parametrize(
    ("metric", "given", "says"),
    [
        ("treshold", {}, "did you mean threshold?"),
        ("nothing", {}, "one of blocks, bytes_added,"),
        ("threshold", {"tt": "1"}, "takes no parameter 'tt': one of aggregator, time_series,"),
        ("threshold", {"sunset": "1"}, "takes no parameter 'sunset'"),
        ("threshold", {"aggregator": "sum"}, "no aggregator 'sum': one of proportion"),
        ("edits", {"aggregator": ""}, "no aggregator ''"),
        ("threshold", {"t": "-1"}, "t='-1' is not a whole number from 0 to 1,000,000"),
        ("threshold", {"t": "1e3"}, "is not a whole number"),
        ("threshold", {"t": "9" * 40}, "is not a whole number"),
        ("threshold", {"n": "0"}, "whole number from 1"),
        ("threshold", {"n": "٣"}, "whole number"),
        ("threshold", {"start": "2024063"}, "start='2024063' is not 20240603,"),
        ("threshold", {"start": "20241399"}, "is not 20240603"),
        ("threshold", {"start": "yesterday"}, "is not 20240603"),
        ("threshold", {"start": "20240603", "end": "20240603"}, "must lie after start"),
        ("threshold", {"start": "20240604", "end": "20240603"}, "must lie after start"),
        ("threshold", {"group": "both"}, "group='both' is not one of registration, activity"),
        ("threshold", {"interval": "week"}, "one of left, right"),
        ("retention", {"interval": "left"}, "one of day, week, month, 24h"),
        ("retention", {"time_series": "1"}, "takes no parameter 'time_series'"),
        ("edit_rate", {"unit": "week"}, "one of hour, day"),
        ("edits", {"time_series": "maybe"}, "true or false"),
        ("edits", {"slice": "24"}, "goes with time_series"),
        ("edits", {"time_series": "1"}, "needs start and end"),
        ("edits", {"time_series": "1", "start": "20240601"}, "needs start and end"),
        (
            "edits",
            {"time_series": "1", "start": "20240601", "end": "20240602", "slice": "25"},
            "longer than the window",
        ),
        ("edits", {"time_series": "1", "start": "20240601", "end": "20240602", "slice": "0"}, "a number of hours"),
        ("edits", {"time_series": "1", "start": "19990101", "end": "20240602", "slice": "1"}, "at most 10,000"),
        ("edits", {"time_series": "", "start": "20240601", "end": "20240602", "interval": "right"}, "left-closed"),
        ("time_to_threshold", {"first": "2", "threshold": "2"}, "first=2 must be less than threshold=2"),
    ],
)
def test_what_is_wrong_is_said(metric: str, given: dict[str, str], says: str) -> None:
    with pytest.raises(HomecomingError) as error:
        parse(metric, given)
    assert says in str(error.value)
    assert "\n" not in str(error.value)


def test_slices_of_months_and_years_begin_where_the_calendar_has_them() -> None:
    given = {"time_series": "1", "start": "20231115", "end": "20240301", "slice": "month"}
    bounds = slices_of(parse("edits", given)).bounds
    assert [low for low, _ in bounds] == [
        event_time_of(at) for at in ("2023-11-15", "2023-12-01", "2024-01-01", "2024-02-01")
    ]
    assert bounds[-1][1] == event_time_of("2024-03-01")
    given["end"] = "20240302"
    assert len(slices_of(parse("edits", given)).bounds) == 5
