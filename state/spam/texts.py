"""One text from new accounts again and again: of one account, or spread over several.

Texts are known by a hash alone. A text that established people post too, in the same 24 hours, or that was about in
the days before, is a template or a saying and no campaign. A function of the set of posts and of the accounts'
earliest active days.
"""

from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping
from itertools import chain

from state.fold import EARLY_DAYS, UserState
from state.spam.calibration import Calibrations
from state.spam.repeats import KNOWN_FOR, OF_ONE, OF_SEVERAL, REACH, Copy, Posted, Repeated, Repeats
from state.spam.track import BURST, CAP, FLAG_LIFE, SAME_TEXT, Crossing, Track
from state.weeks import DAY, day_of, week_end, week_of

__all__ = ["OF_ONE", "OF_SEVERAL", "REACH", "Copy", "Repeated", "Texts", "crossings_of"]

#: So many accounts of whom no text is kept any more are borne with before they are looked for.
_NAMES_SPARED = 1_000


class Texts:
    """Who posted which text within the horizon."""

    def __init__(self) -> None:
        #: Text -> the copy that came first: nearly all texts are posted once.
        self._first: dict[str, Posted] = {}
        self._copies: dict[str, list[Posted]] = {}  #: text -> all its copies, in order, where there were more
        #: Day -> the texts that came until then, once for each copy: they are forgotten by the day.
        self._days: dict[int, list[str]] = defaultdict(list)
        self.size = 0
        #: Everybody who posted one of them -> their earliest active days.
        self.early_days: dict[str, tuple[int, ...]] = {}
        self._names_at_most = _NAMES_SPARED
        self._repeats: dict[str, Repeats] = {}  # text -> its copies, of those that may cross
        self._texts_of: dict[str, set[str]] = defaultdict(set)  # account -> those of them that it posted
        self._touched: set[str] = set()  # those of them that are to be looked at
        #: Event time at which the log begins; before it has some history no text is known to be fresh.
        self.begins: int | None = None

    @classmethod
    def of_all(cls, copies: Iterable[tuple[str, Copy]], users: Mapping[str, UserState], begins: int | None) -> "Texts":
        """What all of these posts, given in order, come to."""
        made = cls()
        made.begins = begins
        made.early_days = {name: state.early_days for name, state in users.items()}
        by_text: dict[str, list[Posted]] = defaultdict(list)
        for text, copy in copies:
            by_text[text].append(copy)
        for text, posted in by_text.items():
            made._repeat(text, posted)
        made.changed()
        return made

    def begin(self, at: int) -> None:
        """The log begins at that event time, or earlier."""
        if self.begins is None or at < self.begins:
            judged = self._judged()
            self.begins = at
            if self._judged() != judged:
                self._look_again(self._repeats)

    def add(self, posts: Collection[tuple[str, Posted]], users: Mapping[str, UserState], newest: int) -> None:
        """These texts were posted, by people of whom `know` has heard; no copy is after the event time `newest`."""
        came = dict(posts)
        repeated = self._first.keys() & came.keys()
        if len(came) < len(posts):
            repeated |= {text for text, times in Counter(text for text, _ in posts).items() if times > 1}
        # Nearly all texts are new, and taken in together: what is done for each of them, all posts pay for.
        if repeated:
            came = {text: copy for text, copy in came.items() if text not in repeated}
        today = self._days[day_of(newest)]
        self._first.update(came)
        today.extend(came)
        self.size += len(came)
        for name in {name for _, (_, _, name) in posts}:
            if name not in self.early_days:
                self.early_days[name] = users[name].early_days
        if repeated:
            today.extend(text for text, copy in posts if text in repeated and self._again(text, copy))

    def _again(self, text: str, copy: Posted) -> bool:
        """A text comes more than once; whether this copy is a new one."""
        copies = self._copies.get(text)
        if copies is None:
            copies = self._copies[text] = [self._first[text]] if text in self._first else []
        place = bisect_left(copies, copy)
        if copies[place : place + 1] == [copy]:
            return False
        copies.insert(place, copy)
        self._first[text] = copies[0]
        self.size += 1
        if repeats := self._repeats.get(text):
            repeats.put(copy)
            self._texts_of[copy[2]].add(text)
            self._touched.add(text)
        elif len(copies) >= OF_ONE:
            self._repeat(text, copies)
        return True

    def _repeat(self, text: str, copies: list[Posted]) -> None:
        """From now on the text may cross."""
        self._repeats[text] = Repeats(copies)
        self._touched.add(text)
        for _, _, name in copies:
            self._texts_of[name].add(text)

    def know(self, name: str, user: UserState) -> None:
        """An account's earliest active days may have changed."""
        known = self.early_days.get(name)
        if known is None or known == user.early_days:
            return
        self.early_days[name] = user.early_days
        if known != user.early_days[: len(known)]:  # with later days alone, what was a new account then still was one
            self._look_again(self._texts_of.get(name, ()))

    def _look_again(self, texts: Iterable[str]) -> None:
        for text in texts:
            self._repeats[text].restart()
            self._touched.add(text)

    def changed(self) -> Collection[str]:
        """The accounts whose crossings are others than when this was asked last."""
        changed: set[str] = set()
        judged = self._judged()
        for text in self._touched:
            changed |= self._repeats[text].go_on(self._is_new, judged)
        self._touched.clear()
        return changed

    def of(self, name: str) -> list[Repeated]:
        """Every crossing of the account, in order, as `changed` found it."""
        texts = self._texts_of.get(name)
        if not texts:
            return []  # most people
        return sorted(repeated for text in texts for repeated in self._repeats[text].found.get(name, ()))

    def drop_before(self, at: int, kept: int) -> int:
        """Forget the days before, and texts seen longest ago while more than `kept` posts remain; how many of these."""
        for day in sorted(self._days):
            if day < day_of(at):
                self._forget(self._days.pop(day), day)
        size = self.size
        for day in sorted(self._days):
            least = self.size - kept
            if least <= 0:
                break
            self._forget(self._days[day][:least], day)
            del self._days[day][:least]
        if len(self.early_days) > self._names_at_most:
            names = {name for _, _, name in chain(self._first.values(), *self._copies.values())}
            for name in self.early_days.keys() - names:
                del self.early_days[name]
            self._names_at_most = 2 * len(names) + _NAMES_SPARED
        return size - self.size

    def _forget(self, texts: Iterable[str], day: int) -> None:
        """Forget the copies of these texts that are of that day, or of one before."""
        first, copies, ends = self._first, self._copies, (day + 1) * DAY
        cut: set[str] = set()  # texts that may cross
        for text in texts:
            if text in copies:
                of_all = copies[text]
                gone = bisect_left(of_all, (ends,))
                self.size -= gone
                del of_all[:gone]
                if of_all:
                    first[text] = of_all[0]
                else:
                    del first[text], copies[text]
                if gone and text in self._repeats:
                    cut.add(text)
            elif text in first and first[text][0] < ends:
                del first[text]
                self.size -= 1
        for text in cut:
            self._repeat_the_rest(text)

    def _repeat_the_rest(self, text: str) -> None:
        """Some copies of the text are no longer kept."""
        for name in {name for _, _, name in self._repeats.pop(text).copies}:
            self._texts_of[name].discard(text)
            if not self._texts_of[name]:
                del self._texts_of[name]
        self._touched.discard(text)
        if copies := self._copies.get(text):
            self._repeat(text, copies)

    def _judged(self) -> int:
        """Event time from which on there is enough history to know which texts are fresh."""
        return week_end(week_of(self.begins or 0)) + KNOWN_FOR

    def _is_new(self, copy: Posted) -> bool:
        early = self.early_days[copy[2]]
        return len(early) < EARLY_DAYS or day_of(copy[0]) <= early[EARLY_DAYS - 1]


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
