"""Flags and operators' decisions as rows; whoever is flagged leaves the clean populations in the same step."""

import json
import sqlite3
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import NamedTuple

from state.errors import HomecomingError
from state.fold import Facts, UserState, add, stand
from state.rules import Rules
from state.spam.lifecycle import (
    ACCOUNT_RULES,
    DECISION_HOLDS,
    SEVERITIES,
    WAVE_COHORT,
    WAVE_MEMBER,
    WAVE_NAME,
    WAVE_RULES,
    Flagged,
    FlagState,
    Standing,
    Verdict,
    flag_id,
    states,
    wave_ends,
)
from state.spam.reasons import why_account, why_member, why_wave
from state.spam.track import FLAG_LIFE, Crossing
from state.spam.waves import Wave
from state.store import get_meta
from state.users import add_to_totals, load_users, save_users
from state.weeks import HOUR

#: A flag stands while it is of such a severity and in such a state; only clearing lifts it.
STANDING = "severity IN ('warning', 'critical') AND state IN ('raised', 'confirmed', 'expired')"

_COLUMNS = "id, user, rule, severity, state, raised_at, posts, reason, evidence, config, until"

#: The decision that holds for a flag: the last one on its account and rule near enough; on a wave, on itself.
_VERDICT = """(
    SELECT verdict FROM decision WHERE decision.rule = flag.rule AND (
        decision.flag = flag.id
        OR (decision.user = flag.user AND abs(decision.crossed_at - flag.raised_at) <= :holds))
    ORDER BY decision.id DESC LIMIT 1)"""


class Fresh(NamedTuple):
    """A flag that was not there before."""

    rule: str
    state: FlagState
    raised_at: int


def account_flags(user: str, state: UserState, crossings: Iterable[Crossing]) -> list[Flagged]:
    """The flags of an account, before anything is decided about them."""
    return [
        Flagged(
            flag_id(crossing.rule, user, crossing.msg_id),
            user,
            crossing.rule,
            SEVERITIES[crossing.rule],
            "raised",
            crossing.at,
            crossing.posts,
            why_account(crossing, state),
            crossing.evidence,
            crossing.calibration.version,
            crossing.at,
        )
        for crossing in crossings
    ]


def wave_flags(wave: Wave) -> list[Flagged]:
    """The flag of a wave; of one with a second key, those of its members too."""
    rule = f"wave-{wave.key}"
    known_as = flag_id(rule, wave.pattern, wave.msg_id)
    version = wave.calibration.version
    found = [
        Flagged(
            known_as, None, rule, SEVERITIES[rule], "raised", wave.at, wave.count, why_wave(wave),
            wave.evidence, version, wave.until,
        )
    ]  # fmt: skip
    if rule in (WAVE_NAME, WAVE_COHORT):
        why = why_member(wave, known_as)
        found += [
            Flagged(
                flag_id(WAVE_MEMBER, member.name, known_as), member.name, WAVE_MEMBER, "info", "suspect",
                max(wave.at, member.at), 0, why, (member.msg_id,), version, member.at,
            )
            for member in wave.members.values()
        ]  # fmt: skip
    return found


