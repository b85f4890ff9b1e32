"""Whether users try to contribute soon after they registered."""

from metrics.standard.aggregators import proportion
from metrics.standard.catalogue.threshold import REACHED_OR_OVER
from metrics.standard.inputs import shift_of
from metrics.standard.metric import Metric, Question, Span, always, among, filled
from metrics.standard.parameters import WINDOWED, Options
from state.weeks import HOUR

#: What an attempt is where somebody measures it: opening the editor, pressing the button.
ATTEMPT = ("track.attempt",)


def _window(options: Options) -> Span:
    # "Within t" has t itself inside, whichever end the interval leaves open.
    return Span(0, None if options.t is None else options.t * HOUR + 1 - shift_of(options))


def _build(question: Question) -> str:
    asked = question.options.attempt
    attempts = question.topics.like(asked or ATTEMPT)
    if asked or attempts:
        question.notes.append(f"an attempt is: {', '.join(asked or ATTEMPT)}")
        tried = f"""SELECT f.slice, a.uid, 1 AS tried FROM activity a
            JOIN frame f ON f.uid = a.uid AND a.at >= f.lo AND a.at < f.hi
            WHERE {among("a.topic", attempts)} GROUP BY ALL"""
    else:
        question.notes.append("no attempts are measured on this bus: the first contribution of any kind stands for one")
        tried = "SELECT slice, uid, 1 AS tried FROM act GROUP BY ALL"
    values = f"SELECT slice, uid, tried AS events, tried AS live_account FROM ({tried})"
    judged = filled(values, {"live_account": "0"}, REACHED_OR_OVER.format(n=1))
    return f"SELECT * REPLACE (CASE WHEN status <> 'undefined' THEN live_account END AS live_account) FROM ({judged})"


METRIC = Metric(
    name="live_account",
    summary="whether a user's first attempt to contribute came within t of registration",
    feeds="track.attempt events, which no bus carries by itself; without them the first contribution of any kind, "
    "and the answer says so",
    header=("live_account",),
    build=_build,
    aggregators={"proportion": proportion("live_accounts")},
    parameters=("attempt", *WINDOWED),
    window=_window,
    whole_days=always,
)
