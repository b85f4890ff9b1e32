"""The simulator: the same every time, believable, and true about itself."""

import csv
import json
from collections import Counter, defaultdict
from dataclasses import replace
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path

import duckdb
import pytest
from fedora_messaging.message import dumps, load_message
from hypothesis import given, settings
from hypothesis import strategies as st

from consumer.decode import decode_record
from consumer.simulation.kinds import KINDS
from consumer.simulator import BOTS, Row, Scenario, Simulation, definitions_toml, live, rows, simulate, wire, write
from state.cohorts.definitions import parse_definitions
from state.errors import HomecomingError
from state.weeks import DAY, SECOND, WEEK, event_time, week_of, week_start

END = event_time(datetime(2024, 6, 27, 15, tzinfo=UTC))
SMALL = Scenario(seed=1, weeks=4, end=END, signups_per_week=60, core_users=40)


@pytest.fixture(scope="module")
def small() -> Simulation:
    return simulate(SMALL)


@pytest.fixture(scope="module", params=[1, 2])
def half_a_year(request: pytest.FixtureRequest) -> Simulation:
    return simulate(Scenario(seed=request.param, weeks=26, end=END))


@pytest.fixture(scope="module")
def with_programmes() -> Simulation:
    return simulate(replace(SMALL, weeks=24, incidents=(), programmes=True))


def test_equal_scenarios_give_equal_simulations(small: Simulation) -> None:
    assert simulate(SMALL) == small


def test_another_seed_is_another_community(small: Simulation) -> None:
    other = simulate(Scenario(seed=2, weeks=4, end=END, signups_per_week=60, core_users=40))
    assert not {m.bits for m in other.messages} & {m.bits for m in small.messages}


def test_a_later_end_only_adds() -> None:
    # Incidents are placed within the history, so only a scenario without them has equal prefixes.
    early = Scenario(seed=5, weeks=2, end=END - SECOND * 86_400, signups_per_week=60, incidents=())
    late = Scenario(seed=5, weeks=2, end=END, signups_per_week=60, incidents=())
    begun = simulate(early).messages
    assert simulate(late).messages[: len(begun)] == begun


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(),
    weeks=st.integers(1, 3),
    end=st.integers(END, END + WEEK).map(lambda at: at // SECOND * SECOND),
    signups=st.integers(0, 40),
    core=st.integers(0, 10),
)
def test_messages_are_sorted_whole_seconds_within_the_history(
    seed: int, weeks: int, end: int, signups: int, core: int
) -> None:
    scenario = Scenario(seed, weeks, end, signups_per_week=signups, core_users=core)
    simulation = simulate(scenario)
    times = [m.at for m in simulation.messages]
    assert times == sorted(times)
    assert scenario.start <= times[0]
    assert times[-1] < end
    assert not [at for at in times if at % SECOND]
    assert week_of(end - 1) - week_of(scenario.start) == weeks - 1
    assert {row.username for row in rows(simulation)} == {account.name for account in simulation.truth}


def test_ids_differ_and_nobody_does_the_same_twice_in_a_second(half_a_year: Simulation) -> None:
    messages = half_a_year.messages
    assert len({wire(m)["id"] for m in messages[:20_000]}) == len(messages[:20_000])
    assert len({m.bits for m in messages}) == len(messages)
    assert len({(m.at, m.kind, m.user) for m in messages}) == len(messages)


#: Kinds that occur only where the scenario has programmes.
OF_THREADS = {
    "bodhi.update.request.testing",
    "discourse.like.accepted_solution",
    "mailman.receive",
    "pagure.issue.edit",
}


def test_every_kind_occurs(half_a_year: Simulation, with_programmes: Simulation) -> None:
    assert {m.kind for m in half_a_year.messages} == set(KINDS) - OF_THREADS
    assert {m.kind for m in with_programmes.messages} == set(KINDS)


def test_wire_is_what_the_schema_classes_would_have_recorded(small: Simulation, with_programmes: Simulation) -> None:
    seen: Counter[str] = Counter()
    for message in [*small.messages, *with_programmes.messages]:
        seen[message.kind] += 1
        if seen[message.kind] > 40:
            continue
        recorded = wire(message)
        loaded = load_message(recorded)
        assert type(loaded).__name__ != "Message" or message.user is None
        assert dumps(loaded) == json.dumps(recorded, ensure_ascii=False, sort_keys=True) + "\n"
        published = type(loaded)(topic=loaded.topic, body=loaded.body)._headers
        assert {**published, "sent-at": None} == {**recorded["headers"], "sent-at": None}
        assert str(loaded)
        assert loaded.summary


