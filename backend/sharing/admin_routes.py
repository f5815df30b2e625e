"""The register by the administration API, for `kioskwatch share export` while the backend runs."""

import datetime
from collections.abc import Callable
from typing import Final

import msgspec
from fastapi import APIRouter, Depends
from pydantic import BaseModel, Field
from starlette.responses import Response

from backend.sharing.rules import Request
from backend.sharing.service import SharingService
from backend.web.administration import AdminOnly
from backend.web.pages import json_answer
from contracts.registry import RegistrySnapshot

ACTOR: Final = "command-line"
_HASH: Final = r"^[0-9a-f]{64}$"


class ShareRequest(BaseModel):
    """A package that is ready to be given, and who gives it."""

    agreement: str = Field(max_length=63)
    first_day: datetime.date
    last_day: datetime.date
    operator: str = Field(max_length=63)
    package: str = Field(pattern=_HASH)
    files: str = Field(max_length=8192)


class ShareAnswer(msgspec.Struct, frozen=True):
    """It is in the register."""

    agreement: str


class SharingAdmin:
    """Routes of the administration API."""

    def __init__(self, service: SharingService, registry: Callable[[], RegistrySnapshot], admin: AdminOnly) -> None:
        self._service = service
        self._registry = registry
        self._admin = admin

    def routes(self) -> APIRouter:
        """Return them."""
        router = APIRouter(prefix="/admin/v1", dependencies=[Depends(self._admin)], include_in_schema=False)
        router.add_api_route("/share", self.share, methods=["POST"])
        return router

    def share(self, wanted: ShareRequest) -> Response:
        """Register it."""
        return json_answer(register(self._service, self._registry(), wanted))


def register(service: SharingService, registry: RegistrySnapshot, wanted: ShareRequest) -> ShareAnswer:
    """Do what the command asks; also when the command opened the state itself."""
    asked = Request(agreement=wanted.agreement, first_day=wanted.first_day, last_day=wanted.last_day)
    service.register(asked, registry, actor=ACTOR, operator=wanted.operator, package=wanted.package, files=wanted.files)
    return ShareAnswer(wanted.agreement)
