"""Every account of low tenure at once, and the sign-ups: what the live path keeps in memory. Bounded."""

from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

from state.event import Event
from state.fold import UserState
from state.rules import Rules
from state.spam.calibration import WINDOW, Calibrations
from state.spam.posts import Post
from state.spam.texts import KNOWN_FOR, Copy, Texts, crossings_of
from state.spam.track import Crossing, Track, dormant, low_tenure
from state.spam.waves import HISTORY, SignUps, Wave
from state.weeks import DAY, HOUR

#: Events that are later than this change flags at the next rebuild only.
LATENESS = 2 * DAY

#: So much event time is looked at together.
STEP = DAY // 2

#: Posts are kept for so long: the latest of the late ones has its whole window.
KEPT = LATENESS + WINDOW + STEP

#: Sign-ups are kept for so long: a wave of two weeks has its whole history from its first day on, and what is usual
#: of newcomers' first posts comes from sign-ups as old again.
SIGNUPS_KEPT = 2 * HISTORY + WINDOW + 14 * DAY

#: Hard bounds, beyond which the accounts seen longest ago and the oldest sign-ups go.
ACCOUNTS_KEPT = 20_000
SIGNUPS_AT_MOST = 50_000
COPIES_KEPT = 50_000

#: How often (event time) what is too old is looked for.
_TIDIED_EVERY = HOUR


class Seen(NamedTuple):
    """What a step did: accounts whose crossings may have changed, whether the waves may have, and since when."""

    accounts: frozenset[str]
    waves: bool
    since: int


