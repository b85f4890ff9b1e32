"""Who came to events: newcomers and existing contributors."""

from functools import partial

from matplotlib.axes import Axes
from matplotlib.patches import Patch

from metrics.pictures.picture import Picture
from metrics.pictures.theme import ACCENT, BAR, CLEAR, INK, legend, plain, say
from metrics.programmes.events import Event, Events
from metrics.rate import percent
from state.weeks import iso

#: Of an event's bar, inches.
BAR_HEIGHT = 0.46

NOTHING = "No event has taken place that is defined: see [[event]] in the definitions."


def picture(found: Events) -> Picture:
    """One bar an event."""
    return Picture(
        name="composition",
        title="Who came to events",
        note="People who were awarded each event's badge. Newcomers: registered at most 30 days before the event, or "
        "after it.",
        command="homecoming events",
        as_of=found.as_of,
        width=7.5,
        height=max(0.6, BAR_HEIGHT * len(held(found))),
        draw=partial(draw, found),
    )


def draw(found: Events, axes: Axes) -> None:
    """Newcomers and existing contributors one behind the other, the earliest event on top."""
    shown = held(found)
    if not shown:
        say(axes, NOTHING)
        return
    for y, event in enumerate(shown):
        if event.newcomers is None or event.existing is None:
            axes.barh(y, event.attendees, 0.68, color=BAR)
            axes.text(event.attendees, y, f"  {event.attendees:,} people", va="center")
            continue
        axes.barh(y, event.newcomers, 0.68, color=ACCENT)
        axes.barh(y, event.existing, 0.68, left=event.newcomers, color=BAR)
        share = percent(event.newcomers, event.attendees)
        axes.text(event.newcomers / 2, y, f"{event.newcomers:,}", color="white", ha="center", va="center")
        axes.text(event.newcomers + event.existing / 2, y, f"{event.existing:,}", color=INK, ha="center", va="center")
        said = f"{event.attendees:,} people, {share} newcomers"
        axes.annotate(said, (event.attendees, y), (6, 0), textcoords="offset points", va="center", bbox=CLEAR)
    label_events(axes, shown)
    axes.set_xlim(0, max(event.attendees for event in shown) * 1.02)
    axes.set_xlabel("people")
    plain(axes, "x")
    handles = [Patch(color=ACCENT, label="newcomers"), Patch(color=BAR, label="existing contributors")]
    legend(axes, handles, 38)


def held(found: Events) -> list[Event]:
    """The events that somebody came to."""
    return [event for event in found.events if event.at is not None and event.attendees]


def label_events(axes: Axes, shown: list[Event]) -> None:
    """Name a row for each event, the first on top."""
    axes.set_yticks(range(len(shown)), [titled(event) for event in shown])
    axes.set_ylim(len(shown) - 0.5, -0.5)


def titled(event: Event) -> str:
    """`Flock, 2024-08-07`."""
    return event.name if event.at is None else f"{event.name}, {iso(event.at)[:10]}"
