"""What a reader of /programmes asked to see, and the addresses of what else there is."""

from typing import Annotated
from urllib.parse import urlencode

from pydantic import Field

from metrics.api.asked import Asked
from metrics.page.view import Choice, Choices
from metrics.programmes.campaigns import BY, By
from metrics.programmes.spans import month_name, month_of
from state.cells import ALLOWED_LATENESS

#: Quarters that a reader can switch between.
_QUARTERS = 4

_ROWS: dict[By, str] = {
    "campaign": "a row each campaign",
    "year": "a row each year in which campaigns began",
    "service": "a row each service where participants contributed",
    "country": "a row each country of the campaigns",
}


class ProgrammesAsked(Asked):
    """event: the one that is shown by group and service. by: a row each of the campaigns. cohort: of the funnel."""

    event: Annotated[str, Field(max_length=255)] | None = None
    by: By = "campaign"
    cohort: Annotated[str, Field(min_length=1, max_length=2_000)] | None = None

    def href(self, section: str, **changes: str | None) -> str:
        """The address of the same page with these changes, the shortest there is, at that section."""
        view = self.model_copy(update=changes)
        texts = {name: value for name, value in view.model_dump(exclude_defaults=True).items() if value is not None}
        return f"?{urlencode(texts)}#{section}"

    def rows(self) -> Choices:
        """The switch of the campaigns."""
        return Choices("By", tuple(Choice(by, self.href("campaigns", by=by), _ROWS[by], by == self.by) for by in BY))

    def quarters(self, as_of: int) -> Choices:
        """The switch of the funnel; the latest quarter is the one that is shown unless somebody asks."""
        found: list[Choice] = []
        for quarter in last_quarters(as_of, _QUARTERS):
            cohort, is_usual = quarter_cohort(quarter), not found
            href = self.href("funnel", cohort=None if is_usual else cohort)
            title = f"whoever signed up from {month_name(quarter)} to {month_name(quarter + 2)}"
            is_taken = self.cohort == cohort or (self.cohort is None and is_usual)
            found.append(Choice(quarter_name(quarter), href, title, is_taken))
        return Choices("Signed up in", tuple(reversed(found)))


def last_quarters(as_of: int, count: int = 1) -> list[int]:
    """First months of the latest quarters that are final at the watermark `as_of`, the latest first."""
    month = month_of(as_of - ALLOWED_LATENESS)
    return [month - month % 3 - 3 * n for n in range(1, count + 1)]


def quarter_cohort(month: int) -> str:
    """Whoever signed up in the quarter that begins with the month, as an expression."""
    return "~".join(f"month:{month_name(month + n)}" for n in range(3))


def quarter_name(month: int) -> str:
    """`2024 Q2`."""
    return f"{month // 12} Q{month % 12 // 3 + 1}"
