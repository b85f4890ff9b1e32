"""Whatever is asked within and beyond the OpenAPI: an answer of the shape it promises, and no name for the public."""

from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any, cast

import pytest
import schemathesis
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry
from schemathesis import GenerationMode
from schemathesis.specs.openapi.checks import positive_data_acceptance

from metrics.web import make_app
from tests.support.served import BEARER, TOKEN, TRACES, Client, people, served

SCHEMA = schemathesis.openapi.from_dict(make_app(Path("nowhere"), CollectorRegistry(), lambda: None).openapi())
# So long an address that the limits refuse it before anybody looks at the parameters is refused well.
rejection = SCHEMA.config.checks.negative_data_rejection
rejection.expected_statuses = [*rejection.expected_statuses, "414"]
OPERATIONS: list[Any] = [cast("Any", found).ok() for found in SCHEMA.get_all_operations()]

#: Routes whose parameters name what a state holds or a community defines, or say a time in words of their own: no
#: schema tells which values there are, so that one which it allows may be refused all the same.
_NAMING = {
    "/api/events",
    "/api/campaigns",
    "/api/discussions",
    "/api/funnel",
    "/api/cohorts/{name}",
    "/cohorts/{expression}/{metric}",
}

#: A client of its own for each request: the limit on their rate is no part of this.
_CLIENTS = count()

every_operation = pytest.mark.parametrize("operation", OPERATIONS, ids=lambda one: f"{one.method} {one.path}")


@pytest.fixture(scope="module", params=[TOKEN, None], ids=["token", "no token"])
def client(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    directory = people(tmp_path_factory.mktemp("schema") / "state")
    with served(directory, request.param) as client:
        assert not client.get("/api/flags", Authorization=BEARER).ok or request.param
        yield client


def _asked(operation: Any) -> st.SearchStrategy[Any]:
    """Requests that the OpenAPI allows, and such as it does not."""
    return st.one_of(*(operation.as_strategy(generation_mode=mode) for mode in GenerationMode))


def _unknowable(operation: Any) -> list[Any]:
    return [positive_data_acceptance] if operation.path in _NAMING else []


def _headers(**more: str) -> dict[str, str]:
    number = next(_CLIENTS)
    return {"X-Forwarded-For": f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}", **more}


@every_operation
def test_the_public_gets_what_is_promised_and_no_name(operation: Any, client: Client) -> None:
    @given(_asked(operation))
    @settings(max_examples=25)
    def check(case: Any) -> None:
        response = case.call(base_url=client.url, session=client.session, headers=_headers())
        case.validate_response(response, excluded_checks=_unknowable(operation))
        assert not [trace for trace in TRACES if trace in response.text]

    check()


@every_operation
def test_the_operator_gets_what_is_promised(operation: Any, client: Client) -> None:
    @given(_asked(operation))
    @settings(max_examples=25)
    def check(case: Any) -> None:
        headers = _headers(Authorization=BEARER)
        response = case.call(base_url=client.url, session=client.session, headers=headers)
        case.validate_response(response, headers=headers, excluded_checks=_unknowable(operation))

    check()


def test_the_names_are_there_to_be_leaked(client: Client) -> None:
    answer = client.get("/api/flags", Authorization=BEARER, X_Forwarded_For="10.255.0.1")
    if answer.ok:
        flagged = " ".join(flag["user"] or "" for flag in answer.json())
        assert not [trace for trace in TRACES if trace not in flagged]
