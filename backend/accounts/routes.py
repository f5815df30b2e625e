"""Signing in and out, one's own password, the small account administration, the audit log."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Annotated, Final

import msgspec
from fastapi import APIRouter, Depends, Request
from pydantic import BaseModel, Field
from starlette.responses import RedirectResponse, Response

from backend.accounts.audit import AuditLog
from backend.accounts.guard import (
    Needs,
    add_page,
    add_public,
    drop_session,
    field,
    public_form,
    read_form,
    set_session,
    signed_in,
)
from backend.accounts.passwords import MAX_BYTES
from backend.accounts.roles import ROLE_NAMES, Permission
from backend.accounts.service import AccountService
from backend.errors import InputError, NotAllowedError, NotSignedInError
from backend.web.openapi import answers
from backend.web.pages import Pages, json_answer
from backend.web.security import comes_from_us
from backend.web.viewer import Viewer, client_address, viewer_of
from backend.web.words import N_

_NAME_CHARS: Final = 63

Fields = Annotated[Mapping[str, str], Depends(read_form)]
PublicFields = Annotated[Mapping[str, str], Depends(public_form)]


class SessionRequest(BaseModel):
    """What a program signs in with."""

    name: str = Field(max_length=_NAME_CHARS)
    password: str = Field(max_length=MAX_BYTES)


class SessionAnswer(msgspec.Struct, frozen=True):
    """Who is signed in; `csrf` goes into the header `x-csrf-token` of each changing request."""

    name: str
    role: str
    permissions: list[str]
    must_change_password: bool
    csrf: str


class AccountRoutes:
    """Routes of this feature."""

    def __init__(self, service: AccountService, audit: AuditLog, pages: Pages) -> None:
        self._service = service
        self._audit = audit
        self._pages = pages

    def pages(self) -> APIRouter:
        """Return what people use."""
        router = APIRouter()
        add_public(router, "/sign-in", self.sign_in_page)
        add_public(router, "/sign-in", self.sign_in, method="POST")
        add_page(router, "/sign-out", self.sign_out, None, method="POST")
        add_page(router, "/password", self.password_page, None)
        add_page(router, "/password", self.change_password, None, method="POST")
        add_page(router, "/accounts", self.accounts_page, Permission.MANAGE_ACCOUNTS)
        add_page(router, "/accounts", self.add, Permission.MANAGE_ACCOUNTS, method="POST")
        add_page(router, "/accounts/{name}", self.change, Permission.MANAGE_ACCOUNTS, method="POST")
        add_page(router, "/audit", self.audit_page, Permission.READ_AUDIT)
        return router

    def api(self) -> APIRouter:
        """Return what programs use."""
        router = APIRouter(tags=["session"])
        any_session = [Depends(Needs(None))]
        router.add_api_route("/session", self.open_session, methods=["POST"], responses=answers(SessionAnswer))
        router.add_api_route(
            "/session", self.session, methods=["GET"], dependencies=any_session, responses=answers(SessionAnswer)
        )
        router.add_api_route(
            "/session", self.close_session, methods=["DELETE"], dependencies=any_session, status_code=204
        )
        return router

    # --- pages -------------------------------------------------------------------------------------

    def sign_in_page(self, request: Request) -> Response:
        """Show the form, or go on when somebody is signed in already."""
        wanted = safe_next(request.query_params.get("next"))
        if viewer_of(request) is not None:
            return RedirectResponse(wanted, HTTPStatus.SEE_OTHER)
        return self._pages.answer(request, "sign_in.html", next=wanted, problem=None)

    def sign_in(self, request: Request, fields: PublicFields) -> Response:
        """Open a session, or show the form again with what was wrong."""
        wanted = safe_next(fields.get("next"))
        try:
            opened = self._service.sign_in(
                fields.get("name", "").strip(), fields.get("password", ""), client_address(request)
            )
        except NotSignedInError as exc:
            return self._pages.answer(request, "sign_in.html", status=exc.status, next=wanted, problem=exc)
        target = "/password" if opened.viewer.must_change else wanted
        answer = RedirectResponse(target, HTTPStatus.SEE_OTHER)
        set_session(answer, opened.token, scheme=request.url.scheme)
        return answer

    def sign_out(self, request: Request) -> Response:
        """End the session."""
        self._service.sign_out(signed_in(request))
        answer = RedirectResponse("/sign-in", HTTPStatus.SEE_OTHER)
        drop_session(answer, scheme=request.url.scheme)
        return answer

    def password_page(self, request: Request) -> Response:
        """Show the form."""
        return self._pages.answer(request, "password.html", problem=None)

    def change_password(self, request: Request, fields: Fields) -> Response:
        """Change one's own password."""
        new = fields.get("new", "")
        try:
            if new != fields.get("again", ""):
                raise InputError(N_("The two new passwords differ."))
            self._service.change_password(
                signed_in(request), old=fields.get("old", ""), new=new, address=client_address(request)
            )
        except InputError as exc:
            return self._pages.answer(request, "password.html", status=exc.status, problem=exc)
        return RedirectResponse("/", HTTPStatus.SEE_OTHER)

    def accounts_page(self, request: Request) -> Response:
        """List the accounts."""
        return self._accounts(request, told=None)

    def add(self, request: Request, fields: Fields) -> Response:
        """Make an account and show its first password, once."""
        name = field(fields, "name", most=_NAME_CHARS)
        password = self._service.add(name, field(fields, "role", most=20), actor=signed_in(request).name)
        return self._accounts(request, told=(name, password))

    def change(self, request: Request, name: str, fields: Fields) -> Response:
        """Reset, close, open or change the role of an account."""
        actor, action = signed_in(request), fields.get("action")
        if name == actor.name:
            raise NotAllowedError(N_("Another administrator has to change your own account."))
        if action == "reset":
            return self._accounts(request, told=(name, self._service.reset(name, actor=actor.name)))
        if action in ("disable", "enable"):
            self._service.set_disabled(name, action == "disable", actor=actor.name)
        elif action == "role":
            self._service.set_role(name, field(fields, "role", most=20), actor=actor.name)
        else:
            raise InputError(N_("The request cannot be read."))
        return RedirectResponse("/accounts", HTTPStatus.SEE_OTHER)

    def audit_page(self, request: Request, before: int | None = None) -> Response:
        """Show the newest rows, and whether the chain holds."""
        rows = self._audit.latest(before)
        return self._pages.answer(request, "audit.html", rows=rows, broken_at=self._audit.broken_at())

    def _accounts(self, request: Request, told: tuple[str, str] | None) -> Response:
        return self._pages.answer(
            request, "accounts.html", accounts=self._service.accounts(), roles=ROLE_NAMES, told=told
        )

    # --- API ---------------------------------------------------------------------------------------

    def open_session(self, request: Request, wanted: SessionRequest) -> Response:
        """Sign in; the session is a cookie."""
        if not comes_from_us(request.headers, scheme=request.url.scheme):
            raise NotAllowedError(N_("This request did not come from a page of this console."))
        opened = self._service.sign_in(wanted.name, wanted.password, client_address(request))
        answer = json_answer(_session(opened.viewer))
        set_session(answer, opened.token, scheme=request.url.scheme)
        return answer

    def session(self, request: Request) -> Response:
        """Tell who is signed in."""
        return json_answer(_session(signed_in(request)))

    def close_session(self, request: Request) -> Response:
        """Sign out."""
        self._service.sign_out(signed_in(request))
        answer = Response(status_code=HTTPStatus.NO_CONTENT)
        drop_session(answer, scheme=request.url.scheme)
        return answer


def safe_next(wanted: str | None) -> str:
    """Return where to go after signing in: a path of ours, or the first page."""
    if wanted is None or not wanted.startswith("/") or wanted.startswith(("//", "/\\")) or not wanted.isprintable():
        return "/"
    return wanted


def _session(viewer: Viewer) -> SessionAnswer:
    return SessionAnswer(viewer.name, viewer.role, sorted(viewer.permissions), viewer.must_change, viewer.csrf)
