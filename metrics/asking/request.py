"""One request as people write it: a cohort, a metric, and texts by name."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from metrics.standard.kinds import flag
from metrics.standard.options import described, metric_named, parse
from metrics.standard.parameters import Options
from state.cohorts.algebra import canonical
from state.cohorts.algebra import parse as parse_cohort
from state.errors import HomecomingError

#: What every metric takes beside its own parameters.
EVERYWHERE = ("is_user", "refresh")

#: Characters; names on Fedora's bus are far shorter.
_LONGEST_NAME = 255


@dataclass(frozen=True, slots=True)
class Request:
    """Equal for requests that mean the same, however they were written: `key` is the same text for all of them.

    cohort: an expression, normalised; of one user, the name. refresh is no part of what is asked.
    """

    cohort: str
    is_user: bool
    options: Options = field(compare=False)
    key: str

    @property
    def names_people(self) -> bool:
        """Whether the answer, or the request itself, names somebody."""
        return self.is_user or self.options.aggregator is None


def read_request(cohort: str, metric: str, given: Iterable[tuple[str, str]]) -> tuple[Request, bool]:
    """The request, and whether it wants to be worked out anew.

    given: (name, text) pairs. Raises HomecomingError for what is unknown, malformed, or said twice; it lists what is
    valid.
    """
    asked = metric_named(metric)
    valid = [*(one.name for one in described(asked)), *EVERYWHERE]
    texts: dict[str, str] = {}
    for name, text in given:
        if name not in valid:
            raise HomecomingError(f"{metric} takes no parameter {name[:60]!r}: one of {', '.join(valid)}")
        if name in texts:
            raise HomecomingError(f"{metric}: {name} is given twice: give it once")
        texts[name] = text
    is_user, refresh = (_flag(metric, name, texts.pop(name, "false")) for name in EVERYWHERE)
    options = parse(metric, texts)
    if is_user:
        if not 0 < len(cohort) <= _LONGEST_NAME:
            raise HomecomingError(f"is_user: expected a user's name of 1 to {_LONGEST_NAME} characters")
        return Request(cohort, is_user, options, f"user {cohort} {options.canonical}"), refresh
    expression = canonical(parse_cohort(cohort))
    return Request(expression, is_user, options, f"cohort {expression} {options.canonical}"), refresh


def _flag(metric: str, name: str, text: str) -> bool:
    try:
        return flag(text.strip())
    except ValueError:
        raise HomecomingError(f"{metric}: {name}={text!r:.60} is not true or false") from None
