"""Every style does what its name says."""

import re
from collections import defaultdict
from datetime import UTC, datetime
from itertools import pairwise
from statistics import median

import pytest

from consumer.content import content_hash
from consumer.simulation.styles import ATTACKS, BENIGN, STYLES
from consumer.simulator import BOTS, Account, Scenario, SimMessage, Simulation, Surge, evaluation_scenario, simulate
from state.weeks import DAY, SECOND, WEEK, event_time

END = event_time(datetime(2024, 6, 27, 15, tzinfo=UTC))
HOUR = 3600 * SECOND

#: Kinds that put a text before others.
CONTENT = {
    "pagure.issue.new",
    "pagure.issue.comment.added",
    "discourse.topic.topic_created",
    "discourse.post.post_created",
    "bodhi.update.comment",
    "wiki.article.edit",
}


class World:
    """A simulation, asked by account and by surge."""

    def __init__(self, simulation: Simulation) -> None:
        self.simulation = simulation
        self.end = simulation.scenario.end
        self.truth = {account.name: account for account in simulation.truth}
        self.said: dict[str, list[SimMessage]] = defaultdict(list)
        for message in simulation.messages:
            if message.user is not None:
                self.said[message.user].append(message)

    def of_style(self, style: str) -> list[Account]:
        """Accounts of the style whose last post cannot lie after the end."""
        return [a for a in self.truth.values() if a.style == style and (a.onset or 0) < self.end - 5 * DAY]

    def posts(self, account: Account) -> list[SimMessage]:
        """What the account wrote from its onset on."""
        return [m for m in self.said[account.name] if m.kind in CONTENT and m.at >= (account.onset or 0)]

    def gaps(self, account: Account) -> list[float]:
        """Seconds between these."""
        return [(b.at - a.at) / SECOND for a, b in pairwise(self.posts(account))]

    def surges(self, kind: str) -> list[Surge]:
        """Those that were over in time."""
        return [s for s in self.simulation.surges if s.kind == kind and s.end < self.end - DAY]

    def within(self, surge: Surge) -> list[SimMessage]:
        return [m for m in self.simulation.messages if surge.start <= m.at < surge.end]

    def signed_up(self, surge: Surge) -> list[Account]:
        """Whose account was made in that time for that reason."""
        creations = (m for m in self.within(surge) if m.kind == "fas.user.create" and m.user)
        accounts = [self.truth[m.user] for m in creations if m.user]
        return [a for a in accounts if a.style.startswith(surge.kind)]


@pytest.fixture(scope="module")
def world() -> World:
    return World(simulate(evaluation_scenario(seed=7)))


def issue_share(messages: list[SimMessage]) -> float:
    return sum(m.kind == "pagure.issue.new" for m in messages) / len(messages)


def test_equal_evaluations_are_equal_and_hold_every_style(world: World) -> None:
    assert simulate(evaluation_scenario(seed=7)) == world.simulation
    spam = {a.style for a in world.truth.values() if a.label == "spam"}
    assert spam == set(ATTACKS)
    assert {s.kind for s in world.simulation.surges if s.benign} == set(BENIGN) - {"enthusiast", "new_bot"}
    assert {a.style for a in world.truth.values()} > {"enthusiast", "new_bot"}


@pytest.mark.parametrize(
    ("style", "fewest", "most"),
    [
        ("fast_burst", 20, 40),
        ("hand_paced", 13, 27),
        ("drip", 10, 20),
        ("sleeper_14", 8, 16),
        ("sleeper_45", 8, 16),
        ("mimic", 5, 11),
        ("flood", 2, 5),
        ("enthusiast", 35, 70),
        ("new_bot", 1, 4),
    ],
)
def test_a_style_happens_about_as_often_as_the_evaluation_says(
    world: World, style: str, fewest: int, most: int
) -> None:
    assert fewest <= sum(a.style == style for a in world.truth.values()) <= most


def test_spam_and_nothing_else_has_an_onset(world: World) -> None:
    for account in world.truth.values():
        assert (account.onset is not None) == (account.label == "spam")
        if account.onset is None:
            continue
        assert account.onset >= world.said[account.name][0].at
        if account.onset < world.end:
            # A wave's members begin with their sign-up, all others with a post.
            at_onset = [m.kind for m in world.said[account.name] if m.at == account.onset]
            signs_up = account.style in ("patterned_wave", "human_wave")
            assert at_onset == ["fas.user.create"] if signs_up else set(at_onset) & CONTENT


