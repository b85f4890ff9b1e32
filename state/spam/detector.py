"""Every account of low tenure at once, and the sign-ups: what the live path keeps in memory. Bounded."""

from bisect import bisect_left
from collections import OrderedDict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from typing import NamedTuple, get_args

from state.event import Event, Role
from state.fold import UserState
from state.rules import Rules
from state.spam.calibration import WINDOW, Calibrations
from state.spam.deeds import CREATION, PASSIVE, Kinds
from state.spam.posts import Post
from state.spam.repeats import Posted
from state.spam.texts import REACH, Texts, crossings_of
from state.spam.track import DORMANT_WEEKS, Crossing, Track, dormant, low_tenure, tenured_from
from state.spam.waves import HISTORY, SignUps, Wave
from state.weeks import DAY, HOUR, week_end, week_of, week_start

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

#: From and until when no post of an account matters of which nothing is known.
_NEVER = (0, 0)


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
        #: Those seen longest ago come first.
        self.tracks: OrderedDict[str, Track] = OrderedDict()
        #: Account -> event times, from and until, at which no post of it matters: most posts leave here.
        self._regulars: dict[str, tuple[int, int]] = {}
        self.watermark = 0
        #: Accounts, posts and sign-ups given up because of the bounds; while 0, order makes no difference.
        self.evictions = 0
        self.late = 0  #: events too late to change a flag now
        self.whole_since = 0  #: event time from which on every post has been shown
        self._settled = settled
        self._kinds = Kinds(rules)
        self._roles = frozenset(role for role in get_args(Role) if rules.counts(role))
        self._tidied = 0

    def take(self, events: Iterable[Event], users: Mapping[str, UserState]) -> Iterator[Seen]:
        """Look at new events, folded already; users: the states of all whom the events name.

        One step after the other: a batch after a long silence may span more event time than is kept.
        """
        if users:
            self.texts.begin(min(user.first_seen for user in users.values()))
        kinds, roles, allowlist = self._kinds, self._roles, self.rules.allowlist
        regulars, early_days = self._regulars, self.texts.early_days
        touched: dict[str, Track] = {}
        texts: list[tuple[str, Posted]] = []
        watermark, begins, until = self.watermark, self.watermark, -1
        # All fields at once: to ask for each of them by name would cost more than everything else here.
        for msg_id, at, _, topic, name, role, _, _, _, _, _, _, text, is_bot in events:
            # Whoever is not looked at moves no watermark, so that their time begins no step either.
            if name is None or name in allowlist or role not in roles:
                continue
            if at > until:
                if until >= 0:
                    yield self._looked(touched, texts, users, begins - LATENESS)
                    touched, texts = {}, []
                begins = max(watermark, at)
                until = begins + STEP
            if at > watermark:
                self.watermark = watermark = at
            elif at < watermark - LATENESS:
                self.late += 1
                continue
            kind = kinds[topic] if role == "actor" and not is_bot else PASSIVE
            user = users[name]
            settles, leaves = regulars.get(name, _NEVER)
            is_regular = settles <= at < leaves
            if not is_regular and name in early_days:
                self.texts.know(name, user)
            if kind < 0:
                self._active(kind, at, msg_id, name, user, touched)
                continue
            if text is not None:
                texts.append((text, (at, msg_id, name)))
            if not is_regular:
                self._posted(Post(at, msg_id, kind), name, user, touched)
        yield self._looked(touched, texts, users, begins - LATENESS)

    def _looked(
        self,
        touched: Mapping[str, Track],
        texts: Collection[tuple[str, Posted]],
        users: Mapping[str, UserState],
        since: int,
    ) -> Seen:
        """What a step comes to, all of whose events were noted."""
        self.texts.add(texts, users, self.watermark)
        changed = {name for name, track in touched.items() if self._evaluate(name, track, users[name], since)}
        changed.update(name for name in touched.keys() | self.texts.changed() if self._repeat(name))
        waves = self.signups.evaluate(self.calibrations)
        self._tidy()
        return Seen(frozenset(changed), waves, since)

    def _posted(self, post: Post, name: str, user: UserState, touched: dict[str, Track]) -> None:
        """Note the post where it counts."""
        at, msg_id, kind = post
        is_new = at < tenured_from(user)
        track = self.tracks.get(name)
        if track is None:
            if not is_new and not dormant(user, at):
                self._regulars[name] = _regular(user, at)
                return
            track = self._begin(name, user, at)
        if track.add(post):
            touched[name] = track
        if is_new:
            self.signups.post(at, msg_id, name, kind)

    def _active(self, kind: int, at: int, msg_id: str, name: str, user: UserState, touched: dict[str, Track]) -> None:
        """Note what is no post: the account was active, perhaps earlier than was known, or signed up."""
        track = self.tracks.get(name)
        if track is not None and at <= track.newest:
            touched[name] = track
            track.stale(at)
        if kind == CREATION:
            self._registered(at, msg_id, name, user)

    def _registered(self, at: int, msg_id: str, name: str, user: UserState) -> None:
        """Note the sign-up, and the account's first post after it, which may be here already."""
        self.signups.sign_up(at, msg_id, name)
        if name in self.tracks:
            posts = self.tracks[name].posts
            for first in posts[bisect_left(posts, (at,)) :][:1]:
                if low_tenure(user, first.at):
                    self.signups.post(first.at, first.msg_id, name, first.kind)

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
        self._regulars.pop(name, None)
        if len(self.tracks) > ACCOUNTS_KEPT:
            self.tracks.popitem(last=False)
            self.evictions += 1
        return track

    def _evaluate(self, name: str, track: Track, user: UserState, since: int) -> bool:
        """Whether the account's crossings are, or were, any."""
        if name not in self.tracks:
            return False  # evicted within this very batch
        self.tracks.move_to_end(name)  # the accounts seen longest ago come first
        if track.is_harmless(self.calibrations.floor):
            return False  # most of the time
        had = bool(track.past or track.crossings)
        track.evaluate(user, self.calibrations)
        self.evictions += track.drop_before(self.watermark - KEPT, since)
        return had or bool(track.crossings)

    def _repeat(self, name: str) -> bool:
        """Whether the account is, or was, one that repeats a text."""
        track = self.tracks.get(name)
        if track is None:
            return False
        found, had = self.texts.of(name), bool(track.repeated)
        if not found and not had:
            return False  # most of the time
        horizon = self.watermark - KEPT
        for crossing in track.repeated:
            if crossing.at < horizon:
                track.settled[crossing.rule] = crossing.at
        track.repeated = crossings_of(track, (each for each in found if each.at >= horizon), self.calibrations)
        return had or bool(track.repeated)

    def _tidy(self) -> None:
        if self.watermark < self._tidied + _TIDIED_EVERY:
            return
        self._tidied = self.watermark
        horizon = self.watermark - KEPT
        while self.tracks and next(iter(self.tracks.values())).newest < horizon:
            self.tracks.popitem(last=False)
        if len(self._regulars) > ACCOUNTS_KEPT:
            self._regulars.clear()  # whoever comes again is worked out again
        entries = self.signups.entries
        if len(entries) > SIGNUPS_AT_MOST:  # a good part at once: each time the rest is gone through again
            self.evictions += self.signups.drop_before(entries[SIGNUPS_AT_MOST // 3].at)
        self.signups.drop_before(self.watermark - SIGNUPS_KEPT)
        self.evictions += self.texts.drop_before(horizon - REACH, COPIES_KEPT)


def _regular(user: UserState, at: int) -> tuple[int, int]:
    """From when until when nothing that the account posts matters, as at that event time.

    It is one of long standing from its tenure on, and not away as long as this week is one of the last four. What
    becomes known later adds active days and weeks only, and takes nothing from that.
    """
    week = week_of(at)
    return max(tenured_from(user), week_start(week)), week_end(week + DORMANT_WEEKS)
