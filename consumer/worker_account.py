"""What a worker keeps of one account, as one value of its table: the fold's state, what it has seen, its posts.

Pure: no IO, no clock. An event may come again in two ways: the worker reads an
offset twice (after a crash), or the bus delivered a message twice (under two offsets). Neither changes anything.
"""

import json
import re
from array import array
from base64 import b64decode, b64encode
from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

from state.event import Event, key_of
from state.fold import UserState, merge, seen
from state.rules import Rules
from state.spam.calibration import Calibration, Calibrations
from state.spam.detector import KEPT, LATENESS
from state.spam.posts import Post
from state.spam.track import Crossing, Track, dormant, low_tenure
from state.weeks import DAY, day_of

#: Format of a table value.
VERSION = 1

#: So many days before the account's newest event the ids of its messages are kept, and so many of them at most.
#: What comes again later than that only the log can know.
IDS_DAYS, IDS_KEPT = 8, 2_000

#: What an event is to the account. replayed: read again from Kafka, so it is passed on again. old: of a time whose
#: ids are gone, so whether it is new is for the log to say.
Taken = Literal["new", "old", "replayed", "duplicate"]

#: Fields of a crossing that are plain values, in their order.
_PLAIN = ("rule", "at", "msg_id", "posts", "run", "threads", "begins", "score", "hours")

#: The first of a value's offsets, of which there is one: all of an account's events are in one partition.
_OFFSET = re.compile(rb'\{"v":\d+,"o":\[\[\d+,(\d+)')

_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


class Definitions(NamedTuple):
    """What everybody counts by."""

    rules: Rules
    calibrations: Calibrations

    def calibration(self, version: str) -> Calibration:
        """The calibration of that version, the first one where it is gone."""
        versions = self.calibrations.versions
        return next((one for one in versions if one.version == version), versions[0])


