"""/jobs/{job} and /all_requests: how far a request is, its answer once it is done, and what was asked."""

from typing import Any

from fastapi import APIRouter, Request
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response

from metrics.api import usermetrics_models as models
from metrics.api.asked import Nothing
from metrics.api.errors import refusals
from metrics.asking.desk import Asked, Desk
from metrics.asking.jobs import Job
from metrics.asking.public import TooFewError, public
from metrics.asking.shape import address, body
from metrics.asking.work import Worked
from metrics.context import Context
from metrics.operator import admit, bearer
from metrics.responses import NO_STORE
from state.errors import HomecomingError
from state.weeks import iso

_RETRY_S = 5

_TOO_FEW = "So few people stand behind it that the public does not get it."

#: What a route answers that answers a request for a metric.
ANSWERED: dict[int | str, dict[str, Any]] = {
    **refusals(401, 404, 422),
    403: {"model": models.Refusal, "description": _TOO_FEW},
    202: {"model": models.Job, "description": "It takes longer: its job."},
}


def job_routes(context: Context, desk: Desk) -> APIRouter:
    """The routes over the desk. What names people is the operator's, and so are the jobs that do."""
    router = APIRouter()

    @router.get("/jobs/{job}", response_model=models.Job, responses=refusals(401, 404, 422))
    def get_job(request: Request, job: str, _asked: Nothing) -> Response:
        """How far a request is; a job is remembered for a quarter of an hour after it is done."""
        return JSONResponse(_job_object(known(request, job)), headers=NO_STORE)

    @router.get("/jobs/{job}/answer", response_model=models.MetricAnswer, responses=ANSWERED)
    def get_answer(request: Request, job: str, _asked: Nothing) -> Response:
        """The answer of a job that is done, though the state may have changed since; 202 until then."""
        found = known(request, job)
        if not found.future.done():
            return pending(found)
        return told(context, found.future.result(), is_operator=bearer(request) is not None)

    def known(request: Request, job: str) -> Job[Worked]:
        found = desk.jobs.find(job)
        is_operator_asking(request, context.token, must=found is not None and found.request.names_people)
        if found is None:
            raise HTTPException(404, f"no job {job!r:.60} is remembered: ask for the metric again", NO_STORE)
        return found

    @router.get("/all_requests", response_model=models.AllRequests, responses=refusals(401, 404, 422))
    def get_all_requests(request: Request, _asked: Nothing) -> Response:
        """What was asked since the server began; what was asked of single users is not remembered."""
        is_operator = is_operator_asking(request, context.token, must=False)
        listed = [_asked_object(desk, one) for one in desk.asked()]
        # Until it is answered, what was asked may be any text: it is shown to nobody else.
        shown = [one for one in listed if is_operator or one["status"] == "done"]
        return JSONResponse({"requests": shown}, headers=NO_STORE)

    return router


def told(context: Context, worked: Worked, *, is_operator: bool) -> Response:
    """The answer as whoever asks may see it; HTTPException 403 where that is nothing."""
    withheld = 0
    if not is_operator:
        try:
            worked, withheld = public(worked, context.min_cohort)
        except TooFewError as error:
            raise HTTPException(403, str(error), NO_STORE) from None
    return Response(body(worked, context.clock(), withheld), media_type="application/json", headers=NO_STORE)


def pending(job: Job[Worked]) -> Response:
    """The job instead of its answer, which is still to come."""
    return JSONResponse(_job_object(job), 202, headers={"Retry-After": str(_RETRY_S), **NO_STORE})


def is_operator_asking(request: Request, token: str | None, *, must: bool) -> bool:
    """Whether the operator asks; HTTPException 401 and 404 where somebody says so wrongly, or where it must be so."""
    if must or bearer(request) is not None:
        admit(request, token)
        return True
    return False


def _job_object(job: Job[Worked]) -> dict[str, Any]:
    error = job.future.exception() if job.future.done() else None
    said = str(error) if isinstance(error, HomecomingError) else "this is a fault of the server: its log says more"
    return {
        "id": job.id,
        "status": job.status,
        "request": address(job.request),
        "queued_at": iso(job.queued_at),
        "started_at": "" if job.started_at is None else iso(job.started_at),
        "done_at": "" if job.done_at is None else iso(job.done_at),
        "url": f"/jobs/{job.id}",
        "error": "" if error is None else said,
    }


def _asked_object(desk: Desk, one: Asked) -> dict[str, Any]:
    job = None if one.job is None else desk.jobs.find(one.job)
    return {
        "request": address(one.request),
        "cohort": one.request.cohort,
        "metric": one.request.options.metric,
        "times": one.times,
        "last_at": iso(one.last_at),
        "status": "done" if job is None else job.status,
        "job": "" if job is None else job.id,
    }
