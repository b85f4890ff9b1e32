"""Whether users are still there some time after they registered."""

from metrics.standard.aggregators import proportion
from metrics.standard.catalogue.threshold import reached
from metrics.standard.metric import Metric, Span, always
from metrics.standard.parameters import WINDOWED, Options
from state.weeks import HOUR


def _window(options: Options) -> Span:
    return Span((options.t or 0) * HOUR, options.sunset * HOUR if options.sunset else None)


METRIC = Metric(
    name="survival",
    summary="whether a user has n or more contributions in [reg + t, reg + t + sunset), without end where sunset is 0",
    feeds="registrations (fas.user.create) and every message with an actor, account events excepted",
    header=("survived",),
    build=lambda question: reached(question, "survived"),
    aggregators={"proportion": proportion("survived")},
    parameters=("n", "sunset", *WINDOWED),
    window=_window,
    whole_days=always,
)
