"""How fast one client may ask: a token bucket each. Pure.

The library `limits`, on which the others build, starts a thread for every hundredth of a second in which anybody asks,
and keeps a list of times for each client there ever was within its window; both would sit in the process that consumes.
"""

from collections import OrderedDict
from collections.abc import Callable


class Buckets:
    """A bucket of `burst` tokens for each client, filled by `rate` tokens a second."""

    def __init__(self, rate: float, burst: int, clients: int, clock: Callable[[], float]) -> None:
        """clients: so many are remembered, the latest ones. clock: seconds, never going back."""
        self._rate = rate
        self._burst = burst
        self._clients = clients
        self._clock = clock
        self._full_at: OrderedDict[str, float] = OrderedDict()  # when the client's bucket will be full again

    def take(self, client: str) -> float:
        """Take a token: 0, or the seconds until there will be one, and then none is taken."""
        now = self._clock()
        full_at = max(self._full_at.pop(client, now), now) + 1 / self._rate
        wait = full_at - now - self._burst / self._rate
        self._full_at[client] = full_at - 1 / self._rate if wait > 0 else full_at
        if len(self._full_at) > self._clients:
            self._full_at.popitem(last=False)
        return max(0.0, wait)