def replace_flags(
    conn: sqlite3.Connection,
    rules: Rules,
    wanted: Sequence[Flagged],
    users: Collection[str],
    waves: bool,
    since: int,
) -> list[Fresh]:
    """Make the flags of these accounts (and of the waves) raised at `since` or later those wanted; which are new.

    Inside a writing step. Decisions carry over to whatever flag of the account and rule crosses near them.
    """
    kept = {row.id: row for row in _derived(conn, users, waves, since)}
    target = {row.id: row for row in wanted if row.raised_at >= since or row.id in kept}
    gone = [row for known_as, row in kept.items() if known_as not in target]
    new = [row for known_as, row in target.items() if known_as not in kept]
    others = [
        (kept[known_as], row)
        for known_as, row in target.items()
        if known_as in kept and row._replace(state=kept[known_as].state) != kept[known_as]
    ]
    conn.executemany("DELETE FROM flag WHERE id = ?", [(row.id,) for row in gone])
    conn.executemany(
        f"INSERT OR IGNORE INTO flag ({_COLUMNS}) VALUES ({', '.join('?' * 11)})",
        [row._replace(evidence=json.dumps(row.evidence)) for row in new],  # type: ignore[arg-type]  # a column is text
    )
    conn.executemany(
        "UPDATE flag SET raised_at = ?, posts = ?, reason = ?, evidence = ?, config = ?, until = ? WHERE id = ?",
        [
            (row.raised_at, row.posts, row.reason, json.dumps(row.evidence), row.config, row.until, row.id)
            for _, row in others
        ],
    )
    # How long a wave goes on decides what it explains, so that its end before and after both count.
    moved = [*gone, *new, *(row for pair in others for row in pair if row.user is None)]
    if moved:
        last = max(wave_ends(r.rule, r.until) if r.user is None else r.raised_at for r in moved)
        settle(conn, rules, min(row.raised_at for row in moved), last + HOUR)
        _stand(conn, rules, {row.user for row in [*gone, *new] if row.user is not None})
    return [
        Fresh(rule, state, raised_at)
        for rule, state, raised_at in conn.execute(
            "SELECT rule, state, raised_at FROM flag WHERE id IN (SELECT value FROM json_each(?))",
            (json.dumps([row.id for row in new]),),
        )
    ]


def settle(conn: sqlite3.Connection, rules: Rules, since: int, before: int) -> None:
    """Bring the states of the flags raised in [since, before) up to date, and who stands flagged."""
    watermark = get_meta(conn, "watermark", 0)
    touched: set[str] = set()
    explained: list[tuple[int, int]] = []
    for rule in (*WAVE_RULES, *(rule for rule in SEVERITIES if rule not in WAVE_RULES)):
        changed: list[tuple[FlagState, str]] = []
        rows = conn.execute(
            f"""SELECT id, state, raised_at, {_VERDICT}, user FROM flag
            WHERE rule = :rule AND raised_at >= :since AND raised_at < :before ORDER BY raised_at, id""",
            {"holds": DECISION_HOLDS, "rule": rule, "since": since - HOUR, "before": before},
        ).fetchall()
        named = {row[0]: row[4] for row in rows}
        for flag, state in states(rule, (Standing(*row[:4]) for row in rows), explained, watermark):
            if flag.raised_at >= since and state != flag.state:
                changed.append((state, flag.id))
                if named[flag.id] is not None:
                    touched.add(named[flag.id])
        conn.executemany("UPDATE flag SET state = ? WHERE id = ?", changed)
        if rule in WAVE_RULES:
            explained = _explained(conn, since, before)  # by the waves as they now are
    _stand(conn, rules, touched)


def expire_flags(conn: sqlite3.Connection) -> None:
    """Flags that have been open for a week expire: whoever was flagged stays so."""
    conn.execute(
        "UPDATE flag SET state = 'expired' WHERE state = 'raised' AND raised_at <= ?",
        (get_meta(conn, "watermark", 0) - FLAG_LIFE,),
    )


def decide(conn: sqlite3.Connection, rules: Rules, known_as: str, verdict: Verdict, reason: str, now: int) -> Flagged:
    """Record an operator's decision on a flag, inside a writing step; the flag as it stands then.

    now: processing time. Raises HomecomingError for a flag that there is not, and without a reason.
    """
    if not reason.strip():
        raise HomecomingError("flags: a decision needs a reason: say in a few words why")
    found = conn.execute(f"SELECT {_COLUMNS} FROM flag WHERE id = ?", (known_as,)).fetchone()
    if found is None:
        raise HomecomingError(f"flags: there is no flag {known_as}: `homecoming flags` lists them")
    flag = _row(found)
    conn.execute(
        """INSERT INTO decision (flag, user, rule, crossed_at, verdict, reason, decided_at)
        VALUES (?, ?, ?, ?, ?, ?, ?)""",
        (flag.id, flag.user, flag.rule, flag.raised_at, verdict, " ".join(reason.split()), now),
    )
    reach = DECISION_HOLDS if flag.user is not None else 0
    settle(conn, rules, flag.raised_at - reach, max(flag.raised_at + reach, wave_ends(flag.rule, flag.until)
           if flag.rule in WAVE_RULES else 0) + 1)  # fmt: skip
    return flag._replace(state=verdict)


