"""What a request asks for: parameters that are checked and told, and the format of the answer."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from fastapi import Query, Request
from pydantic import BaseModel, ConfigDict, Field, model_validator
from starlette.responses import Response

from metrics.responses import revalidated

Format = Literal["json", "csv"]
Population = Literal["all", "engaged", "clean", "engaged_clean"]

#: Ten years of weeks: more than any table has, and still soon computed.
MOST_WEEKS = 520

Weeks = Annotated[int, Field(ge=1, le=MOST_WEEKS)]

CSV = "text/csv"


class Asked(BaseModel):
    """Parameters of a request; one that is not among them is an error that lists those that are."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    @model_validator(mode="before")
    @classmethod
    def _known(cls, given: dict[str, Any]) -> dict[str, Any]:
        for name in sorted(given.keys() - cls.model_fields.keys()):
            valid = f"one of {', '.join(cls.model_fields)}" if cls.model_fields else "there is none"
            raise ValueError(f"no parameter {name!r:.60}: {valid}")
        return given


class NothingAsked(Asked):
    """For routes without parameters."""


Nothing = Annotated[NothingAsked, Query()]


class Formatted(Asked):
    """For answers that there are as a table too."""

    format: Annotated[Format | None, Field(description="Wins over the header Accept; JSON without either.")] = None

    def csv(self, request: Request) -> bool:
        """Whether the answer is to be CSV."""
        return self.format == "csv" or (self.format is None and _prefers_csv(request))


#: What an answer depends on that there is in two formats.
VARY = {"Vary": "Accept"}


def table(request: Request, content: str, name: str, vary: Mapping[str, str] = VARY) -> Response:
    """The CSV text, which a browser saves as a file of this name."""
    return revalidated(request, content, CSV, {"Content-Disposition": f'inline; filename="{name}.csv"', **vary})


def _prefers_csv(request: Request) -> bool:
    """The first of the two that Accept names; weights are left aside, as nobody weighs these two."""
    for part in request.headers.get("Accept", "").lower().split(","):
        kind = part.partition(";")[0].strip()
        if kind in {CSV, "application/json", "application/*", "*/*"}:
            return kind == CSV
    return False