class Account:
    """One user's value."""

    __slots__ = ("_definitions", "_ids", "_offsets", "_settled", "has_told", "state", "told_from", "track")

    def __init__(self, definitions: Definitions) -> None:
        self._definitions = definitions
        self.state: UserState | None = None
        self.track: Track | None = None
        self.has_told = False  #: whether crossings were told last time, so that none now is news
        self.told_from = 0  #: event time from which on `crossings` gave all of them
        self._settled = 0  #: event time before which crossings were told and can change no more
        self._offsets: dict[int, int] = {}  #: partition -> last offset taken
        self._ids: dict[int, int] = {}  #: key of a message id -> day of its event time, as they came

    @property
    def version(self) -> int:
        """How many events the state is of: it only grows, and the greater one is the later one."""
        return 0 if self.state is None else self.state.events

    def take(self, event: Event, partition: int, offset: int) -> Taken:
        """Fold the event in, unless it has been."""
        if offset <= self._offsets.get(partition, -1):
            return "replayed"
        self._offsets[partition] = offset
        key, day = key_of(event.msg_id), day_of(event.at)
        if key in self._ids:
            return "duplicate"
        if not self._definitions.rules.counts(event.role):
            self._know(key, day)
            return "new"
        alone = seen(event, self._definitions.rules)
        state = self.state
        is_old = state is not None and day < day_of(state.last_seen) - IDS_DAYS
        if is_old:
            # It may be counted already; when it happened is true in any case.
            alone = alone._replace(events=0, weeks=dict.fromkeys(alone.weeks, 0))
        else:
            self._know(key, day)
        after = merge(state, alone)
        self.state = after
        self._post(event, after, is_old=is_old)
        return "old" if is_old else "new"

    def crossings(self) -> list[Crossing]:
        """Where the account crosses a limit from `told_from` on: all that may have changed since this was asked last.

        Until two days of its posts have passed a late one may change a crossing. Tell them before the value is kept.
        """
        self.told_from = self._settled
        track = self.track
        if track is None or self.state is None or not track.posts:
            return []
        track.evaluate(self.state, self._definitions.calibrations)
        found = [crossing for crossing in (*track.past, *track.crossings) if crossing.at >= self.told_from]
        newest = track.newest
        self._settled = max(self._settled, newest - LATENESS)
        if track.crossings or low_tenure(self.state, newest - KEPT) or dormant(self.state, newest):
            track.drop_before(newest - KEPT, self._settled)
        else:  # of long standing: nothing can come of these
            track.drop_before(newest + 1)
        return found

    def _know(self, key: int, day: int) -> None:
        self._ids[key] = day

    def _post(self, event: Event, user: UserState, *, is_old: bool) -> None:
        rules, track, at = self._definitions.rules, self.track, event.at
        kind = rules.kind_of(event.topic)
        if kind is None or event.role != "actor" or event.is_bot or event.user in rules.allowlist:
            if track is not None and at <= track.newest:
                track.stale()  # it was active earlier than was known
            return
        if track is None:
            track = self.track = Track()
        is_of_interest = at >= track.newest - KEPT if track.posts else low_tenure(user, at) or dormant(user, at)
        if is_of_interest and not is_old:
            track.add(Post(at, event.msg_id, kind))
        else:  # of long standing, or long past: it is counted
            track.earlier = (track.earlier or 0) + (not is_old)

    def to_bytes(self) -> bytes:
        """The table value."""
        self._forget()
        state, track = self.state, self.track
        found: dict[str, Any] = {"v": VERSION, "o": list(self._offsets.items())}
        if self._ids:
            found["k"] = b64encode(array("q", self._ids.keys()).tobytes()).decode()
            found["d"] = b64encode(array("i", self._ids.values()).tobytes()).decode()
        if state is not None:
            found["s"] = [*state[:4], list(state.weeks.items()), state.early_days]
        if track is not None:
            found["t"] = [
                track.posts,
                track.earlier,
                track.settled,
                [plain(crossing) for crossing in track.past],
                self.has_told,
                self._settled,
            ]
        return _encode(found).encode()

    @classmethod
    def from_bytes(cls, value: bytes, definitions: Definitions) -> "Account":
        """The account that made this value; ValueError for one of another version."""
        found = json.loads(value)
        if found["v"] != VERSION:
            raise ValueError(f"a table value of version {found['v']}")
        made = cls(definitions)
        made._offsets = dict(found["o"])
        if "k" in found:
            keys, days = array("q", b64decode(found["k"])), array("i", b64decode(found["d"]))
            made._ids = dict(zip(keys, days, strict=True))
        if "s" in found:
            first, last, registered, events, weeks, early = found["s"]
            made.state = UserState(first, last, registered, events, dict(weeks), tuple(early))
        if "t" in found:
            posts, earlier, settled, past, made.has_told, made._settled = found["t"]
            made.track = track = Track(earlier, settled)
            track.posts = [Post(*post) for post in posts]
            track.past = [_crossing(one, definitions) for one in past]
        return made

    def _forget(self) -> None:
        """Ids of more than eight days before the newest event, and the first of too many."""
        if self.state is None:
            horizon = max(self._ids.values(), default=0) - IDS_DAYS
        else:
            horizon = self.state.last_seen // DAY - IDS_DAYS
        ids = self._ids
        if len(ids) > IDS_KEPT or (ids and next(iter(ids.values())) < horizon):
            kept = [(key, day) for key, day in ids.items() if day >= horizon]
            self._ids = dict(kept[-IDS_KEPT:])


def progress(value: bytes | None) -> int:
    """The offset of the last event that a table value holds: of two values of an account the greater is the later.

    -1 for no value, or for one of no event.
    """
    found = _OFFSET.match(value or b"")
    return int(found[1]) if found else -1


def plain(crossing: Crossing) -> list[Any]:
    """The crossing as JSON values."""
    return [*(getattr(crossing, name) for name in _PLAIN), crossing.evidence, crossing.calibration.version]


def _crossing(values: Sequence[Any], definitions: Definitions) -> Crossing:
    *fields, evidence, version = values
    return Crossing._make([*fields, tuple(evidence), definitions.calibration(version), 1])
