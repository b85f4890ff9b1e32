"""What a simulation is made of. Pure data: no IO, no clock."""

from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from state.errors import HomecomingError
from state.weeks import WEEK, week_of, week_start

Label = Literal["organic", "core", "bot", "spam"]

#: The first event time that the pipeline accepts is in 1990; a history has to begin after that.
_EARLIEST = 1043 * WEEK


class SimMessage(NamedTuple):
    """One message before it has a wire form. Ordered by event time, then by its random bits."""

    at: int  #: event time, microseconds, whole seconds as in the bus's `sent-at`
    bits: int  #: 128 random bits: the id and every detail of the content come from them
    kind: str  #: the action, `pagure.issue.new`
    user: str | None  #: who acted; None where the message names nobody
    others: tuple[str, ...] = ()  #: who else is named, best known first
    text: str = ""  #: what was written, where it matters


class Account(NamedTuple):
    """Ground truth about one account."""

    name: str
    label: Label
    style: str
    onset: int | None = None  #: event time at which it begins to attack; after the history's end: it never got to it


class Surge(NamedTuple):
    """Ground truth about a time in which many sign up or act at once: [start, end)."""

    kind: str
    start: int
    end: int
    benign: bool


@dataclass(frozen=True, slots=True)
class Scenario:
    """Which community is simulated. Equal scenarios give equal messages.

    end: event time at which the history ends (exclusive).
    weeks: ISO weeks of history; the last one holds the instant before `end` and may be cut short.
    core_users: accounts that were active before the first week, so without a sign-up.
    incidents: (style, mean weeks between two of them); each happens at least once in a history.
    programmes: conferences, campaigns and discussions too. Whatever else happens is another history then.
    Raises HomecomingError where a value makes no sense.
    """

    seed: int
    weeks: int
    end: int
    signups_per_week: int = 300
    core_users: int = 150
    incidents: tuple[tuple[str, float], ...] = field(
        default=(
            ("fast_burst", 0.5),
            ("hand_paced", 2.0),
            ("drip", 3.0),
            ("sleeper_14", 4.0),
            ("sleeper_45", 6.0),
            ("patterned_wave", 8.0),
            ("human_wave", 8.0),
            ("mimic", 4.0),
            ("flood", 10.0),
            ("shared_text", 6.0),
            ("hackfest", 8.0),
            ("mass_rebuild", 26.0),
            ("event_checkins", 13.0),
            ("release_day", 26.0),
            ("test_day", 8.0),
            ("power_user", 1.0),
            ("enthusiast", 0.5),
            ("new_bot", 13.0),
        )
    )
    programmes: bool = False

    def __post_init__(self) -> None:
        if self.weeks < 1:
            raise HomecomingError(f"simulate: weeks is {self.weeks}: give 1 or more")
        if self.start < _EARLIEST:
            raise HomecomingError(
                f"simulate: {self.weeks} weeks reach back before 1990: give fewer weeks or a later end"
            )
        if self.signups_per_week < 0 or self.core_users < 0:
            raise HomecomingError("simulate: sign-ups and core users are counts: give 0 or more")
        for style, every in self.incidents:
            if not every > 0:
                raise HomecomingError(f"simulate: incident {style} every {every} weeks: give more than 0")

    @property
    def first_week(self) -> int:
        """The ISO week with which the history begins."""
        return week_of(self.end - 1) - self.weeks + 1

    @property
    def start(self) -> int:
        """Event time at which the history begins."""
        return week_start(self.first_week)
