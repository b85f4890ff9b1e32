"""Most posts leave the detector at once; these are the accounts, texts and waves that must not."""

from collections.abc import Iterable

import pytest

from state.event import Event
from state.fold import UserState, apply
from state.rules import Rules
from state.spam.calibration import Calibrations
from state.spam.deeds import CREATION, PASSIVE, Kinds
from state.spam.detector import LATENESS, Detector
from state.spam.posts import OTHER, THREAD
from state.spam.texts import OF_ONE
from state.spam.track import BURST, HIJACK, SAME_TEXT
from state.spam.waves import Wave
from state.weeks import DAY, HOUR, SECOND, WEEK
from tests.support.logs import CREATE, START
from tests.support.spam import MINUTE, OTHER_TOPIC, PASSIVE_TOPIC, THREAD_TOPIC, Act, burst, messages, wave

RULES = Rules()

#: Active on five days of one week, and once in each of the three weeks after it.
REGULAR = [Act(day * DAY, OTHER_TOPIC, "ada") for day in (0, 1, 2, 3, 4, 7, 14, 21)]


class Fed:
    """A detector, and what it is shown folded."""

    def __init__(self) -> None:
        self.detector = Detector(RULES, Calibrations())
        self.users: dict[str, UserState] = {}
        self.waves: list[Wave] = []

    def take(self, acts: Iterable[Act], text: str | None = None) -> None:
        self.take_events(message[0]._replace(content_hash=text) for message in messages(acts))

    def take_events(self, events: Iterable[Event]) -> None:
        for event in events:
            after, _ = apply(self.users.get(str(event.user)), event, RULES)
            assert after is not None
            self.users[str(event.user)] = after
            for seen in self.detector.take([event], {str(event.user): after}):
                if seen.waves:
                    self.waves = self.detector.waves()

    def rules(self, name: str) -> list[str]:
        return [crossing.rule for crossing in self.detector.crossings(name)]


def test_whoever_is_active_every_week_is_looked_at_no_more() -> None:
    fed = Fed()
    fed.take([*REGULAR, Act(27 * DAY, OTHER_TOPIC, "zoë"), *burst("ada", 28 * DAY, 30, SECOND)])
    assert fed.rules("ada") == []
    assert "ada" not in fed.detector.tracks


@pytest.mark.parametrize(("weeks", "rules"), [(4, []), (5, [HIJACK])])
def test_whoever_was_away_for_four_whole_weeks_is_looked_at_again(weeks: int, rules: list[str]) -> None:
    fed = Fed()
    fed.take([*REGULAR, *burst("ada", 21 * DAY + weeks * WEEK, 30, SECOND)])
    assert fed.rules("ada") == rules


def test_a_burst_of_somebody_regular_that_comes_late_from_before_their_fifth_day() -> None:
    regular, late = REGULAR[:6], burst("ada", 4 * DAY + HOUR, 6, SECOND)
    regular[-1:] = [Act(5 * DAY + HOUR, OTHER_TOPIC, "ada")]
    assert late[-1].at > regular[-1].at - LATENESS
    fed = Fed()
    fed.take(regular)
    fed.take(late)
    assert fed.rules("ada") == [BURST]


def test_who_is_regular_makes_a_text_a_known_one() -> None:
    for quoted in (False, True):
        fed = Fed()
        fed.take(REGULAR)
        if quoted:
            fed.take([Act(25 * DAY, OTHER_TOPIC, "ada")], "an advert")
        fed.take(burst("zoë", 25 * DAY + HOUR, OF_ONE, HOUR, OTHER_TOPIC), "an advert")
        assert fed.rules("zoë") == ([] if quoted else [SAME_TEXT])


def test_an_account_that_turns_out_older_makes_a_text_a_known_one_too() -> None:
    fed = Fed()
    fed.take([Act(0, PASSIVE_TOPIC, "old hand")])  # the log begins long before
    fed.take([Act(25 * DAY + 20 * HOUR, OTHER_TOPIC, "ada")], "an advert")
    fed.take(burst("zoë", 25 * DAY + 21 * HOUR, OF_ONE, MINUTE, OTHER_TOPIC), "an advert")
    assert fed.rules("zoë") == [SAME_TEXT]
    # What an import of an older archive does to an account: a late event shows it.
    fed.users["ada"] = fed.users["ada"]._replace(early_days=tuple(START // DAY + day for day in range(5)))
    fed.take([Act(25 * DAY, PASSIVE_TOPIC, "ada")])
    assert fed.rules("zoë") == []


def ordinary(first: int, last: int) -> list[Act]:
    """Four sign-ups a day, of names that share nothing."""
    return [
        Act(day * DAY + n * 6 * HOUR, CREATE, f"{_LETTERS[day % 26]}{_LETTERS[n]}{_LETTERS[day // 26]}x")
        for day in range(first, last)
        for n in range(4)
    ]


def test_a_wave_stands_while_old_sign_ups_are_forgotten() -> None:
    fed = Fed()
    fed.take(ordinary(0, 94))
    fed.take(wave("megaspam", 94 * DAY - HOUR, 12, MINUTE, None))
    forgotten = 0
    for act in ordinary(94, 97):
        kept = len(fed.detector.signups.entries)
        fed.take([act])
        forgotten += kept + 1 - len(fed.detector.signups.entries)
        (found,) = (each for each in fed.detector.waves() if each.pattern == "megaspam#")
        assert found.at == START + 94 * DAY - HOUR + 4 * MINUTE
    assert forgotten > 90, "too few: the test shows nothing"


_LETTERS = "abcdefghijklmnopqrstuvwxyz"


def test_topics_are_worked_out_once_and_as_the_rules_say() -> None:
    kinds = Kinds(Rules(registrations=frozenset({"forum.joined"})))
    wanted = {THREAD_TOPIC: THREAD, OTHER_TOPIC: OTHER, PASSIVE_TOPIC: PASSIVE, "forum.joined": CREATION}
    assert {topic: kinds[topic] for topic in wanted} == wanted
    assert dict(kinds) == wanted


@pytest.mark.parametrize("place", [0, 1, 8])
def test_a_known_bot_days_ahead_in_the_same_batch_hides_no_burst(place: int) -> None:
    """What nobody looks at must not say from when on the batch's flags are new."""
    rules = Rules(allowlist=frozenset({"bot"}))
    batch = [
        event
        for message in messages([Act(0, CREATE, "mallory"), *burst("mallory", HOUR, 7, SECOND)])
        for event in message
    ]
    (ahead,) = messages([Act(3 * DAY, OTHER_TOPIC, "bot")])[0]
    batch.insert(place, ahead)
    users: dict[str, UserState] = {}
    for event in batch:
        after, _ = apply(users.get(str(event.user)), event, rules)
        assert after is not None
        users[str(event.user)] = after
    detector = Detector(rules, Calibrations())
    (seen,) = detector.take(batch, users)
    (crossing,) = detector.crossings("mallory")
    assert "mallory" in seen.accounts
    assert seen.since <= crossing.at