@pytest.mark.parametrize(
    ("style", "gap", "count", "issues"),
    [
        ("fast_burst", (6, 9), (12, 44), (0.5, 0.9)),
        ("hand_paced", (40, 60), (15, 40), (0.75, 1)),
        ("drip", (9 * 60, 17 * 60), (25, 60), (0.8, 1)),
        ("sleeper_14", (6, 9), (12, 44), (0.5, 0.9)),
        ("sleeper_45", (6, 9), (12, 44), (0.5, 0.9)),
        ("flood", (60, 300), (160, 800), (0.5, 0.7)),
    ],
)
def test_pace_and_length_of_an_attack(
    world: World, style: str, gap: tuple[float, float], count: tuple[int, int], issues: tuple[float, float]
) -> None:
    accounts = world.of_style(style)
    assert accounts
    assert gap[0] <= median(gap for a in accounts for gap in world.gaps(a)) <= gap[1]
    assert all(count[0] <= len(world.posts(a)) <= count[1] for a in accounts)
    assert issues[0] <= issue_share([m for a in accounts for m in world.posts(a)]) <= issues[1]


def test_no_two_posts_of_a_drip_are_closer_than_four_minutes(world: World) -> None:
    for account in world.of_style("drip"):
        assert all(239 <= gap <= 2401 for gap in world.gaps(account))
        assert world.posts(account)[-1].at - world.posts(account)[0].at > 4 * HOUR


@pytest.mark.parametrize(("style", "days"), [("sleeper_14", 14), ("sleeper_45", 45)])
def test_a_sleeper_does_at_most_one_thing_before_it_bursts(world: World, style: str, days: int) -> None:
    before = []
    for account in world.of_style(style):
        assert account.onset is not None
        created, *rest = world.said[account.name]
        assert days * DAY <= account.onset - created.at <= (days + 1) * DAY
        before.append(len([m for m in rest if m.at < account.onset]))
        assert all(m.at <= created.at + DAY for m in rest if m.at < account.onset)
    assert set(before) == {0, 1}


def test_a_flood_lasts_days_and_a_mimic_is_mostly_innocent(world: World) -> None:
    for account in world.of_style("flood"):
        posts = world.posts(account)
        assert DAY < posts[-1].at - posts[0].at < 4 * DAY
    for account in world.of_style("mimic"):
        said = world.said[account.name]
        spam = [m for m in said if m.text]
        assert 4 <= len(spam) <= 9
        assert said[-1].at - said[0].at > 3 * DAY
    mimicked = [m for a in world.of_style("mimic") for m in world.said[a.name]]
    assert sum(not m.text for m in mimicked) > len(mimicked) / 2


def test_waves(world: World) -> None:
    for wave in world.surges("patterned_wave"):
        members = world.signed_up(wave)
        assert 18 <= len(members) <= 44
        assert len({re.sub(r"\d+$", "", a.name) for a in members}) == 1
    for wave in world.surges("human_wave"):
        members = world.signed_up(wave)
        assert 30 <= len(members) <= 80
        assert 2 * HOUR <= wave.end - wave.start <= 4 * HOUR
        assert len({re.sub(r"\d+$", "", a.name) for a in members}) > 0.9 * len(members)
        posts = [world.posts(a) for a in members]
        assert all(len(p) <= 3 for p in posts)
        assert sum(map(bool, posts)) > len(members) / 2


def test_shared_text_is_one_text_of_many_accounts(world: World) -> None:
    for campaign in world.surges("shared_text"):
        accounts = world.signed_up(campaign)
        posts = [m for a in accounts for m in world.posts(a)]
        assert 8 <= len(accounts) <= 20
        assert len({content_hash(m.text) for m in posts}) == 1
        assert len({m.text for m in posts}) == len(posts)
        assert all(1 <= len(world.posts(a)) <= 3 for a in accounts)


