"""The standard metrics by loops over users and events, as METRIC's definitions read: what DuckDB must agree with."""

from collections.abc import Callable, Sequence
from fnmatch import fnmatch
from typing import Any, NamedTuple

from metrics.standard.parameters import Options
from state.event import Event, action_of
from state.rules import Rules
from state.weeks import DAY, HOUR
from tests.support.standard import Member

EVER = 10**18

Value = tuple[Any, str]


class Naive(NamedTuple):
    """One question. value(user) is (the columns' values, status); None where the user is no part of the answer."""

    events: Sequence[Event]
    members: Sequence[Member]
    rules: Rules
    options: Options
    as_of: int

    def registered(self, user: str) -> int | None:
        times = [
            e.at for e in self.events
            if e.user == user and e.role == "actor" and action_of(e.topic) in self.rules.registrations
        ]  # fmt: skip
        return min(times, default=None)

    def contributions(self, user: str) -> list[Event]:
        o = self.options
        projects = {m.project for m in self.members if m.username == user}
        found = []
        for e in self.events:
            action = action_of(e.topic)
            account = action in self.rules.registrations or any(
                fnmatch(action, p) for p in ("fas.*", "badges.*", "fedbadges.*", "*.user.*", "track.*")
            )
            if e.user != user or account or (e.role != "actor" and self.rules.attribution == "actor"):
                continue
            if None not in projects and e.project not in projects:
                continue
            if o.project and e.project not in o.project:
                continue
            if o.namespace and e.service not in o.namespace and e.namespace not in o.namespace:
                continue
            found.append(e)
        return sorted(found, key=lambda e: e.at)

    def within(self, at: int, low: int, high: int) -> bool:
        return low < at <= high if self.options.interval == "right" else low <= at < high

    def window(self, user: str, after: int = 0, length: int | None = None) -> tuple[int, int, str] | None:
        """(low, high, status) of the user, the status being censored, open, final or undefined."""
        o = self.options
        low, high = o.start if o.start is not None else -EVER, o.end if o.end is not None else EVER
        if o.group == "activity":
            return low, high, "final" if self.passed(high) else "open"
        reg = self.registered(user)
        if reg is None:
            return 0, 0, "undefined"
        if not self.within(reg, low, high):
            return None
        begin = reg + after
        if length is None:
            return begin, EVER, "open" if self.passed(begin) else "censored"
        return begin, begin + length, "final" if self.passed(begin + length) else "censored"

    def passed(self, high: int) -> bool:
        """Whether nothing can come any more: with (low, high], high itself still can."""
        return self.as_of > high if self.options.interval == "right" else self.as_of >= high

    def acts(self, user: str, low: int, high: int) -> list[Event]:
        return [e for e in self.contributions(user) if self.within(e.at, low, high)]

    def counted(self, user: str, count: Callable[[list[Event]], Any]) -> Value | None:
        t = self.options.t
        window = self.window(user, 0, None if t is None else t * HOUR)
        if window is None:
            return None
        low, high, status = window
        if status == "undefined":
            return None, status
        return count(self.acts(user, low, high)), status

    def reached(self, user: str, after: int, length: int | None) -> Value | None:
        window = self.window(user, after, length)
        if window is None:
            return None
        low, high, status = window
        if status == "undefined":
            return None, status
        if len(self.acts(user, low, high)) >= self.options.n:
            return 1, "final"
        return (None, "undefined") if status == "censored" else (0, status)

    def edits(self, user: str) -> Value | None:
        return self.counted(user, len)

    def bytes_added(self, user: str) -> Value | None:
        def sums(acts: list[Event]) -> tuple[int, ...]:
            sizes = [e.size for e in acts if e.size is not None]
            return (
                sum(sizes),
                sum(map(abs, sizes)),
                sum(size for size in sizes if size > 0),
                sum(size for size in sizes if size < 0),
                len(sizes),
            )

        return self.counted(user, sums)

    def pages_created(self, user: str) -> Value | None:
        return self.counted(user, lambda acts: sum(action_of(e.topic) == "pagure.issue.new" for e in acts))

    def pages_edited(self, user: str) -> Value | None:
        return self.counted(user, lambda acts: len({(e.project or "", e.object) for e in acts if e.object is not None}))

    def sessions(self, user: str) -> Value | None:
        gap = self.options.gap * HOUR

        def count(acts: list[Event]) -> int:
            times = [e.at for e in acts]
            return sum(1 for n, at in enumerate(times) if n == 0 or at - times[n - 1] >= gap)

        return self.counted(user, count)

    def threshold(self, user: str) -> Value | None:
        return self.reached(user, 0, None if self.options.t is None else self.options.t * HOUR)

    def survival(self, user: str) -> Value | None:
        o = self.options
        return self.reached(user, (o.t or 0) * HOUR, o.sunset * HOUR or None)

    def time_to_threshold(self, user: str) -> Value | None:
        o = self.options
        window = self.window(user, 0, None if o.t is None else o.t * HOUR)
        if window is None:
            return None
        times = [e.at for e in self.acts(user, *window[:2])] if window[2] != "undefined" else []
        reg = self.registered(user)
        base = reg if o.first == 0 else times[o.first - 1] if len(times) >= o.first else None
        if base is None or len(times) < o.threshold:
            return None, "undefined"
        return (times[o.threshold - 1] - base) / 60e6, "final"

    def live_account(self, user: str) -> Value | None:
        o, reg = self.options, self.registered(user)
        if o.group == "activity":
            return self.reached(user, 0, None)
        if (window := self.window(user, 0, 0)) is None:
            return None
        if reg is None or window[2] == "undefined":
            return None, "undefined"
        last = reg + (o.t or 0) * HOUR
        first = reg + 1 if o.interval == "right" else reg
        if any(first <= e.at <= last for e in self.contributions(user)):
            return 1, "final"
        return (0, "final") if self.as_of > last else (None, "undefined")

    def newly_registered(self, user: str) -> Value | None:
        o, reg = self.options, self.registered(user)
        low, high = o.start if o.start is not None else -EVER, o.end if o.end is not None else EVER
        if reg is None:
            return None, "undefined"
        return int(self.within(reg, low, high)), "final" if self.passed(high) else "open"

    def rolling_active(self, user: str) -> Value | None:
        moment, acts = self._rolling(user)
        recent = [e for e in acts if moment - self.options.u * DAY < e.at <= moment]
        return int(len(recent) >= self.options.n and not any(e.is_bot for e in recent)), self._at(moment)

    def rolling_new_active(self, user: str) -> Value | None:
        moment, acts = self._rolling(user)
        begin, reg = moment - self.options.u * DAY, self.registered(user)
        recent = [e for e in acts if begin < e.at <= moment]
        new = reg is not None and begin <= reg <= moment
        return int(new and len(recent) >= self.options.n and not any(e.is_bot for e in recent)), self._at(moment)

    def rolling_surviving_new_active(self, user: str) -> Value | None:
        moment, acts = self._rolling(user)
        u, n, reg = self.options.u * DAY, self.options.n, self.registered(user)
        before = [e for e in acts if moment - 2 * u <= e.at <= moment - u]
        after = [e for e in acts if moment - u < e.at <= moment]
        new = reg is not None and moment - 2 * u <= reg <= moment - u
        bot = any(e.is_bot for e in (*before, *after))
        return int(new and len(before) >= n and len(after) >= n and not bot), self._at(moment)

    def _rolling(self, user: str) -> tuple[int, list[Event]]:
        return self.as_of if self.options.end is None else self.options.end, self.contributions(user)

    def _at(self, moment: int) -> str:
        return "final" if moment <= self.as_of else "open"

    def edit_rate(self, user: str) -> Value | None:
        found = self.counted(user, len)
        t = self.options.t
        window = self.window(user, 0, None if t is None else t * HOUR)
        if found is None or window is None or found[0] is None:
            return None if found is None else ((None, None, None), found[1])
        low, high, status = window
        # (low, high] ends a microsecond later: as long as [low, high).
        shift = 1 if self.options.interval == "right" else 0
        period = (min(high + shift, self.as_of) - low - shift) / (HOUR if self.options.unit == "hour" else DAY)
        if low == -EVER or period <= 0:
            return (found[0], None, None), status
        return (found[0], found[0] / period, period), status

    def namespace_edits(self, user: str) -> Value | None:
        spaces = {
            space(e)
            for m in self.members
            if (w := self.window(m.username, 0, (self.options.t or 0) * HOUR)) and w[2] != "undefined"
            for e in self.acts(m.username, w[0], w[1])
        } | set(self.options.namespace)

        def count(acts: list[Event]) -> dict[str, int]:
            return {name: sum(space(e) == name for e in acts) for name in spaces}

        return self.counted(user, count)

    def revert_rate(self, user: str) -> Value | None:
        def share(acts: list[Event]) -> tuple[Any, ...]:
            reverted = sum(self._is_reverted(e) for e in acts)
            return (reverted / len(acts) if acts else None, len(acts), reverted)

        found = self.counted(user, share)
        if found is None or found[0] is None:
            return None if found is None else ((None, None, None), found[1])
        return found[0], found[1] if found[0][1] else "undefined"

    def _is_reverted(self, one: Event) -> bool:
        """One of the revisions of its page, in the order of time and id."""
        if one.content_hash is None or one.role != "actor":
            return False
        thing = (one.project, one.object)
        told = [e for e in self.events if e.role == "actor" and e.content_hash and (e.project, e.object) == thing]
        page = sorted(told, key=lambda e: (e.at, e.msg_id))
        place = page.index(one)
        earlier = {e.content_hash for e in page[max(0, place - self.options.look_back) : place]} - {one.content_hash}
        for later in page[place + 1 : place + 1 + self.options.look_ahead]:
            if later.content_hash in earlier:
                return later.user != one.user
        return False


def space(e: Event) -> str:
    """A wiki's namespaces are numbers; elsewhere the service stands in their place."""
    return e.namespace if e.namespace is not None and e.namespace.lstrip("-").isdigit() else e.service
