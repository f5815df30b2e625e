"""Every error becomes an answer: a page with a sentence, or `{"error": sentence}` for programs. Nothing else escapes.

The outermost layer catches what nobody foresaw, counts it and logs where it was, without its text: an error's text
may quote what a person typed.
"""

import logging
import traceback
from collections.abc import Callable
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import quote

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from backend.errors import (
    BackendError,
    InputError,
    MethodError,
    MustChangePasswordError,
    NotFoundError,
    NotSignedInError,
    TooManyError,
    UnavailableError,
)
from backend.web.pages import Pages, json_answer
from backend.web.words import N_
from contracts.errors import ContractError
from stores.errors import StoreError

log = logging.getLogger(__name__)

PROGRAM_PATHS: Final = ("/api/", "/admin/", "/healthz", "/readyz", "/metrics", "/events")
_UNKNOWN: Final = N_("There is no such page.")
_UNFORESEEN: Final = N_("Something went wrong here. It was counted and logged. Go back and try once more.")
_UNREADABLE: Final = N_("The request cannot be read.")
MALFORMED: Final = N_("These parts of the request are missing or malformed: %(places)s.")
_STORE: Final = N_("A store does not answer just now. Nothing is lost; load the page again in a moment.")


class Problems:
    """Turns errors into answers."""

    def __init__(self, pages: Pages) -> None:
        self._pages = pages

    def install(self, app: FastAPI) -> None:
        """Register for every family of errors."""
        for family in (BackendError, StoreError, ContractError, RequestValidationError, HTTPException):
            app.add_exception_handler(family, self.answer)

    async def answer(self, request: Request, error: Exception) -> Response:
        """Answer any of our errors, or Starlette's."""
        problem = _as_backend_error(error)
        headers = {"retry-after": str(problem.retry_after_s)} if isinstance(problem, TooManyError) else {}
        if request.url.path.startswith(PROGRAM_PATHS):
            return json_answer({"error": str(problem)}, status=problem.status, headers=headers)
        if isinstance(problem, NotSignedInError) and request.method == "GET":
            wanted = request.url.path + (f"?{request.url.query}" if request.url.query else "")
            return RedirectResponse(f"/sign-in?next={quote(wanted, safe='')}", HTTPStatus.SEE_OTHER)
        if isinstance(problem, MustChangePasswordError):
            return RedirectResponse("/password", HTTPStatus.SEE_OTHER)
        page = self._pages.answer(request, "problem.html", status=problem.status, problem=problem)
        page.headers.update(headers)
        return page


class LastResort:
    """ASGI: an unforeseen error ends one request, with a sentence, and is counted."""

    def __init__(self, app: ASGIApp, problems: Problems, count: Callable[[], None]) -> None:
        self._app = app
        self._problems = problems
        self._count = count

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on."""
        started = False

        async def watched(message: Message) -> None:
            nonlocal started
            started = started or message["type"] == "http.response.start"
            await send(message)

        try:
            await self._app(scope, receive, watched)
        except Exception as exc:  # noqa: BLE001 - the edge of every request: counted and logged without its text
            self._count()
            log.error("unforeseen %s at %s", type(exc).__name__, _place(exc))
            if scope["type"] == "http" and not started:
                answer = await self._answer(Request(scope, receive))
                await answer(scope, receive, send)

    async def _answer(self, request: Request) -> Response:
        try:
            return await self._problems.answer(request, BackendError(_UNFORESEEN))
        except Exception as exc:  # noqa: BLE001 - the page about the error failed as well: a bare answer remains
            log.error("no page for an error: %s at %s", type(exc).__name__, _place(exc))
            return json_answer({"error": _UNFORESEEN}, status=HTTPStatus.INTERNAL_SERVER_ERROR)


def _as_backend_error(error: Exception) -> BackendError:
    if isinstance(error, StoreError):
        log.warning("a store failed: %s", type(error).__name__)
    for family, translate in _TRANSLATIONS:
        if isinstance(error, family):
            return translate(error)
    return BackendError(_UNFORESEEN)


def _of_http(error: Exception) -> BackendError:
    status = getattr(error, "status_code", HTTPStatus.INTERNAL_SERVER_ERROR)
    if status == HTTPStatus.METHOD_NOT_ALLOWED:
        return MethodError(N_("This address does not take that kind of request."))
    return NotFoundError(_UNKNOWN) if status == HTTPStatus.NOT_FOUND else InputError(_UNREADABLE)


def _of_validation(error: Exception) -> BackendError:
    wrong = error.errors()[:3] if isinstance(error, RequestValidationError) else []
    places = ", ".join(".".join(str(part) for part in item["loc"][1:]) for item in wrong)
    return InputError(MALFORMED, places=places)


# The first family that fits decides.
_TRANSLATIONS: Final[tuple[tuple[type[Exception], Callable[[Any], BackendError]], ...]] = (
    (BackendError, lambda error: error),
    (StoreError, lambda _: UnavailableError(_STORE)),
    (ContractError, lambda error: InputError("%(reason)s", reason=error)),
    (RequestValidationError, _of_validation),
    (HTTPException, _of_http),
)


def _place(error: BaseException) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    return " < ".join(f"{frame.name}:{frame.lineno}" for frame in reversed(frames[-4:]))
