"""/api/cohorts/{name}: a list of users that the operator brings, kept as a cohort."""

from collections.abc import Callable
from contextlib import closing
from functools import partial
from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi import Path as Named
from pydantic import Field
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response

from metrics.api.errors import refusals
from metrics.api.models import Shape
from metrics.bodies import body
from metrics.cohorts import LISTED, report_object
from metrics.context import Context
from metrics.operator import admit
from metrics.responses import NO_STORE
from metrics.snapshot import snapshot
from state.cohorts.definitions import NO_DEFINITIONS, Definitions
from state.cohorts.kept import Added, ExistsError, add_cohort
from state.cohorts.upload import LARGEST_UPLOAD
from state.errors import HomecomingError, StateBusyError, StateError
from state.store import open_store

#: How long an upload waits for another process's writing step; a client would not wait for a rebuild.
_BUSY_TIMEOUT_MS = 5_000


class Invalid(Shape):
    line: int
    text: str
    reason: str


class Uploaded(Shape):
    """What became of the lines of an upload."""

    cohort: str
    id: int
    valid: Annotated[int, Field(description="Members: distinct pairs of user and project.")]
    duplicates: int
    unknown: Annotated[int, Field(description="Users who have not been seen here, and were left out.")]
    unknown_users: Annotated[list[str], Field(description=f"The first {LISTED:,} of them.")]
    invalid: Annotated[int, Field(description="Lines that are no row, or name a project that there is not.")]
    invalid_rows: Annotated[list[Invalid], Field(description=f"The first {LISTED:,} of them.")]


def upload_routes(context: Context, definitions: Callable[[], Definitions] = lambda: NO_DEFINITIONS) -> APIRouter:
    """The route over the context's state, for the operator alone; off without a token.

    definitions: those in force; an upload may not take the name of a defined cohort.
    """
    router = APIRouter()

    # As for flags: the operator is asked for before anything of the body is read.
    @router.post(
        "/api/cohorts/{name}",
        status_code=201,
        response_model=Uploaded,
        responses={
            **refusals(400, 401, 404, 413, 422),
            409: {**refusals(422)[422], "description": "There is such a cohort, and cohorts never change."},
        },
        openapi_extra={
            "requestBody": {"required": True, "content": {"text/csv": {"schema": {"type": "string"}}}},
            "security": [{"operator": []}],
        },
    )
    async def add_cohort_of_csv(
        request: Request,
        name: Annotated[str, Named(description="Letters, digits, _ and -; unique for ever.")],
        project: Annotated[str | None, Query(description="Where users without a project of their own count.")] = None,
        notes: Annotated[str, Query(max_length=1_000)] = "",
        owner: Annotated[str, Query(max_length=255)] = "",
        group: Annotated[str, Query(max_length=255)] = "",
        mediawiki: Annotated[bool, Query(description="User names begin with a capital; `en` means enwiki.")] = False,
    ) -> Response:
        """Keep the users of a CSV text, one a line or `user,project`; says what became of each line."""
        admit(request, context.token)
        content = await body(request, LARGEST_UPLOAD)
        add = partial(_added, context, definitions(), name, content)
        added = await run_in_threadpool(
            add, project=project, notes=notes, owner=owner, group=group, mediawiki=mediawiki
        )
        return JSONResponse(report_object(name, added), 201, headers=NO_STORE)

    return router


def _added(
    context: Context,
    definitions: Definitions,
    name: str,
    content: bytes,
    *,
    project: str | None,
    notes: str,
    owner: str,
    group: str,
    mediawiki: bool,
) -> Added:
    """The new cohort, by a connection of its own; HTTPException 409, 422 and 503."""
    try:
        with snapshot(context.directory):
            pass  # a state that went missing is not made anew
        with closing(open_store(context.directory)) as store:
            store.conn.execute(f"PRAGMA busy_timeout = {_BUSY_TIMEOUT_MS}")
            return add_cohort(
                store,
                name,
                content,
                context.clock(),
                project=project,
                notes=notes,
                owner=owner,
                group=group,
                definitions=definitions,
                mediawiki=mediawiki,
            )
    except (StateBusyError, StateError) as error:
        raise HTTPException(503, str(error), {"Retry-After": "10", **NO_STORE}) from error
    except ExistsError as error:
        raise HTTPException(409, str(error), NO_STORE) from error
    except HomecomingError as error:
        raise HTTPException(422, str(error), NO_STORE) from error
