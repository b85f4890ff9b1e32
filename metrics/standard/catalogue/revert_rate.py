"""How much of what users do is undone by others."""

from typing import NamedTuple

from metrics.standard.aggregators import COUNTED, aggregators, rows_of
from metrics.standard.metric import AggregateRow, Aggregator, Metric, Question, among, filled
from metrics.standard.parameters import WINDOWED

#: Services whose content hash is the fingerprint of one text, not the state of what it was written on.
FINGERPRINTS = ("pagure", "bodhi", "discourse", "github", "gitlab", "forgejo")


class Undoing(NamedTuple):
    """An action that undoes others on the same object. by_others: its actor is who undid, and must be another user;
    otherwise its actor is whose contribution went, and who undid it is not told."""

    action: str
    undone: tuple[str, ...]
    by_others: bool


#: SQL: what an object's name is unique within, and rows of what somebody did to an object.
_PROJECT = "coalesce(project, '')"
_ACTED = "role = 'actor' AND object IS NOT NULL"

UNDOINGS = (
    Undoing("discourse.post.post_destroyed", ("discourse.post.post_created",), by_others=False),
    Undoing("discourse.topic.topic_destroyed", ("discourse.topic.topic_created",), by_others=False),
    *(
        Undoing(action, ("bodhi.update.request.testing", "bodhi.update.request.stable", "bodhi.update.edit"), True)
        for action in ("bodhi.update.request.unpush", "bodhi.update.request.revoke", "bodhi.update.eject")
    ),
    Undoing("pagure.issue.drop", ("pagure.issue.new",), by_others=True),
)


def _build(question: Question) -> str:
    reverted = [*_by_hash(question), *_by_action(question)]
    counts = "count(*) AS edits, 0 AS reverted FROM act"
    if reverted:
        question.duck.execute(f"CREATE OR REPLACE TEMP TABLE undone AS {' UNION '.join(reverted)}")
        counts = """count(*) AS edits, count(u.msg_id) AS reverted
            FROM act LEFT JOIN undone u ON u.msg_id = act.msg_id AND u.username = act.username"""
    else:
        question.notes.append(
            "this log has neither content hashes of revisions nor actions that undo: none is reverted"
        )
    everybody = filled(f"SELECT slice, uid, {counts} GROUP BY ALL", {"edits": "0", "reverted": "0"})
    return f"""SELECT slice, uid, reverted / nullif(edits, 0) AS revert_rate, edits, reverted,
        CASE WHEN edits = 0 THEN 'undefined' ELSE status END AS status FROM ({everybody})"""


def _define_history(question: Question, name: str, telling: str, things: str) -> None:
    """Table `name`: what anybody did to the things (project, object) of that query, numbered within each of them."""
    question.duck.execute(
        f"""CREATE OR REPLACE TEMP TABLE {name} AS
        WITH known AS (SELECT row_number() OVER () AS thing, * FROM (SELECT DISTINCT * FROM ({things})))
        SELECT msg_id, username, topic, content_hash, thing,
            row_number() OVER (PARTITION BY thing ORDER BY sent_at, msg_id) AS place
        FROM (SELECT *, {_PROJECT} AS within FROM log WHERE {_ACTED} AND {telling}) l
        JOIN known ON known.object = l.object AND known.within = l.within"""
    )


def _by_hash(question: Question) -> list[str]:
    """SQL of revisions after which, within look_ahead, another user brought back a content of the look_back before.

    The first revision that brings back one decides: where the user did it alone, nothing was reverted. So it is enough
    to look at a content and its next occurrence: between them nothing else has brought that content back.
    """
    is_revision = f"content_hash IS NOT NULL AND NOT {among('service', FINGERPRINTS)}"
    if not question.rows(f"SELECT 1 FROM log WHERE {_ACTED} AND {is_revision} LIMIT 1"):
        return []
    ahead, back = question.options.look_ahead, question.options.look_back
    question.notes.append(f"reverts are told by content hashes, look_ahead={ahead}, look_back={back}")
    # Contents that came back, by numbers that may collide: a thing too many does no harm.
    returned = f"""SELECT hash({_PROJECT}, object) AS number FROM log WHERE {_ACTED} AND {is_revision}
        GROUP BY hash({_PROJECT}, object), hash(content_hash) HAVING count(*) > 1"""
    touched = f"""SELECT {_PROJECT} AS within, object FROM act
        WHERE object IS NOT NULL AND {is_revision} AND hash({_PROJECT}, object) IN ({returned})"""
    _define_history(question, "revision", is_revision, touched)
    return [
        f"""SELECT msg_id, username FROM (
            SELECT r.msg_id, r.username, r.username <> arg_min(restored.username, restored.later) AS by_another
            FROM (
                SELECT *, unnest(range(greatest(old + 1, later - {ahead}), least(later, old + {back} + 1))) AS place
                FROM (
                    SELECT thing, username, place AS later,
                        lag(place) OVER (PARTITION BY thing, content_hash ORDER BY place) AS old FROM revision
                ) WHERE later > old + 1 AND later <= old + {ahead + back}
            ) restored
            JOIN revision r ON r.thing = restored.thing AND r.place = restored.place
            GROUP BY r.msg_id, r.username
        ) WHERE by_another"""
    ]


def _by_action(question: Question) -> list[str]:
    """SQL of contributions that an action undid: the latest before it that it can undo."""
    topics = question.topics
    present = [one for one in UNDOINGS if topics.like([one.action]) and topics.like(one.undone)]
    if not present:
        return []
    undoing = among("topic", topics.like([one.action for one in present]))
    telling = [pattern for one in present for pattern in (one.action, *one.undone)]
    things = f"SELECT {_PROJECT} AS within, object FROM log WHERE {_ACTED} AND {undoing}"
    _define_history(question, "done", among("topic", topics.like(telling)), things)
    found, ahead = [], question.options.look_ahead
    for one in present:
        question.notes.append(f"undone by {one.action}" + ("" if one.by_others else ", which does not say who did it"))
        found.append(
            f"""SELECT d.msg_id, d.username FROM done d
            JOIN done u ON u.thing = d.thing AND u.place > d.place AND u.place <= d.place + {ahead}
                AND u.username {"<>" if one.by_others else "="} d.username
            WHERE {among("d.topic", topics.like(one.undone))} AND {among("u.topic", topics.like([one.action]))}
            QUALIFY row_number() OVER (PARTITION BY u.msg_id ORDER BY d.place DESC) = 1"""
        )
    return found


def _pooled(question: Question, _header: tuple[str, ...]) -> list[AggregateRow]:
    return rows_of(
        question,
        f"""SELECT slice, sum(edits), sum(reverted), sum(reverted) / sum(edits), count(*)
        FROM value WHERE {COUNTED} GROUP BY slice""",
    )


METRIC = Metric(
    name="revert_rate",
    summary="the share of a user's contributions in the window that somebody else undid; undefined without any",
    feeds="actions that undo on Fedora's bus: posts and topics destroyed, updates unpushed, revoked or ejected, issues "
    "dropped; whether a closed pull request was merged is not kept; wikis tell by the content hash of each revision",
    header=("revert_rate", "edits", "reverted"),
    build=_build,
    aggregators={
        **aggregators("mean"),
        "proportion": Aggregator(
            "contributions of all, those undone, their share", lambda _header: ("edits", "reverted", "rate"), _pooled
        ),
    },
    parameters=("look_ahead", "look_back", *WINDOWED),
)