def flags(conn: sqlite3.Connection) -> list[Flagged]:
    """Every flag, the latest first."""
    return [_row(row) for row in conn.execute(f"SELECT {_COLUMNS} FROM flag ORDER BY raised_at DESC, id")]


def settled(conn: sqlite3.Connection, user: str, before: int) -> Mapping[str, int]:
    """rule -> event time of the account's latest flag raised before that time."""
    return dict(
        conn.execute(
            "SELECT rule, max(raised_at) FROM flag WHERE user = ? AND raised_at < ? GROUP BY rule", (user, before)
        )
    )


def restand(conn: sqlite3.Connection, rules: Rules) -> None:
    """Users with a standing flag leave the clean populations again, after the users were derived anew."""
    _stand(conn, rules, {user for (user,) in conn.execute(f"SELECT user FROM flag WHERE {STANDING} AND user NOT NULL")})


def _derived(conn: sqlite3.Connection, users: Collection[str], waves: bool, since: int) -> Iterable[Flagged]:
    found = conn.execute(
        f"""SELECT {_COLUMNS} FROM flag WHERE raised_at >= :since AND (
            (rule IN (SELECT value FROM json_each(:rules)) AND user IN (SELECT value FROM json_each(:users)))
            OR (:waves AND (user IS NULL OR rule = :member)))""",
        {
            "since": since,
            "rules": json.dumps(ACCOUNT_RULES),
            "users": json.dumps(list(users)),
            "waves": waves,
            "member": WAVE_MEMBER,
        },
    )
    yield from map(_row, found)
    if waves:  # a wave that began before may still go on
        yield from map(
            _row,
            conn.execute(
                f"SELECT {_COLUMNS} FROM flag WHERE user IS NULL AND raised_at < ? AND until >= ?", (since, since)
            ),
        )


def _explained(conn: sqlite3.Connection, since: int, before: int) -> list[tuple[int, int]]:
    """When a wave's second key was active; a wave that was cleared explains nothing."""
    found = conn.execute(
        "SELECT rule, raised_at, until FROM flag WHERE rule IN (?, ?) AND state <> 'cleared' AND raised_at < ?",
        (WAVE_NAME, WAVE_COHORT, before),
    )
    spans = [(raised_at, wave_ends(rule, until)) for rule, raised_at, until in found]
    return [(start, end) for start, end in spans if end > since - HOUR]


def _stand(conn: sqlite3.Connection, rules: Rules, users: Collection[str]) -> None:
    """Move the users between the clean populations and the others, as their flags have it."""
    if not users:
        return
    standing = {
        user
        for (user,) in conn.execute(
            f"SELECT user FROM flag WHERE {STANDING} AND user IN (SELECT value FROM json_each(?))",
            (json.dumps(sorted(users)),),
        )
    }
    delta: Facts = Facts()
    moved: dict[str, UserState] = {}
    for name, state in load_users(conn, users).items():
        if state.flagged != (name in standing):
            moved[name], change = stand(state, name in standing, rules)
            add(delta, change)
    save_users(conn, moved)
    add_to_totals(conn, delta)


def _row(row: Sequence[object]) -> Flagged:
    known_as, user, rule, severity, state, raised_at, posts, reason, evidence, config, until = row
    return Flagged(
        known_as, user, rule, severity, state, raised_at, posts, reason,  # type: ignore[arg-type]  # columns as declared
        tuple(json.loads(str(evidence))), config, until,  # type: ignore[arg-type]
    )  # fmt: skip
