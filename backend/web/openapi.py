"""OpenAPI for answers that msgspec encodes: FastAPI knows pydantic, so the schemas of our structs are added here."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final

import msgspec
from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

REF: Final = "#/components/schemas/{name}"


class ErrorAnswer(msgspec.Struct, frozen=True):
    """What every refusal looks like."""

    error: str


_structs: dict[str, type] = {"ErrorAnswer": ErrorAnswer}


def answers(struct: type, *, status: int = 200) -> dict[int | str, dict[str, Any]]:
    """Return a route's `responses`: this struct, or an error."""
    _structs[struct.__name__] = struct
    return {
        status: {"description": HTTPStatus(status).phrase, **_content(struct.__name__)},
        "4XX": {"description": "Refused; the sentence says what to do", **_content("ErrorAnswer")},
    }


def install(app: FastAPI) -> None:
    """Make the application's document hold our structs as well."""

    def document() -> dict[str, Any]:
        if app.openapi_schema is None:
            schema = get_openapi(title=app.title, version=app.version, summary=app.summary, routes=app.routes)
            _, components = msgspec.json.schema_components(list(_structs.values()), ref_template=REF)
            schema.setdefault("components", {}).setdefault("schemas", {}).update(components)
            _drop_validation_errors(schema)
            app.openapi_schema = schema
        return app.openapi_schema

    app.openapi = document  # type: ignore[method-assign]  # the way that FastAPI documents


def _content(name: str) -> Mapping[str, Any]:
    return {"content": {"application/json": {"schema": {"$ref": REF.format(name=name)}}}}


def _drop_validation_errors(schema: dict[str, Any]) -> None:
    """FastAPI promises its own 422 body, which our problem handler never sends."""
    for path in schema["paths"].values():
        for operation in path.values():
            operation["responses"].pop("422", None)
    for name in ("HTTPValidationError", "ValidationError"):
        schema["components"]["schemas"].pop(name, None)
