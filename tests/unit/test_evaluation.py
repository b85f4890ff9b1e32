"""The detectors' bars on a community that nobody tuned on, and the evaluation itself."""

import json
from dataclasses import replace
from datetime import UTC, datetime
from io import StringIO
from pathlib import Path
from statistics import median

import pytest
from rich.console import Console

from consumer.evaluation import files, report
from consumer.evaluation.accounts import judge
from consumer.evaluation.baselines import Limited, in_ten_minutes
from consumer.evaluation.cost import measure
from consumer.evaluation.detectors import Flag
from consumer.evaluation.history import Action, History, history_of, simulated
from consumer.evaluation.run import SEEDS, Evaluation, detectors, evaluate
from consumer.evaluation.waves import judge_waves
from consumer.simulator import Account, Scenario, Surge, evaluation_scenario, simulate, write
from state.errors import ArchiveError, HomecomingError
from state.spam.calibration import Calibration, Calibrations
from state.weeks import DAY, HOUR, SECOND, WEEK, event_time, week_named, week_start

START = week_start(week_named("2024-01-01"))
NOW = event_time(datetime(2026, 1, 1, tzinfo=UTC))
ISSUE, CREATION = "io.pagure.prod.pagure.issue.new", "org.fedoraproject.prod.fas.user.create"


@pytest.fixture(scope="module")
def history() -> History:
    scenario = evaluation_scenario(seed=11, weeks=18)
    return simulated(simulate(scenario), scenario.start + 8 * WEEK)


@pytest.fixture(scope="module")
def evaluation(history: History) -> Evaluation:
    return evaluate(history, "seed 11", 0.3)


def test_the_bars_of_accounts(evaluation: Evaluation) -> None:
    styles = report.evaluation_json(evaluation)["detectors"]["homecoming"]["styles"]
    for style in ("fast_burst", "drip", "sleeper_14", "sleeper_45", "flood"):
        assert styles[style]["recall"] >= 0.99, style
    assert styles["fast_burst"]["median_posts"] <= 5
    assert styles["fast_burst"]["median_seconds"] <= 40
    assert styles["hand_paced"]["recall"] >= 0.85
    assert styles["drip"]["most_posts"] <= 20


def test_the_budget_holds(evaluation: Evaluation) -> None:
    # 0.3 a week is 3 in these 10 weeks: 8 or more come by chance once in a hundred.
    assert evaluation.accounts["homecoming"].false_flags.total() < 8


def test_the_bars_of_waves(evaluation: Evaluation) -> None:
    raids = evaluation.waves.raids
    patterned = [raid.found["name"] for raid in raids if raid.kind == "patterned_wave"]
    human = [raid.found["rate"] for raid in raids if raid.kind == "human_wave"]
    assert patterned
    assert max(patterned) <= 6
    assert human
    assert median(human) <= 20
    assert evaluation.waves.surges["hackfest"]
    assert evaluation.waves.critical == 0


def test_simple_rules_need_more_posts(evaluation: Evaluation) -> None:
    styles = {name: accounts.by_style()["fast_burst"] for name, accounts in evaluation.accounts.items()}
    posts = {name: [attack.posts or 10**6 for attack in attacks] for name, attacks in styles.items()}
    ours = median(posts.pop("homecoming"))
    assert {"N in 10 minutes", "leaky bucket"} <= posts.keys()
    assert all(median(theirs) > ours for theirs in posts.values())


def test_every_detector_sees_the_same_attacks(history: History, evaluation: Evaluation) -> None:
    judged = {name for name in history.truth if history.attack(name)}
    assert {len(accounts.attacks) for accounts in evaluation.accounts.values()} == {len(judged)}


def test_half_space_trees_are_compared_where_river_is(history: History) -> None:
    pytest.importorskip("river", reason="the extra `evaluate` is not installed: no half-space trees")
    trees = detectors(Calibrations(), 0.3)[-1]
    assert trees.name == "half-space trees"
    few = replace(history, posts=history.posts[:6000])
    assert trees.flags(few) == trees.flags(few)


def test_the_cost_is_measured_over_all_of_them(history: History) -> None:
    cost = measure(history, Calibrations())
    recent = [post for _, post in history.posts if post.at >= history.end - 16 * WEEK]
    assert cost.in_order + cost.late == len(recent)
    assert cost.in_order_us > 0
    assert cost.late_us > 0
    assert cost.signups_us > 0


def test_reported_seeds_are_not_those_that_were_tuned_on() -> None:
    assert not set(SEEDS) & set(range(100, 110))


def test_table_and_json_tell_the_same(evaluation: Evaluation) -> None:
    figures = json.loads(json.dumps(report.evaluation_json(evaluation)))
    out = StringIO()
    report.show_evaluation(evaluation, Console(file=out, width=40))
    text = out.getvalue()
    assert f"{figures['detectors']['homecoming']['false_flags_a_week']:.2f}" in text
    assert all(style in text for style in ("fast_burst", "patterned_wave", "false flags a week"))
    assert not any(line.endswith(" ") for line in text.splitlines())


def burst(name: str, at: int, count: int, gap: int = 5) -> list[Action]:
    posts = [Action(at + (place + 1) * gap * SECOND, f"{name}{at}{place}", ISSUE, name) for place in range(count)]
    return [Action(at, f"{name}{at}", CREATION, name), *posts]


