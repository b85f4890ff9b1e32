"""What the public may see of breakdowns: nothing about 1 to k-1 people, nor what would give such a figure away.

A hidden figure can be worked out where it is the only hidden one in a line whose sum is known, so a second one goes
with it (complementary suppression). The sum counts as one of the line: where it alone could be hidden, it is.
"""

from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import TypeVar

from metrics.programmes.campaigns import CampaignCell, CampaignRow, Campaigns
from metrics.programmes.discussions import DiscussionRow, Discussions
from metrics.programmes.events import GROUPS, ActivityRow, Event, Events, Group, MonthCell
from metrics.programmes.funnel import Funnel, Step

Key = TypeVar("Key", bound=Hashable)


def hidden(people: Mapping[Key, int], lines: Iterable[Sequence[Key]], k: int) -> set[Key]:
    """Which figures are hidden. people: how many each is about; lines: figures that make a sum, the sum among them."""
    found = {key for key, count in people.items() if 0 < count < k}
    lines = list(lines)
    changed = True
    while changed:
        changed = False
        for line in lines:
            # Zeros are shown, so they are no help to whoever subtracts.
            telling = [key for key in line if people.get(key)]
            if sum(key in found for key in telling) == 1 and len(telling) > 1:
                found.add(min((key for key in telling if key not in found), key=lambda key: (people[key], str(key))))
                changed = True
    return found


def public_events(events: Events, k: int) -> Events:
    """Without events of fewer than k attendees; groups, months and services as `hidden` has them."""
    return events._replace(events=tuple(_public_event(event, k) for event in events.events if event.attendees >= k))


def _public_event(event: Event, k: int) -> Event:
    sizes = {"newcomers": event.newcomers or 0, "existing": event.existing or 0}
    split = not hidden(sizes, [("newcomers", "existing")], k)
    returned = event.returned
    if returned is not None and (0 < returned < k or 0 < event.attendees - returned < k):
        returned = None
    rows = [row for row in event.rows if split or row.group == "all"]
    people = {
        (row.group, row.service, cell.offset): cell.users
        for row in rows
        for cell in row.cells
        if cell.users is not None
    }
    services = {row.service for row in rows}
    offsets = {cell.offset for row in rows for cell in row.cells}
    by_service = [[(group, service, k_) for service in services] for group in GROUPS for k_ in offsets]
    by_group = [[(group, service, k_) for group in GROUPS] for service in services for k_ in offsets]
    gone = hidden(people, [*by_service, *by_group], k)
    return event._replace(
        newcomers=event.newcomers if split else None,
        existing=event.existing if split else None,
        returned=returned,
        rows=tuple(_public_row(row, gone) for row in rows),
    )


def _public_row(row: ActivityRow, gone: set[tuple[Group, str | None, int]]) -> ActivityRow:
    cells = tuple(
        MonthCell(cell.offset, None, None, None, cell.state) if (row.group, row.service, cell.offset) in gone else cell
        for cell in row.cells
    )
    # A mean over four months, three of which are shown, is the fourth.
    before, after = ((row.before, cells[:4]), (row.after, cells[4:]))
    shown = [
        mean if all(c.users is not None for c in side if c.state != "future") else None
        for mean, side in (before, after)
    ]
    return ActivityRow(row.group, row.service, cells, *shown)


def public_campaigns(campaigns: Campaigns, k: int) -> Campaigns:
    """Rows of fewer than k participants without figures; cells as `hidden` has them, a month's rows being a line."""
    keys = [row.key for row in campaigns.rows]
    heads = {row.key: row.participants or 0 for row in campaigns.rows}
    small = set() if campaigns.by == "service" else hidden(heads, [keys], k)
    people = {
        (row.key, cell.months): cell.users for row in campaigns.rows for cell in row.cells if cell.users is not None
    }
    lines = [[(key, months) for key in keys] for months in {months for _, months in people}]
    gone = hidden(people, lines, k)
    rows = []
    for row in campaigns.rows:
        if row.key in small:
            cells = tuple(CampaignCell(cell.months, None, None, None, None, cell.state) for cell in row.cells)
            rows.append(CampaignRow(row.key, row.name, None, None, cells))
        else:
            cells = tuple(_public_cell(cell, (row.key, cell.months) in gone, k) for cell in row.cells)
            rows.append(row._replace(newcomers=_part(row.newcomers, row.participants, k), cells=cells))
    return campaigns._replace(rows=tuple(rows))


def _public_cell(cell: CampaignCell, is_hidden: bool, k: int) -> CampaignCell:
    of_newcomers = _part(cell.of_newcomers, cell.of, k)
    if is_hidden:
        return CampaignCell(cell.months, None, None, cell.of, of_newcomers, cell.state)
    newcomers = _part(cell.newcomers, cell.users, k)
    return cell._replace(newcomers=newcomers, of_newcomers=of_newcomers)


def _part(part: int | None, whole: int | None, k: int) -> int | None:
    """The part, where neither it nor the rest is about 1 to k-1 people."""
    if part is None or whole is None:
        return None
    return None if 0 < part < k or 0 < whole - part < k else part


def public_discussions(discussions: Discussions, k: int) -> Discussions:
    """Rows of fewer than k participants without figures; the services of a month are a line."""
    people = {(row.service, row.month): row.participants or 0 for row in discussions.rows}
    lines = [[key for key in people if key[1] == month] for month in {month for _, month in people}]
    gone = hidden(people, lines, k)
    rows = tuple(
        DiscussionRow(row.service, row.month, *(None,) * 9, row.state) if (row.service, row.month) in gone else row
        for row in discussions.rows
    )
    return discussions._replace(rows=rows)


def public_funnel(funnel: Funnel, k: int) -> Funnel:
    """Without figures where the cohort has fewer than k members; no step, and no drop, of 1 to k-1 people.

    Nor where fewer than k stand between the cohort and a part of its expression: two answers would tell of them.
    """
    few = [count for count in (funnel.members, funnel.apart) if count is not None and count < k]
    if few and funnel.members:
        nothing = tuple(Step(step.name, None, None, 0, step.state) for step in funnel.steps)
        return funnel._replace(members=None, steps=nothing)
    counts = {("members", 0): funnel.members or 0}
    lines = []
    for step in funnel.steps:
        if step.users is not None:
            counts[step.name, 0] = step.users
            if step.drop is not None:
                counts[step.name, 1] = step.drop
    names = [step.name for step in funnel.steps if step.users is not None]
    for before, name in zip(["members", *names], names, strict=False):
        lines.append([(before, 0), (name, 0), (name, 1)])
    gone = hidden(counts, lines, k)
    steps = []
    for place, step in enumerate(funnel.steps):
        users = None if (step.name, 0) in gone else step.users
        previous = funnel.steps[place - 1].name if place else "members"
        of = None if (previous, 0) in gone or (step.name, 1) in gone else step.of
        undecided = 0 if 0 < step.undecided < k else step.undecided
        steps.append(Step(step.name, users, of, undecided, step.state))
    return funnel._replace(steps=tuple(steps))
