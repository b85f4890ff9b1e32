"""Campaigns: months after the end, counted by people, recomputed with pandas."""

import json
from pathlib import Path

import pandas as pd
import pytest

from metrics.programmes.campaigns import MONTHS, Campaigns, campaigns, chosen_campaigns, country_of, year_of
from metrics.programmes.spans import month_name, month_of
from metrics.standard.topics import topics_of
from state.cohorts.definitions import Definition, Definitions, parse_definitions
from state.errors import HomecomingError
from state.expiry import expire
from state.rules import Rules
from state.segments import seal
from state.store import open_store
from state.weeks import event_time, event_time_of
from tests.support.programmes import AWARD, CREATE, ISSUE, WIKI, Community, Said, ask, community, state_of

SEPTEMBER = parse_definitions(
    '[[campaign]]\nid = "photos"\nstart = 2019-09-01\nend = 2019-09-30T23:59:59Z\nbadge = "photos"\ncountry = "DE"\n',
    "x",
)
#: Everybody's months have passed by then.
LATER = "2020-11-15"


@pytest.fixture(scope="module")
def simulated(tmp_path_factory: pytest.TempPathFactory) -> Community:
    return community(tmp_path_factory.getbasetemp())


def of(directory: Path, definitions: Definitions, by: str = "campaign", **options: object) -> Campaigns:
    return ask(directory, campaigns, definitions, list(definitions.campaigns.values()), by, **options)


def users(found: Campaigns, key: str) -> dict[int, int | None]:
    return {cell.months: cell.users for row in found.rows if row.key == key for cell in row.cells}


def started() -> Said:
    said = Said()
    said("2019-01-01", ISSUE, "somebody", "before")
    for name in ("u1", "u2"):
        said("2019-09-10", AWARD, name, "photos")
    return said


def test_months_are_calendar_months_strictly_after_the_end(tmp_path: Path, shared_data: Path) -> None:
    cases = json.loads((shared_data / "retention_definition_cases.json").read_text(encoding="utf-8"))["cases"]
    case = next(case for case in cases if case["id"] == "campaign-months")
    said = started()
    topics = {"enwiki": ISSUE, "commonswiki": WIKI}
    for name, edits in case["edits"].items():
        for edit in edits:
            at, _, wiki = edit.partition("@")
            said(at, topics[wiki or "commonswiki"], name, "page")
    said(LATER, ISSUE, "somebody", "later")
    state = state_of(tmp_path, said.events)
    asked = {"2019-10": 1, "2019-11": 2, "2019-12": 3}
    found = of(state, SEPTEMBER, months=tuple(asked.values()))
    assert {month: users(found, "photos")[k] for month, k in asked.items()} == case["expected"][
        "users_per_month_correct"
    ]
    by_service = of(state, SEPTEMBER, "service", months=(3,))
    assert sum(row.cells[0].users or 0 for row in by_service.rows) == case["expected"]["upstream_all_wikis_2019-12"]


@pytest.mark.parametrize(
    ("at", "counted"),
    [("2019-09-30T23:59:58Z", None), ("2019-09-30T23:59:59.5Z", None), ("2019-10-01", 1), ("2019-12-31T23:59:59Z", 3)],
)
def test_the_end_of_a_month(tmp_path: Path, at: str, counted: int | None) -> None:
    said = started()
    said(at, WIKI, "u1", "page")
    said(LATER, ISSUE, "somebody", "later")
    found = users(of(state_of(tmp_path, said.events), SEPTEMBER, months=range(1, 13)), "photos")
    assert [k for k, active in found.items() if active] == ([counted] if counted else [])


def test_a_campaign_that_ends_at_midnight_ended_the_day_before(tmp_path: Path) -> None:
    definitions = parse_definitions(
        '[[campaign]]\nid = "c"\nstart = 2019-09-01\nend = 2019-10-01\nbadge = "photos"\n', "x"
    )
    said = started()
    said("2019-12-01", WIKI, "u1", "page")
    said(LATER, ISSUE, "somebody", "later")
    assert users(of(state_of(tmp_path, said.events), definitions), "c") == {3: 1, 6: 0, 9: 0, 12: 0}


def test_a_cell_is_final_only_when_its_month_has_wholly_passed(tmp_path: Path) -> None:
    def state(until: str) -> str:
        said = started()
        said(until, ISSUE, "somebody", "later")
        return of(state_of(tmp_path / until[:16].replace(":", ""), said.events), SEPTEMBER).rows[0].cells[0].state

    assert state("2019-11-30T23:59:59") == "future"
    assert state("2019-12-01T00:00:00") == "open"
    assert state("2020-01-01T12:00:00") == "open", "late events may still come"
    assert state("2020-01-02T00:00:00") == "final"


def test_account_events_and_other_peoples_actions_are_no_contributions(tmp_path: Path) -> None:
    said = started()
    said("2019-12-02", "org.fedoraproject.prod.fas.user.update", "u1")
    said("2019-12-02", AWARD, "u1", "other")
    said("2019-12-03", ISSUE, "u2", "thing", role="affected")
    said(LATER, ISSUE, "somebody", "later")
    assert users(of(state_of(tmp_path, said.events), SEPTEMBER), "photos")[3] == 0


def test_newcomers_registered_within_the_campaign(tmp_path: Path) -> None:
    said = started()
    said("2019-09-01", CREATE, "u1")
    said("2019-08-31T23:59:59", CREATE, "u2")
    said("2019-12-02", WIKI, "u1", "page")
    said("2019-12-02", WIKI, "u2", "page")
    said(LATER, ISSUE, "somebody", "later")
    (row,) = of(state_of(tmp_path, said.events), SEPTEMBER).rows
    assert (row.participants, row.newcomers) == (2, 1)
    assert (row.cells[0].users, row.cells[0].newcomers, row.cells[0].of_newcomers) == (2, 1, 1)


