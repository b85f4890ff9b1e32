"""How much of what users do is undone by others."""

from typing import NamedTuple

from metrics.standard.aggregators import COUNTED, aggregators, rows_of
from metrics.standard.inputs import are_few
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


#: SQL: revisions, whose content hash tells what the object then was.
_IS_REVISION = f"{_ACTED} AND content_hash IS NOT NULL AND NOT {among('service', FINGERPRINTS)}"


def _build(question: Question) -> str:
    counts = []
    others = "SELECT * FROM act"
    if question.rows(f"SELECT 1 FROM log WHERE {_IS_REVISION} LIMIT 1"):
        counts += _by_hash(question)
        others += f" WHERE NOT coalesce({_IS_REVISION}, FALSE)"
    if undone := _by_action(question):
        question.duck.execute(f"CREATE OR REPLACE TEMP TABLE undone AS {' UNION '.join(undone)}")
        counts.append(
            f"""SELECT slice, uid, count(*) AS edits, count(u.msg_id) AS reverted
            FROM ({others}) o LEFT JOIN undone u ON u.msg_id = o.msg_id AND u.username = o.username GROUP BY ALL"""
        )
    else:
        counts.append(f"SELECT slice, uid, count(*) AS edits, 0 AS reverted FROM ({others}) GROUP BY ALL")
    if len(counts) == 1 and not undone:
        question.notes.append(
            "this log has neither content hashes of revisions nor actions that undo: none is reverted"
        )
    sums = f"""SELECT slice, uid, sum(edits)::BIGINT AS edits, sum(reverted)::BIGINT AS reverted
        FROM ({" UNION ALL ".join(counts)}) GROUP BY ALL"""
    everybody = filled(sums, {"edits": "0", "reverted": "0"})
    return f"""SELECT slice, uid, reverted / nullif(edits, 0) AS revert_rate, edits, reverted,
        CASE WHEN edits = 0 THEN 'undefined' ELSE status END AS status FROM ({everybody})"""


def _by_hash(question: Question) -> list[str]:
    """SQL of (slice, uid, edits, reverted) of the acts that are revisions.

    Reverted are those after which, within look_ahead, another user brought back a content of the look_back before it.
    The first revision that brings back one decides: where the user did it alone, nothing was reverted. So it is enough
    to look at a content and its next occurrence: between them nothing else has brought that content back.
    """
    ahead, back = question.options.look_ahead, question.options.look_back
    question.notes.append(f"reverts are told by content hashes, look_ahead={ahead}, look_back={back}")
    _define_revisions(question)
    question.duck.execute(
        f"""CREATE OR REPLACE TEMP TABLE restored AS
        SELECT thing, who, place AS later, old FROM (
            SELECT thing, who, place, lag(place) OVER (PARTITION BY thing, content ORDER BY place) AS old FROM revision
        ) WHERE place > old + 1 AND place <= old + {ahead + back}"""
    )
    between = f"range(greatest(old + 1, later - {ahead}), least(later, old + {back} + 1))"
    reverted = f"""SELECT r.slice, r.uid
        FROM (SELECT thing, who, later, unnest({between}) AS place FROM restored) b
        JOIN revision r ON r.thing = b.thing AND r.place = b.place WHERE r.uid IS NOT NULL
        GROUP BY r.slice, r.uid, r.thing, r.place, r.who HAVING r.who <> arg_min(b.who, b.later)"""
    return [
        "SELECT slice, uid, count(*) AS edits, 0 AS reverted FROM revision WHERE uid IS NOT NULL GROUP BY ALL",
        f"SELECT slice, uid, 0 AS edits, count(*) AS reverted FROM ({reverted}) GROUP BY ALL",
    ]


def _define_revisions(question: Question) -> None:
    """Table `revision`: all there are, of few members those of what they touched, numbered within each thing.

    The order is that of time and id. Ids are long, and few revisions of a thing are of the same time: these alone are
    put in the order of their ids.
    """
    execute = question.duck.execute
    wanted, columns = _IS_REVISION, "thing, content, who, slice, uid"
    if are_few(question):
        wanted += f" AND thing IN (SELECT thing FROM deed WHERE uid IS NOT NULL AND {_IS_REVISION})"
    execute(
        f"""CREATE OR REPLACE TEMP TABLE revision AS
        SELECT {columns}, (row_number() OVER w)::INTEGER AS place,
            CASE WHEN lag("at") OVER w = "at" THEN "at" END AS tied
        FROM (SELECT {columns}, "at" FROM deed WHERE {wanted}) WINDOW w AS (PARTITION BY thing ORDER BY "at")"""
    )
    execute(
        """CREATE OR REPLACE TEMP TABLE tie AS
        SELECT thing, tied AS "at", min(place) - 1 AS first, max(place) AS last
        FROM revision WHERE tied IS NOT NULL GROUP BY ALL"""
    )
    if question.rows("SELECT 1 FROM tie LIMIT 1"):
        execute("DELETE FROM revision r USING tie t WHERE r.thing = t.thing AND r.place BETWEEN t.first AND t.last")
        execute(
            f"""INSERT INTO revision
            SELECT {columns}, first - 1 + row_number() OVER (PARTITION BY thing, "at" ORDER BY msg_id), NULL
            FROM (SELECT * FROM deed WHERE {_IS_REVISION} AND sent_at IN (SELECT make_timestamp("at") FROM tie))
            JOIN tie USING (thing, "at")"""
        )


def _define_history(question: Question, name: str, telling: str, things: str) -> None:
    """Table `name`: what anybody did to the things (project, object) of that query, numbered within each of them."""
    question.duck.execute(
        f"""CREATE OR REPLACE TEMP TABLE {name} AS
        WITH known AS (SELECT row_number() OVER () AS thing, * FROM (SELECT DISTINCT * FROM ({things})))
        SELECT msg_id, username, topic, thing, row_number() OVER (PARTITION BY thing ORDER BY sent_at, msg_id) AS place
        FROM (SELECT *, {_PROJECT} AS within FROM log WHERE {_ACTED} AND {telling}) l
        JOIN known ON known.object = l.object AND known.within = l.within"""
    )


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
