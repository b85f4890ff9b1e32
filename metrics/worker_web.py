"""/metrics, /live and /ready of a process that has no state to show."""

from fastapi import FastAPI
from prometheus_client import CollectorRegistry

from metrics.probes import probe_routes
from metrics.readiness import Readiness


def probes_app(registry: CollectorRegistry, ready: Readiness) -> FastAPI:
    """The application over the series in `registry`; `ready` says why the process does not do its work."""
    app = FastAPI(openapi_url=None)
    app.include_router(probe_routes(registry, ready))
    return app
