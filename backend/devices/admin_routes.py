"""Devices by the administration API, for `kioskwatch up` and `kioskwatch device …` while the backend runs."""

from typing import Final, Literal

import msgspec
from fastapi import APIRouter, Depends
from pydantic import BaseModel, Field
from starlette.responses import Response

from backend.devices.enrolment import EnrolmentService
from backend.web.administration import AdminOnly
from backend.web.pages import json_answer

ACTOR: Final = "command-line"


class DeviceRequest(BaseModel):
    """Which device; `revoke` shuts it out instead of making a token."""

    device: str = Field(max_length=63)
    action: Literal["token", "revoke"] = "token"


class DeviceActAnswer(msgspec.Struct, frozen=True):
    """The token, or how many certificates ended."""

    token: str | None = None
    certificates: int | None = None


class DeviceAdmin:
    """Routes of the administration API."""

    def __init__(self, enrolment: EnrolmentService, admin: AdminOnly) -> None:
        self._enrolment = enrolment
        self._admin = admin

    def routes(self) -> APIRouter:
        """Return them."""
        router = APIRouter(prefix="/admin/v1", dependencies=[Depends(self._admin)], include_in_schema=False)
        router.add_api_route("/device-token", self.token, methods=["POST"])
        router.add_api_route("/device", self.device, methods=["POST"])
        return router

    def token(self, wanted: DeviceRequest) -> Response:
        """Make a one-time token."""
        return json_answer({"token": self._enrolment.make_token(wanted.device, actor=ACTOR)})

    def device(self, wanted: DeviceRequest) -> Response:
        """Do it."""
        return json_answer(act_on_device(self._enrolment, wanted))


def act_on_device(enrolment: EnrolmentService, wanted: DeviceRequest) -> DeviceActAnswer:
    """Do what the command asks; also when the command opened the state itself."""
    if wanted.action == "revoke":
        return DeviceActAnswer(certificates=enrolment.revoke(wanted.device, actor=ACTOR))
    return DeviceActAnswer(token=enrolment.make_token(wanted.device, actor=ACTOR))
