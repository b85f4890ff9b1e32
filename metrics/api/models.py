"""The answers' shapes, as OpenAPI tells them. Times are event times in ISO 8601 unless said otherwise."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from metrics.api.asked import Population
from state.cells import CellState
from state.spam.lifecycle import FlagState, Severity

AsOf = Annotated[str | None, Field(description="The watermark; null for an empty state.")]
Week = Annotated[str, Field(description="The week's Monday, such as 2024-06-03.")]


class Shape(BaseModel):
    """Immutable, and nothing that is not named."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Refusal(Shape):
    """Why there is no answer."""

    error: Annotated[str, Field(description="One line: what, where, and what would be valid.")]


class Cell(Shape):
    offset: Annotated[int, Field(description="Weeks after the cohort's.")]
    users: Annotated[int | None, Field(description="Who was active then; null where the week has not begun.")]
    state: CellState


class Cohort(Shape):
    week: Week
    size: int
    cells: list[Cell]


class Retention(Shape):
    """The retention table of one population; cohorts below the least size are left out."""

    as_of: AsOf
    population: Population
    cohorts: list[Cohort]


class Rate(Shape):
    """How much of a cohort was active so many weeks later."""

    offset: int
    users: int | None
    rate: Annotated[float | None, Field(description="users / size, 0 to 1; null where the week has not begun.")]
    state: CellState


class Side(Shape):
    """A cohort within one population."""

    size: int
    rates: list[Rate]


class SideBySide(Shape):
    week: Week
    populations: Annotated[
        dict[Population, Side | None], Field(description="null where the population's part is below the least size.")
    ]


class Cohorts(Shape):
    as_of: AsOf
    cohorts: list[SideBySide]


class SignupHour(Shape):
    start: str
    signups: int
    expected: Annotated[float | None, Field(description="null where nothing is known to expect.")]
    waves: Annotated[list[str], Field(description="Ids of the waves under way, cleared ones left out.")]


class Wave(Shape):
    id: str
    rule: str
    severity: Severity
    state: FlagState
    start: str
    end: Annotated[str, Field(description="When it is over, or will be unless it goes on.")]
    signups: Annotated[int, Field(description="So many there were when it was first told.")]


class Signups(Shape):
    """Sign-ups by the hour; the last hour is the watermark's."""

    as_of: AsOf
    hours: list[SignupHour]
    waves: list[Wave]


class Gap(Shape):
    """A time in which nobody listened."""

    start: str
    end: str


class Stream(Shape):
    """How fresh the state is. Ages are against the processing time of the server."""

    lag_s: Annotated[float | None, Field(description="How far the newest event is behind; null without any.")]
    last_message_age_s: Annotated[
        float | None, Field(description="null where no message has come since the start, or this process hears none.")
    ]
    connected: Annotated[bool | None, Field(description="null where this process does not listen itself.")]
    listened_until: Annotated[str | None, Field(description="Processing time; null where nobody ever listened.")]
    gaps: Annotated[list[Gap], Field(description="The latest ones, oldest first.")]
    gaps_total: int
    dead_letters: Annotated[dict[str, int], Field(description="How many are kept, by reason.")]


class Status(Shape):
    """How much is kept, and how fresh it is."""

    messages: Annotated[int, Field(description="Distinct message ids accepted.")]
    events: Annotated[int, Field(description="(message, user) pairs.")]
    users: int
    dead_letters: int
    watermark: str | None
    flags_open: int
    schema_version: int
    stream: Stream


class FlagCount(Shape):
    rule: str
    severity: Severity
    state: FlagState
    flags: int


class PublicWave(Shape):
    id: str
    rule: str
    severity: Severity
    state: FlagState
    raised_at: str
    posts: Annotated[int, Field(description="Sign-ups of the wave.")]
    reason: str


class PublicFlags(Shape):
    """Flags without a name."""

    counts: list[FlagCount]
    waves: list[PublicWave]


class Flag(Shape):
    """A flag as the operator sees it."""

    id: str
    user: Annotated[str | None, Field(description="null for a wave.")]
    rule: str
    severity: Severity
    state: FlagState
    raised_at: str
    posts: Annotated[int, Field(description="Content posts up to and including the crossing one.")]
    reason: str
    evidence: Annotated[list[str], Field(description="Message ids.")]
    config: str
