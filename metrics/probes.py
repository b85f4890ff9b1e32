"""/metrics, /live and /ready: what machines ask for to see whether we are well."""

from fastapi import APIRouter, Request
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder
from starlette.responses import JSONResponse, PlainTextResponse, Response

from metrics.readiness import Readiness
from metrics.responses import NO_STORE


def probe_routes(registry: CollectorRegistry, ready: Readiness) -> APIRouter:
    """The routes over the process's series and its readiness."""
    router = APIRouter(include_in_schema=False)

    @router.get("/metrics")
    def metrics(request: Request) -> Response:
        encode, content_type = choose_encoder(request.headers.get("Accept", ""))
        return Response(encode(registry), headers={"Content-Type": content_type, **NO_STORE})

    # Needs no thread, so that it answers even where all of them are at work.
    @router.get("/live")
    async def live() -> Response:
        return PlainTextResponse("live\n", headers=NO_STORE)

    @router.get("/ready")
    def readiness() -> Response:
        reason = ready()
        body = {"ready": True} if reason is None else {"ready": False, "reason": reason}
        return JSONResponse(body, 200 if reason is None else 503, headers=NO_STORE)

    return router
