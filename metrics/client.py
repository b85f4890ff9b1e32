"""A small client of the UserMetrics-compatible API: `Client("http://127.0.0.1:8000").metric("threshold", "all")`.

Of the product it needs nothing but this file.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote

import requests

#: Seconds for one request; one that takes longer is answered with its job before that.
_TIMEOUT_S = 60.0


class MetricError(Exception):
    """The server's answer, where it is none: its one line, and the HTTP status."""

    def __init__(self, status: int, said: str) -> None:
        super().__init__(said)
        self.status = status


@dataclass(frozen=True, slots=True)
class MetricAnswer:
    """An answer. data: {user: [values]} of raw ones, [values] of an aggregator ([[values]] where it has a row a group),
    {slice's start: any of these} of a time series. -1 is undefined. response: all of it, as the server gave it.
    """

    metric: str
    cohort: str
    type: str
    header: tuple[str, ...]
    data: Any
    as_of: str | None  #: event time, ISO 8601; None for an empty state
    is_exact: bool
    status: str
    response: Mapping[str, Any]


class Client:
    """One server; token: the operator's, for raw values and single users. Raises MetricError for every refusal."""

    def __init__(self, url: str, token: str | None = None, session: requests.Session | None = None) -> None:
        self._url = url.rstrip("/")
        self._session = session or requests.Session()
        self._headers = {} if token is None else {"Authorization": f"Bearer {token}"}

    def metric(
        self,
        metric: str,
        cohort: str,
        *,
        is_user: bool = False,
        refresh: bool = False,
        patience_s: float = 600.0,
        **options: str | float | bool,
    ) -> MetricAnswer:
        """The metric over the cohort, such as `metric("edits", "month:2024-06", aggregator="sum", t=48)`.

        Waits for a job up to patience_s seconds of wall time, and raises TimeoutError after that.
        """
        flags = {"is_user": is_user, "refresh": refresh}
        asked = {name: _text(value) for name, value in options.items()}
        asked |= {name: "true" for name, value in flags.items() if value}
        status, found = self._get(f"/cohorts/{quote(cohort, safe='')}/{quote(metric, safe='')}", asked)
        until, pause = time.monotonic() + patience_s, 0.1
        while status == requests.codes.accepted:
            if time.monotonic() > until:
                raise TimeoutError(f"{found['url']} is still {found['status']}")
            time.sleep(pause)
            pause = min(2 * pause, 5.0)
            status, found = self._get(f"/jobs/{found['id']}/answer", {})
        return MetricAnswer(
            metric=found["metric"],
            cohort=found["cohort"],
            type=found["type"],
            header=tuple(found["header"]),
            data=found["data"],
            as_of=None if found["as_of"] == -1 else found["as_of"],
            is_exact=found["exact"],
            status=found["status"],
            response=found,
        )

    def metrics(self) -> list[dict[str, Any]]:
        """Every metric with its parameters, aggregators, and what feeds it."""
        return list(self._get("/api/metrics", {})[1]["metrics"])

    def all_requests(self) -> list[dict[str, Any]]:
        """What was asked of this server, the latest first."""
        return list(self._get("/all_requests", {})[1]["requests"])

    def close(self) -> None:
        """Let go of the connections."""
        self._session.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def _get(self, path: str, asked: Mapping[str, str]) -> tuple[int, Any]:
        answer = self._session.get(self._url + path, params=asked, headers=self._headers, timeout=_TIMEOUT_S)
        try:
            found = answer.json()
        except requests.JSONDecodeError:
            raise MetricError(answer.status_code, f"{self._url + path} answered no JSON") from None
        if not answer.ok:
            raise MetricError(answer.status_code, found.get("error", answer.reason))
        return answer.status_code, found


def _text(value: str | float | bool) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