def test_a_room_full_and_a_release_bring_people(world: World) -> None:
    for hackfest in world.surges("hackfest"):
        assert hackfest.end - hackfest.start == HOUR
        assert len(world.signed_up(hackfest)) == 40
    for release in world.surges("release_day"):
        assert release.end - release.start == 36 * HOUR
        everybody = [m for m in world.within(release) if m.kind == "fas.user.create"]
        usual = world.simulation.scenario.signups_per_week * 36 / (7 * 24)
        assert 2.5 * usual < len(everybody) < 6 * usual
    for event in world.surges("event_checkins"):
        assert 40 <= len(world.signed_up(event)) < 100
        assert sum(m.kind == "badges.badge.award" for m in world.within(event)) > 200


def test_busy_days_of_people_who_are_here(world: World) -> None:
    for rebuild in world.surges("mass_rebuild"):
        pushed = [m for m in world.within(rebuild) if m.kind in ("git.receive", "copr.build.start")]
        assert len(pushed) > 4000
        assert len({m.user for m in pushed}) > 15
    for test_day in world.surges("test_day"):
        results = [m for m in world.within(test_day) if m.kind in ("bodhi.update.comment", "wiki.article.edit")]
        assert len(results) > 150
        assert 5 <= len(world.signed_up(test_day)) <= 15
    for hour in world.surges("power_user"):
        issues = [m.user for m in world.within(hour) if m.kind == "pagure.issue.new"]
        filers = {name for name in issues if issues.count(name) >= 20}
        assert "core" in {world.truth[name].label for name in filers if name}
    enthusiasts = [a for a in world.of_style("enthusiast") if world.said[a.name][0].at < world.end - DAY]
    for account in enthusiasts:
        evening = [m for m in world.said[account.name] if m.at < world.said[account.name][0].at + 4 * HOUR]
        assert sum(m.kind == "pagure.issue.new" for m in evening) >= 3


def test_a_new_bot_posts_around_the_clock_and_is_on_no_list(world: World) -> None:
    for account in world.of_style("new_bot"):
        assert account.label == "bot"
        assert account.name not in BOTS
        posts = world.posts(account)
        second_day = [m for m in posts if DAY <= m.at - posts[0].at < 2 * DAY]
        assert len({m.at // HOUR for m in second_day}) >= 20
    assert {a.name for a in world.truth.values() if a.style == "steady"} == set(BOTS)


def test_names_are_as_people_and_spammers_choose_them(world: World) -> None:
    def share(pattern: str, names: list[str]) -> float:
        return sum(bool(re.search(pattern, name)) for name in names) / len(names)

    people = [a.name for a in world.truth.values() if a.label in ("organic", "core")]
    waves = ("patterned_wave", "human_wave")
    spammers = [a.name for a in world.truth.values() if a.label == "spam" and a.style not in waves]
    assert 0.2 < share(r"\d$", people) < 0.3
    assert 0.35 < share(r"\d$", spammers) < 0.6
    assert 0.07 < share("[bcdfghjklmnpqrstvwxz]{5}", spammers) < 0.2
    assert all(re.fullmatch(r"[a-z0-9][a-z0-9-]{1,31}", name) for name in (*people, *spammers))


@pytest.mark.parametrize("style", sorted(STYLES))
def test_every_style_happens_even_in_a_short_history(style: str) -> None:
    scenario = Scenario(seed=3, weeks=2, end=END, signups_per_week=0, core_users=30, incidents=((style, 30.0),))
    without = Scenario(seed=3, weeks=2, end=END, signups_per_week=0, core_users=30, incidents=())
    simulation = simulate(scenario)
    assert len(simulation.messages) > len(simulate(without).messages)
    assert style in {a.style for a in simulation.truth} | {s.kind for s in simulation.surges}


@pytest.mark.parametrize("style", sorted(STYLES))
def test_a_community_of_nobody_stands_every_style(style: str) -> None:
    scenario = Scenario(seed=3, weeks=2, end=END, signups_per_week=0, core_users=0, incidents=((style, 30.0),))
    assert all(m.at >= scenario.start for m in simulate(scenario).messages)


def test_weeks_and_end_of_an_evaluation_can_be_chosen() -> None:
    scenario = evaluation_scenario(seed=1, weeks=2, end=END)
    assert (scenario.weeks, scenario.end) == (2, END)
    assert scenario.end - scenario.start < 2 * WEEK
    assert {style for style, _ in scenario.incidents} == set(STYLES)
