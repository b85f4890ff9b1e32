"""Who was blocked."""

import json
from types import MappingProxyType

from metrics.standard.aggregators import proportion
from metrics.standard.metric import Metric, Question, among, filled
from metrics.standard.parameters import COMMON
from state.log import load_rows

#: Actions that block the user they affect.
BLOCKS = ("*.block", "*.blocked", "*.user.blocked", "*.user-blocks-change", "*.user_blocks_change")

_FLAGGED = "SELECT user, raised_at FROM flag WHERE state = 'confirmed' AND user IN (SELECT value FROM json_each(?))"


def _block_topics(question: Question) -> list[str]:
    return question.topics.like(BLOCKS)


def _build(question: Question) -> str:
    if topics := _block_topics(question):
        question.notes.append(f"blocks are: {', '.join(topics)}")
        blocked = f"""SELECT username, epoch_us(sent_at) AS "at" FROM log
            WHERE {among("topic", topics)} AND role = 'affected'"""
    else:
        question.notes.append(
            "no blocks are on this bus: confirmed spam flags stand for them; who is banned is unknown"
        )
        _load_flags(question)
        blocked = "SELECT username, c.at FROM confirmed c"
    values = f"""SELECT f.slice, f.uid, 1 AS blocked, count(*) AS times, min(b.at) AS first, max(b.at) AS last
        FROM ({blocked}) b JOIN person p ON p.username = b.username
        JOIN frame f ON f.uid = p.uid AND b.at >= f.lo AND b.at < f.hi GROUP BY ALL"""
    blanks = {"blocked": "0", "times": "0", "first": "NULL", "last": "NULL", "banned": "NULL"}
    return filled(f"SELECT *, NULL::INTEGER AS banned FROM ({values})", blanks)


def _load_flags(question: Question) -> None:
    names = [name for (name,) in question.rows("SELECT DISTINCT username FROM member")]
    flags = question.conn.execute(_FLAGGED, (json.dumps(names),)).fetchall()
    load_rows(question.duck, "confirmed", {"username": "VARCHAR", '"at"': "BIGINT"}, [flags])


METRIC = Metric(
    name="blocks",
    summary="whether and how often a user was blocked in the window, when first and last (event times), and banned",
    feeds="no blocks are on Fedora's bus: spam flags that an operator confirmed stand for them, and the answer says "
    "so; whether somebody is banned cannot be had",
    header=("blocked", "times", "first", "last", "banned"),
    build=_build,
    aggregators={"proportion": proportion("blocked")},
    parameters=("group", "t", "interval", *(name for name in COMMON if name not in ("namespace", "project"))),
    defaults=MappingProxyType({}),
    reads_log=lambda question: bool(_block_topics(question)),
)
