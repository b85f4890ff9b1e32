"""Pictures for tests: drawn, and read back from what was drawn."""

import re

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from metrics.pictures.files import figure
from metrics.pictures.picture import Picture
from metrics.programmes.campaigns import CampaignCell, CampaignRow, Campaigns
from metrics.programmes.discussions import DiscussionRow, Discussions
from metrics.programmes.events import GROUPS, OFFSETS, ActivityRow, Event, Events, MonthCell
from metrics.programmes.funnel import Funnel, Step
from state.weeks import week_named, week_start

AS_OF = week_start(week_named("2024-09-02"))
FIRST = week_named("2024-06-03")


def axes_of(picture: Picture) -> Axes:
    (axes,) = figure(picture).axes
    return axes


def texts(axes: Axes) -> list[str]:
    return [text.get_text() for text in axes.texts]


def said(drawn: Figure) -> list[str]:
    """Title, note and footer, as lines run on."""
    return [re.sub(r"\s+", " ", text.get_text()) for text in drawn.texts]


def cells(axes: Axes) -> dict[tuple[int, int], list[str]]:
    """What the cells of a heat map say, by row and column."""
    found: dict[tuple[int, int], list[str]] = {}
    for text in axes.texts:
        if match := re.fullmatch(r"cell-(\d+)-(\d+)", text.get_gid() or ""):
            found.setdefault((int(match[1]), int(match[2])), []).append(text.get_text())
    return found


def ys(line: Line2D) -> list[float]:
    return [float(y) for y in np.asarray(line.get_ydata())]


def bars(axes: Axes) -> list[tuple[float, float, float, float]]:
    """Left, lower edge, width and height of every bar."""
    return [
        (patch.get_x(), patch.get_y(), patch.get_width(), patch.get_height())
        for container in axes.containers
        for patch in container
    ]


def event(known_as: str, newcomers: int, existing: int, successor: str | None, returned: int | None) -> Event:
    """An event whose messages are 10 times the offset a head of newcomers, and as many as the offset of others."""
    sizes = {"all": newcomers + existing, "newcomers": newcomers, "existing": existing}
    rows = []
    for group in GROUPS:
        each = 10 if group == "newcomers" else 1
        row = [
            MonthCell(k, None, None, None, "future")
            if k == 4
            else MonthCell(k, 3, sizes[group] * each * abs(k), float(each * abs(k)), "open" if k == 3 else "final")
            for k in OFFSETS
        ]
        rows.append(ActivityRow(group, None, tuple(row), None, None))
    return Event(
        known_as,
        known_as.title(),
        AS_OF,
        True,
        newcomers + existing,
        newcomers,
        existing,
        successor,
        returned,
        tuple(rows),
    )


EVENTS = Events(AS_OF, True, (event("flock", 10, 30, "flock-again", 8), event("flock-again", 5, 45, None, None)))
NO_EVENTS = Events(None, True, ())
CAMPAIGNS = Campaigns(
    AS_OF,
    "campaign",
    (
        CampaignRow(
            "patch",
            "First Patch",
            40,
            30,
            (
                CampaignCell(3, 20, 10, 40, 30, "final"),
                CampaignCell(6, 5, 1, 40, 30, "open"),
                CampaignCell(9, None, None, 40, 30, "final"),
                CampaignCell(12, None, None, None, None, "future"),
            ),
        ),
    ),
)
DISCUSSIONS = Discussions(
    AS_OF,
    True,
    None,
    None,
    "service",
    (
        DiscussionRow("discourse", None, 200, 500, 90, 150, 140, 20, 0, 5400.0, 9000.0, "open"),
        DiscussionRow("mailman", None, 0, 0, 0, 0, 0, 0, 0, None, None, "open"),
        DiscussionRow("bodhi", None, *(None,) * 9, "open"),
    ),
)
FUNNEL = Funnel(
    AS_OF,
    True,
    "month:2024-06",
    100,
    24,
    1,
    0,
    (
        Step("visited", None, None, 0, "open"),
        Step("attempted", None, None, 0, "open"),
        Step("registered", 100, None, 0, "open"),
        Step("contributed", 60, 100, 0, "open"),
        Step("stayed", 15, 60, 7, "open"),
    ),
    apart=None,
)