def small(*accounts: Account, actions: list[Action], surges: tuple[Surge, ...] = ()) -> History:
    return history_of(actions, accounts, surges, {"robot"}, (START, START + WEEK, START + 4 * WEEK))


def test_flags_are_counted_from_the_onset_on() -> None:
    onset = START + 2 * WEEK
    history = small(Account("spam", "spam", "fast_burst", onset), actions=burst("spam", onset - SECOND, 10))
    third = history.posts[2][1].at
    hit, early = (judge(history, {"spam": [Flag(at, "burst")]}) for at in (third, onset - DAY))
    assert hit.attacks == [("fast_burst", 3, 14.0, 3)]
    assert early.attacks == [("fast_burst", None, None, 10)]
    assert hit.false_flags.total() == 0


def test_only_what_is_judged_counts() -> None:
    actions = [*burst("robot", START + 2 * WEEK, 5), *burst("person", START + 2 * WEEK, 5), *burst("tool", START, 5)]
    last_day, learned = START + 4 * WEEK - DAY + 1, START + DAY
    history = small(
        Account("late", "spam", "drip", last_day),
        Account("soon", "spam", "drip", learned),
        Account("tool", "bot", "new_bot"),
        actions=[*actions, *burst("late", last_day, 2), *burst("soon", learned, 2)],
    )
    flags = {
        name: [Flag(START + DAY, "burst"), Flag(START + 2 * WEEK, "cap")] for name in ("person", "tool", "late", "soon")
    }
    found = judge(history, flags)
    assert found.attacks == []
    assert found.false_flags == {"cap": 1}
    assert found.bots == 1
    assert "robot" not in history.users


def test_a_baseline_is_given_the_limit_that_its_budget_allows() -> None:
    people = [burst(f"person{n}", START + n * HOUR, n) for n in range(1, 12)]
    spam = burst("spam", START + 2 * WEEK, 30)
    history = small(
        Account("spam", "spam", "fast_burst", spam[0].at), actions=[a for one in [*people, spam] for a in one]
    )
    flags = Limited("N in 10 minutes", in_ten_minutes, budget=2.0).flags(history)
    # Two of the eleven may be flagged in the one week: the limit is more than 9 posts.
    assert {name for name, raised in flags.items() if raised} == {"person10", "person11", "spam"}
    assert judge(history, flags).attacks[0].posts == 10


def test_an_alarm_counts_as_benign_only_without_the_attackers() -> None:
    names = [f"blogger{number}" for number in range(1000, 1040)]
    usual = [Action(START + n * 3 * HOUR, f"u{n}", CREATION, f"{chr(97 + n % 26)}{n * 7919:x}") for n in range(200)]
    at = START + 3 * WEEK
    wave = [Action(at + n * 60 * SECOND, f"w{n}", CREATION, name) for n, name in enumerate(names)]
    surge = Surge("patterned_wave", at, at + HOUR, benign=False)
    spam = [Account(name, "spam", "patterned_wave", at) for name in names]
    attacked = judge_waves(small(*spam, actions=usual + wave, surges=(surge,)), Calibrations())
    assert attacked.critical == attacked.bystanders == 0
    assert attacked.raids[0].found["name"] <= 6
    innocent = judge_waves(small(actions=usual + wave, surges=(surge._replace(benign=True),)), Calibrations())
    assert innocent.critical >= 1
    assert innocent.raids == []


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("simulated")
    scenario = Scenario(seed=3, weeks=10, end=START + 10 * WEEK, signups_per_week=40, core_users=20)
    write(simulate(scenario), directory)
    return directory


def test_files_give_the_history_that_was_simulated(written: Path) -> None:
    scenario = Scenario(seed=3, weeks=10, end=START + 10 * WEEK, signups_per_week=40, core_users=20)
    expected = simulated(simulate(scenario), START + 8 * WEEK)
    for truth in ("truth.csv", "truth.json"):
        found = files.read(written / "events.parquet", written / truth, 8, NOW)
        assert found.posts == expected.posts
        assert found.signups == expected.signups
        assert found.users == expected.users
        assert found.truth == expected.truth
        assert sorted(found.surges) == sorted(expected.surges)


@pytest.mark.parametrize(
    ("truth", "said"),
    [
        ("account,label\nx,spam\n", "no column onset, style"),
        ("account,label,style,onset\nx,evil,drip,\n", "line 2: label is 'evil'"),
        ("account,label,style,onset\nx,spam,drip,soon\n", "line 2: onset is 'soon'"),
        (None, "cannot be read"),
    ],
)
def test_a_bad_truth_is_said_in_one_line(written: Path, tmp_path: Path, truth: str | None, said: str) -> None:
    path = tmp_path / "truth.csv"
    if truth is not None:
        path.write_text(truth)
    with pytest.raises(ArchiveError, match=said) as raised:
        files.read(written / "events.parquet", path, 8, NOW)
    assert "\n" not in str(raised.value)


def test_too_few_weeks_are_refused(written: Path) -> None:
    with pytest.raises(ArchiveError, match=r"10\.0 weeks: needed are more than"):
        files.read(written / "events.parquet", written / "truth.csv", 12, NOW)


def test_too_little_to_calibrate_on_is_said(written: Path) -> None:
    history = files.read(written / "events.parquet", written / "truth.csv", 1, NOW)
    with pytest.raises(HomecomingError, match=f"version {Calibration().version} stay"):
        evaluate(history, "files", 0.3)
