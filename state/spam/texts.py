"""One text from new accounts again and again: of one account, or spread over several.

Texts are known by a hash alone. A text that established people post too, in the same 24 hours, or that was about in
the days before, is a template or a saying and no campaign. A function of the set of posts and of the accounts'
earliest active days.
"""

from bisect import bisect_left
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

#: So many accounts of whom no text is kept any more are borne with before they are looked for.
_NAMES_SPARED = 1_000

#: Message ids that a crossing carries as its evidence at most.
_EVIDENCE = 20


class Copy(NamedTuple):
    """One post of a text."""

    at: int
    msg_id: str
    name: str


#: A copy as it is kept: a plain tuple, because one is made of every post, and hardly any is ever looked at again.
Posted = tuple[int, str, str]


#: A day without texts.
_NONE: Mapping[str, list[Posted]] = {}


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
        #: Day -> text -> its copies of that day, in order: nearly all texts are posted once, and forgotten by the day.
        self._days: dict[int, dict[str, list[Posted]]] = {}
        # The day of the post before, as most are of the same one: its event times, its texts and those around it.
        self._begins = self._ends = 0
        self._today: dict[str, list[Posted]] = {}
        self._eve = self._morrow = _NONE
        self.size = 0
        #: Everybody who posted one of them -> their earliest active days.
        self.early_days: dict[str, tuple[int, ...]] = {}
        self._names_at_most = _NAMES_SPARED
        self._found: dict[str, dict[str, list[Repeated]]] = {}  # text -> account -> its crossings
        #: Event time at which the log begins; before it has some history no text is known to be fresh.
        self.begins: int | None = None

    @classmethod
    def of_all(cls, copies: Iterable[tuple[str, Copy]], users: Mapping[str, UserState], begins: int | None) -> "Texts":
        """What all of these posts, given in order, come to."""
        made = cls()
        made.begins = begins
        made.early_days = {name: state.early_days for name, state in users.items()}
        by_text: dict[str, list[Copy]] = defaultdict(list)
        for text, copy in copies:
            by_text[text].append(copy)
        for text, posted in by_text.items():
            made._evaluate(text, posted)
        return made

    def begin(self, at: int) -> None:
        """The log begins at that event time, or earlier."""
        if self.begins is None or at < self.begins:
            self.begins = at

    def add(self, text: str, copy: Posted, user: UserState) -> Collection[str]:
        """Somebody of whom `know` has heard posts the text; the accounts whose crossings may have changed."""
        at, _, name = copy
        if not self._begins <= at < self._ends:
            self._turn_to(day_of(at))
        if name not in self.early_days:
            self.early_days[name] = user.early_days
        copies = self._today.get(text)
        if copies is None:
            self._today[text] = [copy]
            if text not in self._eve and text not in self._morrow and text not in self._found:
                self.size += 1
                return ()  # most of the time: in no 24 hours of which this post is a part is there another
        elif copy > copies[-1]:
            copies.append(copy)
        else:
            place = bisect_left(copies, copy)
            if copies[place] == copy:
                return ()
            copies.insert(place, copy)
        self.size += 1
        about = sum(len(texts.get(text, ())) for texts in (self._eve, self._today, self._morrow))
        return self._evaluate(text, self._copies(text)) if about >= OF_ONE or text in self._found else ()

    def _turn_to(self, day: int) -> None:
        """The next posts are of that day."""
        self._today = self._days.setdefault(day, {})
        self._eve, self._morrow = self._days.get(day - 1, _NONE), self._days.get(day + 1, _NONE)
        self._begins, self._ends = day * DAY, (day + 1) * DAY

    def _copies(self, text: str) -> list[Copy]:
        return [Copy(*copy) for day in sorted(self._days) for copy in self._days[day].get(text, ())]

    def know(self, name: str, user: UserState) -> Collection[str]:
        """An account's earliest active days may have changed; the accounts whose crossings may have, too."""
        known = self.early_days.get(name)
        if known is None or known == user.early_days:
            return ()
        self.early_days[name] = user.early_days
        if known == user.early_days[: len(known)]:
            return ()  # later days alone: what was a new account then still was one
        changed: set[str] = set()
        for text in list(self._found):  # an older account makes fewer crossings, so none where there are none
            copies = self._copies(text)
            if any(copy.name == name for copy in copies):
                changed.update(self._evaluate(text, copies))
        return changed

    def of(self, name: str) -> list[Repeated]:
        """Every crossing of the account, in order."""
        return sorted(repeated for found in self._found.values() for repeated in found.get(name, ()))

    def drop_before(self, at: int, kept: int) -> int:
        """Forget the days before, and texts seen longest ago while more than `kept` posts remain; how many of these."""
        size, evicted = self.size, 0
        for day in sorted(self._days):
            if day < day_of(at):
                self.size -= sum(map(len, self._days.pop(day).values()))
            elif self.size > kept:
                evicted += self._evict(self._days[day], self.size - kept)
        if self.size < size:
            self._begins = self._ends = 0
            for text in [text for text in self._found if not self._copies(text)]:
                del self._found[text]
        if len(self.early_days) > self._names_at_most:
            names = {name for texts in self._days.values() for copies in texts.values() for _, _, name in copies}
            self.early_days = {name: self.early_days[name] for name in names}
            self._names_at_most = 2 * len(names) + _NAMES_SPARED
        return evicted

    def _evict(self, texts: dict[str, list[Posted]], least: int) -> int:
        """Forget so many posts at least, where there are as many; how many they were."""
        evicted = 0
        for text in list(texts):
            if evicted >= least:
                break
            evicted += len(texts.pop(text))
        self.size -= evicted
        return evicted

    def _evaluate(self, text: str, copies: list[Copy]) -> Collection[str]:
        """The accounts that cross with this text, now or when it was evaluated last."""
        before = self._found.pop(text, {})
        found: dict[str, list[Repeated]] = defaultdict(list)
        for name, repeated in self._repeated(copies):
            found[name].append(repeated)
        if found:
            self._found[text] = found
        return before.keys() | found.keys()

    def _repeated(self, copies: list[Copy]) -> Iterator[tuple[str, Repeated]]:
        window: deque[Copy] = deque()
        posts: Counter[str] = Counter()  # of the window, by account
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
                gone = window.popleft().name
                posts[gone] -= 1
                if not posts[gone]:
                    del posts[gone]
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
        early = self.early_days[copy.name]
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
