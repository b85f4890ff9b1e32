"""What every route needs to know of the process that serves it."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from metrics.hotpath import HotPath


@dataclass(frozen=True, slots=True)
class Context:
    """One state and who may see what of it."""

    directory: Path
    token: str | None  #: the operator's; without one, whatever names people is off
    min_cohort: int  #: users below which a cohort is hidden from the public
    clock: Callable[[], int]  #: processing time, microseconds since 1970 UTC
    hot_path: HotPath | None = None  #: of the stream that this process listens to, if it does
