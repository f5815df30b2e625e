"""Accounts by the administration API, for `kioskwatch user …` while the backend runs."""

from typing import Final, Literal

import msgspec
from fastapi import APIRouter, Depends
from pydantic import BaseModel, Field
from starlette.responses import Response

from backend.accounts.service import AccountService
from backend.web.administration import AdminOnly
from backend.web.pages import json_answer
from stores.state.accounts import Account

ACTOR: Final = "command-line"


class UserRequest(BaseModel):
    """What to do with which account."""

    action: Literal["add", "list", "reset", "disable", "enable"]
    name: str = Field(default="", max_length=63)
    role: str = Field(default="", max_length=20)


class UserLine(msgspec.Struct, frozen=True):
    """An account, as a terminal shows it."""

    name: str
    role: str
    state: str


class UserAnswer(msgspec.Struct, frozen=True):
    """The new first password, or the list."""

    password: str | None = None
    accounts: list[UserLine] | None = None


class AccountAdmin:
    """Routes of the administration API."""

    def __init__(self, service: AccountService, admin: AdminOnly) -> None:
        self._service = service
        self._admin = admin

    def routes(self) -> APIRouter:
        """Return them."""
        router = APIRouter(prefix="/admin/v1", dependencies=[Depends(self._admin)], include_in_schema=False)
        router.add_api_route("/user", self.user, methods=["POST"])
        return router

    def user(self, wanted: UserRequest) -> Response:
        """Do it."""
        return json_answer(act_on_accounts(self._service, wanted))


def act_on_accounts(service: AccountService, wanted: UserRequest) -> UserAnswer:
    """Do what the command asks; also when the command opened the state itself."""
    if wanted.action == "add":
        return UserAnswer(password=service.add(wanted.name, wanted.role, actor=ACTOR))
    if wanted.action == "reset":
        return UserAnswer(password=service.reset(wanted.name, actor=ACTOR))
    if wanted.action != "list":
        service.set_disabled(wanted.name, wanted.action == "disable", actor=ACTOR)
    return UserAnswer(accounts=[_line(account) for account in service.accounts()])


def _line(account: Account) -> UserLine:
    return UserLine(account.name, account.role, "closed" if account.disabled else "open")
