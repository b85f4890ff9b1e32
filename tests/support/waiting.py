"""Waiting for what another process does."""

import time
from collections.abc import Callable
from typing import TypeVar

from tests.support.program import PATIENCE_S

_T = TypeVar("_T")


def until(condition: Callable[[], _T | None], what: Callable[[], str], pause_s: float = 0.05) -> _T:
    """What the condition gives, once that is true; fails with `what` where patience ends."""
    give_up = time.monotonic() + PATIENCE_S
    while not (found := condition()):
        assert time.monotonic() < give_up, what()
        time.sleep(pause_s)
    return found
