"""/openapi.json: what FastAPI makes of the routes, and what it cannot know of them."""

from typing import Any

from fastapi import FastAPI

_OPERATOR = {
    "type": "http",
    "scheme": "bearer",
    "description": "The operator's token, of HOMECOMING_TOKEN or consumer_config.http.token_file.",
}


def describe(app: FastAPI) -> None:
    """Add the operator's token to the application's OpenAPI, and take out an error that no route gives."""
    made = app.openapi

    def openapi() -> dict[str, Any]:
        found = made()
        found["components"].setdefault("securitySchemes", {})["operator"] = _OPERATOR
        for name in ("HTTPValidationError", "ValidationError"):  # errors have a shape of our own
            found["components"]["schemas"].pop(name, None)
        return found

    app.openapi = openapi  # type: ignore[method-assign]  # as FastAPI's documentation has it