def test_rows_name_the_people_of_the_schema_classes(small: Simulation) -> None:
    seen: Counter[str] = Counter()
    for message in small.messages:
        seen[message.kind] += 1
        if seen[message.kind] > 200:
            continue
        loaded = load_message(wire(message))
        people = {row.username: row.role for row in rows([message])}
        assert set(people) >= {*loaded.usernames, *filter(None, [loaded.agent_name])}
        match message.kind, loaded.agent_name:
            case "fas.user.create", _:
                assert people.pop(loaded.body["msg"]["user"]) == "actor"
                assert "actor" not in people.values()
            case ("meetbot.meeting.complete", _) | (_, None):
                assert set(people.values()) <= {"actor"}
            case _, agent:
                assert [name for name, role in people.items() if role == "actor"] == [agent]


def test_rows_are_the_events_that_the_wire_decodes_to(small: Simulation, with_programmes: Simulation) -> None:
    threads = [m for m in with_programmes.messages if m.kind in OF_THREADS]
    for message in [*islice(small.messages, 0, None, 3), *threads]:
        events = decode_record(wire(message), now=END).events
        decoded = {(e.msg_id, e.at, e.topic, e.user, e.role, e.size, e.unit, e.content_hash) for e in events if e.user}
        if message.kind in OF_THREADS:
            assert {e.object for e in events} == {r.object for r in rows([message])}
        told = {
            (r.msg_id, r.sent_at, r.topic, r.username, r.role, r.size, r.unit, r.content_hash) for r in rows([message])
        }
        assert told == decoded


def test_truth_knows_everybody_who_is_named(half_a_year: Simulation) -> None:
    named = {row.username for row in rows(half_a_year)}
    assert named == {account.name for account in half_a_year.truth}
    assert len(named) == len(half_a_year.truth)
    assert {a.label for a in half_a_year.truth} == {"organic", "core", "bot", "spam"}


def test_nobody_is_named_before_signing_up_or_signs_up_twice(half_a_year: Simulation) -> None:
    first: dict[str, Row] = {}
    created: Counter[str] = Counter()
    for row in rows(half_a_year):
        first.setdefault(row.username, row)
        created[row.username] += row.role == "actor" and row.topic.endswith(".fas.user.create")
    assert set(created.values()) <= {0, 1}
    early = {name for name, count in created.items() if not count}
    assert early == {a.name for a in half_a_year.truth if a.style in ("long_standing", "steady")} & set(first)
    assert all(first[name].topic.endswith(".fas.user.create") for name in set(first) - early)


def test_the_cohort_triangle_looks_like_a_community(half_a_year: Simulation) -> None:
    weeks: dict[str, set[int]] = defaultdict(set)
    cohort: dict[str, int] = {}
    # Without those whom an event brought: how many sign up in a week would tell of the events.
    honest = {a.name for a in half_a_year.truth if a.style in ("once", "returns", "stays")}
    for row in rows(half_a_year):
        if row.role == "actor" and row.username in honest:
            weeks[row.username].add(week_of(row.sent_at))
            if row.topic.endswith(".fas.user.create"):
                cohort[row.username] = week_of(row.sent_at)
    last_full = week_of(END) - 1

    def retention(offset: int) -> float:
        old = [name for name, week in cohort.items() if week + offset <= last_full]
        return sum(cohort[name] + offset in weeks[name] for name in old) / len(old)

    assert 0.25 < retention(1) < 0.35
    assert 0.10 < retention(4) < 0.15
    assert 0.03 < retention(12) < 0.08
    sizes = Counter(week for week in cohort.values() if week <= last_full)
    assert all(220 < size < 420 for size in sizes.values())


def test_programmes_are_defined_as_they_happen(with_programmes: Simulation) -> None:
    definitions = parse_definitions(definitions_toml(with_programmes.scenario), "simulated")
    assert len(definitions.events) == len(definitions.campaigns) == 4
    awarded: dict[str | None, set[str]] = defaultdict(set)
    first: dict[str | None, int] = {}
    for row in rows(with_programmes):
        if row.topic.endswith("badges.badge.award"):
            awarded[row.object].add(row.username)
            first.setdefault(row.object, row.sent_at)
    for one in definitions.events.values():
        assert len(awarded[one.badge]) > 25
        assert one.start is not None
        assert 0 <= first[one.badge] - one.start < DAY
        if one.successor:
            assert awarded[one.badge] & awarded[definitions.events[one.successor].badge]
    assert {one.badge for one in definitions.campaigns.values()} - {None} <= set(awarded)


def test_replies_belong_to_threads(with_programmes: Simulation) -> None:
    opened = {row.object for row in rows(with_programmes) if row.topic.endswith(("topic_created", "issue.new"))}
    replies = [row for row in rows(with_programmes) if row.topic.endswith(("post_created", "issue.comment.added"))]
    assert sum(row.object in opened for row in replies) > 0.9 * len(replies)


