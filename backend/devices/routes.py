"""Devices for technicians (list, one device, its label), and the two doors a device itself comes through."""

import logging
from collections.abc import Callable, Mapping, Sequence
from http import HTTPStatus
from io import BytesIO
from typing import Final

import msgspec
import segno
from fastapi import APIRouter, Depends, Request
from pydantic import BaseModel, Field
from starlette.responses import RedirectResponse, Response

from backend.accounts.guard import Needs, add_page, signed_in
from backend.accounts.roles import Permission
from backend.devices.authority import MAX_CSR_BYTES
from backend.devices.condition import DeviceState, Fleet
from backend.devices.enrolment import MAX_TOKEN_CHARS, EnrolAnswer, EnrolmentService
from backend.devices.release_log import SHOWN, LogLine, log_lines
from backend.devices.views import device_view, list_view
from backend.errors import NotFoundError
from backend.web.names import Names
from backend.web.openapi import answers
from backend.web.pages import Figure, Pages, json_answer
from backend.web.viewer import client_address
from backend.web.words import N_, Words
from contracts.rows import ReleaseRow
from stores.errors import StoreError

log = logging.getLogger(__name__)

MAX_SIGNATURE_CHARS: Final = 128
MAX_NAME_CHARS: Final = 63
# A device page's chart, drawn by another feature: (device, metric, words) -> figure.
FigureOf = Callable[[str, str, Words], Figure]
# What a kiosk released, the newest first: (device, most) -> releases; StoreError when it cannot be read now.
ReleasesOf = Callable[[str, int], Sequence[ReleaseRow]]
CHARTED_KINDS: Final[Mapping[str, str]] = {"air_monitor": "co2_ppm"}


class EnrolRequest(BaseModel):
    """A one-time token and a PKCS#10 signing request in PEM form."""

    token: str = Field(max_length=MAX_TOKEN_CHARS)
    csr: str = Field(max_length=MAX_CSR_BYTES)


class RenewRequest(BaseModel):
    """A signing request, signed (Ed25519, base64url) by the key in force over `kioskwatch/reenrol/v1`, 0x00, csr."""

    device: str = Field(max_length=MAX_NAME_CHARS)
    csr: str = Field(max_length=MAX_CSR_BYTES)
    sig: str = Field(max_length=MAX_SIGNATURE_CHARS)


class ProblemAnswer(msgspec.Struct, frozen=True):
    """One thing that is wrong, and what mends it."""

    severity: str
    sentence: str
    remedy: str


class DeviceAnswer(msgspec.Struct, frozen=True):
    """A device and how it is."""

    id: str
    kind: str
    zone: str
    site: str
    label: str
    status: str
    enrolment: int
    online: bool | None
    last_seen_ns: int | None
    certificate_days: float | None
    readings: dict[str, float]
    problems: list[ProblemAnswer]


class DevicesAnswer(msgspec.Struct, frozen=True):
    """All devices of the registry."""

    devices: list[DeviceAnswer]


