"""One text from new accounts again and again: of one account, or spread over several.

Texts are known by a hash alone. A text that established people post too, in the same 24 hours, or that was about in
the days before, is a template or a saying and no campaign. A function of the set of posts and of the accounts'
earliest active days.
"""

from bisect import bisect_left, insort
from collections import Counter, defaultdict, deque
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import NamedTuple

from state.fold import EARLY_DAYS, UserState
from state.spam.calibration import WINDOW, Calibrations
from state.spam.track import BURST, CAP, FLAG_LIFE, SAME_TEXT, Crossing, Track
from state.weeks import DAY, day_of, week_end, week_of

#: A text is fresh when nobody posted it in the three days before the last three.
_FRESH, KNOWN_FOR = 3 * DAY, 6 * DAY

#: Posts of one text within 24 hours: of one account, and of several together.
OF_ONE, OF_SEVERAL = 4, 8

#: Message ids that a crossing carries as its evidence at most.
_EVIDENCE = 20


class Copy(NamedTuple):
    """One post of a text."""

    at: int
    msg_id: str
    name: str


class Repeated(NamedTuple):
    """Where an account becomes one of those who repeat a text: `copies` within 24 hours, by `accounts`."""

    at: int
    msg_id: str
    copies: int
    accounts: int
    begins: int
    evidence: tuple[str, ...]


class Texts:
    """Who posted which text within the horizon."""

    def __init__(self) -> None:
        self._copies: dict[str, list[Copy]] = {}
        self._early: dict[str, tuple[int, ...]] = {}
        self._texts: dict[str, set[str]] = defaultdict(set)
        self._found: dict[str, dict[str, list[Repeated]]] = {}
        self.size = 0
        #: Event time at which the log begins; before it has some history no text is known to be fresh.
        self.begins: int | None = None

    @classmethod
    def of_all(cls, copies: Iterable[tuple[str, Copy]], users: Mapping[str, UserState], begins: int | None) -> "Texts":
        """What all of these posts, given in order, come to."""
        made = cls()
        made.begins = begins
        for text, copy in copies:
            made._copies.setdefault(text, []).append(copy)
            made._texts[copy.name].add(text)
        made._early = {name: state.early_days for name, state in users.items()}
        for text in made._copies:
            made._evaluate(text)
        return made

    def begin(self, at: int) -> None:
        """The log begins at that event time, or earlier."""
        if self.begins is None or at < self.begins:
            self.begins = at

    def add(self, text: str, copy: Copy, user: UserState) -> Collection[str]:
        """Somebody posts the text; the accounts whose crossings may have changed."""
        copies = self._copies.setdefault(text, [])
        if copies and copy <= copies[-1]:
            place = bisect_left(copies, copy)
            if copies[place] == copy:
                return ()
            insort(copies, copy)
        else:
            copies.append(copy)
        self.size += 1
        self._early[copy.name] = user.early_days
        self._texts[copy.name].add(text)
        return self._evaluate(text)

    def know(self, name: str, user: UserState) -> Collection[str]:
        """An account's earliest active days may have changed; the accounts whose crossings may have, too."""
        known = self._early.get(name)
        if known is None or known == user.early_days[: len(known)]:
            return ()  # later days alone: what was a new account then still was one
        self._early[name] = user.early_days
        return {other for text in self._texts[name] for other in self._evaluate(text)}

    def of(self, name: str) -> list[Repeated]:
        """Every crossing of the account, in order."""
        found = [self._found.get(text, {}).get(name, []) for text in self._texts.get(name, ())]
        return sorted(repeated for each in found for repeated in each)

    def drop_before(self, at: int, kept: int) -> int:
        """Forget what is older, and texts seen longest ago while more than `kept` posts remain; how many of these."""
        evicted = 0
        for text in list(self._copies):
            copies = self._copies[text]
            old = bisect_left(copies, (at,))
            if self.size - old > kept:
                evicted += len(copies) - old
                old = len(copies)
            if old:
                self._forget(text, old)
        return evicted

    def _forget(self, text: str, old: int) -> None:
        copies = self._copies[text]
        gone = {copy.name for copy in copies[:old]}
        del copies[:old]
        self.size -= old
        for name in gone - {copy.name for copy in copies}:
            self._texts[name].discard(text)
            if not self._texts[name]:
                del self._texts[name], self._early[name]
        if not copies:
            del self._copies[text]
            self._found.pop(text, None)

    def _evaluate(self, text: str) -> Collection[str]:
        copies = self._copies[text]
        if len(copies) < OF_ONE:
            return ()
        before = self._found.pop(text, {})
        found: dict[str, list[Repeated]] = defaultdict(list)
        for name, repeated in self._repeated(copies):
            found[name].append(repeated)
        if found:
            self._found[text] = found
        return before.keys() | found.keys()

    def _repeated(self, copies: list[Copy]) -> Iterator[tuple[str, Repeated]]:
        window: deque[Copy] = deque()
        posts: Counter[str] = Counter()
        established: int | None = None
        judged = week_end(week_of(self.begins or 0)) + KNOWN_FOR
        older = known = 0  # copies[known:older] are those that make the text a known one
        for copy in copies:
            while copies[older].at < copy.at - _FRESH:
                older += 1
            while copies[known].at < copy.at - KNOWN_FOR:
                known += 1
            if not self._is_new(copy):
                established = copy.at
                continue
            window.append(copy)
            posts[copy.name] += 1
            while window[0].at <= copy.at - WINDOW:
                posts[window.popleft().name] -= 1
            posts = +posts
            if copy.at < judged or known < older or (established is not None and established > copy.at - WINDOW):
                continue
            together = len(posts) > 1 and len(window) >= OF_SEVERAL
            if together or posts[copy.name] >= OF_ONE:
                counted = [each for each in window if together or each.name == copy.name]
                accounts = len(posts) if together else 1
                evidence = tuple(each.msg_id for each in counted[-_EVIDENCE:])
                repeated = Repeated(copy.at, copy.msg_id, len(counted), accounts, counted[0].at, evidence)
                for name in sorted(posts) if together else [copy.name]:
                    yield name, repeated

    def _is_new(self, copy: Copy) -> bool:
        early = self._early[copy.name]
        return len(early) < EARLY_DAYS or day_of(copy.at) <= early[EARLY_DAYS - 1]


def crossings_of(track: Track, repeated: Iterable[Repeated], calibrations: Calibrations) -> list[Crossing]:
    """The crossings of the texts that the account repeats, where no graver flag of its own covers them."""
    found: list[Crossing] = []
    opened = [at for rule, at in track.settled.items() if rule in (BURST, CAP, SAME_TEXT)]
    for each in repeated:
        graver = [c.at for c in track.crossings if c.rule in (BURST, CAP) and c.at <= each.at]
        if any(each.at < at + FLAG_LIFE for at in (*opened, *graver)):
            continue
        opened.append(each.at)
        calibration, _ = calibrations.in_force(each.at)
        posts = (track.earlier or 0) + bisect_left(track.posts, (each.at + 1,))
        found.append(
            Crossing(
                SAME_TEXT, each.at, each.msg_id, posts, each.copies, 0, each.begins, 0.0, 0, each.evidence, calibration,
                each.accounts,
            )
        )  # fmt: skip
    return found
