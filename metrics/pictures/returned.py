"""Who came to the next event again."""

from functools import partial

from matplotlib.axes import Axes

from metrics.pictures.composition import BAR_HEIGHT, NOTHING, held, label_events
from metrics.pictures.picture import Picture
from metrics.pictures.theme import ACCENT, SHADES, SOFT, plain, say
from metrics.programmes.events import Event, Events
from metrics.rate import percent


def picture(found: Events) -> Picture:
    """One bar an event, as long as the share of its attendees who came again."""
    return Picture(
        name="returned",
        title="Who came again",
        note="Share of each event's attendees who were awarded the badge of its successor too. Without a successor "
        "there is no rate, which is not the same as nobody.",
        command="homecoming events",
        as_of=found.as_of,
        width=7.5,
        height=max(0.6, BAR_HEIGHT * len(held(found))),
        draw=partial(draw, found),
    )


def draw(found: Events, axes: Axes) -> None:
    """0 to 100 %, the earliest event on top."""
    shown = held(found)
    if not shown:
        say(axes, NOTHING)
        return
    names = {event.id: event.name for event in found.events}
    for y, event in enumerate(shown):
        if event.returned is None:
            axes.text(0.5, y, _why_not(event, names), color=SOFT, va="center")
            continue
        share = 100 * event.returned / event.attendees
        axes.barh(y, 100, 0.68, color=SHADES[0])
        axes.barh(y, share, 0.68, color=ACCENT)
        said = f"{percent(event.returned, event.attendees)}: {event.returned:,} of {event.attendees:,}"
        again = names.get(event.successor or "", event.successor)
        axes.text(share + 1, y, f"{said} came to {again}", va="center")
    label_events(axes, shown)
    axes.set_xlim(0, 100)
    axes.set_xticks(range(0, 101, 20), [f"{n}%" for n in range(0, 101, 20)])
    axes.set_xlabel("attendees who came again")
    plain(axes, "x")


def _why_not(event: Event, names: dict[str, str]) -> str:
    if event.successor is None:
        return "N/A: no successor"
    return f"N/A: {names.get(event.successor, event.successor)} has not taken place, or too few to tell"
