"""Waves of sign-ups: more than the hour expects, names of one pattern, newcomers who all begin with a new thread.

A rate alone cannot tell a hackfest from an attack, so it informs; a second key makes a wave critical. Everything is a
function of the set of sign-ups and of the newcomers' first posts: the order of arrival makes no difference.
"""

from bisect import bisect_left
from collections.abc import Iterable

from state.spam.calibration import Calibrations
from state.spam.scan import HISTORY, Scan
from state.spam.wave import MEMBERS_KEPT, QUIET, Entry, Wave

__all__ = ["HISTORY", "MEMBERS_KEPT", "QUIET", "Entry", "SignUps", "Wave"]


class SignUps:
    """Sign-ups and first posts of the past weeks, and the waves among them."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []
        self._first_posts: dict[str, Entry] = {}
        self._signed_up: dict[str, Entry] = {}
        self._scan = Scan()
        self._done = 0  # entries that the scan has seen

    @property
    def waves(self) -> list[Wave]:
        """Those found among the entries that were looked at."""
        return self._scan.waves.found

    def sign_up(self, at: int, msg_id: str, name: str) -> None:
        """Somebody's account was created; of several creations the earliest counts."""
        self._put(self._signed_up, Entry(at, msg_id, name))

    def post(self, at: int, msg_id: str, name: str, kind: int) -> None:
        """Somebody posted: it counts if it is the first post of somebody who signed up not long ago."""
        signed_up = self._signed_up.get(name)
        if signed_up is None or not signed_up.at <= at <= signed_up.at + HISTORY:
            return
        first = self._first_posts.get(name)
        if first is None or (at, msg_id) < first[:2]:  # rarely
            self._put(self._first_posts, Entry(at, msg_id, name, kind))

    def load(self, rows: Iterable[tuple[int, str, str, int | None]]) -> None:
        """Sign-ups and first posts as (event time, message id, name, weight class or None), once each and in order."""
        for at, msg_id, name, kind in rows:
            if kind is None:
                self.sign_up(at, msg_id, name)
            else:
                self.post(at, msg_id, name, kind)

    def _put(self, earliest: dict[str, Entry], entry: Entry) -> None:
        entries = self.entries
        known = earliest.get(entry.name)
        if known is not None:
            if (known.at, known.msg_id) <= (entry.at, entry.msg_id):
                return
            place = bisect_left(entries, known)
            self._take_back(place)
            del entries[place]
        earliest[entry.name] = entry
        if entries and entry < entries[-1]:
            place = bisect_left(entries, entry)
            if place < self._done and self._scan.takes_in(entry):
                self._done += 1
            else:
                self._take_back(place)
            entries.insert(place, entry)
        else:
            entries.append(entry)

    def _take_back(self, place: int) -> None:
        """The entries from that place on are about to be others."""
        if place < self._done:
            self._scan.take_back(self.entries[place])
            self._done = place

    def drop_before(self, at: int) -> int:
        """Forget what is older, once it is a good part of everything; how many sign-ups there were."""
        first = bisect_left(self.entries, (at,))
        if first <= len(self.entries) // 4:
            return 0  # to move the rest costs more than to keep a few
        for entry in self.entries[:first]:
            del (self._signed_up if entry.kind is None else self._first_posts)[entry.name]
        signups = sum(entry.kind is None for entry in self.entries[:first])
        del self.entries[:first]
        self._done -= first
        if self._done < 0 or not self._scan.forget(at):
            self._scan, self._done = Scan(), 0
        return signups

    def evaluate(self, calibrations: Calibrations, *, once: bool = False) -> bool:
        """Go on through the entries not yet looked at, once more from where one came late; whether there were any.

        once: nothing will come late, and how to go back is not kept.
        """
        waiting = self.entries[self._done :]
        self._scan.go_on(waiting, calibrations)
        self._done = len(self.entries)
        if once:
            self._scan.waves.settle()
        return bool(waiting)
