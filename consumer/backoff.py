"""How long to wait before trying again, and beginning again as a new program."""

import os
import sys
from collections.abc import Iterator
from typing import NoReturn

#: Seconds. A full disk is mended by a person: asking once a minute loses nothing and fills no log.
LONGEST_DELAY_S = 60.0


def delays() -> Iterator[float]:
    """Seconds to wait before each further attempt: 1, 2, 4, ... 60, 60, without end."""
    delay = 1.0
    while True:
        yield delay
        delay = min(2 * delay, LONGEST_DELAY_S)


def begin_again() -> NoReturn:
    """Run the command of this process anew, in its place."""
    os.execv(sys.executable, sys.orig_argv)  # noqa: S606 - the very command that runs
