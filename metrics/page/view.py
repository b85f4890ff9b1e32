"""What a reader asked to see, out of the page's address, and the addresses of what else there is."""

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple
from urllib.parse import urlencode

from starlette.datastructures import QueryParams
from starlette.exceptions import HTTPException

from state.rules import POPULATIONS

#: Fewest and most columns that the triangle can have; W0 is one.
FEWEST, MOST = 4, 52

#: A quarter: what is shown unless somebody asks for another.
USUAL = 13

_WEEKS = (4, 8, USUAL, 26, MOST)
_VIEWS = ("single", "beside")

#: population -> the same one without spam
CLEAN = {"all": "clean", "engaged": "engaged_clean"}
_WITH_SPAM = {clean: spam for spam, clean in CLEAN.items()}

MEANINGS = {
    "all": "every account",
    "engaged": "accounts that did more than sign up",
    "clean": "accounts without a standing spam flag",
    "engaged_clean": "accounts that did more than sign up, without a standing spam flag",
}


class Choice(NamedTuple):
    """One of several links; is_taken: the one that is shown now."""

    label: str
    href: str
    title: str
    is_taken: bool


class Choices(NamedTuple):
    """Links of which one holds."""

    name: str
    choices: tuple[Choice, ...]


class View(NamedTuple):
    """A population by so many offsets; beside: with and without spam, side by side."""

    population: str = "all"
    weeks: int = USUAL
    beside: bool = False

    @property
    def populations(self) -> tuple[str, ...]:
        """What is shown, from left to right."""
        return (self.with_spam, CLEAN[self.with_spam]) if self.beside else (self.population,)

    @property
    def with_spam(self) -> str:
        """The population shown, as it is with spam."""
        return _WITH_SPAM.get(self.population, self.population)

    @property
    def href(self) -> str:
        """Its address, the shortest there is."""
        asked: dict[str, object] = {"population": self.population}
        if self.weeks != USUAL:
            asked["weeks"] = self.weeks
        if self.beside:
            asked["view"] = "beside"
        return f"?{urlencode(asked)}"

    def choices(self) -> Iterator[Choices]:
        """Everything a reader can switch."""
        people, clean = self.with_spam, CLEAN[self.with_spam]
        is_clean = self.population == clean
        yield self._of(
            "Accounts",
            (
                (label, self._replace(population=CLEAN[name] if is_clean else name), MEANINGS[name])
                for name, label in (("all", "everybody"), ("engaged", "engaged"))
            ),
        )
        yield self._of(
            "Spam",
            (
                ("with", self._replace(population=people, beside=False), MEANINGS[people]),
                ("without", self._replace(population=clean, beside=False), MEANINGS[clean]),
                ("side by side", self._replace(population=people, beside=True), "with and without spam, side by side"),
            ),
        )
        offered = sorted({*_WEEKS, self.weeks})
        yield self._of("Weeks", ((str(n), self._replace(weeks=n), f"the first {n} weeks") for n in offered))

    def _of(self, name: str, offered: Iterable[tuple[str, "View", str]]) -> Choices:
        return Choices(name, tuple(Choice(label, view.href, title, view == self) for label, view, title in offered))


def view_of(asked: QueryParams) -> View:
    """The view that the parameters ask for; HTTPException 422 with the valid ones for one that there is not."""
    population = _one_of("population", asked.get("population", "all"), POPULATIONS)
    beside = _one_of("view", asked.get("view", "single"), _VIEWS) == "beside"
    weeks = asked.get("weeks", str(USUAL))
    # Longer digits are no number of weeks, and Python refuses to read the longest.
    if not (weeks.isascii() and weeks.isdecimal() and len(weeks) < 4 and FEWEST <= int(weeks) <= MOST):
        raise HTTPException(422, f"weeks: expected {FEWEST} to {MOST}, got {weeks!r:.60}")
    view = View(population, int(weeks), beside)
    return view._replace(population=view.with_spam) if beside else view


def _one_of(name: str, value: str, valid: Sequence[str]) -> str:
    if value not in valid:
        raise HTTPException(422, f"no {name} {value!r:.60}: one of {', '.join(valid)}")
    return value
