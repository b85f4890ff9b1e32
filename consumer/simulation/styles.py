"""The styles that a scenario can ask for, by name."""

from consumer.simulation import attacks, surges
from consumer.simulation.incident import Style
from state.errors import HomecomingError

ATTACKS: dict[str, Style] = {
    style.__name__: style
    for style in (
        attacks.fast_burst,
        attacks.hand_paced,
        attacks.drip,
        attacks.sleeper_14,
        attacks.sleeper_45,
        attacks.patterned_wave,
        attacks.human_wave,
        attacks.mimic,
        attacks.flood,
        attacks.shared_text,
    )
}

#: Nobody attacks here.
BENIGN: dict[str, Style] = {
    style.__name__: style
    for style in (
        surges.hackfest,
        surges.mass_rebuild,
        surges.event_checkins,
        surges.release_day,
        surges.test_day,
        surges.power_user,
        surges.enthusiast,
        surges.new_bot,
    )
}

STYLES = ATTACKS | BENIGN


def style_named(name: str) -> Style:
    """The style; HomecomingError where there is none of that name."""
    if name not in STYLES:
        raise HomecomingError(f"simulate: no incident {name!r}: one of {', '.join(sorted(STYLES))}")
    return STYLES[name]
