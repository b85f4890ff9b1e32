"""What metrics read: who registered when, what the members did, and each member's window.

Relations in DuckDB, out of `member` (username, project; a null project means any), the view `log` and the users of
SQLite. Event times are microseconds as BIGINT; a uid numbers the members of one question, because whole numbers are
joined and grouped in half the time that names take:

    person(uid, username, reg)       each member once; reg where it is known and asked for
    frame(slice, uid, reg, lo, hi, status)
                                     each member's window [lo, hi) in each slice; without reg its status is undefined,
                                     where it is yet to pass (each user having one of their own) it is censored
    activity(uid, reg, username, at, ...)
                                     what members did within the reach, account events too
    contribution(...)                the same without account events
    act(slice, uid, ...)             contributions within their user's window
    deed(slice, uid, who, thing, content, ...)
                                     what anybody did, as far as it is in the log; slice and uid where it is an act;
                                     user, object (within its project) and content hash as 64-bit hashes, which are
                                     sorted and joined in a fraction of the time that texts take (that any two of 10
                                     million are the same has a chance of one in 300,000)
"""

import sqlite3
from pathlib import Path

import metrics.standard.expired as days
from metrics.standard.metric import Metric, Question, Span, among
from metrics.standard.parameters import FOREVER, Options
from metrics.standard.slices import Slices
from state.store import get_meta

#: Columns of the log, as they stand in it.
_AS_LOGGED = "topic, role, service, project, namespace, object, size, unit, content_hash, msg_id, is_bot"

#: An object's name is unique within its project.
_THING = "CASE WHEN object IS NOT NULL THEN hash(coalesce(project, ''), object) END"

#: Above this share of all users, all of them are read rather than each looked up.
_MOST = 0.2


def directory_of(conn: sqlite3.Connection) -> Path:
    """The state directory whose views these are."""
    (row,) = [row for row in conn.execute("PRAGMA database_list") if row[1] == "main"]
    return Path(row[2]).parent


def shift_of(options: Options) -> int:
    """(lo, hi] on a scale of whole microseconds is [lo + 1, hi + 1)."""
    return 1 if options.interval == "right" else 0


def window_of(options: Options) -> tuple[int, int]:
    """The request's window as [low, high), without bounds where it has none."""
    shift = shift_of(options)
    start = -FOREVER if options.start is None else options.start + shift
    return start, FOREVER if options.end is None else options.end + shift


def define_people(question: Question, *, registered: bool) -> None:
    """Create `person`. The users' table knows registrations exactly and for ever, whatever has expired."""
    names, times = _registrations(question) if registered else ("[]", "[]")
    question.duck.execute(
        """CREATE OR REPLACE TEMP TABLE person AS
        WITH registered AS (
            SELECT unnest(from_json(?, '["VARCHAR"]')) AS username, unnest(from_json(?, '["BIGINT"]')) AS reg
        )
        SELECT (row_number() OVER ())::INTEGER AS uid, username, reg
        FROM (SELECT DISTINCT username FROM member) LEFT JOIN registered USING (username)""",
        [names, times],
    )


def _registrations(question: Question) -> tuple[str, str]:
    """Names and times as JSON arrays of one order: both sides write and read these in C."""
    (names,) = question.rows("SELECT to_json(list(DISTINCT username)) FROM member")[0]
    few = are_few(question)
    found: tuple[str, str] = question.conn.execute(
        "SELECT json_group_array(name), json_group_array(registered_at) FROM user WHERE registered_at IS NOT NULL"
        + (" AND name IN (SELECT value FROM json_each(?))" if few else ""),
        (names or "[]",) if few else (),
    ).fetchone()
    return found


def are_few(question: Question) -> bool:
    """Whether the members are so small a part of all users that what concerns them is worth looking for."""
    (count,) = question.rows("SELECT count(DISTINCT username) FROM member")[0]
    return bool(count < _MOST * get_meta(question.conn, "users", 0))


def is_by_registration(metric: Metric, options: Options) -> bool:
    """Whether each user has a window of their own."""
    return "group" in metric.parameters and options.group == "registration"


def define_frame(question: Question, metric: Metric, slices: Slices | None, chosen: range | None = None) -> None:
    """Create `frame`; of a time series, the slices in `chosen`."""
    options, as_of = question.options, question.as_of
    if is_by_registration(metric, options):
        frame = _by_registration(options, metric.window(options), slices, as_of)
    else:
        bounds = slices.bounds if slices else (window_of(options),)
        asked = chosen or range(len(bounds))
        rows = ", ".join(f"({n}, {bounds[n][0]}, {bounds[n][1]})" for n in asked)
        frame = f"""SELECT slice, uid, reg, lo, hi, CASE WHEN hi <= {as_of} THEN 'final' ELSE 'open' END AS status
            FROM person CROSS JOIN (VALUES {rows}) AS s(slice, lo, hi)"""
    question.duck.execute(f"CREATE OR REPLACE TEMP TABLE frame AS {frame}")


def _by_registration(options: Options, span: Span, slices: Slices | None, as_of: int) -> str:
    """Users who registered in the window, each with a window of their own, and those of whom that is not known."""
    low, high = window_of(options)
    begin = f"reg + {span.after + shift_of(options)}"
    end = str(FOREVER) if span.length is None else f"{begin} + {span.length}"
    yet_to_come = f"{begin} > {as_of}" if span.length is None else f"{end} > {as_of}"
    over = "'open'" if span.length is None else "'final'"
    within = f"reg >= {low} AND reg < {high}" + ("" if slices else " OR reg IS NULL")
    return f"""SELECT {slices.number("reg") if slices else "0"} AS slice, uid, username, reg,
            {begin} AS lo, {end} AS hi,
            CASE WHEN reg IS NULL THEN 'undefined' WHEN {yet_to_come} THEN 'censored' ELSE {over} END AS status
        FROM person WHERE {within}"""


