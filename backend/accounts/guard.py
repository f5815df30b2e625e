"""Who may pass: reads the session of each request, and what a route demands of it.

A route that demands nothing is public, and a test holds the list of those. For a request that changes something the
order is: 1 signed in · 2 password no longer the first one · 3 permission · 4 comes from our own pages · 5 the
session's token in the form or in the header `x-csrf-token`.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Final

from fastapi import APIRouter, Depends
from starlette.concurrency import run_in_threadpool
from starlette.requests import HTTPConnection, Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from backend.accounts.roles import Permission
from backend.errors import InputError, MustChangePasswordError, NotAllowedError, NotSignedInError
from backend.web.security import SAFE_METHODS, comes_from_us, same_token
from backend.web.viewer import Viewer, viewer_of
from backend.web.words import N_

MAX_FIELDS: Final = 20
CSRF_HEADER: Final = "x-csrf-token"
_FORM_TYPES: Final = ("application/x-www-form-urlencoded", "multipart/form-data")


def cookie_name(scheme: str) -> str:
    """Return the session cookie's name: over TLS browsers themselves hold `__Host-` to this host and to Secure."""
    return "__Host-kw_session" if scheme == "https" else "kw_session"


def set_session(response: Response, token: str, *, scheme: str) -> None:
    """Give the browser its session."""
    response.set_cookie(
        cookie_name(scheme), token, httponly=True, samesite="strict", secure=scheme == "https", path="/"
    )


def drop_session(response: Response, *, scheme: str) -> None:
    """Take it back."""
    response.delete_cookie(cookie_name(scheme), httponly=True, samesite="strict", secure=scheme == "https", path="/")


class SessionReader:
    """ASGI: puts the viewer into the request's scope; memory first, the store in a thread."""

    def __init__(
        self, app: ASGIApp, *, kept: Callable[[str], Viewer | None], look_up: Callable[[str], Viewer | None]
    ) -> None:
        self._app = app
        self._kept = kept
        self._look_up = look_up

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on with `scope["viewer"]`."""
        if scope["type"] == "http":
            token = HTTPConnection(scope).cookies.get(cookie_name(scope["scheme"]))
            scope["viewer"] = None
            if token is not None:
                scope["viewer"] = self._kept(token) or await run_in_threadpool(self._look_up, token)
        await self._app(scope, receive, send)


@dataclass(frozen=True, slots=True)
class Needs:
    """A route's demand, as a FastAPI dependency; `permission` None = anybody signed in, also with a first password."""

    permission: Permission | None

    async def __call__(self, request: Request) -> Viewer:
        """Return the viewer or raise what keeps them out."""
        viewer = signed_in(request)  # 1
        if self.permission is not None:
            if viewer.must_change:  # 2
                raise MustChangePasswordError(N_("Choose a password of your own first."))
            if not viewer.may(self.permission):  # 3
                raise NotAllowedError(N_("Your role does not allow this."))
        if request.method not in SAFE_METHODS:
            await _check_origin(request, viewer)
        return viewer


def signed_in(request: Request) -> Viewer:
    """Return the viewer of a route that has a `Needs`."""
    viewer = viewer_of(request)
    if viewer is None:
        raise NotSignedInError(N_("Sign in first."))
    return viewer


Endpoint = Callable[..., Response | Awaitable[Response]]


def add_page(
    router: APIRouter, path: str, endpoint: Endpoint, needs: Permission | None, *, method: str = "GET"
) -> None:
    """Add a page, or what a page's form is sent to."""
    router.add_api_route(
        path, endpoint, methods=[method], dependencies=[Depends(Needs(needs))], include_in_schema=False
    )


def add_public(router: APIRouter, path: str, endpoint: Endpoint, *, method: str = "GET") -> None:
    """Add a page that anybody may see; tests hold the list of these."""
    router.add_api_route(path, endpoint, methods=[method], include_in_schema=False)


async def _check_origin(request: Request, viewer: Viewer) -> None:
    if not comes_from_us(request.headers, scheme=request.url.scheme):  # 4
        raise NotAllowedError(N_("This request did not come from a page of this console."))
    given = request.headers.get(CSRF_HEADER)
    if given is None and request.headers.get("content-type", "").startswith(_FORM_TYPES):
        given = (await read_form(request)).get("csrf")
    if not same_token(given, viewer.csrf):  # 5
        raise NotAllowedError(N_("This form is out of date. Load the page again."))


async def read_form(request: Request) -> Mapping[str, str]:
    """Return a form's fields; files are refused, and so is more than our forms hold."""
    form = await request.form(max_files=0, max_fields=MAX_FIELDS)
    return {name: value for name, value in form.items() if isinstance(value, str)}


async def public_form(request: Request) -> Mapping[str, str]:
    """Return the fields of a form that somebody fills in who is not signed in: the origin check alone protects it."""
    if not comes_from_us(request.headers, scheme=request.url.scheme):
        raise NotAllowedError(N_("This request did not come from a page of this console."))
    return await read_form(request)


def field(form: Mapping[str, str], name: str, *, most: int, needed: bool = True) -> str:
    """Return a field's text without surrounding white space; InputError when it is missing or too long."""
    text = form.get(name, "").strip()
    if needed and not text:
        raise InputError(N_("Something was left empty."))
    if len(text) > most:
        raise InputError(N_("At most %(characters)s characters."), characters=most)
    return text