class Detector:
    """The accounts' tracks and the sign-ups within the horizon. Not thread-safe.

    settled: rule -> event time of the latest flag of an account before the kept posts; asked once per account.
    """

    def __init__(
        self,
        rules: Rules,
        calibrations: Calibrations,
        settled: Callable[[str, int], Mapping[str, int]] = lambda _name, _before: {},
    ) -> None:
        self.rules = rules
        self.calibrations = calibrations
        self.signups = SignUps()
        self.texts = Texts()
        self.tracks: dict[str, Track] = {}
        self.watermark = 0
        #: Accounts, posts and sign-ups given up because of the bounds; while 0, order makes no difference.
        self.evictions = 0
        self.late = 0  #: events too late to change a flag now
        self.whole_since = 0  #: event time from which on every post has been shown
        self._settled = settled
        self._kind_of = rules.kind_of
        self._tidied = 0

    def take(self, events: Sequence[Event], users: Mapping[str, UserState]) -> Iterator[Seen]:
        """Look at new events, folded already; users: the states of all whom the events name.

        One step after the other: a batch after a long silence may span more event time than is kept.
        """
        for user in users.values():
            self.texts.begin(user.first_seen)
        events = [event for event in events if self._matters(event)]
        first = 0
        while first < len(events):
            until = max(self.watermark, events[first].at) + STEP
            last = first + 1
            while last < len(events) and events[last].at <= until:
                last += 1
            since = max(self.watermark, events[first].at) - LATENESS
            yield self._step(events[first:last], users, since)
            first = last

    def _step(self, events: Sequence[Event], users: Mapping[str, UserState], since: int) -> Seen:
        touched: dict[str, None] = {}
        shared: set[str] = set()
        signed_up = False
        kind_of, know = self._kind_of, self.texts.know
        for event in events:
            name, at = str(event.user), event.at
            if at > self.watermark:
                self.watermark = at
            elif at < self.watermark - LATENESS:
                self.late += 1
                continue
            user = users[name]
            if others := know(name, user):
                shared.update(others)
            acts = event.role == "actor" and not event.is_bot
            kind = kind_of(event.topic)
            if kind is not None and acts:
                signed_up |= self._posted(event, kind, user, touched, shared)
                continue
            track = self.tracks.get(name)
            if track is not None and at <= track.newest:
                touched[name] = None
                track.stale()  # it was active, or signed up, earlier than was known
            if acts and self.rules.registers(event.topic, event.role):
                self.signups.sign_up(at, event.msg_id, name)
                signed_up = True
                if track is not None:  # its account's posts may be here already
                    for first in track.posts[bisect_left(track.posts, (at,)) :][:1]:
                        if low_tenure(user, first.at):
                            self.signups.post(first.at, first.msg_id, name, first.kind)
        changed = {name for name in touched if self._evaluate(name, users[name], since)}
        changed.update(name for name in shared | touched.keys() if self._repeat(name))
        if signed_up:
            self.signups.evaluate(self.calibrations)
        self._tidy()
        return Seen(frozenset(changed), signed_up, since)

    def _matters(self, event: Event) -> bool:
        """Whether its user is somebody to look at; whoever is only named may still be active earlier than was known."""
        return event.user is not None and self.rules.counts(event.role) and event.user not in self.rules.allowlist

    def _posted(self, event: Event, kind: int, user: UserState, touched: dict[str, None], shared: set[str]) -> bool:
        """Note the post wherever it counts; whether it counts for the waves."""
        at, name, text = event.at, event.user or "", event.content_hash
        is_new = low_tenure(user, at)
        track = self.tracks.get(name)
        if track is None and (is_new or dormant(user, at)):
            track = self._begin(name, user, at)
        if track is not None and track.add(Post(at, event.msg_id, kind, text)):
            touched[name] = None
        if text is not None and (others := self.texts.add(text, Copy(at, event.msg_id, name), user)):
            shared.update(others)
        return is_new and self.signups.post(at, event.msg_id, name, kind)

    def crossings(self, name: str) -> list[Crossing]:
        """Where the account crosses a limit, within the kept posts."""
        track = self.tracks.get(name)
        return [*track.past, *track.crossings, *track.repeated] if track else []

    def waves(self) -> list[Wave]:
        """The waves that have fired within the last days."""
        return [wave for wave in self.signups.waves if wave.until >= self.watermark - KEPT]

    def _begin(self, name: str, user: UserState, at: int) -> Track:
        # Whoever was seen before the kept posts may have posted then: the log knows.
        earlier = 0 if user.first_seen >= max(self.watermark - LATENESS, self.whole_since) else None
        track = self.tracks[name] = Track(earlier, self._settled(name, at))
        if len(self.tracks) > ACCOUNTS_KEPT:
            self.tracks.pop(next(iter(self.tracks)))
            self.evictions += 1
        return track

    def _evaluate(self, name: str, user: UserState, since: int) -> bool:
        """Whether the account's crossings are, or were, any."""
        track = self.tracks.pop(name, None)
        if track is None:
            return False  # evicted within this very batch
        self.tracks[name] = track  # seen last: the accounts seen longest ago come first
        had = bool(track.past or track.crossings)
        track.evaluate(user, self.calibrations)
        self.evictions += track.drop_before(self.watermark - KEPT, since)
        return had or bool(track.crossings)

    def _repeat(self, name: str) -> bool:
        """Whether the account is, or was, one that repeats a text."""
        track = self.tracks.get(name)
        if track is None:
            return False
        horizon = self.watermark - KEPT
        had = bool(track.repeated)
        for crossing in track.repeated:
            if crossing.at < horizon:
                track.settled[crossing.rule] = crossing.at
        repeated = (each for each in self.texts.of(name) if each.at >= horizon)
        track.repeated = crossings_of(track, repeated, self.calibrations)
        return had or bool(track.repeated)

    def _tidy(self) -> None:
        if self.watermark < self._tidied + _TIDIED_EVERY:
            return
        self._tidied = self.watermark
        horizon = self.watermark - KEPT
        for name in [name for name, track in self.tracks.items() if track.newest < horizon]:
            del self.tracks[name]
        entries = self.signups.entries
        if len(entries) > SIGNUPS_AT_MOST:  # a good part at once: each time the rest is gone through again
            self.evictions += self.signups.drop_before(entries[SIGNUPS_AT_MOST // 3].at)
        self.signups.drop_before(self.watermark - SIGNUPS_KEPT)
        self.evictions += self.texts.drop_before(horizon - KNOWN_FOR, COPIES_KEPT)
