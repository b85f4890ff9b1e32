"""Which actions open, answer, solve and close a discussion on each service."""

from typing import NamedTuple

from state.weeks import SECOND


class Discussion(NamedTuple):
    """How one service discusses. Actions are topics without their environment prefix.

    An event belongs to the thread that its object names; what follows `#` in it says more (`#closed`), or names a
    message within the thread. opens_whole: only an object without such a part opens. posts_opening: opening a
    thread also publishes its first post as a reply.
    """

    service: str
    opens: tuple[str, ...]
    replies: tuple[str, ...]
    solves: tuple[str, ...] = ()
    closes: tuple[str, ...] = ()  #: with an object that ends in #closed
    opens_whole: bool = False
    posts_opening: bool = False


DISCUSSIONS = (
    Discussion(
        "discourse",
        opens=("discourse.topic.topic_created",),
        replies=("discourse.post.post_created",),
        solves=("discourse.like.accepted_solution", "discourse.solved.accepted_solution"),
        posts_opening=True,
    ),
    Discussion("mailman", opens=("mailman.receive",), replies=("mailman.receive",), opens_whole=True),
    Discussion(
        "pagure",
        opens=("pagure.issue.new",),
        replies=("pagure.issue.comment.added",),
        closes=("pagure.issue.edit",),
    ),
    # An update is put up for testing, and testers comment on it.
    Discussion("bodhi", opens=("bodhi.update.request.testing",), replies=("bodhi.update.comment",)),
)

SERVICES = tuple(discussion.service for discussion in DISCUSSIONS)

#: A thread's first post is published within this time of the thread, microseconds.
OPENING_POST = 60 * SECOND

#: What a thread's event does, as the column `does` of `step` has it.
OPENS, REPLIES, SOLVES, CLOSES = "opens", "replies", "solves", "closes"


def steps() -> list[tuple[str, str, str]]:
    """(action, service, what it does) of every action in the table."""
    return [
        (action, discussion.service, does)
        for discussion in DISCUSSIONS
        for does, actions in (
            (OPENS, discussion.opens),
            (REPLIES, discussion.replies),
            (SOLVES, discussion.solves),
            (CLOSES, discussion.closes),
        )
        for action in actions
    ]