@pytest.mark.parametrize("weeks", [1, 2, 5])
def test_programmes_fit_into_any_history(weeks: int) -> None:
    scenario = replace(SMALL, weeks=weeks, programmes=True)
    times = [m.at for m in simulate(scenario).messages]
    assert times == sorted(times)
    assert scenario.start <= times[0]
    coming = list(islice(live(scenario, scenario.end), 500))
    assert [m.at for m in coming] == sorted(m.at for m in coming)


def test_without_programmes_nothing_of_them_shows(small: Simulation, tmp_path: Path) -> None:
    assert definitions_toml(SMALL) == ""
    write(small, tmp_path)
    assert "programmes" not in (tmp_path / "truth.json").read_text(encoding="utf-8")


def test_live_goes_on_where_the_history_ends(small: Simulation) -> None:
    coming = list(islice(live(small, SMALL.end), 6000))
    assert SMALL.end <= coming[0].at
    assert [m.at for m in coming] == sorted(m.at for m in coming)
    from_the_start = list(islice(live(SMALL, 0), len(small.messages) + 1))
    assert from_the_start == [*small.messages, coming[0]]
    assert any(m.kind == "fas.user.create" for m in coming)
    assert {m.user for m in coming} & {a.name for a in small.truth}


def test_live_brings_new_spam_now_and_then(small: Simulation) -> None:
    month = [m for m in islice(live(small, SMALL.end), 40_000) if m.at < SMALL.end + 4 * WEEK]
    created = {m.user for m in month if m.kind == "fas.user.create"}
    assert len({m.user for m in month if m.text} & created) >= 3
    assert not created & {a.name for a in small.truth}


def test_written_twice_the_bytes_are_equal_and_say_what_was_simulated(small: Simulation, tmp_path: Path) -> None:
    write(small, tmp_path / "a", messages=True)
    write(simulate(SMALL), tmp_path / "b", messages=True)
    files = {path.name: path.read_bytes() for path in (tmp_path / "a").iterdir()}
    assert set(files) == {"events.parquet", "messages.jsonl", "truth.csv", "truth.json"}
    assert files == {path.name: path.read_bytes() for path in (tmp_path / "b").iterdir()}

    path = str(tmp_path / "a" / "events.parquet")
    with duckdb.connect() as duck:
        kinds = {name: kind for name, kind, *_ in duck.execute("DESCRIBE FROM read_parquet(?)", [path]).fetchall()}
        assert kinds["sent_at"] == "TIMESTAMP"
        read = "SELECT * REPLACE (epoch_us(sent_at) AS sent_at) FROM read_parquet(?)"
        written = [Row(*row) for row in duck.execute(read, [path]).fetchall()]
    assert written == list(rows(small))

    lines = (tmp_path / "a" / "messages.jsonl").read_text(encoding="utf-8").splitlines()
    assert [json.loads(line) for line in lines] == [wire(m) for m in small.messages]

    with (tmp_path / "a" / "truth.csv").open(encoding="utf-8", newline="") as file:
        truth = list(csv.DictReader(file))
    assert [(t["account"], t["label"], t["style"]) for t in truth] == [a[:3] for a in small.truth]
    assert all(bool(t["onset"]) == (t["label"] == "spam") for t in truth)
    told = json.loads(files["truth.json"])
    assert told["scenario"]["seed"] == SMALL.seed
    assert told["bots"] == sorted(BOTS)
    assert {s["kind"] for s in told["surges"]} == {s.kind for s in small.surges if s.benign} > {"hackfest"}
    assert {w["kind"] for w in told["waves"]} == {"patterned_wave", "human_wave", "shared_text"}


def test_without_request_no_messages_are_written(small: Simulation, tmp_path: Path) -> None:
    write(small, tmp_path)
    assert not (tmp_path / "messages.jsonl").exists()


@pytest.mark.parametrize(
    "wrong",
    [
        {"weeks": 0},
        {"weeks": 10_000},
        {"signups_per_week": -1},
        {"core_users": -1},
        {"incidents": (("fast_burst", 0.0),)},
        {"incidents": (("no_such_style", 1.0),)},
    ],
)
def test_a_senseless_scenario_is_refused_in_one_line(wrong: dict[str, object]) -> None:
    with pytest.raises(HomecomingError) as refused:
        simulate(Scenario(**{"seed": 1, "weeks": 2, "end": END, **wrong}))  # type: ignore[arg-type]
    assert "\n" not in str(refused.value)


def test_a_history_that_ends_on_a_monday_has_whole_weeks() -> None:
    end = week_start(week_of(END))
    scenario = Scenario(seed=1, weeks=3, end=end)
    assert scenario.start == end - 3 * WEEK
