"""The scenario by which the detectors are judged."""

from consumer.simulation.model import Scenario
from state.weeks import week_named, week_start

_END = week_start(week_named("2024-06-03"))

#: How often each style happens in half a year.
_IN_26_WEEKS = {
    "fast_burst": 30,
    "hand_paced": 20,
    "drip": 15,
    "sleeper_14": 12,
    "sleeper_45": 12,
    "patterned_wave": 5,
    "human_wave": 5,
    "mimic": 8,
    "flood": 3,
    "shared_text": 5,
    "hackfest": 4,
    "mass_rebuild": 2,
    "event_checkins": 3,
    "release_day": 2,
    "test_day": 3,
    "power_user": 26,
    "enthusiast": 52,
    "new_bot": 2,
}


def evaluation_scenario(seed: int, weeks: int = 26, end: int = _END) -> Scenario:
    """Every attack style and every benign surge, often enough that a few seeds tell recalls to a percent.

    Raises HomecomingError where weeks or end make no sense.
    """
    incidents = tuple((style, 26 / count) for style, count in _IN_26_WEEKS.items())
    return Scenario(seed, weeks, end, incidents=incidents)
