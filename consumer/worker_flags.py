"""Where an account bursts, as a record for whoever wants to act on it before the totals' owner has seen it."""

import json
from collections.abc import Sequence

from consumer.kafka_records import VERSION
from consumer.worker_account import Account
from state.spam.lifecycle import SEVERITIES, flag_id
from state.spam.reasons import why_account
from state.spam.track import Crossing
from state.weeks import iso


def flag_record(user: str, account: Account, crossings: Sequence[Crossing]) -> bytes:
    """All of the account's crossings from `since` on, in the place of those told before; what was earlier stands."""
    assert account.state is not None  # noqa: S101 - whoever crossed a limit has posted
    flags = [
        {
            "id": flag_id(crossing.rule, user, crossing.msg_id),
            "rule": crossing.rule,
            "severity": SEVERITIES[crossing.rule],
            "raised_at": iso(crossing.at),
            "posts": crossing.posts,
            "reason": why_account(crossing, account.state),
            "evidence": crossing.evidence,
            "config": crossing.calibration.version,
        }
        for crossing in crossings
    ]
    since = iso(account.told_from)
    found = {"v": VERSION, "user": user, "version": account.version, "since": since, "flags": flags}
    return json.dumps(found, ensure_ascii=False, separators=(",", ":")).encode()