def reach_of_frame(question: Question) -> tuple[int, int]:
    """The event times [low, high) that the frame's windows span; empty where it has none."""
    low, high = question.rows("SELECT min(lo), max(hi) FROM frame WHERE status <> 'undefined'")[0]
    return (0, 0) if low is None else (low, high)


def define_contributions(question: Question, reach: tuple[int, int]) -> None:
    """Create the views `activity` and `contribution` of what lies within the reach."""
    _define_view(question, "activity", _done_by(question, "person", reach, "r.uid, r.reg"))
    _define_view(question, "contribution", f"SELECT * FROM activity WHERE {_contributes(question)}")


def define_acts(question: Question, metric: Metric, slices: Slices | None, reach: tuple[int, int]) -> None:
    """Create the views `act` and `deed`."""
    if is_by_registration(metric, question.options):
        # One join for who it is and for when: the log is read once, and most of it falls away there.
        done = _done_by(question, "frame", reach, "r.slice, r.uid, r.reg", "e.at >= r.lo AND e.at < r.hi")
        _define_view(question, "act", f"SELECT * FROM ({done}) WHERE {_contributes(question)}")
        _define_view(question, "deed", _by_anybody(question, "frame", "r.slice", "e.at >= r.lo AND e.at < r.hi"))
    else:
        number = slices.number("c.at") if slices else "0"
        _define_view(question, "act", f"SELECT {number} AS slice, c.* FROM contribution c")
        within = f"r.uid IS NOT NULL AND e.at >= {reach[0]} AND e.at < {reach[1]}"
        _define_view(question, "deed", _by_anybody(question, "person", number.replace("c.at", "e.at"), within))


def _define_view(question: Question, name: str, sql: str) -> None:
    question.duck.execute(f"CREATE OR REPLACE TEMP VIEW {name} AS {sql}")


def _contributes(question: Question) -> str:
    account = question.topics.account
    return f"NOT {among('topic', account)}" if account else "TRUE"


def _done_by(question: Question, table: str, reach: tuple[int, int], columns: str, on: str = "TRUE") -> str:
    """SQL: these columns of the table and the events of its users, within the reach and as asked for."""
    low, high = reach
    wanted = _wanted(question)
    parts = [
        f"""SELECT username, epoch_us(sent_at) AS "at", {_AS_LOGGED} FROM log
        WHERE {_within("sent_at", low, high)} AND {wanted}"""
    ]
    if summaries := days.summaries(question.conn, directory_of(question.conn), reach):
        parts.append(
            f"""SELECT username, d.at, {_AS_LOGGED} FROM ({days.as_events(summaries, wanted)}) d
            WHERE d.at >= {low} AND d.at < {high}"""
        )
    return f"""SELECT {columns}, e.* FROM ({" UNION ALL ".join(parts)}) e
        JOIN {table} r ON r.username = e.username AND {on}"""


def _by_anybody(question: Question, table: str, number: str, within: str) -> str:
    """SQL of `deed`. table: of members, r; number: SQL of an act's slice; within: whether the event e is in its window.

    The numbers are made below the join, so that no text goes through it.
    """
    is_act = f"e.counts AND {within}"
    return f"""SELECT e.* EXCLUDE (username, counts), CASE WHEN {is_act} THEN {number} END AS slice,
            CASE WHEN {is_act} THEN r.uid END AS uid
        FROM (
            SELECT username, sent_at, epoch_us(sent_at) AS "at", {_AS_LOGGED},
                CASE WHEN username IS NOT NULL THEN hash(username) END AS who, {_THING} AS thing,
                hash(content_hash) AS content, {_wanted(question)} AND {_contributes(question)} AS counts
            FROM log
        ) e LEFT JOIN {table} r ON r.username = e.username"""


def _within(column: str, low: int, high: int) -> str:
    """SQL on the column itself, so that files and row groups outside of the reach are not read."""
    bounds = []
    if low > -FOREVER:
        bounds.append(f"{column} >= make_timestamp({low}::BIGINT)")
    if high < FOREVER:
        bounds.append(f"{column} < make_timestamp({high}::BIGINT)")
    return " AND ".join(bounds) or "TRUE"


def _wanted(question: Question) -> str:
    """SQL: rows in roles that count, of the projects and namespaces asked for."""
    options = question.options
    parts = ["username IS NOT NULL"]
    if question.rows("SELECT 1 FROM member WHERE project IS NOT NULL LIMIT 1"):
        anywhere = "username IN (SELECT username FROM member WHERE project IS NULL)"
        parts.append(f"({anywhere} OR (username, project) IN (SELECT username, project FROM member))")
    if question.rules.attribution == "actor":
        parts.append("role = 'actor'")
    if options.project:
        parts.append(among("project", options.project))
    if options.namespace:
        # A wiki's namespaces are numbers; on Fedora's bus the service stands in their place.
        numbers = [name for name in options.namespace if name.lstrip("-").isdigit()]
        words = [name for name in options.namespace if name not in numbers]
        parts.append(f"({among('namespace', numbers)} OR {among('service', words)})")
    return " AND ".join(parts)
