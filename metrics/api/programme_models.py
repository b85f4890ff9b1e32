"""Shapes of the answers about events, campaigns, discussions and funnels; null: not begun, not measured, or hidden."""

from typing import Annotated

from pydantic import Field

from metrics.api.models import AsOf, Shape
from metrics.programmes.campaigns import By as CampaignsBy
from metrics.programmes.discussions import By as DiscussionsBy
from metrics.programmes.events import Group
from metrics.programmes.funnel import StepName
from state.cells import CellState

Exact = Annotated[bool, Field(description="false: a part of it has expired.")]


class MonthCell(Shape):
    offset: Annotated[int, Field(description="Months of 30 days from the event, rounded half to even.")]
    users: int | None
    messages: int | None
    mean: Annotated[float | None, Field(description="Messages per head of the group.")]
    state: CellState


class ActivityRow(Shape):
    group: Group
    service: Annotated[str | None, Field(description="null: all services together.")]
    before: Annotated[float | None, Field(description="Per head and month, M-4 to M-1, final months alone.")]
    after: float | None
    cells: list[MonthCell]


class Event(Shape):
    id: str
    name: str
    at: Annotated[str | None, Field(description="The earliest award; null before it.")]
    defined: Annotated[bool, Field(description="false: found among the badge awards.")]
    attendees: int
    newcomers: int | None
    existing: int | None
    successor: str | None
    returned: Annotated[int | None, Field(description="Attendees who came to the successor; null without one.")]
    return_rate: float | None
    rows: list[ActivityRow]


class Events(Shape):
    """Events by time."""

    as_of: AsOf
    exact: Exact
    events: list[Event]


class CampaignCell(Shape):
    months: Annotated[int, Field(description="Calendar months after the end.")]
    users: int | None
    newcomers: int | None
    of: Annotated[int | None, Field(description="Participants of those campaigns whose month has begun.")]
    of_newcomers: int | None
    rate: float | None
    state: CellState


class CampaignRow(Shape):
    key: str
    name: str
    participants: int | None
    newcomers: int | None
    cells: list[CampaignCell]


class Campaigns(Shape):
    as_of: AsOf
    by: CampaignsBy
    rows: list[CampaignRow]


class DiscussionRow(Shape):
    service: str
    month: str | None
    topics: int | None
    replies: int | None
    mean_replies: float | None
    participants: int | None
    answered: int | None
    share_answered: float | None
    replied: int | None
    solved: int | None
    closed: int | None
    first_answer_median_s: float | None
    first_answer_mean_s: float | None
    state: CellState


class Discussions(Shape):
    as_of: AsOf
    exact: Exact
    start: str | None
    end: str | None
    by: DiscussionsBy
    rows: list[DiscussionRow]


class Step(Shape):
    step: StepName
    users: Annotated[int | None, Field(description="null: not measured, or hidden.")]
    of: Annotated[int | None, Field(description="Those of the step before about whom it is known already.")]
    drop: int | None
    share: float | None
    undecided: Annotated[int, Field(description="Those whose time to take the step has only begun.")]
    state: CellState


class Funnel(Shape):
    as_of: AsOf
    exact: Exact
    cohort: str
    members: int | None
    t_h: int
    n: int
    sunset_h: int
    steps: list[Step]
