"""The funnel: from the first visit to staying, and who drops out where."""

from functools import partial

from matplotlib.axes import Axes

from metrics.pictures.picture import Picture
from metrics.pictures.theme import ACCENT, CLEAR, SHADES, SOFT, plain, say
from metrics.programmes.funnel import Funnel, Step, StepName

_NAMES: dict[StepName, str] = {
    "visited": "visited",
    "attempted": "tried to edit",
    "registered": "registered",
    "contributed": "contributed",
    "stayed": "stayed",
}


def picture(found: Funnel) -> Picture:
    """One bar a step."""
    contributions = "a contribution" if found.n == 1 else f"{found.n} contributions"
    within = f", within {found.sunset_h} hours" if found.sunset_h else ""
    return Picture(
        name="funnel",
        title=f"From sign-up to staying: {found.cohort}",
        note=f"People of the cohort who came so far; whoever has not may still. Stayed: {contributions} or more from "
        f"{found.t_h} hours after registration on{within}. What comes before an account is on no bus, and measured "
        "only where a website's own counts were brought in.",
        command=f"homecoming funnel {found.cohort}",
        as_of=found.as_of,
        width=7.5,
        height=0.55 * len(found.steps),
        draw=partial(draw, found),
    )


def draw(found: Funnel, axes: Axes) -> None:
    """The first step on top; each bar as long as the people who took the step."""
    most = max((step.users or 0 for step in found.steps), default=0)
    if not most:
        say(axes, "Nobody to follow: the cohort is empty, or too small to tell.")
        return
    for y, step in enumerate(found.steps):
        if step.users is None:
            axes.text(most * 0.01, y, "not measured", color=SOFT, va="center")
            continue
        if step.of is not None:
            axes.barh(y, max(step.of, step.users), 0.68, color=SHADES[1])
        axes.barh(y, step.users, 0.68, color=ACCENT)
        end = max(step.users, step.of or 0)
        axes.annotate(_said(step), (end, y), (6, 0), textcoords="offset points", va="center", bbox=CLEAR)
    axes.set_yticks(range(len(found.steps)), [_NAMES[step.name] for step in found.steps])
    axes.set_ylim(len(found.steps) - 0.5, -0.5)
    axes.set_xlim(0, most * 1.02)
    axes.set_xlabel("people")
    plain(axes, "x")


def _said(step: Step) -> str:
    said = [f"{step.users:,}"]
    if step.share is not None and step.drop is not None:
        said.append(f"{step.share:.0%} of those before; {step.drop:,} dropped out")
    if step.undecided:
        said.append(f"{step.undecided:,} not yet known")
    return ", ".join(said)