def test_pandas_agrees_in_every_cell(simulated: Community) -> None:
    definitions = simulated.definitions
    contributions = simulated.log[
        ~simulated.log["topic"].isin(topics_of(simulated.log["topic"].unique(), Rules()).account)
    ]
    month = contributions["sent_at"].dt.year * 12 + contributions["sent_at"].dt.month - 1
    contributions = contributions.assign(month=month)
    taken: dict[str, set[str]] = {}
    kept = []
    for one in definitions.campaigns.values():
        assert one.start is not None
        assert one.end is not None
        span = [pd.Timestamp(at, unit="us") for at in (one.start, one.end)]
        created = simulated.registered[(simulated.registered >= span[0]) & (simulated.registered < span[1])]
        taken[one.id] = set(simulated.awarded(one.badge)["username"]) if one.badge else set(created.index)
        ended = (span[1] - pd.Timedelta(microseconds=1)).to_period("M")
        rows = contributions[contributions["username"].isin(taken[one.id])]
        months = rows["month"] - (ended.year * 12 + ended.month - 1)
        named = {"campaign": one.id, "year": year_of(one), "country": country_of(one)}
        kept.append(rows.assign(months=months, newcomer=rows["username"].isin(created.index), **named))
    active = pd.concat(kept)
    cells = 0
    for by in ("campaign", "year", "country", "service"):
        for row in of(simulated.directory, definitions, by).rows:
            for cell in row.cells:
                these = active[(active[by] == row.key) & (active["months"] == cell.months)]
                if cell.state == "future":
                    assert these.empty
                    continue
                newcomers = these[these["newcomer"]]["username"].nunique()
                assert (cell.users, cell.newcomers) == (these["username"].nunique(), newcomers)
                cells += 1
            if by == "campaign":
                assert row.participants == len(taken[row.key])
    assert cells > 30
    only = of(simulated.directory, definitions, services=["wiki"])
    wiki = active[active["service"] == "wiki"]
    for row in only.rows:
        for cell in row.cells:
            these = wiki[(wiki["campaign"] == row.key) & (wiki["months"] == cell.months)]
            assert cell.users == (None if cell.state == "future" else these["username"].nunique())


def test_a_row_of_several_campaigns_counts_those_whose_month_has_begun(tmp_path: Path) -> None:
    definitions = parse_definitions(
        '[[campaign]]\nid = "a"\nstart = 2019-01-01\nend = 2019-02-01\nusers = ["u1", "u2"]\n'
        '[[campaign]]\nid = "b"\nstart = 2019-08-01\nend = 2019-09-01\nusers = ["u2", "u3"]\n',
        "x",
    )
    said = Said()
    for name in ("u1", "u2", "u3"):
        said("2019-01-01", WIKI, name, "page")
    said("2019-04-10", WIKI, "u1", "page")
    said("2019-10-10", ISSUE, "somebody", "later")
    (row,) = of(state_of(tmp_path, said.events), definitions, "year").rows
    assert (row.key, row.participants) == ("2019", 3)
    begun = [(cell.users, cell.of, cell.state) for cell in row.cells]
    assert begun == [(1, 2, "open"), (0, 2, "open"), (0, 2, "open"), (None, None, "future")]


def test_expiry_changes_nothing(tmp_path: Path) -> None:
    said = started()
    for day in ("2019-12-05", "2020-03-01", "2020-06-30"):
        said(day, WIKI, "u1", "page")
    said(LATER, ISSUE, "somebody", "later")
    state = state_of(tmp_path, said.events)
    before = [of(state, SEPTEMBER, by) for by in ("campaign", "service")]
    store = open_store(state)
    seal(store)
    assert expire(store, 135)
    store.close()
    assert [of(state, SEPTEMBER, by) for by in ("campaign", "service")] == before
    assert users(before[0], "photos") == {3: 1, 6: 1, 9: 1, 12: 0}


def test_choices_that_there_are_not_list_those_there_are(simulated: Community) -> None:
    definitions = simulated.definitions
    with pytest.raises(HomecomingError, match="no campaign 'x': one of docs-month, first-patch"):
        chosen_campaigns(definitions, "x")
    with pytest.raises(HomecomingError, match="of the year '1999': one of 2023"):
        chosen_campaigns(definitions, year="1999")
    with pytest.raises(HomecomingError, match="of the country 'FR': one of BR, DE, IN, unknown"):
        chosen_campaigns(definitions, country="FR")
    with pytest.raises(HomecomingError, match="no service 'nope': one of bodhi"):
        of(simulated.directory, definitions, services=["nope"])
    assert [one.id for one in chosen_campaigns(definitions, country="DE")] == ["first-patch"]
    assert MONTHS == (3, 6, 9, 12)


def test_months_have_names() -> None:
    assert month_name(month_of(event_time_of("2024-06-30T23:59:59"))) == "2024-06"
    assert month_name(month_of(event_time(pd.Timestamp("1999-12-31T23:59:59Z").to_pydatetime()))) == "1999-12"


def test_an_empty_state_has_rows_without_figures(tmp_path: Path) -> None:
    found = of(tmp_path / "state", SEPTEMBER)
    assert found.as_of is None
    assert users(found, "photos") == dict.fromkeys(MONTHS)
    never = Definition("campaign", "c", "c", None, None, "photos", None, None, None, None)
    with pytest.raises(HomecomingError, match="no end"):
        of(tmp_path / "state", Definitions({}, {"c": never}, {}))