class DeviceRoutes:
    """Routes of this feature."""

    def __init__(
        self,
        fleet: Fleet,
        enrolment: EnrolmentService,
        pages: Pages,
        names: Callable[[Words], Names],
        figure: FigureOf,
        releases: ReleasesOf,
    ) -> None:
        self._fleet = fleet
        self._enrolment = enrolment
        self._pages = pages
        self._names = names
        self._figure = figure
        self._releases = releases

    def pages(self) -> APIRouter:
        """Return what people use."""
        router = APIRouter()
        add_page(router, "/devices", self.list_page, Permission.READ)
        add_page(router, "/devices/{device}", self.device_page, Permission.READ)
        add_page(router, "/devices/{device}/label", self.label_page, Permission.READ)
        add_page(router, "/devices/{device}/label.svg", self.label_code, Permission.READ)
        add_page(router, "/devices/{device}/token", self.make_token, Permission.MANAGE_DEVICES, method="POST")
        add_page(router, "/devices/{device}/revoke", self.revoke, Permission.MANAGE_DEVICES, method="POST")
        return router

    def api(self) -> APIRouter:
        """Return what programs and the devices themselves use."""
        router = APIRouter(tags=["devices"])
        read = [Depends(Needs(Permission.READ))]
        router.add_api_route("/devices", self.devices, dependencies=read, responses=answers(DevicesAnswer))
        router.add_api_route("/devices/{device}", self.device, dependencies=read, responses=answers(DeviceAnswer))
        router.add_api_route("/enrol", self.enrol, methods=["POST"], responses=answers(EnrolAnswer))
        router.add_api_route("/reenrol", self.renew, methods=["POST"], responses=answers(EnrolAnswer))
        router.add_api_route("/ca.pem", self.ca, response_class=Response)
        return router

    # --- pages -------------------------------------------------------------------------------------

    def list_page(self, request: Request, show: str = "all") -> Response:
        """List the devices, those with problems first."""
        words = self._pages.words(request)
        view = list_view(self._fleet.all(), show, self._names(words), self._fleet.now_ns())
        return self._pages.answer(request, "devices.html", view=view)

    def device_page(self, request: Request, device: str) -> Response:
        """Show one device: what is wrong, what mends it, what it reports."""
        return self._device_page(request, device, token=None)

    def _device_page(self, request: Request, device: str, *, token: str | None) -> Response:
        words = self._pages.words(request)
        state = self._state(device)
        metric = CHARTED_KINDS.get(state.device.kind)
        chart = self._figure(device, metric, words) if metric is not None else None
        certificate = self._enrolment.certificate(device)
        view = device_view(state, certificate, self._names(words), self._fleet.now_ns())
        view = {**view, "chart": chart, "releases": self._release_log(request, state)}
        return self._pages.answer(request, "device.html", view=view, token=token)

    def _release_log(self, request: Request, state: DeviceState) -> list[LogLine] | None:
        """Return what a kiosk released, for whom it concerns; None where there is nothing to show."""
        if state.device.kind != "kiosk" or not signed_in(request).may(Permission.READ_RELEASES):
            return None
        try:
            return log_lines(self._releases(state.device.id, SHOWN))
        except StoreError as exc:
            log.debug("releases cannot be read now: %s", type(exc).__name__)
            return []

    def label_page(self, request: Request, device: str) -> Response:
        """Show the label to print."""
        names = self._names(self._pages.words(request))
        self._state(device)
        address = _address(request, device)
        return self._pages.answer(request, "label.html", device=device, place=names.place_of(device), address=address)

    def label_code(self, request: Request, device: str) -> Response:
        """Return the QR code alone."""
        self._state(device)
        out = BytesIO()
        code = segno.make(_address(request, device), error="m", micro=False)
        code.save(out, kind="svg", border=2, scale=4, dark="#000", light="#fff", xmldecl=False)
        return Response(out.getvalue(), media_type="image/svg+xml")

    def make_token(self, request: Request, device: str) -> Response:
        """Make a one-time token and show it, once."""
        token = self._enrolment.make_token(device, actor=signed_in(request).name)
        return self._device_page(request, device, token=token)

    def revoke(self, request: Request, device: str) -> Response:
        """Shut the device out."""
        self._enrolment.revoke(device, actor=signed_in(request).name)
        return RedirectResponse(f"/devices/{device}", HTTPStatus.SEE_OTHER)

    # --- API ---------------------------------------------------------------------------------------

    def devices(self) -> Response:
        """List the devices and how they are."""
        return json_answer(DevicesAnswer([_answer(state) for state in self._fleet.all()]))

    def device(self, device: str) -> Response:
        """Return one device."""
        return json_answer(_answer(self._state(device)))

    def enrol(self, request: Request, wanted: EnrolRequest) -> Response:
        """Take a device in: its one-time token and signing request for a certificate and all it needs to begin."""
        return json_answer(self._enrolment.enrol(wanted.token, wanted.csr, client_address(request)))

    def renew(self, request: Request, wanted: RenewRequest) -> Response:
        """Renew a device's certificate with the key it has."""
        answer = self._enrolment.renew(wanted.device, wanted.csr, wanted.sig, client_address(request))
        return json_answer(answer)

    def ca(self) -> Response:
        """Return the CA's certificate, so that a device can pin it before it sends its token."""
        return Response(self._enrolment.ca, media_type="application/x-pem-file")

    def _state(self, device: str) -> DeviceState:
        state = self._fleet.one(device)
        if state is None:
            raise NotFoundError(N_("There is no such device."))
        return state


def _address(request: Request, device: str) -> str:
    return str(request.base_url.replace(path=f"/devices/{device}", query=""))


def _answer(state: DeviceState) -> DeviceAnswer:
    device = state.device
    return DeviceAnswer(
        id=device.id,
        kind=device.kind,
        zone=device.zone,
        site=device.site,
        label=device.label,
        status=device.status,
        enrolment=device.enrolment,
        online=state.condition.online,
        last_seen_ns=state.seen_ns,
        certificate_days=state.condition.certificate_days,
        readings=dict(state.condition.readings),
        problems=_problems(state),
    )


def _problems(state: DeviceState) -> list[ProblemAnswer]:
    return [ProblemAnswer(problem.severity, problem.sentence, problem.remedy) for problem in state.problems]
