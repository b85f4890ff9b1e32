"""What the names of a wave of accounts may have in common."""

import re
from collections.abc import Iterator

_TRAILING_DIGITS = re.compile(r"\d+$")
_CONSONANTS = re.compile(r"[bcdfghjklmnpqrstvwxz]{5}")
_RUNS = re.compile(r"[^\W\d_]+|\d+|[\W_]+")

#: A beginning or an ending that is shared has so many characters at least.
_SHARED = 6


def patterns(name: str) -> Iterator[str]:
    """What others may share with this name; one name has each pattern once.

    `stem#`: the name and digits at its end. `abcdef*`, `*uvwxyz`: its beginning, its ending. `a8d4`: eight
    letters and four digits. `consonants`: five or more in a row.
    """
    name = name.casefold()
    stem = _TRAILING_DIGITS.sub("", name)
    if stem != name:
        if len(stem) >= 3:
            yield f"{stem}#"
        yield "".join(f"{_class(run)}{len(run)}" for run in _RUNS.findall(name))
    if len(stem) > _SHARED:
        yield f"{stem[:_SHARED]}*"
        yield f"*{stem[-_SHARED:]}"
    if _CONSONANTS.search(stem):
        yield "consonants"


def _class(run: str) -> str:
    if run[0].isdigit():
        return "d"
    return "a" if run[0].isalpha() else "-"
