"""The copies of one text, and where accounts become those who repeat it. Each copy is looked at once, unless late."""

from bisect import bisect_left
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import NamedTuple

from state.spam.calibration import WINDOW
from state.weeks import DAY

#: A text is fresh when nobody posted it in the three days before the last three.
_FRESH, KNOWN_FOR = 3 * DAY, 6 * DAY

#: Copies older than this make no difference to a crossing: it looks at the text's copies of six days, and at whether
#: the copy before it, in the same window, crossed.
REACH = KNOWN_FOR + WINDOW

#: Posts of one text within 24 hours: of one account, and of several together.
OF_ONE, OF_SEVERAL = 4, 8

#: Message ids that a crossing carries as its evidence at most.
_EVIDENCE = 20


class Copy(NamedTuple):
    """One post of a text."""

    at: int
    msg_id: str
    name: str


#: A copy as it is kept: a plain tuple, because one is made of every post, and hardly any is ever looked at again.
Posted = tuple[int, str, str]


class Repeated(NamedTuple):
    """Where an account becomes one of those who repeat a text: `copies` within 24 hours, by `accounts`."""

    at: int
    msg_id: str
    copies: int
    accounts: int
    begins: int
    evidence: tuple[str, ...]


class Repeats:
    """One text. copies: in order, without repetition."""

    __slots__ = (
        "_before",
        "_done",
        "_established",
        "_is_told",
        "_known",
        "_older",
        "_posts",
        "_window",
        "copies",
        "found",
    )

    def __init__(self, copies: Sequence[Posted] = ()) -> None:
        self.copies = list(copies)
        self.found: dict[str, list[Repeated]] = {}  #: account -> its crossings, in order
        self.restart()

    def restart(self) -> None:
        """Something that was looked at is another now."""
        self._before, self.found = self.found, {}
        self._done = 0
        self._window: deque[Posted] = deque()
        self._posts: Counter[str] = Counter()  # of the window, by account
        self._established: int | None = None
        self._older = self._known = 0  # copies[known:older] are those that make the text a known one
        self._is_told = False  # whether the copy before told of everybody in the window

    def put(self, copy: Posted) -> None:
        """Take a copy in that is not there yet."""
        place = bisect_left(self.copies, copy)
        self.copies.insert(place, copy)
        if place < self._done:
            self.restart()

    def go_on(self, is_new: Callable[[Posted], bool], judged: int) -> set[str]:
        """Look at the copies not yet looked at; the accounts whose crossings are others than before.

        judged: event time before which no copy crosses.
        """
        changed: set[str] = set()
        for copy in self.copies[self._done :]:
            for name, repeated in self._take(copy, judged, is_new=is_new(copy)):
                self.found.setdefault(name, []).append(repeated)
                changed.add(name)
        self._done = len(self.copies)
        if before := self._before:
            both = before.keys() | self.found.keys()
            changed = {name for name in both if before.get(name) != self.found.get(name)}
            self._before = {}
        return changed

    def _take(self, copy: Posted, judged: int, *, is_new: bool) -> Iterator[tuple[str, Repeated]]:
        at, _, name = copy
        copies, window, posts = self.copies, self._window, self._posts
        while copies[self._older][0] < at - _FRESH:
            self._older += 1
        while copies[self._known][0] < at - KNOWN_FOR:
            self._known += 1
        was_told, self._is_told = self._is_told, False
        if not is_new:
            self._established = at
            return
        window.append(copy)
        posts[name] += 1
        while window[0][0] <= at - WINDOW:
            gone = window.popleft()[2]
            posts[gone] -= 1
            if not posts[gone]:
                del posts[gone]
        is_quoted = self._established is not None and self._established > at - WINDOW
        if at < judged or self._known < self._older or is_quoted:
            return
        if len(posts) > 1 and len(window) >= OF_SEVERAL:
            self._is_told = True
            repeated = _repeated(copy, window, len(posts))
            # Whoever was told of is not told of again until posting again: each copy of a flood tells of one account.
            for each in [name] if was_told else sorted(posts):
                yield each, repeated
        elif posts[name] >= OF_ONE:
            yield name, _repeated(copy, [each for each in window if each[2] == name] if len(posts) > 1 else window, 1)


def _repeated(copy: Posted, counted: Sequence[Posted], accounts: int) -> Repeated:
    evidence = [msg_id for _, msg_id, _ in islice(reversed(counted), _EVIDENCE)]
    return Repeated(copy[0], copy[1], len(counted), accounts, counted[0][0], tuple(reversed(evidence)))
