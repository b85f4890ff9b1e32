"""Why, in words that a person can check."""

from bisect import bisect_left

from state.fold import UserState
from state.spam.calibration import Calibration
from state.spam.track import BURST, CAP, HIJACK, HOURS, SAME_TEXT, Crossing, cap_of
from state.spam.waves import Wave
from state.weeks import DAY, HOUR, SECOND, day_of


def why_account(crossing: Crossing, user: UserState) -> str:
    """The figures of an account's crossing."""
    calibration = crossing.calibration
    threads = _many(crossing.threads, "new thread")
    posts = f"{_many(crossing.run, 'post')} ({threads}) in {_span(crossing.at - crossing.begins)}"
    days = bisect_left(user.early_days, day_of(crossing.at))
    who = f"{_age(crossing, user)}, {_many(days, 'earlier active day')}"
    limit = calibration.limit + calibration.trust * days
    about = f"about {calibration.budget:g} such accounts a week"
    said = {
        BURST: f"{posts}, {who}; score {crossing.score:.1f} (limit {limit:.1f}, {about})",
        CAP: f"{threads} within 24 h, {who} (limit {cap_of(calibration, days)})",
        SAME_TEXT: f"{_many(crossing.run, 'post')} of one text in {_span(crossing.at - crossing.begins)} by "
        f"{_many(crossing.accounts, 'new account')}, {who}",
        HOURS: f"posts in {crossing.hours} of 24 hours, {who} (limit {calibration.hours}): unregistered automation?",
        HIJACK: f"{posts} after four weeks or more away; score {crossing.score:.1f} (limit {calibration.limit:.1f}): "
        "an account in other hands?",
    }
    return _signed(said[crossing.rule], calibration)


def why_wave(wave: Wave) -> str:
    """The figures of a wave, as they were when its key fired first."""
    expected = f"{wave.expected:.1f} expected (chance {wave.chance:.0e})"
    said = {
        "rate": f"{wave.count} sign-ups in {_span(wave.window)}, {expected}",
        "name": f"{wave.count} of {wave.of} sign-ups in 24 h named like {wave.pattern}, {expected}",
        "cohort": f"{wave.count} of {wave.of} newcomers of a wave began with a new thread, {expected}",
    }
    return _signed(said[wave.key], wave.calibration)


def why_member(wave: Wave, wave_flag: str) -> str:
    """Why somebody who signed up in a wave is suspect."""
    return _signed(f"signed up as one of wave {wave_flag}; that alone says nothing", wave.calibration)


def _signed(said: str, calibration: Calibration) -> str:
    return f"{said}; config {calibration.version}"


def _age(crossing: Crossing, user: UserState) -> str:
    if user.registered_at is None or user.registered_at > crossing.at:
        return "account of unknown age"
    return f"account {_span(crossing.at - user.registered_at)} old"


def _many(count: int, thing: str) -> str:
    return f"{count} {thing}" if count == 1 else f"{count} {thing}s"


def _span(length: int) -> str:
    for unit, name in ((DAY, "d"), (HOUR, "h"), (60 * SECOND, "min")):
        if length >= 2 * unit or (length >= unit and length % unit == 0):
            return f"{length // unit} {name}"
    return f"{length // SECOND} s"
