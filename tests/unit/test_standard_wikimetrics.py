"""The metrics hold in every case of Wikimetrics' own tests.

Deliberate differences, all of them of form:

- its windows are (start, end]: asked for by interval=right; its time series are cut left-closed, as ours always are;
- where it names nobody who did nothing, we have rows of zeros;
- `censored` is the status `undefined`, and the value is then none instead of 0;
- it counts hours to the threshold, we count minutes;
- rolling windows take T in and T - u not, where it takes both in (no case stands on that border).
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from metrics.standard.answer import Answer
from metrics.standard.kinds import instant
from metrics.standard.options import parse
from metrics.standard.slices import slices_of
from state.event import Event
from state.rules import Rules
from state.weeks import event_time_of, iso
from tests.support.logs import scratch
from tests.support.standard import ask, by_user, event, make_state, statuses

SOURCE = "wikimetrics_cases.json"

BYTES = ("net_sum", "absolute_sum", "positive_only_sum", "negative_only_sum")

NAMES = {"Sum": "sum", "Average": "mean", "Standard Deviation": "std"}

OURS = {"rolling_active_editor": "rolling_active", "rolling_new_active_editor": "rolling_new_active"}


def rules_of(case: dict[str, Any]) -> Rules:
    bots = frozenset(case["params"].get("bots", ()))
    return Rules(registrations=frozenset({"mediawiki.newusers.create"}), allowlist=bots)


def events_of(fixture: list[dict[str, Any]]) -> list[Event]:
    """Wikis map to `project`, numbers of namespaces to text, lengths to sizes in bytes."""
    found = []
    for number, row in enumerate(fixture):
        if row["action"] == "register":
            action, about = f"{row['log_type']}.{row['log_action']}", {}
        else:
            action = {"edit": "edit", "create_page": "page_create"}[row["action"]]
            about = {
                "namespace": str(row["namespace"]),
                "object": row["object_id"],
                "size": row["size_delta"],
                "unit": "bytes",
            }
        topic = f"mediawiki.{action}"
        found.append(event(number, event_time_of(row["at"]), topic, row["user"], project="enwiki", **about))
    return found


def cases(shared_data: Path) -> list[dict[str, Any]]:
    kept = json.loads((shared_data / SOURCE).read_text(encoding="utf-8"))
    return [case | {"events": kept["fixtures"][case["fixture"]]} for case in kept["cases"]]


@pytest.mark.parametrize("sealed", [False, True])
def test_every_case(shared_data: Path, sealed: bool) -> None:
    asked = cases(shared_data)
    assert len(asked) == 38
    with scratch() as directory:
        for case in asked:
            state = directory / case["fixture"]
            if not state.exists():
                make_state(state, events_of(case["events"]), rules_of(case), sealed=sealed)
            check(state, case)


def check(directory: Path, case: dict[str, Any]) -> None:
    everybody = sorted({row["user"] for row in case["events"]})
    members = everybody if case["cohort"] is None else case["cohort"]

    def put(metric: str, **given: Any) -> Answer:
        return ask(directory, members, OURS.get(metric, metric), rules_of(case), **given)

    if case["metric"] == "threshold":
        check_threshold(case, put)
    elif "timeseries" in case["params"]:
        check_series(case, put, request_of(case))
    else:
        check_values(case, put, request_of(case))


def request_of(case: dict[str, Any]) -> dict[str, Any]:
    params, metric = case["params"], case["metric"]
    window = {name: params[f"{name}_date"] for name in ("start", "end") if f"{name}_date" in params}
    if metric.startswith("rolling"):
        return {"n": params.get("number_of_edits", 5), "u": params.get("rolling_days", 30), **window}
    if metric == "newly_registered":
        return {"interval": "right", **window}
    given = {"group": "activity", "namespace": ",".join(map(str, params.get("namespaces", ()))), **window}
    if slices := params.get("timeseries"):
        return {**given, "time_series": "true", "slice": "1" if slices == "hour" else slices}
    return {**given, "interval": "right"}


def check_threshold(case: dict[str, Any], put: Callable[..., Answer]) -> None:
    params = case["params"]
    n = params.get("number_of_edits", 1)
    given = {"t": params.get("threshold_hours", 24), "interval": "right", "as_of": event_time_of(params["now"])}
    reached = put("threshold", n=n, **given)
    taken = by_user(put("time_to_threshold", threshold=n, **given))
    for user, row in case["expected"].items():
        hours = row["time_to_threshold"]
        assert taken[user] == (None if hours is None else hours * 60), case["test"]
        if "censored" in row:
            assert (statuses(reached)[user] == "undefined") == bool(row["censored"]), case["test"]
            assert by_user(reached)[user] == (None if row["censored"] else row["threshold"]), case["test"]


def check_values(case: dict[str, Any], put: Callable[..., Answer], given: dict[str, Any]) -> None:
    metric = case["metric"]
    found = by_user(put(metric, **given))
    for user, expected in case["expected"].items():
        if aggregator := "distinct" if user == "-1" else NAMES.get(user):
            assert put(metric, aggregator=aggregator, **given).rows == ((expected[metric],),), case["test"]
        elif metric == "bytes_added":
            values = dict(zip(BYTES, found[user], strict=False))
            assert {field: values[field] for field in expected} == expected, case["test"]
        else:
            assert found[user] == expected[metric], (case["test"], user)
    if not case["expected"]:
        assert set(found.values()) == {0}


def check_series(case: dict[str, Any], put: Callable[..., Answer], given: dict[str, Any]) -> None:
    raw = put(case["metric"], **given)
    for user, expected in case["expected"].items():
        ((_field, values),) = expected.items()
        if user in NAMES:
            got = {iso(row[0]): row[1] for row in put(case["metric"], aggregator=NAMES[user], **given).rows}
        else:
            got = {iso(label): row[0] for label, name, *row in raw.rows if name == user}
        wanted = {iso(instant(label)): value for label, value in values.items()}
        assert got == pytest.approx(wanted, abs=5e-4), (case["test"], user)
        assert min(got) == iso(instant(given["start"]))


def test_sparse_series_are_filled(shared_data: Path) -> None:
    kept = json.loads((shared_data / SOURCE).read_text(encoding="utf-8"))
    for case in kept["timeseries_fill_cases"]:
        given = {"time_series": "", "slice": case["slice"], "start": case["start"], "end": case["end"]}
        labels = [iso(begin) for begin, _ in slices_of(parse("edits", given)).bounds]
        assert labels == [iso(instant(label)) for label in case["expected"]]
