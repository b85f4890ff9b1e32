"""Every metric agrees with loops over users and events, on small random logs, however they are stored."""

from statistics import fmean, median, pstdev
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from metrics.standard.options import parse
from metrics.standard.registry import METRICS
from state.event import Event, service_of
from state.rules import Rules
from state.weeks import DAY, HOUR, SECOND, iso
from tests.support.logs import START, scratch
from tests.support.naive import Naive
from tests.support.standard import Member, ask_all, ask_options, event, make_state

CREATE = "org.fedoraproject.prod.fas.user.create"
TOPICS = (
    CREATE,
    "io.pagure.prod.pagure.issue.new",
    "wiki.article.edit",
    "wiki.article.edit",
    "git.receive",
    "badges.badge.award",
)
USERS = ("ada", "bob", "cy's", "dörte", "eve")

#: Times crowd on borders of days and hours, where an off-by-one shows.
DAYS = 12
_at = st.builds(
    lambda day, within: START + day * DAY + within,
    st.integers(0, DAYS - 1),
    st.sampled_from((0, HOUR, 12 * HOUR, DAY - 1)) | st.integers(0, DAY // SECOND - 1).map(lambda s: s * SECOND),
)

_row = st.tuples(
    _at,
    st.sampled_from(TOPICS),
    st.sampled_from(USERS),
    st.sampled_from(("actor", "actor", "actor", "affected")),
    st.sampled_from((None, "p", "q")),
    st.sampled_from((None, "0", "4", "rpms")),
    st.sampled_from((None, "page", "other")),
    st.none() | st.integers(-50, 50),
    st.sampled_from((None, "h1", "h2", "h3")),
    st.sampled_from((False, False, False, True)),
)


def _log(rows: list[tuple[Any, ...]]) -> list[Event]:
    found = []
    for number, (at, topic, user, role, project, namespace, thing, size, content_hash, is_bot) in enumerate(rows):
        is_wiki = topic.startswith("wiki.")
        found.append(
            event(
                number, at, topic, user, service=service_of(topic),
                role=role, project=project, namespace=namespace if is_wiki else None, object=thing,
                size=size, unit=None if size is None else "bytes",
                content_hash=content_hash if is_wiki and thing else None, is_bot=is_bot,
            )
        )  # fmt: skip
    return found


LOGS = st.lists(_row, min_size=5, max_size=60).map(_log)

MEMBERS = st.lists(
    st.builds(Member, st.sampled_from((*USERS, "stranger")), st.sampled_from((None, None, "p"))), min_size=1, max_size=6
)


@st.composite
def requests(draw: st.DrawFn, metric: str) -> dict[str, str]:
    """Valid options of the metric."""
    takes = METRICS[metric].parameters
    given: dict[str, str] = {}

    def choose(name: str, values: st.SearchStrategy[Any]) -> None:
        if name in takes and draw(st.booleans()):
            given[name] = str(draw(values))

    choose("group", st.sampled_from(("registration", "activity")))
    choose("t", st.sampled_from((1, 12, 24, 48, 100)))
    choose("n", st.integers(1, 3))
    choose("sunset", st.sampled_from((0, 12, 24, 72)))
    choose("interval", st.sampled_from(("left", "right")))
    choose("gap", st.integers(1, 30))
    choose("u", st.integers(1, 6))
    choose("look_ahead", st.integers(1, 4))
    choose("look_back", st.integers(1, 4))
    choose("namespace", st.sampled_from(("wiki", "0", "0,git", "pagure,4")))
    choose("project", st.sampled_from(("p", "p,q")))
    if metric == "edit_rate":
        choose("unit", st.sampled_from(("hour", "day")))
    first, last = sorted(draw(st.lists(st.integers(0, 2 * DAYS), min_size=2, max_size=2, unique=True)))
    for name, half_day in (("start", first), ("end", last)):
        if draw(st.booleans()):
            given[name] = iso(START + half_day * DAY // 2)
    if metric == "time_to_threshold":
        given["first"], given["threshold"] = draw(st.sampled_from((("0", "1"), ("0", "2"), ("1", "2"), ("1", "3"))))
    return given


COMPARED = sorted(set(METRICS) - {"retention", "blocks"})

RULES = st.sampled_from((Rules(), Rules(), Rules(attribution="any")))


@pytest.mark.parametrize("metric", COMPARED)
@settings(max_examples=8)
@given(data=st.data(), log=LOGS, members=MEMBERS, rules=RULES, sealed=st.booleans(), late=st.integers(0, 3))
def test_raw_values_and_aggregates(
    metric: str, data: st.DataObject, log: list[Event], members: list[Member], rules: Rules, sealed: bool, late: int
) -> None:
    aggregator = st.sampled_from(sorted(METRICS[metric].aggregators)).map(lambda name: {"aggregator": name})
    requested = [data.draw(st.tuples(requests(metric), aggregator)) for _ in range(3)]
    with scratch() as directory:
        make_state(directory, log, rules, sealed=sealed)
        as_of = max(e.at for e in log) + late * DAY
        people = sorted({m.username for m in members})
        asked = [parse(metric, one | more) for one, *others in requested for more in ({}, *others)]
        for options, found in zip(asked, ask_all(directory, members, asked, rules, as_of), strict=True):
            expected = {u: getattr(Naive(log, members, rules, options, as_of), metric)(u) for u in people}
            if options.aggregator is None:
                _compare(found.rows, expected)
            else:
                counted = [v for v in expected.values() if v and v[1] in ("final", "open")]
                _compare_aggregate(found, options.aggregator, counted)


def _compare(rows: tuple[tuple[Any, ...], ...], expected: dict[str, Any]) -> None:
    wanted = []
    for user, value in expected.items():
        if value is not None:
            values = value[0] if isinstance(value[0], tuple) else (value[0],)
            wanted.append((user, values, "open" if value[1] == "censored" else value[1]))
    assert [(row[0], row[-1]) for row in rows] == [(user, status) for user, _, status in wanted]
    for row, (_, values, _) in zip(rows, wanted, strict=True):
        got = row[1:-1]
        if values == (None,):
            assert set(got) == {None}
        elif isinstance(values[0], dict):
            assert got == values
            numbers = [name for name in got[0] if name.isdigit()]
            assert [*got[0]][: len(numbers)] == sorted(numbers, key=int)
        else:
            assert got == tuple(None if v is None else pytest.approx(v, rel=1e-12) for v in values)


def _compare_aggregate(found: Any, aggregator: str, counted: list[Any]) -> None:
    columns = [*zip(*(v[0] if isinstance(v[0], tuple) else (v[0],) for v in counted), strict=True)]
    if not counted or isinstance(columns[0][0], dict) or aggregator == "distinct":
        return
    row = found.rows[0]
    assert set(found.sizes) == {len(counted)} or aggregator == "dist"
    plain = {"sum": sum, "mean": fmean, "median": median, "std": pstdev, "min": min, "max": max}
    if aggregator in plain:
        for got, column in zip(row, columns, strict=True):
            known = [value for value in column if value is not None]
            wanted = plain[aggregator](known) if known else None  # type: ignore[operator]
            assert got == (None if wanted is None else pytest.approx(wanted, rel=1e-9, abs=1e-9))
    elif aggregator == "dist":
        assert dict(found.rows) == {value: columns[0].count(value) for value in columns[0]}
        assert [value for value, _ in found.rows] == sorted(set(columns[0]))
    elif found.header[0] == "edits":
        assert row == (sum(columns[1]), sum(columns[2]), pytest.approx(sum(columns[2]) / sum(columns[1])))
    else:
        assert row == (len(counted), sum(columns[0]), pytest.approx(sum(columns[0]) / len(counted)))


@settings(max_examples=15)
@given(
    log=LOGS,
    members=MEMBERS,
    metric=st.sampled_from(
        ("edits", "bytes_added", "pages_created", "threshold", "newly_registered", "rolling_active")
    ),
    group=st.sampled_from(("registration", "activity")),
    hours=st.sampled_from(("5", "24", "36", "day", "week", "month")),
    first=st.integers(0, 30),
    length=st.integers(40, 300),
)
def test_a_slice_is_the_answer_to_its_window(
    log: list[Event], members: list[Member], metric: str, group: str, hours: str, first: int, length: int
) -> None:
    start, end = START + first * 7 * HOUR, START + first * 7 * HOUR + length * HOUR
    aggregator = "proportion" if metric == "threshold" else "sum"
    common = {"aggregator": aggregator} | ({"group": group} if "group" in METRICS[metric].parameters else {})
    rules = Rules()
    with scratch() as directory:
        make_state(directory, log, rules)
        series = parse(metric, common | {"start": iso(start), "end": iso(end), "time_series": "1", "slice": hours})
        found = ask_options(directory, members, series, rules)
        labels = [row[0] for row in found.rows]
        assert labels[0] == start
        assert all(low < high for low, high in zip(labels, [*labels[1:], end], strict=True))
        chosen = sorted({0, len(labels) // 2, len(labels) - 1})
        bounds = [{"start": iso(labels[place]), "end": iso([*labels[1:], end][place])} for place in chosen]
        ones = ask_all(directory, members, [parse(metric, common | window) for window in bounds], rules)
        for place, one in zip(chosen, ones, strict=True):
            assert found.rows[place][1:] == tuple(value or 0 for value in one.rows[0])
            assert found.sizes[place] == one.sizes[0]
