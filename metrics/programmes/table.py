"""Events, campaigns, discussions and funnels for people at a terminal."""

from collections.abc import Sequence

from rich.console import Console
from rich.text import Text

from metrics.programmes.campaigns import CampaignCell, Campaigns
from metrics.programmes.discussions import Discussions
from metrics.programmes.events import OFFSETS, Event, Events, MonthCell
from metrics.programmes.funnel import Funnel, Step
from state.cells import CellState
from state.weeks import DAY, SECOND, iso

_MARKS: dict[CellState, str] = {"open": "…", "partial": "~"}
_ASCII: dict[CellState, str] = {"open": ".", "partial": "~"}

#: What a figure is that there is not.
_NONE = "-"

_STEPS = {
    "visited": "visited",
    "attempted": "tried to edit",
    "registered": "registered",
    "contributed": "contributed",
    "stayed": "stayed",
}


def show_events(events: Events, console: Console) -> None:
    """Print a line an event; of a single one also its activity by group, service and month."""
    if not events.events:
        said = "no event: define one ([[event]] in consumer_config.cohorts.definitions), or ask with --find"
        console.print(said, markup=False)
        return
    header = ("event", "when", "attendees", "newcomers", "existing", "before", "after", "returned")
    lines = [
        (
            event.id,
            _NONE if event.at is None else iso(event.at)[:10],
            _count(event.attendees),
            _of(event.newcomers, event.attendees),
            _of(event.existing, event.attendees),
            *_sides(event),
            _NONE if event.returned is None else _of(event.returned, event.attendees),
        )
        for event in events.events
    ]
    _show(header, lines, console)
    if len(events.events) == 1:
        console.print()
        _show_activity(events.events[0], console)
    _caption(
        events.as_of,
        [
            "before and after: messages per head and month, of the months that are final, M-4 to M-1 and M+1 to M+4",
            *([] if events.exact else ["not exact: some of it has expired"]),
        ],
        console,
    )


def _show_activity(event: Event, console: Console) -> None:
    header = ("group", "service", *(f"M{offset:+d}" for offset in OFFSETS))
    marks = _marks(console)
    lines = [(row.group, row.service or "all", *(_mean(cell, marks) for cell in row.cells)) for row in event.rows]
    _show(header, lines, console)


def show_campaigns(campaigns: Campaigns, console: Console) -> None:
    """Print a line a row: who was still active so many months after the end."""
    if not campaigns.rows and campaigns.by == "service":
        console.print("nobody who took part contributed anywhere in these months")
        return
    if not campaigns.rows:
        console.print("no campaign: define one ([[campaign]] in consumer_config.cohorts.definitions)", markup=False)
        return
    marks = _marks(console)
    months = [cell.months for cell in campaigns.rows[0].cells]
    header = (campaigns.by, "participants", "newcomers", *(f"+{k} months" for k in months))
    lines = [
        (row.key, _count(row.participants), _count(row.newcomers), *(_still(cell, marks) for cell in row.cells))
        for row in campaigns.rows
    ]
    _show(header, lines, console)
    _caption(campaigns.as_of, ["contributing in the calendar month so long after the end"], console)


def show_discussions(discussions: Discussions, console: Console) -> None:
    """Print a line a service, or a service and month."""
    by_month = discussions.by == "month"
    figures = ("topics", "replies", "per topic", "people", "answered", "solved", "closed", "first answer")
    lines = [
        (
            row.service,
            *([row.month or ""] if by_month else []),
            _count(row.topics),
            _count(row.replies),
            _NONE if row.mean_replies is None else f"{row.mean_replies:.1f}",
            _count(row.participants),
            _of(row.answered, row.topics),
            _count(row.solved),
            _count(row.closed),
            _NONE if row.first_answer_median_s is None else _duration(row.first_answer_median_s),
        )
        for row in discussions.rows
    ]
    header = ("service", *(["month"] if by_month else []), *figures)
    _show(header, lines, console)
    said = ["answered: by somebody else, by a solution, or by being closed; first answer: the median"]
    if discussions.start is not None:
        said.append(f"opened from {iso(discussions.start)} on")
    if discussions.end is not None:
        said.append(f"opened before {iso(discussions.end)}")
    _caption(discussions.as_of, said, console)


def show_funnel(funnel: Funnel, console: Console) -> None:
    """Print a line a step."""
    lines = [(_STEPS[step.name], *_step(step)) for step in funnel.steps]
    _show(("step", "people", "of those before", "dropped"), lines, console)
    stayed = f"stayed: {funnel.n} or more contributions from {funnel.t_h} hours after registration on"
    within = f", within {funnel.sunset_h} hours" if funnel.sunset_h else ""
    said = [f"{funnel.cohort}: {_count(funnel.members)} members", stayed + within]
    said += [f"{step.undecided:,} not yet known to have {_STEPS[step.name]}" for step in funnel.steps if step.undecided]
    _caption(funnel.as_of, said, console)


def _step(step: Step) -> tuple[str, str, str]:
    if step.users is None:
        return "not measured", "", ""
    share = "" if step.share is None else f"{100 * step.share:.1f} %"
    return _count(step.users), share, "" if step.drop is None else _count(step.drop)


def _sides(event: Event) -> tuple[str, str]:
    everybody = event.row("all")
    if everybody is None:
        return _NONE, _NONE
    before, after = (_NONE if mean is None else f"{mean:.2f}" for mean in (everybody.before, everybody.after))
    return before, after


def _mean(cell: MonthCell, marks: dict[CellState, str]) -> str:
    return "" if cell.mean is None else f"{cell.mean:.2f}{marks.get(cell.state, ' ')}"


def _still(cell: CampaignCell, marks: dict[CellState, str]) -> str:
    return "" if cell.users is None else f"{_of(cell.users, cell.of)}{marks.get(cell.state, ' ')}"


def _count(count: int | None) -> str:
    return _NONE if count is None else f"{count:,}"


def _of(users: int | None, whole: int | None) -> str:
    return _count(users) if users is None or not whole else f"{users:,} ({100 * users / whole:.0f} %)"


def _duration(seconds: float) -> str:
    minutes = round(seconds / 60)
    if minutes < 60:
        return f"{minutes} min"
    return f"{minutes / 60:.1f} h" if seconds < 2 * DAY / SECOND else f"{minutes / 60 / 24:.1f} d"


def _marks(console: Console) -> dict[CellState, str]:
    return _ASCII if console.options.ascii_only else _MARKS


def _show(header: Sequence[str], lines: Sequence[Sequence[str]], console: Console) -> None:
    """The first column to the left, the others to the right, as wide as they are wherever they go."""
    widths = [max(map(len, column)) for column in zip(header, *lines, strict=True)]
    for number, line in enumerate((header, *lines)):
        cells = [
            cell.rjust(width) if place else cell.ljust(width)
            for place, (cell, width) in enumerate(zip(line, widths, strict=True))
        ]
        console.print(Text("  ".join(cells).rstrip(), style="bold" if number == 0 else ""), soft_wrap=True)


def _caption(as_of: int | None, said: Sequence[str], console: Console) -> None:
    parts = [*said, *([] if as_of is None else [f"as of {iso(as_of)}"])]
    console.print(Text("; ".join(parts), style="dim"), soft_wrap=not console.is_terminal)
