"""How cohorts may be named."""

import re

from state.errors import HomecomingError

#: The algebra has other uses for the other characters.
NAME = re.compile(r"[A-Za-z0-9_-]{1,255}")


def check_name(name: str) -> str:
    """The name itself, where it can be one; HomecomingError otherwise."""
    if not NAME.fullmatch(name):
        raise HomecomingError(f"cohort name: expected letters, digits, _ and -, got {name[:80]!r}")
    if name == "all":
        raise HomecomingError("cohort name: all means everybody: choose another")
    if name.isdigit():
        raise HomecomingError(f"cohort name: {name} means the cohort with that id: begin it with a letter")
    return name
